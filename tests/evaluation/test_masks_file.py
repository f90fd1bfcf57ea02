"""The masks of a test in one file: what is written is read back, and a damaged file is refused with its remedy."""

from __future__ import annotations

import re

import numpy as np
import pytest
from detections import CATEGORIES, random_image

from instseg.core.errors import InstsegError
from instseg.evaluation.evaluated import EvaluatedImages
from instseg.evaluation.masks_file import FILE_NAME, MaskResults, read_masks, write_masks


def some_results():
    rng = np.random.default_rng(2)
    pairs = [random_image(rng, number, 3, 2, [1, 2, 3]) for number in (7, 9)] + [random_image(rng, 11, 0, 0, [1])]
    boxes = [np.full((count, 4), count, np.float64) for count in (4, 0, 1)]
    evaluated = EvaluatedImages.of(pairs, CATEGORIES)
    return MaskResults(evaluated, boxes, ["a.jpg", "/b/ü.jpg", "c"], [True, False, True], np.array([0.5, 0.25, 1.0]))


def columns_of(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture
def path(tmp_path):
    write_masks(tmp_path / FILE_NAME, some_results())
    return tmp_path / FILE_NAME


def test_what_is_written_is_read_back(path):
    expected, found = some_results(), read_masks(path, "test again")
    for one, other in zip(expected.evaluated.truths, found.evaluated.truths, strict=True):
        assert (one.image_id, one.image_size, one.rles) == (other.image_id, other.image_size, other.rles)
        for field in ("boxes", "labels", "areas", "iscrowd"):
            assert np.array_equal(getattr(one, field), getattr(other, field))
    for one, other in zip(expected.evaluated.predictions, found.evaluated.predictions, strict=True):
        assert one.rles == other.rles and np.array_equal(one.scores, other.scores)
    assert (found.paths, found.rotations) == (expected.paths, expected.rotations)
    assert found.thresholds.tolist() == [0.5, 0.25, 1.0]
    assert [boxes.tolist() for boxes in found.boxes] == [boxes.tolist() for boxes in expected.boxes]


@pytest.mark.parametrize(
    ("column", "damage", "message"),
    [
        ("truth/masks", lambda masks: np.roll(masks, 1), "column truth/masks: expected masks of the size of their"),
        ("found/labels", lambda labels: labels + 9, "column found/labels: expected numbers from 1 to 3"),
        ("all/boxes", lambda boxes: boxes[:-1], "column all/boxes: expected 20 finite numbers"),
        ("paths", lambda paths: paths[:1], "column paths: expected 3 texts"),
    ],
)
def test_a_damaged_column_is_refused_with_its_name_and_the_remedy(path, column, damage, message):
    columns = columns_of(path)
    np.savez(path, **{**columns, column: damage(columns[column])})
    with pytest.raises(InstsegError, match=f"{re.escape(message)}.*; test again"):
        read_masks(path, "test again")


def test_a_file_that_is_cut_off_is_refused(path):
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InstsegError, match="found a damaged one"):
        read_masks(path, "test again")
