"""Predictions that a person corrects join the labels of before; those that nobody has changed are known again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from export_factories import CATEGORIES, all_writers, export_run, predicted
from factories import drawn, make_picture, write_json, write_picture
from labelme_files import SIZE, shape, write_labels

from instseg.core.errors import InstsegError
from instseg.data import sources
from instseg.data.formats.auto import AutoReader
from instseg.data.prepared import PreparedDataset
from instseg.data.reading.findings_file import read_findings
from instseg.data.splits.select import rename_added
from instseg.prediction.writers.predicted_image import LoadedImage, PredictedImage
from instseg.prediction.writers.threads import WriterThreads

BLOCK = drawn(*["." * 16] * 3, *["...#######......"] * 5, *["." * 16] * 4)
OTHER = drawn(*["." * 16] * 2, *["...........####."] * 7, *["." * 16] * 3)
NEW = ("new_0.png", "new_1.png", "new_2.png")  # of which the first is corrected


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """Eight labelled images."""
    for seed in range(8):
        write_labels(tmp_path / "earlier", f"old_{seed}", shape("car"), photo=None)
        write_picture(tmp_path / f"earlier/old_{seed}.png", SIZE, seed)
    return tmp_path / "earlier"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """What predict.py writes on three other images."""
    run = export_run(tmp_path)
    chosen = [all_writers()[name] for name in ("labelme", "labelstudio", "coco")]
    with WriterThreads(run, chosen) as threads:
        for number, name in enumerate(NEW, start=1):
            write_picture(run.image_folder / name, SIZE, 20 + number)
            found = predicted(BLOCK, OTHER, labels=[1, 3], image_id=number)
            threads.add(LoadedImage(PredictedImage(name, Path(name).stem, found), make_picture(SIZE)))
    threads.finish()
    return run.output


def corrected_in_labelme(output: Path) -> Path:
    """A shape of the first is deleted; LabelMe saves the second anew without a change."""
    for number, keep in ((0, 1), (1, 2)):
        path = output / f"labelme/new_{number}.json"
        content = json.loads(path.read_text())
        shapes = [{**entry, "mask": None} for entry in content["shapes"][:keep]]
        write_json(path, {"imageData": None, **content, "shapes": shapes, "version": "5.6.1"})
    return output / "labelme"


def submitted_in_label_studio(output: Path) -> list[dict[str, Any]]:
    """All tasks are submitted, the first with a region less, the others with rounding errors."""
    tasks = json.loads((output / "labelstudio/tasks.json").read_text())
    for number, task in enumerate(tasks, start=1):
        result = task["predictions"][0]["result"][: None if number > 1 else 1]
        for region in result:
            region["value"]["points"] = [[x + 1e-12, y - 1e-12] for x, y in region["value"]["points"]]
        task |= {"id": number, "annotations": [{"id": number, "was_cancelled": False, "result": result}]}
    return tasks


def exported_as_json(output: Path) -> Path:
    return write_json(output.parent / "downloads/project-1.json", submitted_in_label_studio(output))


def exported_as_json_min(output: Path) -> Path:
    entries = []
    for task in submitted_in_label_studio(output):
        size = {"original_width": SIZE[1], "original_height": SIZE[0]}
        regions = [{**region["value"], **size} for region in task["annotations"][0]["result"]]
        more = {"annotator": 1, "annotation_id": task["id"], "lead_time": 3.0}
        entries.append({**task["data"], "id": task["id"], "label": regions, **more})
    return write_json(output.parent / "downloads/project-1-min.json", entries)


def corrected_in_coco(output: Path) -> Path:
    path = output / "predictions.json"
    coco = json.loads(path.read_text())
    return write_json(path, {**coco, "annotations": coco["annotations"][1:]})


TOOLS: dict[str, Callable[[Path], Path]] = {
    "LabelMe": corrected_in_labelme,
    "Label Studio, JSON": exported_as_json,
    "Label Studio, JSON-MIN": exported_as_json_min,
    "COCO": corrected_in_coco,
}


def prepared(root: Path, **options: object) -> PreparedDataset:
    cache = root.parents[0] / "cache"
    return sources.folder(name="test", reader=AutoReader, root=str(root), cache_dir=str(cache), **options)


def names(dataset: PreparedDataset, split: str) -> list[str]:
    return sorted(Path(name).name for name in dataset.split_lists()[split])


def found(dataset: PreparedDataset) -> dict[str, list[str]]:
    """Kind of finding -> names of the images, those of all splits."""
    kinds: dict[str, list[str]] = {}
    for findings in read_findings(dataset.folder / "findings.json").values():
        for kind, subjects in findings.names.items():
            kinds.setdefault(kind, []).extend(Path(subject).name for subject in subjects)
    return kinds


@pytest.mark.parametrize("tool", TOOLS)
def test_corrected_images_join_train_and_untouched_predictions_are_named(earlier, output, tool):
    before = prepared(earlier)
    after = prepared(earlier, corrected=str(TOOLS[tool](output)))
    for split in ("val", "test"):
        assert names(after, split) == names(before, split)
    assert names(after, "train") == sorted([*names(before, "train"), *NEW])
    assert found(after)["prediction_in_train"] == ["new_1.png", "new_2.png"]
    assert after.categories.names == ("car", "cake")
    train = after.indices["train"]
    counts = {Path(train.file_name(i)).name: len(train.ground_truth(i)) for i in range(len(train))}
    assert [counts[name] for name in NEW] == [1, 2, 2]


def test_an_image_like_one_of_val_is_left_out_and_one_that_has_labels_keeps_them(earlier, output):
    place, images = corrected_in_labelme(output), output.parent / "my photos"
    before = prepared(earlier)
    val, train = (names(before, split)[0] for split in ("val", "train"))
    write_picture(images / "new_0.png", (24, 32), int(val[4]))  # in twice the size
    (images / "new_1.png").write_bytes((earlier / train).read_bytes())
    after = prepared(earlier, corrected=[str(place)])
    assert names(after, "train") == sorted([*names(before, "train"), "new_2.png"])
    assert found(after)["image_labelled_twice"] == ["new_1.png"]
    assert found(after)["resembles_measured"] == [f"{val})"]


def test_images_beside_the_labels_count_as_unlabelled_only_until_they_are_corrected(earlier, output):
    place = corrected_in_labelme(output)
    for name in NEW:
        (output.parent / "my photos" / name).rename(earlier / name)
    for path in place.glob("*.json"):
        write_json(path, {**json.loads(path.read_text()), "imagePath": f"../../earlier/{path.stem}.png"})
    assert sorted(found(prepared(earlier))["image_unlabelled"]) == list(NEW)
    assert "image_unlabelled" not in found(prepared(earlier, corrected=str(place)))


def test_of_two_corrections_of_an_image_the_changed_one_counts(earlier, output, tmp_path):
    untouched = output.rename(tmp_path / "first") / "predictions.json"
    changed = corrected_in_labelme(tmp_path / "first")
    dataset = prepared(earlier, corrected=[str(untouched), str(changed)])
    train = dataset.indices["train"]
    assert [len(train.ground_truth(i)) for i in range(len(train)) if "new_0" in train.file_name(i)] == [1]


def test_a_run_is_repeated_with_its_corrected_labels(earlier, output):
    place = corrected_in_labelme(output)
    first = prepared(earlier, corrected=str(place))
    again = prepared(earlier, corrected=str(place), splits_file=str(first.folder / "splits.json"))
    assert again.split_lists() == first.split_lists()
    alone = prepared(earlier, splits_file=str(prepared(earlier).folder / "splits.json"), corrected=str(place))
    assert names(alone, "train") == names(first, "train")


def test_predictions_that_nobody_changed_are_in_val_and_test_only_if_asked_for(output):
    place = corrected_in_labelme(output)
    for seed in range(4):
        write_labels(place, f"drawn_{seed}", shape("car"), shape("cake"), photo=None)
        write_picture(place / f"drawn_{seed}.png", SIZE, 40 + seed)
    measured = ("val", "test")
    usual = prepared(place, outside="always")
    assert not {"new_1.png", "new_2.png"} & {name for split in measured for name in names(usual, split)}
    assert {"new_1.png", "new_2.png"} <= {*names(usual, "train")}
    without = prepared(place, predictions="leave_out", outside="always")
    assert not {"new_1.png", "new_2.png"} & {name for split in without.indices for name in names(without, split)}
    seeds = [prepared(place, predictions="any", seed=seed, outside="always") for seed in range(6)]
    assert {"new_1.png", "new_2.png"} & {name for d in seeds for split in measured for name in names(d, split)}


@pytest.mark.parametrize("ticked", ["box in LabelMe", "star in Label Studio"])
def test_a_prediction_that_a_person_finds_right_is_no_prediction_any_more(earlier, output, ticked):
    if ticked == "box in LabelMe":
        place = output / "labelme"
        for path in place.glob("*.json"):
            write_json(path, {**json.loads(path.read_text()), "flags": {"checked": True}})
    else:
        tasks = submitted_in_label_studio(output)
        for task in tasks:
            task["annotations"][0]["ground_truth"] = True
        place = write_json(output.parent / "downloads/project-1.json", tasks)
    assert "prediction_in_train" not in found(prepared(earlier, corrected=str(place)))


def test_predictions_name_images_outside_of_their_folder_which_may_be_forbidden(earlier, output):
    with pytest.raises(InstsegError, match=r"images that are outside of it, such as .*dataset.outside=always"):
        prepared(earlier, corrected=str(corrected_in_labelme(output)), outside="never")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nowhere", "dataset.corrected: no such folder: nowhere"),
        ("out", "is an output folder of predict.py: name what was corrected, such as"),
        ("earlier", "dataset.corrected: 8 images, all of which dataset.root labels already"),
    ],
)
def test_a_place_without_corrections_is_refused(earlier, output, place, message):
    write_json(output / "prediction_run.json", {})
    given = place if place == "nowhere" else str(earlier.parent / place)
    with pytest.raises(InstsegError, match=message):
        prepared(earlier, corrected=given)


def test_predictions_alone_are_nothing_to_measure_on(output):
    with pytest.raises(InstsegError, match=r"all labels are predictions that nobody has changed, of 3 images"):
        prepared(output / "labelme", outside="always")


def test_names_of_corrected_labels_are_those_that_result_from_the_renaming():
    coco = {
        "images": [{"id": 1}],
        "categories": [{"id": n, "name": name} for n, name in enumerate(("a", "b", "wrong", "unsure", "unused"))],
        "annotations": [{"id": n, "image_id": 1, "category_id": n} for n in range(4)],
    }
    renamed = rename_added(coco, ("a", "b"), {"a": "b", "b": "a", "wrong": "right"}, ("unsure",))  # type: ignore[arg-type]
    assert [category["name"] for category in renamed["categories"]] == ["a", "b", "right"]
    assert len(renamed["annotations"]) == 3


def test_categories_that_only_corrected_labels_have_are_named(earlier, output):
    dataset = prepared(earlier, corrected=str(corrected_in_labelme(output)))
    assert CATEGORIES.names[2] == "cake"
    assert any("Categories that only the images added to train have: cake." in note for note in dataset.notes)
