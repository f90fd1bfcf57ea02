"""Tables of Hugging Face: objects in lists or as objects, names of categories, images in parquet."""

from __future__ import annotations

import errno
import importlib
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from factories import write_picture
from reading import instances, read_labels

from instseg.core.errors import InstsegError
from instseg.data.formats.auto import AutoReader
from instseg.data.formats.imagefolder.parquet import ParquetImages
from instseg.data.formats.imagefolder.reader import ImageFolderReader, recognise
from instseg.data.formats.multi import MultiReader
from instseg.data.reading.findings import Findings
from instseg.data.sources import folder

SIZE = (20, 30)
POLYGON = [[2, 2, 9, 2, 9, 9]]
BOX = [2, 2, 7, 7]
README = """---
dataset_info:
  features:
  - name: objects
    sequence:
    - name: category
      dtype:
        class_label:
          names:
            '0': car
            '1': dog
---
"""


def write(root: Path, *rows: Any, readme: str = "") -> Path:
    write_picture(root / "train/a.png", SIZE)
    (root / "train/metadata.jsonl").write_text("\n".join(json.dumps({"file_name": "a.png", **row}) for row in rows))
    (root / "README.md").write_text(readme)
    return root


def shapes(root: Path, **options: Any) -> tuple[list[tuple[str, Any]], dict[str, list[str]]]:
    labels, findings = read_labels(ImageFolderReader(root, **options))
    (image,) = instances(labels["train"]).values()
    return image, findings


@pytest.mark.parametrize(
    "row",
    [
        {"objects": {"bbox": [BOX, BOX], "category": [0, 1], "segmentation": [POLYGON, []]}},
        {"objects": {"bbox": [BOX, BOX], "categories": ["0", "1"], "segmentation": [POLYGON, None]}},
        {"objects": [{"bbox": BOX, "label": 0, "polygons": POLYGON}, {"bbox": BOX, "label": 1}]},
        {
            "annotations": json.dumps(
                [{"bbox": BOX, "category_id": 0, "segmentation": POLYGON}, {"bbox": BOX, "label": 1}]
            )
        },
        {"bbox": [BOX, BOX], "label": [0, 1], "segmentation": [POLYGON, []]},
    ],
)
def test_objects_in_any_arrangement(tmp_path, row):
    write(tmp_path, row, readme=README)
    assert shapes(tmp_path) == ([("car", POLYGON), ("dog", BOX)], {})


def test_names_are_the_categories_themselves_or_made_up_and_told(tmp_path):
    assert shapes(write(tmp_path, {"objects": {"bbox": [BOX], "category": ["cat"]}}))[0] == [("cat", BOX)]
    found, findings = shapes(write(tmp_path, {"objects": {"bbox": [BOX], "category": [3]}}))
    assert found == [("class_3", BOX)] and findings == {"category_unnamed": ["class_3"]}


def test_a_line_without_a_file_and_an_object_without_a_category_are_named(tmp_path):
    write(tmp_path, {"objects": {"bbox": [BOX, BOX], "category": ["cat", None]}}, {"file_name": None})
    found, findings = shapes(tmp_path)
    assert found == [("cat", BOX)]
    assert (
        findings["label_invalid"][0] == "metadata.jsonl: line 2 has no file_name"
        and len(findings["label_invalid"]) == 2
    )


def test_a_table_without_objects_is_no_labels(tmp_path):
    write(tmp_path, {"text": "a caption"})
    assert recognise(tmp_path) is None


def write_parquet(root: Path, *objects: Any, names: list[str] | None = None) -> Path:
    image = {"bytes": write_picture(root / "x/a.png", SIZE).read_bytes(), "path": "a.png"}
    table = pyarrow.Table.from_pylist([{"image": image, "objects": one} for one in objects])
    features = {"objects": {"category": {"names": names, "_type": "ClassLabel"}}}
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    (root / "data").mkdir()
    pyarrow.parquet.write_table(table, root / "data/train-0.parquet")
    return root / "data"


@pytest.mark.parametrize("segmentation", [POLYGON, POLYGON[0], {"size": list(SIZE), "counts": [40, 5, 555]}])
def test_images_within_parquet_are_written_to_the_cache_with_their_polygons_or_rle(tmp_path, segmentation):
    root = write_parquet(
        tmp_path, {"bbox": [BOX], "category": [1], "segmentation": [segmentation]}, names=["car", "dog"]
    )
    assert recognise(root) == "parquet with images (train-0.parquet)"
    found, _ = shapes(root, cache_dir=str(tmp_path / "cache"))
    assert found == [("dog", segmentation)]
    (image,) = (tmp_path / "cache/parquet_images").rglob("*.png")
    assert image.read_bytes() == (tmp_path / "x/a.png").read_bytes()


def test_without_pyarrow_parquet_is_answered_with_what_to_install(tmp_path, monkeypatch):
    root = write_parquet(tmp_path, {"bbox": [BOX], "category": [1]})

    def fail(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(InstsegError, match=r"parquet files need pyarrow: pip install 'instseg\[parquet\]'"):
        shapes(root, cache_dir=str(tmp_path / "cache"))


def test_a_damaged_parquet_is_called_so(tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"PAR1 image bytes")
    with pytest.raises(InstsegError, match="not a parquet file"):
        shapes(tmp_path, cache_dir=str(tmp_path / "cache"))


def test_an_image_in_another_spelling_than_in_the_table_is_found(tmp_path):
    write(tmp_path, {"file_name": "A.PNG", "objects": {"bbox": [BOX], "category": ["car"]}})
    labels, findings = read_labels(ImageFolderReader(tmp_path))
    assert (labels["train"].image_root / labels["train"].coco["images"][0]["file_name"]).is_file()
    assert findings["image_found_elsewhere"] == ["A.PNG (a.png)"]


def write_repeated(root: Path, num_bytes: int, num_rows: int) -> Path:
    """A file of a few kilobytes that says the same large value in every row."""
    image = {"bytes": bytes(num_bytes), "path": "a.png"}
    table = pyarrow.Table.from_pylist([{"image": image, "objects": {"bbox": [BOX], "category": ["car"]}}] * num_rows)
    pyarrow.parquet.write_table(table, root / "train.parquet", compression="zstd", use_dictionary=True)
    return root / "train.parquet"


@pytest.mark.parametrize(("num_bytes", "num_rows"), [(100_000, 50), (3_000_000, 2)], ids=["repeated", "declared"])
def test_what_parquet_becomes_has_the_limit_of_zips(tmp_path, num_bytes, num_rows):
    file = write_repeated(tmp_path, num_bytes, num_rows)
    assert file.stat().st_size < 100_000
    cache = tmp_path / "cache"
    with pytest.raises(InstsegError, match=r"would become .* GB, and .*dataset\.max_unpacked_gb=\S+ raises the limit"):
        shapes(tmp_path, cache_dir=str(cache), max_unpacked_gb=0.002)
    assert sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) <= 2_000_000
    labels, _ = read_labels(ImageFolderReader(tmp_path, cache_dir=str(cache), max_unpacked_gb=0.1))
    assert len(labels["train"].coco["images"]) == num_rows


def test_one_row_of_parquet_is_in_memory_at_a_time(tmp_path):
    write_repeated(tmp_path, 100_000, 20)
    rows = ParquetImages(tmp_path / "train.parquet", tmp_path / "cache").read(Findings())
    assert pyarrow.total_allocated_bytes() < 100_000
    for _ in rows:
        assert pyarrow.total_allocated_bytes() < 10 * 100_000


def test_the_limit_of_a_dataset_reaches_parquet_through_every_reader(tmp_path):
    write_repeated(tmp_path, 100_000, 50)
    others = {"sources": {"a": {"root": "."}}}
    for reader, options in ((ImageFolderReader, {}), (AutoReader, {}), (MultiReader, others)):
        with pytest.raises(InstsegError, match=r"dataset\.max_unpacked_gb"):
            folder(
                name="x",
                reader=reader,
                root=str(tmp_path),
                cache_dir=str(tmp_path / "c"),
                max_unpacked_gb=1e-3,
                **options,
            )


def test_a_full_disk_is_no_fault_of_a_row(tmp_path, monkeypatch):
    write_repeated(tmp_path, 1000, 2)

    def fails(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fails)
    with pytest.raises(InstsegError, match=r"^cache_dir=.*: the disk is full"):
        folder(name="x", reader=ImageFolderReader, root=str(tmp_path), cache_dir=str(tmp_path / "cache"))
