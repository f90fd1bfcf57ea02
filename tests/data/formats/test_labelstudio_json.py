"""Label Studio's own tasks, JSON and JSON-MIN: which annotation of a task counts, which of its data is the image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from labelstudio_exports import (
    PHOTO,
    SIZE,
    annotation,
    brush,
    polygon,
    read_all,
    task,
    write_export,
)

from instseg.core.errors import InstsegError


def counted(tmp_path, *annotations: Any, **more: Any) -> list[str]:
    """The categories of the annotation that counts; a second task keeps the export from being empty."""
    labels, found = read_all(write_export(tmp_path, [task(*annotations, **more)], "a.png"))
    assert len(found.get("several_annotators", [])) == (len(annotations) > 1)
    return [category["name"] for category in labels.coco["categories"]]


def test_of_several_annotators_the_latest_counts(tmp_path):
    old = annotation(polygon("old"), updated_at="2024-01-01T10:00:00Z")
    new = annotation(polygon("new"), updated_at="2024-03-01T10:00:00Z")
    assert counted(tmp_path, old, new) == counted(tmp_path, new, old) == ["new"]


def test_ground_truth_counts_before_what_is_later(tmp_path):
    truth = annotation(polygon("truth"), ground_truth=True, updated_at="2024-01-01T10:00:00Z")
    late = annotation(polygon("late"), updated_at="2024-03-01T10:00:00Z")
    assert counted(tmp_path, truth, late) == ["truth"]


def test_where_times_do_not_tell_the_last_of_the_list_counts(tmp_path):
    assert counted(tmp_path, annotation(polygon("first")), annotation(polygon("last"))) == ["last"]


def test_old_versions_call_annotations_completions(tmp_path):
    old = {"id": 1, "data": {"image": PHOTO}, "completions": [{"created_at": 1600000000, "result": [polygon()]}]}
    labels, found = read_all(write_export(tmp_path, [old], "a.png"))
    assert len(labels.coco["annotations"]) == 1 and not found


def test_an_annotation_without_regions_says_that_the_image_is_empty(tmp_path):
    content = [task(annotation()), task(polygon(), task_id=2, photo="b.png")]
    labels, found = read_all(write_export(tmp_path, content, "a.png", "b.png"))
    assert [image["file_name"] for image in labels.coco["images"]] == ["a.png", "b.png"]
    assert {one["image_id"] for one in labels.coco["annotations"]} == {2} and not found


def test_skipped_and_unlabelled_tasks_and_other_entries_are_left_out_and_told(tmp_path):
    content = [
        task(polygon(), task_id=10),
        task(annotation(polygon(), was_cancelled=True), task_id=11),
        task(annotation(polygon(), skipped=True), task_id=12),
        task(task_id=13),
        {"id": 14, "data": {"image": PHOTO}},
        "no task",
        {"id": 16, "annotations": []},
        {**task(polygon(), task_id=17), "data": {"text": "no photo"}},
        task({"result": None}, task_id=18),
    ]
    labels, found = read_all(write_export(tmp_path, content, "a.png"))
    assert len(labels.coco["images"]) == 1
    assert found == {
        "task_skipped": ["task 11", "task 12"],
        "task_unlabelled": ["task 13", "task 14"],
        "label_invalid": [
            "task at position 6: expected an object with data, found 'no task'",
            "task 16: expected an object with data, found \"{'id': 16, 'annotations': []}\"",
            "task 17: its data names no image",
            "task 18: expected a list named result, found NoneType",
        ],
    }


def test_two_tasks_of_one_image_are_told(tmp_path):
    content = [task(polygon()), task(polygon("dog"), task_id=2, photo="/data/upload/3/0a1b2c3d-a.png")]
    labels, found = read_all(write_export(tmp_path, content, "a.png"))
    assert [category["name"] for category in labels.coco["categories"]] == ["car"]
    assert found == {"image_labelled_twice": ["a.png (task 2, after task 1)"]}


def test_a_task_that_stands_twice_in_the_export_counts_once(tmp_path):
    labels, found = read_all(write_export(tmp_path, [task(polygon()), task(polygon())], "a.png"))
    assert len(labels.coco["images"]) == len(labels.coco["annotations"]) == 1
    assert found == {"image_labelled_twice": ["a.png (task 1, after task 1)"]}


@pytest.mark.parametrize(
    "content",
    [[], [1], [{"id": 1}], [{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4]}], [task()], [task(photo=None)]],
)
def test_a_list_without_a_task_that_can_be_used_is_refused(tmp_path, content):
    write_export(tmp_path, content, "a.png")
    with pytest.raises(InstsegError, match=r"project-1.json: expected Label Studio tasks with annotations, found"):
        read_all(tmp_path / "project-1.json")


def test_predictions_that_nobody_accepted_are_not_labels(tmp_path):
    predicted = {**task(), "predictions": [{"result": [polygon()]}]}
    with pytest.raises(
        InstsegError,
        match=r"no annotation yet; left out: 1 .task 1.; 1 task with predictions, which a person must accept first",
    ):
        read_all(write_export(tmp_path, [predicted], "a.png"))


# ---- which of a task's data is the image


@pytest.mark.parametrize(
    "data",
    [
        {"$undefined$": PHOTO},
        {"image": PHOTO, "caption": "a.png is a photo", "number": 5, "none": None},
        {"image": "/fb26c02b-a"},
        {"thumb": "thumb.png", "img": PHOTO},
        {"image": PHOTO, "same": PHOTO},
    ],
)
def test_the_image_is_the_only_path_of_an_image_or_what_was_drawn_on(tmp_path, data):
    labels, _ = read_all(write_export(tmp_path, [{**task(polygon()), "data": data}], "a.png"))
    assert [image["file_name"] for image in labels.coco["images"]] == ["a.png"]


def test_when_several_may_be_the_image_the_choice_is_asked_for_and_taken(tmp_path):
    write_export(tmp_path, [{**task(polygon()), "data": {"left": PHOTO, "right": "b.png"}}], "a.png", "b.png")
    with pytest.raises(InstsegError, match=r"task 1: .* may be the image: left, right. .*dataset.image_key=left"):
        read_all(tmp_path)
    labels, _ = read_all(tmp_path, image_key="right")
    assert labels.coco["images"][0]["file_name"] == "b.png"
    with pytest.raises(InstsegError, match=r"dataset.image_key=top: no task has such data, they have left, right"):
        read_all(tmp_path, image_key="top")


def test_what_was_drawn_on_another_image_of_the_task_is_not_taken(tmp_path):
    results = annotation(polygon("here", to_name="left"), {**polygon("there", to_name="right"), "id": "r2"})
    write_export(tmp_path, [{**task(results), "data": {"left": PHOTO, "right": "b.png"}}], "a.png", "b.png")
    labels, _ = read_all(tmp_path, image_key="left")
    assert [category["name"] for category in labels.coco["categories"]] == ["here"]


# ---- JSON-MIN


def min_entry(*results: Any, annotation_id: int = 1, **more: Any) -> dict[str, Any]:
    """One annotation as JSON-MIN has it: the values of the results, each with the size of the image."""
    sizes = {"original_width": SIZE[1], "original_height": SIZE[0]}
    times = {"annotator": 1, "created_at": "2024-01-01", "updated_at": "2024-01-01", "lead_time": 3.5}
    label = [{**result["value"], **sizes} for result in results]
    return {"image": PHOTO, "id": 1, "label": label, "annotation_id": annotation_id, **times, **more}


def test_entries_of_json_min_are_read_like_tasks(tmp_path):
    mask = np.eye(*SIZE, dtype=np.uint8)
    labels, found = read_all(write_export(tmp_path, [min_entry(polygon(), brush(mask, "dog"))], "a.png"))
    assert [category["name"] for category in labels.coco["categories"]] == ["car", "dog"]
    assert labels.coco["images"] == [{"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}]
    assert not found


def test_entries_of_one_task_in_json_min_are_its_annotations(tmp_path):
    late = min_entry(polygon("late"), annotation_id=1, updated_at="2024-02-02")
    content = [late, min_entry(polygon("early"), annotation_id=2), min_entry(id=2, image="b.png")]
    labels, found = read_all(write_export(tmp_path, content, "a.png", "b.png"))
    assert [category["name"] for category in labels.coco["categories"]] == ["late"]
    assert len(labels.coco["images"]) == 2
    assert found == {"several_annotators": ["task 1: 2 annotations"]}


def test_answers_about_a_region_in_json_min_are_no_regions(tmp_path):
    answer = {"x": 1, "y": 2, "width": 3, "height": 4, "rotation": 0, "choices": ["red"]}
    nameless = {"x": 1, "y": 2, "width": 3, "height": 4, "rotation": 0}
    content = [min_entry(polygon(), colour=[answer], box=[nameless], weather="sun")]
    labels, found = read_all(write_export(tmp_path, content, "a.png"))
    assert len(labels.coco["annotations"]) == 1
    assert found == {"category_missing": ["region 2 of task 1 (a.png)"]}


def test_the_image_of_an_entry_can_be_chosen_in_json_min(tmp_path):
    content = [min_entry(polygon(), mask="b.png")]
    write_export(tmp_path, content, "a.png", "b.png")
    with pytest.raises(InstsegError, match=r"may be the image: image, mask"):
        read_all(tmp_path)
    assert read_all(tmp_path, image_key="mask")[0].coco["images"][0]["file_name"] == "b.png"
