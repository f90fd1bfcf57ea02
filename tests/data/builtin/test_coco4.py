"""coco4 from a small COCO 2017 on this machine: same addresses, same archive, tiny images."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_server import Site, serve
from PIL import Image

from instseg.core.errors import InstsegError
from instseg.data.builtin import coco4, coco4_selection
from instseg.data.builtin.coco4 import prepare_coco4

CATEGORY_IDS = {"person": 1, "car": 3, "dog": 18, "cat": 17, "cake": 61}  # COCO's own, with gaps
ARCHIVE_URL = "/annotations/annotations_trainval2017.zip"
WIDTH, HEIGHT = 24, 16
SQUARE = [[2.0, 2.0, 10.0, 2.0, 10.0, 10.0, 2.0, 10.0]]
CROWD = {"size": [HEIGHT, WIDTH], "counts": [100, 50, WIDTH * HEIGHT - 150]}
FEW = {"train": 12, "val": 8, "test": 4}


def jpeg(seed: int) -> bytes:
    """Noise, so that a JPEG cut in half cannot decode."""
    pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def image_entry(image_id: int) -> dict[str, Any]:
    flickr_url = f"http://farm1.staticflickr.com/{image_id}.jpg"
    size = {"width": WIDTH, "height": HEIGHT}
    return {"id": image_id, "file_name": f"{image_id:012d}.jpg", "license": 3, "flickr_url": flickr_url, **size}


def annotation(image_id: int, name: str, annotation_id: int, iscrowd: int = 0) -> dict[str, Any]:
    shape = {"segmentation": CROWD if iscrowd else SQUARE, "bbox": [2.0, 2.0, 8.0, 8.0], "area": 64.0}
    return {"id": annotation_id, "image_id": image_id, "category_id": CATEGORY_IDS[name], "iscrowd": iscrowd, **shape}


def small_coco(first_id: int) -> dict[str, Any]:
    """80 images: 50 with a person, 15 car, 8 dog, 7 cake (a person beside it), then 5 cats, 5 crowds, 5 empty.

    Every person photo has a cat as well, and every dog photo a crowd of persons.
    """
    kinds = ["person"] * 50 + ["car"] * 15 + ["dog"] * 8 + ["cake"] * 7 + ["cat"] * 5 + ["crowd"] * 5 + ["empty"] * 5
    beside = {"person": [("cat", 0)], "dog": [("person", 1)], "cake": [("person", 0)]}
    annotations: list[dict[str, Any]] = []
    for image_id, kind in enumerate(kinds, start=first_id):
        own = {"crowd": [("person", 1)], "empty": []}.get(kind, [(kind, 0)])
        for name, iscrowd in own + beside.get(kind, []):
            annotations.append(annotation(image_id, name, first_id * 1000 + len(annotations), iscrowd))
    return {
        "info": {"year": 2017},
        "licenses": [{"id": 3, "name": "Attribution-NonCommercial-NoDerivs License"}],
        "images": [image_entry(image_id) for image_id in range(first_id, first_id + len(kinds))],
        "annotations": annotations,
        "categories": [{"id": i, "name": name, "supercategory": "any"} for name, i in CATEGORY_IDS.items()],
    }


def small_archive(val: dict[str, Any] | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations/instances_train2017.json", json.dumps(small_coco(1000)))
        archive.writestr("annotations/instances_val2017.json", json.dumps(val or small_coco(2000)))
        archive.writestr("annotations/captions_val2017.json", "{}")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def photos() -> dict[str, bytes]:
    return {
        f"/{source}/{image_id:012d}.jpg": jpeg(image_id)
        for source, first_id in (("train2017", 1000), ("val2017", 2000))
        for image_id in range(first_id, first_id + 95)
    }


@pytest.fixture
def coco(photos: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve() as site:
        site.files = {ARCHIVE_URL: small_archive(), **photos}
        site.etag = None  # an interrupted download starts over
        yield site


def prepare(coco: Site, cache_dir: Path, **options: Any) -> Path:
    options = {"num_images": FEW, "num_retries": 2, "num_threads": 4, **options}
    return prepare_coco4(cache_dir, base_url=coco.base_url, timeout_seconds=30, backoff_seconds=0.01, **options)


def read(folder: Path, split: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "annotations" / f"instances_{split}.json").read_text())
    return content


def image_ids(folder: Path, split: str) -> list[int]:
    return [image["id"] for image in read(folder, split)["images"]]


def test_the_folder_is_plain_coco_with_the_images_asked_for(coco: Site, tmp_path: Path) -> None:
    folder = prepare(coco, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["annotations", "test", "train", "val"]
    for split, number in FEW.items():
        listed = {image["file_name"] for image in read(folder, split)["images"]}
        assert len(listed) == number
        assert {path.name for path in (folder / split).iterdir()} == listed
        for name in listed:
            assert Image.open(folder / split / name).size == (WIDTH, HEIGHT)


def test_only_the_chosen_images_are_downloaded(coco: Site, tmp_path: Path) -> None:
    prepare(coco, tmp_path)
    assert Counter(path.split("/")[1] for path in coco.paths) == {"annotations": 1, "train2017": 12, "val2017": 12}


def test_train_comes_from_train2017_and_val_and_test_share_no_image(coco: Site, tmp_path: Path) -> None:
    folder = prepare(coco, tmp_path)
    assert all(1000 <= image_id < 2000 for image_id in image_ids(folder, "train"))
    val, test = image_ids(folder, "val"), image_ids(folder, "test")
    assert all(image_id >= 2000 for image_id in val + test)
    assert len(set(val + test)) == len(val) + len(test)


def test_all_annotations_of_the_categories_are_kept_crowds_included_and_others_dropped(
    coco: Site, tmp_path: Path
) -> None:
    folder = prepare(coco, tmp_path, num_images={"train": 80, "val": 8, "test": 4})
    train = read(folder, "train")
    whole = small_coco(1000)
    names = {"cake", "car", "dog", "person"}
    kept_ids = {CATEGORY_IDS[name] for name in names}
    chosen = set(image_ids(folder, "train"))
    assert chosen == set(range(1000, 1080))  # no image with only cats, only a crowd, or nothing
    assert train["annotations"] == [
        entry for entry in whole["annotations"] if entry["image_id"] in chosen and entry["category_id"] in kept_ids
    ]
    assert sum(entry["iscrowd"] for entry in train["annotations"]) == 8
    assert {category["name"]: category["id"] for category in train["categories"]} == {
        name: category_id for name, category_id in CATEGORY_IDS.items() if name in names
    }
    assert train["images"] == [image_entry(image_id) for image_id in sorted(chosen)]
    assert train["licenses"] == whole["licenses"]


def test_rare_categories_are_as_well_represented_as_common_ones(coco: Site, tmp_path: Path) -> None:
    folder = prepare(coco, tmp_path, num_images={"train": 24, "val": 8, "test": 8})
    for split in ("train", "test"):
        entries = [entry for entry in read(folder, split)["annotations"] if not entry["iscrowd"]]
        counts = Counter(entry["category_id"] for entry in entries)
        turns = len(image_ids(folder, split)) // 4
        assert all(counts[CATEGORY_IDS[name]] >= turns for name in ("cake", "car", "dog", "person")), counts


def test_the_same_seed_chooses_the_same_and_another_seed_other_images(coco: Site, tmp_path: Path) -> None:
    first = prepare(coco, tmp_path / "a")
    again = prepare(coco, tmp_path / "b", categories=["person", "dog", "car", "cake"])  # the order does not matter
    other = prepare(coco, tmp_path / "a", seed=1)
    assert again.name == first.name != other.name
    for split in FEW:
        assert read(again, split) == read(first, split)
        assert image_ids(other, split) != image_ids(first, split)


def test_the_test_images_stay_when_more_validation_images_are_asked_for(coco: Site, tmp_path: Path) -> None:
    few, more = prepare(coco, tmp_path), prepare(coco, tmp_path, num_images={**FEW, "val": 40})
    assert image_ids(few, "test") == image_ids(more, "test")


def test_a_finished_folder_needs_no_server(coco: Site, tmp_path: Path) -> None:
    folder = prepare(coco, tmp_path)
    coco.requests.clear()
    assert prepare_coco4(tmp_path, num_images=FEW, base_url="http://127.0.0.1:9") == folder
    assert coco.paths == []


def test_two_runs_started_together_download_everything_once(coco: Site, tmp_path: Path) -> None:
    folders: list[Path] = []
    runs = [threading.Thread(target=lambda: folders.append(prepare(coco, tmp_path))) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(timeout=120)
    assert len(folders) == 2
    assert len(coco.paths) == len(set(coco.paths)) == 1 + sum(FEW.values())


def test_another_selection_shares_the_archive(coco: Site, tmp_path: Path) -> None:
    prepare(coco, tmp_path)
    prepare(coco, tmp_path, categories=["cat"])
    assert coco.paths.count(ARCHIVE_URL) == 1
    assert [path.name for path in (tmp_path / "downloads").rglob("*.*")] == ["annotations_trainval2017.zip"]


def test_a_deleted_image_is_fetched_again(coco: Site, tmp_path: Path) -> None:
    folder = prepare(coco, tmp_path)
    victim = next((folder / "val").iterdir())
    before = victim.read_bytes()
    victim.unlink()
    (tmp_path / "downloads" / "annotations_trainval2017.zip").unlink()
    coco.requests.clear()
    prepare(coco, tmp_path)
    assert victim.read_bytes() == before
    assert coco.paths == [f"/val2017/{victim.name}"]


@pytest.mark.parametrize("spoiling", ["garbage", "cut off", "other size", "500"])
def test_a_spoilt_image_is_fetched_again(coco: Site, tmp_path: Path, spoiling: str) -> None:
    victim = next(path for path in prepare(coco, tmp_path / "first").rglob("train/*.jpg"))
    url = f"/train2017/{victim.name}"
    content, other = coco.files[url], io.BytesIO()
    Image.new("RGB", (WIDTH - 1, HEIGHT)).save(other, "JPEG", quality=1)
    other_size = other.getvalue().ljust(len(content), b"\0")
    coco.faults[url] = [
        {
            "garbage": b"<html>".ljust(len(content)),
            "cut off": "truncate",
            "other size": other_size,
            "500": "500",
        }[spoiling]
    ]
    coco.requests.clear()
    folder = prepare(coco, tmp_path / "second")
    assert (folder / "train" / victim.name).read_bytes() == content
    assert coco.paths.count(url) == 2


def test_half_an_image_with_a_consistent_length_does_not_pass(coco: Site, tmp_path: Path) -> None:
    half = tmp_path / "half.jpg"
    half.write_bytes(jpeg(1)[:-200])
    with pytest.raises(InstsegError, match="expected an image"):
        coco4._check_image(half, WIDTH, HEIGHT)


def test_missing_images_are_named_and_the_next_run_resumes(coco: Site, tmp_path: Path) -> None:
    lost = {path: coco.files.pop(path) for path in list(coco.files) if path.startswith("/val2017")}
    with pytest.raises(InstsegError) as raised:
        prepare(coco, tmp_path)
    message = str(raised.value)
    assert "12 of 24 images could not be downloaded" in message
    assert message.count(f"{coco.base_url}/val2017/") == 5
    assert "status 404" in message
    assert "and 7 more" in message
    assert "dataset.base_url" in message
    (folder,) = tmp_path.glob("coco4-*")
    assert not (folder / "annotations").exists()  # not complete, and does not look it

    coco.files |= lost
    coco.requests.clear()
    prepare(coco, tmp_path)
    assert Counter(path.split("/")[1] for path in coco.paths) == {"val2017": 12}
    assert not (folder / "selection.json").exists()


def test_a_run_that_resumes_does_not_parse_the_annotations_again(
    coco: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = {path: coco.files.pop(path) for path in list(coco.files) if path.startswith("/train2017")}
    with pytest.raises(InstsegError):
        prepare(coco, tmp_path)
    coco.files |= lost
    monkeypatch.delattr(coco4_selection, "_read_reduced")
    assert len(image_ids(prepare(coco, tmp_path), "train")) == FEW["train"]


def test_an_archive_that_cannot_be_had_is_named_with_the_ways_out(coco: Site, tmp_path: Path) -> None:
    del coco.files[ARCHIVE_URL]
    with pytest.raises(InstsegError, match=r"annotations_trainval2017\.zip: status 404.*by hand"):
        prepare(coco, tmp_path)


@pytest.mark.parametrize("content", [b"<html>sign in</html>", small_archive()[:-30]])
def test_an_archive_that_is_none_is_not_kept(coco: Site, tmp_path: Path, content: bytes) -> None:
    coco.files[ARCHIVE_URL] = content
    with pytest.raises(InstsegError, match="unexpected content: expected a zip archive"):
        prepare(coco, tmp_path)
    assert [path.name for path in (tmp_path / "downloads").iterdir()] == ["lock"]


def test_more_images_than_there_are_is_an_error_with_both_numbers(coco: Site, tmp_path: Path) -> None:
    with pytest.raises(InstsegError, match=r"num_images\.val: expected 100 images .*val2017, but only 76 are left"):
        prepare(coco, tmp_path, num_images={**FEW, "val": 100})
    assert not any(path.startswith("/train2017") for path in coco.paths)


def test_one_category_need_not_be_a_list(coco: Site, tmp_path: Path) -> None:
    numbers = {"train": 1, "val": 1, "test": 1}
    folder = prepare(coco, tmp_path, categories="dog", num_images=numbers)
    assert [category["name"] for category in read(folder, "train")["categories"]] == ["dog"]
    assert prepare(coco, tmp_path, categories=["dog"], num_images=numbers) == folder


def test_wrong_options_are_named(coco: Site, tmp_path: Path) -> None:
    with pytest.raises(InstsegError, match="num_images: expected at least 1 for each of train, val, test"):
        prepare(coco, tmp_path, num_images={"train": 3, "val": 0, "test": 1})
    with pytest.raises(InstsegError, match=r"got \{'train': 3\}"):
        prepare(coco, tmp_path, num_images={"train": 3})
    with pytest.raises(InstsegError, match="got none"):
        prepare(coco, tmp_path, categories=[])
    assert coco.paths == []
    with pytest.raises(InstsegError, match=r"no category named dragon. There are .*cake"):
        prepare(coco, tmp_path, categories=["dog", "dragon"])


def test_a_file_name_that_climbs_out_of_the_folder_is_refused(coco: Site, tmp_path: Path) -> None:
    val = small_coco(2000)
    val["images"][0]["file_name"] = "../../evil.jpg"
    coco.files[ARCHIVE_URL] = small_archive(val)
    with pytest.raises(InstsegError, match=r"without a folder, got '\.\./\.\./evil\.jpg'"):
        prepare(coco, tmp_path)
