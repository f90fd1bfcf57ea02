"""X-AnyLabeling's remote server: its list of models, and polygons for an image in base64."""

from __future__ import annotations

import base64

import pytest
from served import RED_AND_BLUE, called, colours_server, png

from instseg.deploy.serving.xanylabeling import routes

KEY = "a key that is long enough"
IMAGE = base64.b64encode(png(RED_AND_BLUE)).decode()


@pytest.fixture(scope="module")
def client():
    server = colours_server()
    with called(server, None, routes(server)) as client:
        yield client


def shapes(client, image: str = IMAGE, **parameters: float) -> list[dict]:
    asked = {"model": "instseg", "image": image, "params": {"iou_threshold": 0.0, **parameters}}
    answer = client.post("/v1/predict", json=asked)
    assert answer.status_code == 200 and answer.json()["success"]
    return answer.json()["data"]["shapes"]


def test_its_one_model_is_listed_with_the_controls_that_have_a_meaning(client):
    (described,) = client.get("/v1/models").json()["data"].values()
    controls = {widget["name"]: widget["value"] for widget in described["widgets"]}
    assert described["display_name"] == "instseg colours/1 epoch 3"
    assert controls["edit_conf"] == 0.5 and "edit_iou" not in controls and "button_run" in controls


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_an_image_in_base64_is_answered_with_polygons(client, prefix):
    red, blue = shapes(client, prefix + IMAGE)
    assert (red["label"], red["shape_type"], red["group_id"]) == ("red thing", "polygon", None)
    assert {tuple(point) for point in red["points"]} == {(16, 32), (64, 32), (64, 80), (16, 80)}
    assert red["score"] == pytest.approx(0.9) and blue["label"] == "blue thing"


def test_the_threshold_that_is_shown_means_that_of_each_category_and_another_one_is_for_all(client):
    assert [len(shapes(client, conf_threshold=value)) for value in (0.5, 0.7, 0.95)] == [2, 1, 0]


@pytest.mark.parametrize(
    ("content", "code", "sentence"),
    [
        ({"image": "no base64!"}, 422, "the image is no base64"),
        ({"image": base64.b64encode(b"no image").decode()}, 415, "not an image that can be read"),
        ({"picture": IMAGE}, 422, "not a request of X-AnyLabeling"),
        ({"image": IMAGE, "params": {"conf_threshold": 7}}, 422, "score_threshold=7.0: expected a number from 0 to 1"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_its_code_which_the_program_shows(client, content, code, sentence):
    answer = client.post("/v1/predict", json=content)
    assert answer.status_code == code and answer.json()["detail"].startswith(sentence)


def test_its_header_for_keys_is_known():
    server = colours_server()
    with called(server, KEY, routes(server)) as client:
        assert client.get("/v1/models").status_code == 401
        assert client.get("/v1/models", headers={"Token": KEY}).status_code == 200
