"""The file of a test's images: what is read gives the same numbers, and a damaged file is refused."""

import random

import numpy as np
import pytest
from detections import CATEGORIES, random_images
from reading import mutated_bytes

from instseg.core.errors import InstsegError
from instseg.core.records import RecordError
from instseg.evaluation.image_record import ImageRecord, unique_images
from instseg.evaluation.image_results import BOX_ONLY, ImageResults, read_image_results, write_image_results
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


def test_instances_without_a_mask_come_back_as_such_and_a_file_without_any_has_no_column_for_them(tmp_path):
    results = made()
    write_image_results(tmp_path / "a.npz", results)
    with np.load(tmp_path / "a.npz") as file:
        assert BOX_ONLY not in file.files
    for record in results.records:
        record.truth_is_box_only = record.truth_labels == 1
        record.truth_iscrowd = record.truth_iscrowd | record.truth_is_box_only
    write_image_results(tmp_path / "a.npz", results)
    read = read_image_results(tmp_path / "a.npz")
    expected = evaluate_records(results.records, CATEGORIES)
    np.testing.assert_equal(evaluate_records(read.records, CATEGORIES), expected)
    assert np.isnan(expected["segm_map/car"]) and expected["bbox_map/car"] >= 0


def test_a_test_without_images_leaves_a_file_too(tmp_path):
    write_image_results(tmp_path / "a.npz", ImageResults([], [], CATEGORIES))
    assert read_image_results(tmp_path / "a.npz").records == []


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    file = tmp_path / "a.npz"
    write_image_results(file, made())
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(InstsegError, match="may be cut off"):
        read_image_results(file)


def test_a_column_of_a_later_format_asks_for_an_update(tmp_path):
    with pytest.raises(RecordError, match=r"column format: expected 1, found 2.*update instseg; test again:"):
        read_changed(tmp_path / "a.npz", {"format": np.array(2)})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scores": None}, "column scores: expected [0-9]+ finite numbers, found no such column"),
        ({"labels": np.array(["car"])}, "column labels: expected .* whole numbers, found <U3 of shape"),
        ({"sizes": np.array([[1, 2]])}, "column sizes: expected 12 whole numbers, found int64 of shape"),
        ({"truth_labels": "all 4"}, "column truth_labels: expected numbers from 1 to 3, found . to 4"),
        ({"truth_areas": "all nan"}, "column truth_areas: expected finite numbers, found NaN or infinity"),
        ({"boxes/truths": "all 99"}, "column boxes/truths: expected numbers of rows of the image"),
        ({"image_ids": "reversed"}, "column image_ids: expected numbers in ascending order"),
        ({"categories": np.array(["car", "car", "cake"])}, "names must be unique"),
        ({"scores": np.array([{}], dtype=object)}, "allow_pickle"),
    ],
)
def test_a_column_that_cannot_be_is_named_with_what_was_expected_and_found(tmp_path, change, said):
    with pytest.raises(InstsegError, match=said):
        read_changed(tmp_path / "a.npz", change)


def columns_of(path):
    write_image_results(path, made())
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def read_changed(path, change):
    """Read a file in which columns have other values, or none."""
    columns = columns_of(path)
    for name, value in change.items():
        before = columns.pop(name)
        if isinstance(value, str):
            kind, _, number = value.partition(" ")
            value = before[::-1] if kind == "reversed" else np.full_like(before, float(number))
        if value is not None:
            columns[name] = value
    np.savez_compressed(path, **columns)
    return read_image_results(path)


def mutated(columns, rng):
    """One to three columns removed, of another type or length, with junk in a row, or swapped."""
    changed = dict(columns)
    for _ in range(rng.randint(1, 3)):
        name, other = rng.choice(list(columns)), rng.choice(list(columns))
        column = columns[name]
        kind = rng.randrange(6)
        if kind == 0:
            changed.pop(name, None)
        elif kind == 1:
            changed[name] = columns[other]
        elif kind == 2:
            changed[name] = np.zeros(column.shape, rng.choice(["U3", "f4", "i8", "?", "c8", "M8[s]", "S3"]))
        elif kind == 3:
            changed[name] = column[: rng.randrange(max(1, column.size))] if column.ndim else column[None]
        elif kind == 4 and column.dtype.kind in "if" and column.size:
            junk = [-1, 0, 7, 2**31 - 1] if column.dtype.kind == "i" else [-1.0, 0.0, np.nan, np.inf, 1e308]
            flat = column.copy().reshape(-1)
            flat[rng.randrange(flat.size)] = rng.choice(junk)
            changed[name] = flat.reshape(column.shape)
        else:
            changed[name] = rng.choice([column[::-1] if column.ndim else column, column[None], np.zeros(0)])
    return changed


def test_whatever_is_wrong_with_the_columns_is_one_kind_of_error(tmp_path, tries):
    path, rng, refused = tmp_path / "a.npz", random.Random(0), 0
    good = columns_of(path)
    for _ in range(tries // 2):
        np.savez(path, **mutated(good, rng))
        try:
            evaluate_records(read_image_results(path).records, CATEGORIES)
        except InstsegError:
            refused += 1
    assert 0.25 * tries < refused < 0.5 * tries


def test_whatever_is_wrong_with_the_bytes_is_one_kind_of_error(tmp_path, tries):
    path, rng, refused = tmp_path / "a.npz", random.Random(0), 0
    write_image_results(path, made(num_images=2))
    good = path.read_bytes()
    for _ in range(tries):
        path.write_bytes(mutated_bytes(good, rng))
        try:
            read_image_results(path)
        except InstsegError:
            refused += 1
    assert refused > 0.5 * tries
