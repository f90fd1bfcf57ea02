"""The options of ``predict.py``: what is taken, and what is refused before any work."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig

from instseg.app import typed_names
from instseg.app.check_config import checked_predict_config
from instseg.app.check_places import check_predict_places
from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.suggestions import explain
from instseg.core.errors import InstsegError


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return compose("predict", overrides=["source=photos", "checkpoint=latest", *overrides])


@pytest.mark.parametrize("save", ["masks", "[masks]", "[overlays,labelme,yolo]"])
def test_one_format_or_several_are_taken(save):
    checked_predict_config(composed(f"save={save}"))


def test_a_source_is_one_text_or_several_and_may_be_called_like_a_number():
    assert checked_predict_config(composed("source=2026")).source == ("2026",)
    assert checked_predict_config(composed("source=[a.jpg,b.jpg]")).source == ("a.jpg", "b.jpg")


@pytest.mark.parametrize(
    ("typed", "taken"),
    [("auto", "auto"), ("0.7", 0.7), ("1", 1.0), ("{car: 0.3, 2024: 1}", {"car": 0.3, 2024: 1.0}), ("{}", {})],
)
def test_a_score_threshold_is_auto_or_a_number_or_numbers_by_category(typed, taken):
    assert checked_predict_config(composed(f"score_threshold={typed}")).score_threshold == taken


def test_the_former_name_of_the_score_threshold_is_refused_with_the_name_it_has():
    with pytest.raises(ConfigCompositionException) as caught:
        composed("min_score=0.7")
    assert "Type score_threshold=0.5" in explain(caught.value, "predict", (), CONFIG_DIR)


@pytest.mark.parametrize(
    ("typed", "taken"), [("null", []), ("flip", ["flip"]), ("[flip,scale]", ["flip", "scale"]), ("[]", [])]
)
def test_augmentations_are_none_one_or_several(typed, taken):
    assert checked_predict_config(composed(f"tta={typed}")).augmentations == taken


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("save=label_me", "no writer label_me. Did you mean labelme"),
        ("save=[overlays,mask]", "no writer mask. Did you mean masks"),
        ("save=[]", "expected one or more of overlays"),
        ("save=null", "expected one or more of overlays"),
        ("tile=10", "tile=10: expected a whole number from 64 upwards, or auto, or null"),
        ("tile=all", "tile=all: expected a whole number from 64"),
        ("tile_overlap=0", "tile_overlap=0: expected a number above 0 and up to 0.5"),
        ("nms=masks", "nms=masks: expected one of box, mask, soft, agnostic"),
        ("nms_threshold=50", "nms_threshold=50: expected a number from 0 to 1, or null"),
        ("nms_sigma=0", "nms_sigma=0: expected a number above 0, or null"),
        ("nms_sigma=0.5", "nms_sigma=0.5: expected nms=soft, found nms=box"),
        ("+nms_treshold=0.4", "nms_treshold: there is no such key. Did you mean nms_threshold"),
        ("tta=flop", "tta=flop: expected null, or one or more of flip, scale"),
        ("tta=[flip,rotate]", r"tta=\[flip,rotate\]: expected null, or one or more of flip, scale"),
        ("score_threshold=-1", "score_threshold=-1: expected a number from 0 to 1"),
        ("score_threshold=high", "score_threshold=high: expected a number"),
        ("score_threshold=2", "score_threshold=2: expected a number from 0 to 1"),
        (
            "score_threshold=null",
            "score_threshold=null: expected a number from 0 to 1, or auto, or numbers by",
        ),
        ("score_threshold={car: 2}", "score_threshold={car: 2}: .*by category such as {car: 0.3, dog: 0.6}"),
        ("+scor_threshold=1", "scor_threshold: there is no such key. Did you mean score_threshold"),
    ],
)
def test_what_cannot_work_is_refused_with_what_was_meant(override, message):
    with pytest.raises(InstsegError, match=message):
        checked_predict_config(composed(override))


class _Piped:
    """Standard input from another program."""

    def __init__(self, content: bytes, is_terminal: bool = False) -> None:
        self.buffer, self.isatty = io.BytesIO(content), lambda: is_terminal


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    typed_names._names.cache_clear()
    return lambda *content: monkeypatch.setattr("sys.stdin", _Piped(*content))


def test_names_may_stand_on_standard_input_which_is_read_once(piped):
    piped(b"a.jpg\nmore images/b.png\r\n\n")
    for _ in range(2):
        assert checked_predict_config(composed("source=-")).source == ("a.jpg", "more images/b.png")
    assert checked_predict_config(composed("source=[c.jpg,-]")).source == ("c.jpg", "a.jpg", "more images/b.png")


@pytest.mark.parametrize(("content", "found"), [((b"\n",), "found none"), ((b"", True), "found a terminal; such as")])
def test_standard_input_without_names_is_refused(piped, content, found):
    piped(*content)
    with pytest.raises(InstsegError, match=f"source=-: expected names of images on standard input.*{found}"):
        checked_predict_config(composed("source=-"))


@pytest.mark.parametrize("page", ["-1", "0.5", "last", "null"])
def test_a_page_is_a_number_or_all(page):
    with pytest.raises(InstsegError, match=f"page={page}: expected a whole number from 0 upwards, or all"):
        checked_predict_config(composed(f"page={page}"))


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["source=https://example.org/clip.mp4"], "clip.mp4: images are downloaded, videos are not; download it first"),
        (["source=clip.mp4", "page=all"], "page=all: expected an image, found the video clip.mp4"),
        (["source=s3://bucket/a.jpg"], "source=s3://bucket/a.jpg: expected a file or folder of this machine"),
    ],
)
def test_a_source_that_cannot_be_had_is_refused_before_any_work(typed, message):
    with pytest.raises(InstsegError, match=message):
        check_predict_places(checked_predict_config(composed(*typed)))
