"""Open Images from a small one on this machine: same addresses, tables and archives, tiny images and masks."""

from __future__ import annotations

import io
import logging
import shutil
import threading
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_server import Site, serve
from openimages_world import (
    BOX_HEADER,
    CLASSES,
    HEADER,
    MIDS,
    SPLITS,
    TRAIN,
    OpenImagesWorld,
    archives,
    make_world,
    official_files,
)

from instseg.core.errors import InstsegError
from instseg.data.builtin import openimages_download
from instseg.data.builtin.openimages_download import prepare_openimages
from instseg.data.fetch import http_ranges, remote_zip
from instseg.data.formats.openimages.reader import OpenImagesReader, recognise
from instseg.data.reading.findings import Findings

FEW = {"train": 6, "val": 3, "test": 2}


@pytest.fixture(scope="module")
def world() -> OpenImagesWorld:
    return make_world()


@pytest.fixture
def site(world: OpenImagesWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Archives are small here, and so is what a request costs: their members are fetched one by one all the same."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(remote_zip, "BYTES_PER_REQUEST", 1)
    monkeypatch.setattr(http_ranges, "BLOCK_BYTES", 500)
    with serve() as site:
        site.files = official_files(world)
        yield site


def prepare(site: Site, cache_dir: Path, **options: Any) -> Path:
    options = {"categories": ["Cat"], "num_images": FEW, "num_retries": 2, "num_threads": 4, **options}
    options = {"annotations_url": site.base_url, "images_url": site.base_url, "timeout_seconds": 30.0, **options}
    return prepare_openimages(cache_dir, backoff_seconds=0.01, **options)


def rows_of(folder: Path, split: str) -> list[str]:
    return (folder / "annotations" / f"{split}-annotations-object-segmentation.csv").read_text().splitlines()


def images_of(folder: Path, split: str) -> set[str]:
    return {path.stem for path in (folder / "images" / split).iterdir()}


def kinds(site: Site) -> Counter[str]:
    """How often each kind of address was asked for."""
    return Counter(path.split("/")[2 if path.startswith("/v") and path[2].isdigit() else 1] for path in site.paths)


def test_the_folder_is_named_as_the_official_files_are(site: Site, world: OpenImagesWorld, tmp_path: Path) -> None:
    folder = prepare(site, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["annotations", "images", "masks"]
    classes = (folder / "annotations" / "oidv7-class-descriptions-boxable.csv").read_text()
    assert classes == "LabelName,DisplayName\n/m/01yrx,Cat\n"
    for split, number in zip(SPLITS, FEW.values(), strict=True):
        images = images_of(folder, split)
        assert len(images) == number
        of_cats = [r for r in world.rows[split] if r.split(",")[1] in images and r.split(",")[2] == MIDS["Cat"]]
        assert rows_of(folder, split) == [HEADER, *of_cats]
        for image_id in images:
            path = folder / "images" / split / f"{image_id}.jpg"
            assert path.read_bytes() == world.photos[f"/{split}/{image_id}.jpg"]
        masks = {path.name: path.read_bytes() for path in (folder / "masks" / split).iterdir()}
        assert masks == {(path := row.partition(",")[0]): world.masks[path] for row in of_cats}


@pytest.mark.parametrize("masks", [True, False])
def test_the_reader_of_open_images_reads_it_without_a_finding(site: Site, tmp_path: Path, masks: bool) -> None:
    folder = prepare(site, tmp_path, masks=masks, categories=["Cat", "Dog"])
    findings: defaultdict[str, Findings] = defaultdict(Findings)
    labels = OpenImagesReader(folder).read(findings)
    assert {split: found.to_dict() for split, found in findings.items() if found.names} == {}
    for (split, number), official in zip(FEW.items(), SPLITS, strict=True):
        coco = labels[split].coco
        table = next((folder / "annotations").glob(f"*{official}-annotations-*.csv"))
        assert [category["name"] for category in coco["categories"]] == ["Cat", "Dog"]
        assert len(coco["images"]) == number
        assert len(coco["annotations"]) == len(table.read_text().splitlines()) - 1
        assert all(bool(annotation["segmentation"]) == masks for annotation in coco["annotations"])


def test_of_images_and_masks_only_the_chosen_are_asked_for_and_of_few_archives(site: Site, tmp_path: Path) -> None:
    prepare(site, tmp_path)
    assert [kinds(site)[split] for split in SPLITS] == list(FEW.values())
    assert all(byte_range is not None for path, byte_range in site.requests if path.endswith(".zip"))
    assert 1 <= len({path for path in site.paths if "train-masks" in path}) <= 3  # of 16
    assert not list((tmp_path / "downloads" / "openimages").glob("*.zip"))


def test_another_seed_chooses_others_and_more_images_keep_the_former(site: Site, tmp_path: Path) -> None:
    few, again = prepare(site, tmp_path / "a"), prepare(site, tmp_path / "b")
    more, other = prepare(site, tmp_path / "a", num_images={**FEW, "train": 20}), prepare(site, tmp_path / "a", seed=1)
    assert few.name == again.name
    assert len({few.name, more.name, other.name}) == 3
    assert images_of(few, "train") == images_of(again, "train") != images_of(other, "train")
    assert images_of(few, "train") < images_of(more, "train")
    assert images_of(few, "test") == images_of(more, "test")


def test_the_tables_are_downloaded_once_for_all_selections(site: Site, tmp_path: Path) -> None:
    prepare(site, tmp_path)
    prepare(site, tmp_path, categories="Dog")
    assert site.paths.count(TRAIN) == site.paths.count(CLASSES) == 1


def test_a_finished_folder_needs_no_server(site: Site, tmp_path: Path) -> None:
    folder = prepare(site, tmp_path)
    shutil.rmtree(tmp_path / "downloads")
    site.requests.clear()
    assert prepare(site, tmp_path, annotations_url="http://127.0.0.1:9", images_url="http://127.0.0.1:9") == folder
    assert site.requests == []
    assert not (tmp_path / "downloads").exists()


def test_two_runs_started_together_download_everything_once(site: Site, tmp_path: Path) -> None:
    folders: list[Path] = []
    runs = [threading.Thread(target=lambda: folders.append(prepare(site, tmp_path))) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(timeout=120)
    assert len(folders) == 2
    assert len(site.requests) == len(set(site.requests))


@pytest.mark.parametrize(("kind", "asked_for"), [("images/test", "test"), ("masks/train", "train-masks")])
def test_a_deleted_image_or_mask_is_fetched_again_and_nothing_else(
    site: Site, tmp_path: Path, kind: str, asked_for: str
) -> None:
    folder = prepare(site, tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    next((folder / kind).iterdir()).unlink()
    shutil.rmtree(tmp_path / "downloads")
    site.requests.clear()
    prepare(site, tmp_path)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert set(kinds(site)) == {asked_for}


def test_images_that_are_gone_are_replaced_and_named(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = images_of(prepare(site, tmp_path / "first"), "train")
    gone = sorted(first)[:2]
    for image_id in gone:
        del site.files[f"/train/{image_id}.jpg"]
    with caplog.at_level(logging.WARNING):
        folder = prepare(site, tmp_path / "second")
    images = images_of(folder, "train")
    assert (len(images), images & first) == (6, first.difference(gone))
    assert {row.split(",")[1] for row in rows_of(folder, "train")[1:]} == images
    assert f"2 train images are gone and were replaced: {gone[0]}, {gone[1]}" in caplog.text


def test_when_most_images_are_gone_the_address_is_to_blame(site: Site, tmp_path: Path) -> None:
    with pytest.raises(InstsegError, match=r"status 404(.|\n)*dataset\.images_url"):
        prepare(site, tmp_path, images_url=f"{site.base_url}/nowhere", num_images={"train": 20})
    assert kinds(site)["nowhere"] == 20
    with pytest.raises(InstsegError, match="status 404"):
        prepare(site, tmp_path, images_url=f"{site.base_url}/nowhere", num_images={"train": 2})


@pytest.mark.parametrize("fault", ["500", "truncate", "stall", "reset", "garbage"])
def test_an_image_that_does_not_arrive_well_is_fetched_again(site: Site, tmp_path: Path, fault: str) -> None:
    victim = min(images_of(prepare(site, tmp_path / "first"), "validation"))
    site.faults[f"/validation/{victim}.jpg"] = [fault]
    folder = prepare(site, tmp_path / "second", timeout_seconds=1.0 if fault == "stall" else 30.0)
    assert (folder / "images" / "validation" / f"{victim}.jpg").read_bytes() == site.files[f"/validation/{victim}.jpg"]


def test_what_cannot_be_had_is_named_and_the_next_run_goes_on(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = images_of(prepare(site, tmp_path / "first"), "train")
    site.faults = {f"/train/{image_id}.jpg": ["500"] * 3 for image_id in chosen}
    site.requests.clear()
    with pytest.raises(InstsegError) as raised:
        prepare(site, tmp_path)
    assert "Open Images: images: 6 could not be downloaded" in str(raised.value)
    assert "status 500" in str(raised.value)
    assert "and 1 more" in str(raised.value)
    (folder,) = tmp_path.glob("openimages-*")
    assert recognise(folder) is None  # not complete, and does not look it

    site.requests.clear()
    monkeypatch.delattr(openimages_download, "_write_candidates")  # the large tables are not read again
    assert images_of(prepare(site, tmp_path), "train") == chosen
    assert recognise(folder) is not None
    assert kinds(site)["train"] == 6
    assert TRAIN not in site.paths


def test_a_mask_with_a_wrong_crc_stops_it_and_nothing_looks_whole(
    site: Site, world: OpenImagesWorld, tmp_path: Path
) -> None:
    folder = prepare(site, tmp_path / "first")
    mask_path = next((folder / "masks" / "train").iterdir()).name
    url = f"/v5/train-masks/train-masks-{mask_path[0]}.zip"
    with zipfile.ZipFile(io.BytesIO(site.files[url])) as archive:
        place = archive.getinfo(mask_path).header_offset + 30 + len(mask_path) + 20
    spoilt = bytearray(site.files[url])
    spoilt[place] ^= 255
    site.files[url] = bytes(spoilt)
    with pytest.raises(InstsegError, match=rf"masks: 1 could(.|\n)*train-masks-{mask_path[0]}\.zip: received un"):
        prepare(site, tmp_path)
    assert not list(tmp_path.glob("openimages-*/annotations"))
    assert not list(tmp_path.glob(f"openimages-*/masks/train/{mask_path}"))


def test_an_image_with_a_mask_that_the_archive_lacks_is_left_out(
    site: Site, world: OpenImagesWorld, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mask_path = min(path.name for path in (prepare(site, tmp_path / "first") / "masks" / "test").iterdir())
    others = {path: content for path, content in world.masks.items() if path != mask_path}
    rows = {split: [r for r in rows if r.partition(",")[0] in others] for split, rows in world.rows.items()}
    site.files |= archives(OpenImagesWorld(world.photos, others, rows))
    with caplog.at_level(logging.WARNING):
        folder = prepare(site, tmp_path)
    assert f"1 masks are not in their archives; their images are left out: {mask_path}" in caplog.text
    assert len(images_of(folder, "test")) == FEW["test"] - 1
    assert {row.split(",")[1] for row in rows_of(folder, "test")[1:]} == images_of(folder, "test")
    site.requests.clear()
    prepare(site, tmp_path)
    assert site.requests == []


def test_a_server_without_ranges_gives_whole_archives(site: Site, world: OpenImagesWorld, tmp_path: Path) -> None:
    site.honours_range = False
    folder = prepare(site, tmp_path)
    for path in (folder / "masks").rglob("*.png"):
        assert path.read_bytes() == world.masks[path.name]
    kept = {path.name for path in (tmp_path / "downloads" / "openimages").glob("*.zip")}
    assert kept == {f"{path.parent.name}-masks-{path.name[0]}.zip" for path in (folder / "masks").rglob("*.png")}


def test_without_masks_the_boxes_of_any_class_are_taken(site: Site, tmp_path: Path) -> None:
    folder = prepare(site, tmp_path, masks=False, categories=["Dog"])
    names = sorted(path.name for path in (folder / "annotations").iterdir())
    assert names == [
        "oidv6-train-annotations-bbox.csv",
        "oidv7-class-descriptions-boxable.csv",
        "test-annotations-bbox.csv",
        "validation-annotations-bbox.csv",
    ]
    header, *rows = (folder / "annotations" / names[0]).read_text().splitlines()
    assert header == BOX_HEADER
    assert {row.split(",")[0] for row in rows} == images_of(folder, "train")
    assert not (folder / "masks").exists()
    assert not any(path.endswith(".zip") for path in site.paths)


def test_names_of_classes_are_checked_before_the_large_tables_are_downloaded(site: Site, tmp_path: Path) -> None:
    with pytest.raises(InstsegError, match=r"called 'Kat'; close to it: Cat \(/m/01yrx\)"):
        prepare(site, tmp_path, categories=["Kat"])
    with pytest.raises(
        InstsegError, match=r"only 3 of the boxable classes have masks, and not Human eye \(/m/014sv8\)"
    ):
        prepare(site, tmp_path, categories=["Cat", "Human eye"])
    assert TRAIN not in site.paths


def test_more_images_than_there_are_is_an_error_with_both_numbers(site: Site, tmp_path: Path) -> None:
    with pytest.raises(InstsegError, match=r"num_images\.val: expected 21 images .*validation, but only 20 are"):
        prepare(site, tmp_path, num_images={**FEW, "val": 21})
    assert kinds(site)["train"] == 0
    for path in [path for path in site.files if path.startswith("/test/")][:1]:
        del site.files[path]
    with pytest.raises(InstsegError, match="but only 19 are"):
        prepare(site, tmp_path, num_images={"test": 20})


def test_splits_can_be_left_out_and_wrong_numbers_are_named(site: Site, tmp_path: Path) -> None:
    folder = prepare(site, tmp_path, num_images={"train": 2, "val": 1, "test": 0})
    assert sorted(path.name for path in (folder / "images").iterdir()) == ["train", "validation"]
    assert not any("/test-" in path for path in site.paths)
    for wrong in ({"train": -1}, {"train": 0}, {}, {"train": 1, "validation": 2}):
        with pytest.raises(InstsegError, match="num_images: expected numbers for train, val, test"):
            prepare(site, tmp_path, num_images=wrong)
    with pytest.raises(InstsegError, match="at least one class, such as Cat, got none"):
        prepare(site, tmp_path, categories=[])


@pytest.mark.parametrize("path", [TRAIN, CLASSES])
def test_an_annotation_file_that_is_none_is_named_and_not_kept(site: Site, tmp_path: Path, path: str) -> None:
    site.files[path] = b"<html>sign in</html>"
    with pytest.raises(InstsegError, match=rf"{path}: received unexpected(.|\n)*dataset\.annotations_url"):
        prepare(site, tmp_path)
    assert not (tmp_path / "downloads" / "openimages" / Path(path).name).exists()


def test_a_mask_path_that_climbs_out_of_the_folder_is_refused(
    site: Site, world: OpenImagesWorld, tmp_path: Path
) -> None:
    evil = world.rows["train"][0].replace(world.rows["train"][0].partition(",")[0], "../../../evil.png")
    site.files[TRAIN] = "\n".join([HEADER, evil, *world.rows["train"]]).encode()
    with pytest.raises(InstsegError, match=r"row 2: expected a MaskPath such as .*got '\.\./\.\./\.\./evil\.png'"):
        prepare(site, tmp_path)


def test_a_full_disk_says_so(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(rows: object, *args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(openimages_download, "filter_table", write)
    with pytest.raises(InstsegError, match=r"openimages-\w+: cannot be written: .*No space left on device"):
        prepare(site, tmp_path)
