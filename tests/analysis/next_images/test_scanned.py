"""The record of a pass over images: it resumes, and takes nothing over from another model or another image."""

from pathlib import Path

import numpy as np
import pytest

from instseg.analysis.next_images import scanned
from instseg.analysis.next_images.scanned import Scan, ScannedImage, features_of
from instseg.analysis.next_images.uncertainty import Uncertainty

FEATURES = np.array([0.5, -2.0], np.float32)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"pixels")
    return path


def scan_of(image: Path, model: str = "one") -> Scan:
    return Scan(image.parent / "scan", model)


def note(scan: Scan, image: Path) -> None:
    scan.add(ScannedImage.of(image, Uncertainty(3, 1.5, 0.25), FEATURES))


def test_a_pass_finds_again_what_an_earlier_one_has_written(image):
    first = scan_of(image)
    assert not first.knows(image)
    note(first, image)
    first.flush()
    again = scan_of(image)
    (found,) = again.of([image])
    assert again.knows(image) and found.uncertainty == Uncertainty(3, 1.5, 0.25)
    np.testing.assert_array_equal(features_of([found]), [FEATURES])


def test_images_are_written_while_the_pass_goes_on(image, monkeypatch):
    monkeypatch.setattr(scanned, "IMAGES_A_FILE", 2)
    scan = scan_of(image)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        note(scan, image.with_name(name))
    assert len(scan_of(image).images) == 2


def test_an_image_that_has_changed_is_looked_at_again(image):
    scan = scan_of(image)
    note(scan, image)
    image.write_bytes(b"other pixels")
    assert not scan.knows(image)


def test_another_model_begins_anew_and_removes_what_it_cannot_use(image):
    scan = scan_of(image)
    note(scan, image)
    scan.flush()
    assert not scan_of(image, "two").images and not list(image.parent.glob("scan/*.json"))


def test_a_damaged_file_costs_its_images_alone(image):
    scan = scan_of(image)
    note(scan, image)
    scan.flush()
    (image.parent / "scan" / "00007.json").write_text("{")
    assert scan_of(image).knows(image)


def test_features_beyond_half_precision_stay_finite(image):
    kept = ScannedImage.of(image, Uncertainty(0, 0, 0), np.array([1e9], np.float32))
    assert np.isfinite(features_of([kept])).all() and features_of([]).shape == (0, 0)
