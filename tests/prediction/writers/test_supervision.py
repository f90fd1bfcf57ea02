"""Tables in the columns of supervision."""

import json

import numpy as np
import pytest
from export_factories import PIXEL, RING, export, export_run, predicted

from instseg.core.errors import InstsegError
from instseg.core.masks import rle_to_bitmask
from instseg.prediction.writers import supervision
from instseg.prediction.writers.supervision import JsonLines, Parquet

PREDICTIONS = {"a.jpg": predicted(RING, PIXEL), "empty.jpg": predicted(image_id=2)}


def json_rows(folder):
    return [json.loads(line) for line in export(JsonLines, folder, PREDICTIONS).path.read_text().splitlines()]


def test_a_line_is_an_instance_with_its_mask(tmp_path):
    ring, pixel = json_rows(tmp_path)
    assert (ring["file"], ring["class_id"], ring["class_name"], ring["confidence"]) == ("a.jpg", 0, "car", 0.9)
    assert [pixel[key] for key in ("x_min", "y_min", "x_max", "y_max")] == [2, 2, 3, 3]
    size = ring["image_height"], ring["image_width"]
    np.testing.assert_array_equal(rle_to_bitmask({"size": size, "counts": ring["mask"].encode()}), RING)


def test_parquet_has_the_same_rows(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(export(Parquet, tmp_path / "parquet", PREDICTIONS).path)
    assert table.to_pylist() == [{key: row[key] for key in table.column_names} for row in json_rows(tmp_path / "json")]


def test_a_missing_package_is_named_before_anything_is_predicted(tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(supervision.importlib, "import_module", missing)
    with pytest.raises(InstsegError, match=r"save=parquet needs pyarrow: pip install"):
        Parquet().start(export_run(tmp_path))
