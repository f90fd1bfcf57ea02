"""The generated dataset: an ordinary COCO folder that is whole, honest and the same every time."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from instseg.core.errors import InstsegError
from instseg.data.builtin.shapes import ShapesSpec, prepare_shapes, shapes_fingerprint, write_shapes
from instseg.data.builtin.shapes_drawing import CATEGORIES, MIN_VISIBLE_PX

NUM_IMAGES = 150


def small_spec(**changes: Any) -> ShapesSpec:
    return ShapesSpec(**{"num_images": {"train": 3, "val": 2}, "image_side_px": (64, 80), **changes})


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shapes") / "whole"
    write_shapes(root, ShapesSpec(num_images={"train": NUM_IMAGES}, image_side_px=(120, 136)))
    return root


@pytest.fixture(scope="module")
def coco(root: Path) -> COCO:
    return COCO(str(root / "annotations" / "instances_train.json"))


def annotations_with_masks(coco: COCO) -> list[tuple[dict[str, Any], np.ndarray]]:
    return [(annotation, coco.annToMask(annotation)) for annotation in coco.anns.values()]


# ---- the same every time


def test_the_same_parameters_give_the_same_bytes(tmp_path: Path) -> None:
    write_shapes(tmp_path / "a", small_spec())
    write_shapes(tmp_path / "b", small_spec())
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_more_images_leave_the_earlier_ones_as_they_were(tmp_path: Path) -> None:
    write_shapes(tmp_path / "few", small_spec())
    write_shapes(tmp_path / "more", small_spec(num_images={"train": 5, "val": 2, "test": 1}))
    few, more = files(tmp_path / "few"), files(tmp_path / "more")
    assert {name: data for name, data in more.items() if name in few and name.endswith(".png")} == {
        name: data for name, data in few.items() if name.endswith(".png")
    }
    name = "annotations/instances_train.json"
    annotations = json.loads(few[name])["annotations"]
    assert json.loads(more[name])["annotations"][: len(annotations)] == annotations


def test_splits_and_seeds_show_different_pictures(tmp_path: Path) -> None:
    write_shapes(tmp_path / "0", small_spec(num_images={"train": 4, "val": 4, "test": 4}))
    write_shapes(tmp_path / "1", small_spec(num_images={"train": 4}, seed=1))
    pictures = [path.read_bytes() for path in tmp_path.rglob("*.png")]
    assert len(pictures) == len(set(pictures)) == 16


# ---- labels that can be trusted


def test_every_picture_is_there_with_the_size_the_json_states(root: Path, coco: COCO) -> None:
    assert len(coco.imgs) == NUM_IMAGES
    for entry in coco.imgs.values():
        picture = cv2.imread(str(root / "train" / entry["file_name"]))
        assert picture.shape == (entry["height"], entry["width"], 3)
        assert min(picture.shape[:2]) >= 120 and max(picture.shape[:2]) <= 136
    assert len({(entry["height"], entry["width"]) for entry in coco.imgs.values()}) > 1


def test_ids_are_unique_and_the_json_says_how_it_was_made(coco: COCO) -> None:
    listed = [annotation["id"] for annotation in coco.dataset["annotations"]]
    assert listed == list(range(1, len(listed) + 1))
    assert coco.dataset["info"]["parameters"]["seed"] == 0
    assert [category["name"] for category in coco.dataset["categories"]] == list(CATEGORIES.names)


def test_the_area_is_that_of_the_mask_and_the_box_just_encloses_it(coco: COCO) -> None:
    for annotation, mask in annotations_with_masks(coco):
        assert annotation["area"] == mask.sum() >= MIN_VISIBLE_PX
        x, y, width, height = annotation["bbox"]
        rows, columns = np.nonzero(mask)
        tight = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        # A polygon's box follows its vertices, a sharp tip of which may cover no whole pixel.
        slack = 0 if isinstance(annotation["segmentation"], dict) else 5
        assert np.all(np.abs(np.array([x, y, x + width, y + height]) - tight) <= slack)
        assert np.all(np.array([x - 1, y - 1]) < tight[:2]) and np.all(
            tight[2:] < np.array([x + width, y + height]) + 1
        )


def test_visible_masks_of_one_image_never_overlap(coco: COCO) -> None:
    for image_id in coco.imgs:
        masks = [coco.annToMask(annotation) for annotation in coco.imgToAnns[image_id]]
        assert not masks or np.sum(masks, axis=0).max() == 1


def test_a_ring_is_an_rle_with_a_hole_and_many_triangles_are_three_vertices(coco: COCO) -> None:
    by_name = {category["name"]: category["id"] for category in coco.dataset["categories"]}
    rings = coco.loadAnns(coco.getAnnIds(catIds=[by_name["ring"]]))
    triangles = coco.loadAnns(coco.getAnnIds(catIds=[by_name["triangle"]]))
    assert all(isinstance(ring["segmentation"], dict) for ring in rings)
    assert (
        sum(isinstance(t["segmentation"], list) and len(t["segmentation"][0]) == 6 for t in triangles)
        > len(triangles) / 3
    )


def test_holes_and_masks_in_several_parts_occur(coco: COCO) -> None:
    num_holes = num_split = 0
    for annotation, mask in annotations_with_masks(coco):
        if isinstance(annotation["segmentation"], dict):
            hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[1][0]
            num_holes += bool(np.any(hierarchy[:, 3] >= 0))
            num_split += int(np.sum(hierarchy[:, 3] < 0)) > 1
    assert num_holes > 30 and num_split > 5


def test_every_category_and_small_and_large_instances_occur(coco: COCO) -> None:
    areas = np.array([annotation["area"] for annotation in coco.anns.values()])
    assert np.mean(areas < 32**2) > 0.2 and np.mean((areas >= 32**2) & (areas < 96**2)) > 0.2
    assert areas.min() < 0.02 * 128**2 and areas.max() > 0.25 * 128**2
    counts = np.bincount([annotation["category_id"] for annotation in coco.anns.values()])[1:]
    assert len(counts) == len(CATEGORIES) and counts.min() > 0.6 * counts.mean()


def test_some_images_are_empty_and_none_is_overfull(coco: COCO) -> None:
    per_image = [len(coco.imgToAnns[image_id]) for image_id in coco.imgs]
    assert 0 < per_image.count(0) < 0.15 * NUM_IMAGES
    assert max(per_image) == 4


def test_colour_tells_nothing_about_the_category(root: Path, coco: COCO) -> None:
    pictures = {key: cv2.imread(str(root / "train" / entry["file_name"])) for key, entry in coco.imgs.items()}
    pairs = annotations_with_masks(coco)
    colours = np.array([pictures[annotation["image_id"]][mask > 0].mean(axis=0) for annotation, mask in pairs])
    labels = np.array([annotation["category_id"] for annotation, _ in pairs])
    between = sum(np.sum(labels == c) * (colours[labels == c].mean(0) - colours.mean(0)) ** 2 for c in set(labels))
    explained = between / np.sum((colours - colours.mean(0)) ** 2, axis=0)
    assert np.all(explained < 0.04)  # share of the variance; 0.01 is what chance alone gives


# ---- whole or not at all


def test_an_interruption_leaves_nothing_behind(tmp_path: Path) -> None:
    calls: list[None] = []

    def interrupt() -> None:
        calls.append(None)
        if len(calls) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shapes(tmp_path / "data", small_spec(), on_image=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_the_slower_of_two_writers_gives_way_to_the_finished_folder(tmp_path: Path) -> None:
    def rival() -> None:
        if not (tmp_path / "data").exists():
            write_shapes(tmp_path / "data", small_spec(seed=1))

    with pytest.raises(InstsegError, match="data"):
        write_shapes(tmp_path / "data", small_spec(), on_image=rival)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    info = json.loads((tmp_path / "data/annotations/instances_val.json").read_text())["info"]
    assert info["parameters"]["seed"] == 1


def test_an_existing_folder_is_never_written_into(tmp_path: Path) -> None:
    with pytest.raises(InstsegError, match="does not exist yet"):
        write_shapes(tmp_path, small_spec())


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InstsegError, match="file/cache"):
        write_shapes(tmp_path / "file" / "cache", small_spec())


# ---- the cache


def test_the_second_call_finds_the_folder_of_the_first(tmp_path: Path) -> None:
    params: dict[str, Any] = {"num_images": {"train": 2}, "image_side_px": [64, 64]}
    first = prepare_shapes(tmp_path / "cache", **params)
    written = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    assert prepare_shapes(tmp_path / "cache", **params) == first
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == written
    assert prepare_shapes(tmp_path / "cache", **params, seed=1) != first


@pytest.mark.parametrize(
    "damage",
    [Path.unlink, lambda path: path.write_bytes(b""), lambda path: path.write_bytes(bytes(path.stat().st_size))],
)
def test_a_folder_with_a_damaged_file_is_drawn_again_with_a_sentence(tmp_path: Path, caplog, damage) -> None:
    params = {"num_images": {"train": 2}, "image_side_px": (64, 64)}
    folder = prepare_shapes(tmp_path, **params)
    for path in (folder / "train/000001.png", folder / "annotations/instances_train.json"):
        whole = path.read_bytes()
        damage(path)
        caplog.clear()
        assert prepare_shapes(tmp_path, **params) == folder and path.read_bytes() == whole
        (told,) = caplog.messages
        assert str(path) in told and told.endswith("; starting again to draw the shapes dataset")


def test_a_folder_of_an_earlier_version_without_a_seal_is_used_and_sealed(tmp_path: Path) -> None:
    params = {"num_images": {"train": 2}, "image_side_px": (64, 64)}
    folder = prepare_shapes(tmp_path, **params)
    seal_file = tmp_path / f".{folder.name}.seal.json"
    seal_file.unlink()
    (folder / "mark").touch()
    assert (prepare_shapes(tmp_path, **params) / "mark").exists() and seal_file.exists()
    seal_file.write_text("{")
    assert not (prepare_shapes(tmp_path, **params) / "mark").exists()


def test_two_at_once_get_the_same_whole_folder(tmp_path: Path) -> None:
    barrier, results = threading.Barrier(2), []

    def prepare() -> None:
        barrier.wait()
        results.append(prepare_shapes(tmp_path, num_images={"train": 8}, image_side_px=(64, 64)))

    threads = [threading.Thread(target=prepare) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2 and results[0] == results[1]
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [results[0]]
    assert len(list(results[0].rglob("*.png"))) == 8


def test_the_fingerprint_depends_on_every_parameter() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"num_images": {"train": 4}},
        {"image_side_px": (64, 81)},
        {"min_instances": 2},
        {"max_instances": 7},
        {"empty_fraction": 0.1},
        {"seed": 1},
    ]
    assert len({shapes_fingerprint(small_spec(**change)) for change in changes}) == len(changes)
    assert shapes_fingerprint(small_spec(image_side_px=[64, 80])) == shapes_fingerprint(small_spec())


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"num_images": {"trian": 3}}, "trian"),
        ({"num_images": {"train": 0}}, "1 or more"),
        ({"image_side_px": (192, 160)}, "image_side_px"),
        ({"min_instances": 0}, "min_instances"),
        ({"max_instances": 0}, "max_instances"),
        ({"empty_fraction": 1.5}, "empty_fraction"),
        ({"seed": -1}, "seed"),
        ({"image_size": 160}, r"image_side_px.*got \['image_size'\]"),
    ],
)
def test_impossible_parameters_stop_before_anything_is_written(
    tmp_path: Path, params: dict[str, Any], told: str
) -> None:
    with pytest.raises(InstsegError, match=told):
        prepare_shapes(tmp_path, **params)
    assert list(tmp_path.iterdir()) == []
