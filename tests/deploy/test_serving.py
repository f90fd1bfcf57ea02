"""The server: what it answers to an image, and that it is what ``predict`` writes."""

from __future__ import annotations

import asyncio
import io
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from deploy_factories import trained_model
from export_factories import all_writers
from PIL import Image as PilImage
from pycocotools import mask as coco_mask
from served import RED_AND_BLUE, called, colours_server, png

from instseg.core.errors import InstsegError
from instseg.core.types import Rle
from instseg.data.transforms.resize import Resize
from instseg.deploy.serving.limits import RefusedError
from instseg.deploy.serving.listening import bind, check_access
from instseg.deploy.trial_images import made_images
from instseg.prediction.output import OutputOptions, write_predictions
from instseg.prediction.predictor import Predictor
from instseg.prediction.torch_network import TorchNetwork
from instseg.visualization.sheets import write_image

IMAGE = {"image": ("a.png", png(RED_AND_BLUE), "image/png")}
KEY = "a key that is long enough"


@pytest.fixture(scope="module")
def client():
    with called(colours_server()) as client:
        yield client


def test_an_image_in_a_form_or_as_the_body_is_answered_with_its_instances(client):
    in_a_form = client.post("/predict", files=IMAGE).json()
    as_the_body = client.post("/predict", content=png(RED_AND_BLUE), headers={"Content-Type": "image/png"}).json()
    assert in_a_form == as_the_body
    assert {key: in_a_form[key] for key in ("width", "height", "model", "score_threshold")} == {
        "width": 128, "height": 96, "model": "colours/1 epoch 3", "score_threshold": 0.5,
    }  # fmt: skip
    red, blue = in_a_form["instances"]
    assert (red["category"], red["label"], blue["category"]) == ("red thing", 1, "blue thing")
    assert red["box"] == [16, 32, 64, 80] and red["score"] == pytest.approx(0.9)
    assert coco_mask.area(Rle(size=red["mask"]["size"], counts=red["mask"]["counts"].encode())) == 48 * 48


def test_the_answer_is_what_predict_writes(tmp_path):
    trained = trained_model()
    predictor = Predictor(TorchNetwork(trained.model, "cpu", "32-true"), Resize(96, 128))
    write_image(tmp_path / "a.png", made_images(1)[0])
    write_predictions(
        predictor, tmp_path / "a.png", tmp_path / "out", all_writers(),
        OutputOptions(save="coco", score_threshold=0.0),
    )  # fmt: skip
    expected = json.loads((tmp_path / "out/predictions.json").read_text())["annotations"]
    with called(colours_server(predictor=predictor)) as client:
        files = {"image": (tmp_path / "a.png").read_bytes()}
        found = client.post("/predict?score_threshold=0", files=files).json()["instances"]
    assert len(found) == len(expected) > 5
    for instance, annotation in zip(found, expected, strict=True):
        assert (instance["label"], instance["score"]) == (annotation["category_id"], annotation["score"])
        assert instance["mask"]["counts"] == annotation["segmentation"]["counts"]
        x1, y1, x2, y2 = instance["box"]
        assert [x1, y1, x2 - x1, y2 - y1] == pytest.approx(annotation["bbox"], abs=0.02)  # rounded twice


def test_masks_come_as_polygons_or_not_at_all(client):
    (part,) = client.post("/predict?masks=polygons", files=IMAGE).json()["instances"][0]["polygons"]
    assert {tuple(point) for point in part} == {(16, 32), (64, 32), (64, 80), (16, 80)}
    assert {*client.post("/predict?masks=none", files=IMAGE).json()["instances"][0]} == {
        "category", "label", "score", "box",
    }  # fmt: skip


def test_a_request_chooses_its_threshold_and_its_categories(client):
    def found(parameters: str) -> list[str]:
        return [one["category"] for one in client.post(f"/predict?{parameters}", files=IMAGE).json()["instances"]]

    assert found("score_threshold=0.7") == ["red thing"]
    assert found("categories=blue thing") == ["blue thing"]
    assert found("categories=blue thing&categories=red thing&score_threshold=0.95") == []


def test_pictures_are_drawn_over_the_image_or_number_the_instances(client):
    numbered = client.post("/predict?answer=instances", files=IMAGE)
    values = np.asarray(PilImage.open(io.BytesIO(numbered.content)))
    assert (values[40, 20], values[10, 100], values[0, 0]) == (1, 2, 0) and values.shape == (96, 128)
    overlay = client.post("/predict?answer=overlay", files=IMAGE)
    assert overlay.headers["content-type"] == "image/png"
    assert PilImage.open(io.BytesIO(overlay.content)).width >= 128


def test_its_page_describes_the_requests(client):
    operation = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    assert {*operation["requestBody"]["content"]} == {"multipart/form-data", "image/*"}
    assert {*operation["responses"]} >= {"200", "413", "415", "422", "429", "503"}
    assert "swagger" in client.get("/docs").text


def test_health_and_metrics_say_what_is_going_on(client):
    client.post("/predict", files=IMAGE)
    assert client.get("/health").json()["categories"] == ["red thing", "blue thing"]
    said = client.get("/metrics").text
    assert 'instseg_requests_total{path="/predict",status="200"}' in said
    assert 'instseg_instances_total{category="red thing"}' in said
    assert "instseg_waiting 0.0" in said


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ("answer=xml", "answer: Input should be 'json', 'overlay' or 'instances'"),
        ("score_threshold=2", "score_threshold: Input should be less than or equal to 1"),
        ("categories=cat", "categories: no category named cat. There are red"),
    ],
)
def test_a_wrong_parameter_is_answered_with_one_sentence(client, parameters, sentence):
    answer = client.post(f"/predict?{parameters}", files=IMAGE)
    assert answer.status_code == 422 and answer.json()["detail"].startswith(sentence)


def test_requests_that_wait_go_together_through_the_network():
    server = colours_server(batch_size=3, waiting=16)
    with called(server) as client, ThreadPoolExecutor(7) as pool:
        answers = list(pool.map(lambda _: client.post("/predict", files=IMAGE), range(7)))
    assert [answer.status_code for answer in answers] == [200] * 7
    shapes = [shape[0] for shape in server.model.predictor.network.model.seen_shapes]
    assert sum(shapes) == 7 and 1 < max(shapes) <= 3


def test_a_damaged_image_does_not_harm_those_that_go_with_it(tmp_path):
    server = colours_server(batch_size=2)
    write_image(tmp_path / "a.png", RED_AND_BLUE)
    (tmp_path / "b.png").write_bytes(png(RED_AND_BLUE)[:200])

    async def both() -> list[object]:
        async with server.batches.at_work():
            paths = (tmp_path / name for name in ("b.png", "a.png"))
            return await asyncio.gather(*map(server.batches.predict, paths), return_exceptions=True)

    damaged, (_, found) = asyncio.run(both())
    assert isinstance(damaged, RefusedError) and damaged.status == 422
    assert len(found) == 2


def test_what_has_no_place_or_waits_too_long_is_refused(tmp_path):
    server = colours_server(waiting=1, seconds=0.05)
    write_image(tmp_path / "a.png", RED_AND_BLUE)

    async def refusals() -> tuple[int, int]:
        async with server.batches.place():
            with pytest.raises(RefusedError, match="1 request at once already, try again") as too_many:
                await server.batches.place().__aenter__()
        with pytest.raises(RefusedError, match=r"no answer within 0\.05 s") as too_late:  # nobody works on it
            await server.batches.predict(tmp_path / "a.png")
        return too_many.value.status, too_late.value.status

    assert asyncio.run(refusals()) == (429, 503)


def test_the_error_of_a_network_reaches_those_who_wait_and_the_next_ones_are_served(monkeypatch):
    server = colours_server()
    work = server.model.predictor.predict_images
    monkeypatch.setattr(
        server.model.predictor, "predict_images", lambda images: (_ for _ in ()).throw(InstsegError("no memory"))
    )
    with called(server) as client:
        answer = client.post("/predict", files=IMAGE)
        assert (answer.status_code, answer.json()) == (503, {"detail": "no memory"})
        monkeypatch.setattr(server.model.predictor, "predict_images", work)
        assert client.post("/predict", files=IMAGE).status_code == 200


def test_with_a_key_every_request_needs_it_but_health():
    basic = {"auth": ("anybody", KEY)}
    with called(colours_server(), KEY) as client:
        assert client.get("/health").status_code == 200
        assert client.get("/metrics").status_code == 401
        refused = client.post("/predict", files=IMAGE, headers={"Authorization": "Bearer wrong"})
        assert refused.status_code == 401 and refused.json()["detail"].startswith("this server needs a key")
        assert client.post("/predict", files=IMAGE, headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
        assert client.post("/predict", files=IMAGE, headers={"X-API-Key": KEY}).status_code == 200
        assert client.post("/predict", files=IMAGE, **basic).status_code == 200


def test_without_a_key_it_answers_to_names_of_this_machine_alone(client):
    assert client.get("/health", headers={"Host": "127.0.0.1:8000"}).status_code == 200
    for name in ("example.com", "localhost.example.com", ""):
        assert client.get("/health", headers={"Host": name}).status_code == 403


def test_others_can_reach_it_only_with_a_key():
    with pytest.raises(InstsegError, match=r"host=0\.0\.0\.0: everybody who reaches this machine could use"):
        check_access("0.0.0.0", None)
    with pytest.raises(InstsegError, match="INSTSEG_API_KEY: expected 16 characters or more"):
        check_access("127.0.0.1", "short")
    for host, key in (("0.0.0.0", KEY), ("127.0.0.1", None), ("::1", None), ("localhost", None)):
        check_access(host, key)


def test_a_port_that_is_taken_is_said_so():
    with bind("127.0.0.1", 0) as first, pytest.raises(InstsegError, match=r"in use.*; port=0 takes one that is free"):
        bind("127.0.0.1", first.getsockname()[1])
