"""Images that labels name outside of their dataset: left out and named, unless the user allows them."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from factories import write_json, write_picture
from labelme_files import SIZE, shape, write_labels

from instseg.core.errors import InstsegError
from instseg.data import sources
from instseg.data.formats.auto import AutoReader
from instseg.data.prepared import PreparedDataset
from instseg.data.reading.findings_file import read_findings

SOME = [f"a{number}.png" for number in range(4)]
TOLD = r"its labels name images that are outside of it, such as .*private.*a0.png: give .*dataset.outside=always"


@pytest.fixture(autouse=True)
def private(tmp_path: Path) -> Path:
    """The folder of images that are nobody else's business."""
    for seed, name in enumerate(SOME):
        write_picture(tmp_path / "private" / name, SIZE, seed)
    return tmp_path / "private"


def coco(path: Path, image_folder: str) -> Path:
    images = [{"id": number, "file_name": name} for number, name in enumerate(SOME)]
    box = {"category_id": 1, "bbox": [2, 2, 5, 5], "segmentation": [[2, 2, 7, 2, 7, 7]], "area": 12.5, "iscrowd": 0}
    annotations = [{**box, "id": number + 1, "image_id": number} for number in range(len(SOME))]
    categories = [{"id": 1, "name": "car"}]
    sections = {"images": images, "annotations": annotations, "categories": categories}
    return write_json(path, {"info": {"image_folder": image_folder}, **sections})


def labelme(root: Path, folder: str) -> None:
    for name in SOME:
        write_labels(root, Path(name).stem, shape("car"), photo=None, imagePath=f"{folder}/{name}")


def yolo(root: Path, folder: str) -> None:
    for name in SOME:
        (root.parent / "private" / name).with_suffix(".txt").write_text("0 .1 .1 .8 .1 .8 .8\n")
    (root / "data.yaml").write_text(f"path: {folder}\ntrain: .\nval: .\nnames: [car]\n")


def prepared(root: Path, **options: object) -> PreparedDataset:
    cache = str(root.parent / "cache")
    return sources.folder(name="x", reader=AutoReader, root=str(root), cache_dir=cache, group_by=None, **options)


WAYS = {"COCO": lambda root, folder: coco(root / "x.json", folder), "LabelMe": labelme, "YOLO": yolo}


@pytest.mark.parametrize("is_absolute", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_images_elsewhere_are_read_only_where_an_option_says_so(tmp_path, private, way, is_absolute):
    root = tmp_path / "set"
    root.mkdir()
    WAYS[way](root, str(private) if is_absolute else "../private")
    with pytest.raises(InstsegError, match=TOLD):
        prepared(root)
    assert prepared(root, outside="always").indices["train"]


def test_a_few_images_elsewhere_are_left_out_and_named(tmp_path, private):
    labelme(tmp_path / "set", "../private")
    for seed, name in enumerate(SOME[1:]):
        write_picture(tmp_path / "set" / name, SIZE, seed)
    findings = read_findings(prepared(tmp_path / "set").folder / "findings.json")["all"]
    assert findings.names["image_outside"] == [f"{private}/a0.png (dataset.outside=always)"]


def test_images_beside_a_folder_of_annotations_and_behind_links_are_of_the_dataset(tmp_path, private):
    coco(tmp_path / "set/annotations/x.json", "../images")
    (tmp_path / "set/images").symlink_to(private)
    for root in ("set", "set/annotations", "set/annotations/x.json"):
        assert prepared(tmp_path / root).indices["train"]


def test_images_inside_of_label_files_are_read_from_a_cache_below_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture = base64.b64encode(write_picture(tmp_path / "made.png", SIZE, 7).read_bytes()).decode()
    for name in "abc":
        write_labels(tmp_path / "set", name, shape("car"), photo=None, imageData=picture, imagePath=f"{name}.png")
    write_labels(tmp_path / "set", "with_file", shape("car"))
    options = {"root": str(tmp_path / "set"), "cache_dir": "data", "group_by": None}
    found = sources.folder(name="x", reader=AutoReader, **options)
    assert sum(map(len, found.indices.values())) == 4
