"""What a prediction run says at its end."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from instseg.prediction.summary import PredictSummary


def printed(num_images: int, counts: dict[str, int]) -> str:
    console = Console(file=io.StringIO(), width=80)
    PredictSummary(Path("out"), num_images, counts, [], False, ("predictions.json",)).print(console)
    return console.file.getvalue()


@pytest.mark.parametrize(("num_images", "said"), [(1, "1 image, nothing found"), (2, "2 images, nothing found")])
def test_where_nothing_was_found_a_sentence_says_so_and_what_to_try(num_images, said):
    assert f"{said}; a lower score_threshold shows more" in printed(num_images, {})


def test_what_was_found_is_counted_by_category():
    assert "car" in printed(1, {"car": 3}) and "nothing found" not in printed(1, {"car": 3})
