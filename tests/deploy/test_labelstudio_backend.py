"""Label Studio's ML backend: tasks in, pre-labels in the labels of the project out, and images from nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from served import RED_AND_BLUE, called, colours_server, label_studio, png
from starlette.testclient import TestClient

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.data.formats.labelstudio.brush_rle import decode_brush_rle
from instseg.deploy.serving.labelstudio_setup import read_setup

TOKEN = "0123456789abcdef"
POLYGONS = """<View><Image name="picture" value="$image"/><PolygonLabels name="shape" toName="picture">
<Label value="Red Thing"/><Label value="sea" predicted_values="sky, blue thing"/></PolygonLabels></View>"""
BRUSHES = POLYGONS.replace("PolygonLabels", "BrushLabels")
COLOURS = Categories(("red thing", "blue thing"))


class FakeLabelStudio(BaseHTTPRequestHandler):
    """Gives out one image to whoever has the token, sends others elsewhere, and remembers what it was asked."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        is_known = self.headers["Authorization"] in (f"Token {TOKEN}", "Bearer access")
        if self.path.startswith("/data/redirect"):
            return self.answer(302, b"", Location="/data/upload/1/a.png")
        if self.path.startswith("/data/large"):
            return self.answer(200, bytes(1_000_001))
        return self.answer(200, png(RED_AND_BLUE)) if is_known else self.answer(401, b"")

    def do_POST(self) -> None:
        self.asked.append(self.path)
        refresh = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["refresh"]
        self.answer(200, b'{"access": "access"}') if refresh == "a.b.c" else self.answer(401, b"")

    def answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    FakeLabelStudio.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), FakeLabelStudio) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of local files, beside a secret."""
    root = tmp_path_factory.mktemp("files")
    (root / "served").mkdir()
    (root / "served/a b.png").write_bytes(png(RED_AND_BLUE))
    (root / "secret.png").write_bytes(png(RED_AND_BLUE))
    (root / "served/link.png").symlink_to(root / "secret.png")
    return root / "served"


@pytest.fixture(scope="module")
def client(host, files) -> Iterator[TestClient]:
    server = colours_server(seconds=5)
    with called(server, None, label_studio(server, host, files, TOKEN)) as client:
        yield client


def predicted(client: TestClient, *images: object, label_config: str = POLYGONS) -> list[dict]:
    tasks = [{"id": number, "data": {"image": image}} for number, image in enumerate(images)]
    answer = client.post("/labelstudio/predict", json={"tasks": tasks, "label_config": label_config, "project": "1.2"})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def refused(client: TestClient, image: object) -> str:
    tasks = [{"id": 1, "data": {"image": image}}]
    answer = client.post("/labelstudio/predict", json={"tasks": tasks, "label_config": POLYGONS})
    assert answer.status_code in (413, 422)
    return answer.json()["detail"]


def test_a_project_is_connected_with_the_version_of_the_model(client):
    assert client.get("/labelstudio/health").json()["status"] == "UP"
    asked = {"project": "1.2", "schema": POLYGONS, "hostname": "http://localhost", "access_token": "t", "more": None}
    assert client.post("/labelstudio/setup", json=asked).json() == {"model_version": "colours/1 epoch 3"}
    assert client.get("/labelstudio/versions").json() == {"versions": ["colours/1 epoch 3"]}


def test_polygons_have_the_labels_and_the_tags_of_the_project(client, host):
    (found,) = predicted(client, "/data/upload/1/a.png")
    red, blue = found["result"]
    assert (red["from_name"], red["to_name"], red["type"]) == ("shape", "picture", "polygonlabels")
    assert (red["original_width"], red["original_height"]) == (128, 96)
    assert red["value"]["polygonlabels"] == ["Red Thing"] and blue["value"]["polygonlabels"] == ["sea"]
    assert {tuple(p) for p in red["value"]["points"]} == {
        (12.5, 33.3333),
        (50, 33.3333),
        (50, 83.3333),
        (12.5, 83.3333),
    }
    assert found["model_version"] == "colours/1 epoch 3" and found["score"] == pytest.approx(0.75)


def test_brush_masks_are_made_where_the_project_has_brushes(client):
    (found,) = predicted(client, "/data/upload/1/a.png", label_config=BRUSHES)
    red = found["result"][0]
    assert (red["type"], red["value"]["brushlabels"], red["value"]["format"]) == ("brushlabels", ["Red Thing"], "rle")
    assert decode_brush_rle(red["value"]["rle"], (96, 128))[32:80, 16:64].all()


def test_local_files_are_read_from_their_folder_without_a_request(client, host):
    before = len(FakeLabelStudio.asked)
    (found,) = predicted(client, "/data/local-files/?d=a%20b.png")
    (same,) = predicted(client, f"{host}/data/local-files/?d=/a%20b.png")
    assert len(found["result"]) == 2 and same == found and len(FakeLabelStudio.asked) == before


@pytest.mark.parametrize(
    "name", ["../secret.png", "link.png", "/../secret.png", "..%2Fsecret.png", "gone.png", "", "."]
)
def test_no_other_file_is_read_wherever_links_lead(client, name):
    assert "labelstudio.files" in refused(client, f"/data/local-files/?d={name}")


@pytest.mark.parametrize(
    "image",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:1/data/upload/1/a.png",
        "https://{host}/data/upload/1/a.png",
        "http://user@{host}@example.com/data/a.png",
        "//example.com/data/upload/1/a.png",
        "file:///etc/passwd",
        "/etc/passwd",
        "@example.com/data/a.png",
        "/api/users/",
        "/data/../api/users/",
        "/data/%2e%2e/api/users/",
        "/data/upload/\n1.png",
        "s3://bucket/a.png",
        "http://[::1/data/a.png",
        "data:image/png;base64,AAAA",
        "a.png",
    ],
)
def test_nothing_but_images_of_this_label_studio_is_fetched(client, host, image):
    before = len(FakeLabelStudio.asked)
    assert refused(client, image.replace("{host}", host.removeprefix("http://")))
    assert len(FakeLabelStudio.asked) == before


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        ("/data/redirect", "status 302"),
        ("/data/large", "more than 1 MB"),
        (None, "the task has no image as 'image'"),
        (7, "the task has no image as 'image'"),
    ],
)
def test_redirects_and_large_images_are_refused(client, image, sentence):
    assert sentence in refused(client, image)


def test_a_task_that_cannot_be_predicted_has_no_prediction_and_the_others_have(client, caplog):
    first, second = predicted(client, "/data/redirect", "/data/upload/1/a.png")
    assert first == [] and len(second["result"]) == 2
    assert "task 0: " in caplog.text and "status 302" in caplog.text


@pytest.mark.parametrize(("token", "is_known"), [("wrong", False), (None, False), ("a.b.c", True), ("a.b.d", False)])
def test_a_personal_access_token_is_exchanged_and_a_wrong_one_is_said_so(host, token, is_known):
    server = colours_server()
    with called(server, None, label_studio(server, host, None, token)) as client:
        if is_known:
            assert len(predicted(client, "/data/upload/1/a.png")[0]["result"]) == 2
        else:
            assert "is a token of Label Studio in LABEL_STUDIO_API_KEY?" in refused(client, "/data/upload/1/a.png")


def test_the_token_of_a_setup_is_used_where_none_was_configured(host):
    server = colours_server()
    with called(server, None, label_studio(server, host)) as client:
        client.post("/labelstudio/setup", json={"schema": POLYGONS, "access_token": TOKEN})
        assert len(predicted(client, "/data/upload/1/a.png")[0]["result"]) == 2


def test_without_an_address_nothing_is_fetched():
    server = colours_server()
    with called(server, None, label_studio(server)) as client:
        assert "start the server with labelstudio.url=" in refused(client, "/data/upload/1/a.png")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"tasks": 1}', b'{"tasks": [], "label_config": 3}', b"[" * 100_000])
def test_what_is_no_request_of_label_studio_is_refused(client, body):
    answer = client.post("/labelstudio/predict", content=body)
    assert answer.status_code == 422 and answer.json()["detail"].startswith("not a request of Label Studio")


def test_categories_without_a_label_are_left_out(client):
    only_red = POLYGONS.replace("predicted_values", "hint")
    (found,) = predicted(client, "/data/upload/1/a.png", label_config=only_red)
    assert [region["value"]["polygonlabels"] for region in found["result"]] == [["Red Thing"]]
    assert read_setup(only_red, COLOURS).missing(COLOURS) == ["blue thing"]


def test_of_polygons_and_brushes_polygons_are_made_and_an_alias_is_what_is_stored():
    both = """<View><Image name="a" value="$photo"/>
      <BrushLabels name="brush" toName="a"><Label value="red thing"/><Label value="blue thing"/></BrushLabels>
      <PolygonLabels name="polygon" toName="a"><Label value="Rouge" alias="red thing"/></PolygonLabels></View>"""
    setup = read_setup(both, COLOURS)
    shapes = {name: (target.shape, target.label, target.control.from_name) for name, target in setup.targets.items()}
    assert shapes == {
        "red thing": ("polygon", "red thing", "polygon"), "blue thing": ("brush", "blue thing", "brush"),
    }  # fmt: skip
    assert setup.image_key == "photo"


@pytest.mark.parametrize(
    ("label_config", "message"),
    [
        (POLYGONS.replace("Red Thing", "x").replace("blue", "y"), "no label for red thing, blue thing: .* has x, sea"),
        ("<View/>", "no label for red thing, blue thing: the labelling setup has nothing in"),
        ("<View", "the labelling setup is not an xml file"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><View>&b;</View>', "a document type"),
        (POLYGONS.replace("$image", "a.png"), r"Image of value='a\.png': expected one such as \$image"),
    ],
)
def test_a_setup_that_cannot_be_used_is_refused_with_what_it_has(label_config, message):
    with pytest.raises(InstsegError, match=message):
        read_setup(label_config, COLOURS)
