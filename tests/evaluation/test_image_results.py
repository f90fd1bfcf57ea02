"""The file of a test's images: what is read gives the same numbers, and a damaged file is refused."""

import numpy as np
import pytest
from detections import CATEGORIES, random_images

from instseg.core.errors import InstsegError
from instseg.evaluation.image_record import ImageRecord, unique_images
from instseg.evaluation.image_results import ImageResults, read_image_results, write_image_results
from instseg.evaluation.metrics import evaluate_records


def made(num_images=12):
    predictions, truths = random_images(np.random.default_rng(0), num_images)
    records = unique_images([ImageRecord.build(*pair) for pair in zip(predictions, truths, strict=True)])
    return ImageResults(records, [f"möbel/{record.image_id}.jpg" for record in records], CATEGORIES)


def test_what_is_read_back_gives_every_number_to_the_last_digit(tmp_path):
    results = made()
    write_image_results(tmp_path / "a.npz", results)
    read = read_image_results(tmp_path / "a.npz")
    np.testing.assert_equal(evaluate_records(read.records, CATEGORIES), evaluate_records(results.records, CATEGORIES))
    assert (read.file_names, read.categories) == (results.file_names, CATEGORIES)
    assert [record.image_id for record in read.records] == [record.image_id for record in results.records]


def test_a_test_without_images_leaves_a_file_too(tmp_path):
    write_image_results(tmp_path / "a.npz", ImageResults([], [], CATEGORIES))
    assert read_image_results(tmp_path / "a.npz").records == []


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    file = tmp_path / "a.npz"
    write_image_results(file, made())
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(InstsegError, match="may be cut off"):
        read_image_results(file)
