"""Label Studio's task lists (JSON, JSON-MIN): each task is an image with its annotations.

If a task has several annotations, the one marked as ground truth is used, else the latest. JSON-MIN has one entry for
each annotation instead, with the regions under the names of the tags.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.prediction_mark import DIGEST, IMAGES, labelstudio_digest
from instseg.core.text import list_names, plural, usable_text
from instseg.core.types import ImageSize
from instseg.data.formats.labelstudio.images import ADDRESS, looks_like_image
from instseg.data.formats.labelstudio.shapes import add_region, read_regions
from instseg.data.reading.findings import Findings, told
from instseg.data.reading.labels import LabelsBuilder
from instseg.data.reading.pixel_limits import max_pixels

MIN_KEYS = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement", "history"}
"""Keys of a JSON-MIN entry besides the data of the task and the answers."""
GEOMETRY = {"x", "y", "width", "height", "rotation", "points", "closed", "radiusX", "radiusY", "rle", "format"}
GEOMETRY |= {"imageDataURL", "vertices", "original_width", "original_height", "image_rotation"}


@dataclass(frozen=True, slots=True)
class Task:
    """An image as named by the task, and the results of the annotation that is used."""

    name: str
    image: str
    results: list[object]
    is_prediction: bool = False  # the results are as predict.py wrote them
    listed: list[object] | None = None  # the list in the export that holds the results; None for JSON-MIN

    @property
    def image_size(self) -> ImageSize | None:
        """Return the displayed (height, width) of the image from the first result that has it."""
        for result in self.results:
            if isinstance(result, dict):
                height, width = _whole(result.get("original_height")), _whole(result.get("original_width"))
                if 0 < height * width <= max_pixels():
                    return height, width
        return None


def _whole(value: object) -> int:
    """Return a positive whole number; 0 for anything else."""
    if isinstance(value, float) and value.is_integer():
        return max(int(value), 0)
    return max(value, 0) if isinstance(value, int) and not isinstance(value, bool) else 0


def read_tasks(content: object, path: Path, image_key: str | None, findings: Findings) -> list[Task]:
    """Read the annotated tasks of an export.

    Args:
        content: the parsed json.
        path: its file, for messages.
        image_key: the key of the image in a task's data; None: detect it.
        findings: gets the tasks that are left out.

    Raises:
        InstsegError: the content is not a list of tasks, none is annotated, or several data may be the image.
    """
    if not isinstance(content, list):
        raise InstsegError(f"{path}: expected a list of Label Studio tasks, found {type(content).__name__}")
    entries = [entry for entry in content if isinstance(entry, dict)]
    is_min = not any(isinstance(entry.get("data"), dict) for entry in entries)
    _check_image_key(entries, is_min, path, image_key)
    tasks = []
    for position, entry in enumerate(_from_min(entries) if is_min else content, start=1):
        name = f"task {_id(entry, position)}"
        used = _results(entry, name, findings)
        if used is None:
            continue
        results, is_checked = used
        image = _image(entry["data"], results, image_key, f"{path}: {name}")
        if image is None:
            findings.add("label_invalid", f"{name}: its data names no image")
        else:
            drawn = [result for result in results if _is_on(image, result, entry["data"])]
            is_prediction = not is_checked and entry["data"].get(DIGEST) == labelstudio_digest(results)
            tasks.append(Task(name, image, drawn, is_prediction, None if is_min else results))
    if not tasks:
        raise InstsegError(_why_none(content, path, findings))
    return tasks


def add_task(
    builder: LabelsBuilder, task: Task, file_name: str, image_size: ImageSize | None, findings: Findings
) -> None:
    """Add the image of a task with its instances.

    Args:
        builder: the labels of the split.
        task: its results are percentages.
        file_name: of the image.
        image_size: (height, width) as displayed; None: neither the task nor the image has it.
        findings: gets what is left out.
    """
    image_id = builder.add_image(file_name, image_size, task.is_prediction)
    for region in read_regions(task.results):
        name = f"{region.name} of {task.name} ({file_name})"
        if image_size is None:
            findings.add("shape_invalid", f"{name}: percent of an image whose size is not known")
        else:
            add_region(builder, image_id, region, image_size, name, findings)


def _id(entry: object, position: int) -> str:
    task_id = entry.get("id") if isinstance(entry, dict) else None
    return usable_text(str(task_id)) if isinstance(task_id, int | str) else f"at position {position}"


def _results(entry: object, name: str, findings: Findings) -> tuple[list[object], bool] | None:
    """Return the results of the annotation that is used, and whether it has the star of ground truth.

    None, with a finding, when there is none.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("data"), dict):
        findings.add("label_invalid", f"{name}: expected an object with data, found {str(entry)[:60]!a}")
        return None
    valid = _valid_annotations(entry.get("annotations", entry.get("completions")), name, findings)
    if not valid:
        return None
    chosen = _chosen(valid)
    results = chosen.get("result")
    if not isinstance(results, list):
        findings.add("label_invalid", f"{name}: expected a list named result, found {type(results).__name__}")
        return None
    return results, chosen.get("ground_truth") is True


def _valid_annotations(listed: object, name: str, findings: Findings) -> list[dict[str, object]]:
    """Return the annotations that were not skipped; several, or none, are a finding."""
    annotations = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    valid = [one for one in annotations if not (one.get("was_cancelled") or one.get("skipped"))]
    if not valid:
        findings.add("task_skipped" if annotations else "task_unlabelled", name)
    elif len(valid) > 1:
        findings.add("several_annotators", f"{name}: {len(valid)} annotations")
    return valid


def _chosen(annotations: Sequence[Mapping[str, object]]) -> Mapping[str, object]:
    """Choose the latest annotation, of those marked as ground truth if any; the last in the list if times are equal."""
    truths = [one for one in annotations if one.get("ground_truth") is True] or annotations
    return max(reversed(truths), key=lambda one: str(one.get("updated_at") or one.get("created_at") or ""))


def _image(data: Mapping[str, object], results: Iterable[object], image_key: str | None, where: str) -> str | None:
    """Return the image that a task names, or None; InstsegError if several values may be it."""
    if image_key is not None:
        return value if isinstance(value := data.get(image_key), str) and value else None
    texts = {key: v for key, v in data.items() if isinstance(v, str) and v and key not in (DIGEST, IMAGES)}
    images = {key: value for key, value in texts.items() if looks_like_image(value)}
    images = images or {key: v for key, v in texts.items() if ADDRESS.match(v) or v.startswith("/")}
    if len(images) > 1:
        drawn_on = {name for result in results if (name := _drawn_on(result)) is not None}
        images = {key: value for key, value in images.items() if key in drawn_on} or images
    if len(set(images.values())) > 1:
        raise InstsegError(
            f"{where}: several of its data may be the image: {list_names(images)}. Choose one: "
            f"dataset=labelstudio dataset.image_key={next(iter(images))}"
        )
    return next(iter(images.values()), None)


def _drawn_on(result: object) -> str | None:
    name = result.get("to_name") if isinstance(result, dict) else None
    return name if isinstance(name, str) else None


def _is_on(image: str, result: object, data: Mapping[str, object]) -> bool:
    """Tell whether a result was drawn on this image, not on another one of the task."""
    return bool(data.get(_drawn_on(result) or "", image) == image)


def _check_image_key(entries: Sequence[Mapping[str, object]], is_min: bool, path: Path, image_key: str | None) -> None:
    if image_key is None or not entries:
        return
    data = entries if is_min else [entry.get("data") for entry in entries]
    keys = list(dict.fromkeys(key for one in data if isinstance(one, dict) for key in one if key not in MIN_KEYS))
    if image_key not in keys:
        raise InstsegError(
            f"{path}: dataset.image_key={image_key}: no task has such data, they have {list_names(keys)}"
        )


def _why_none(content: Sequence[object], path: Path, findings: Findings) -> str:
    predicted = sum(1 for entry in content if isinstance(entry, dict) and entry.get("predictions"))
    reasons = [told(kind, names) for kind, names in sorted(findings.names.items())]
    reasons += [f"{plural(predicted, 'task')} with predictions, which a person must accept first"] if predicted else []
    return (
        f"{path}: expected Label Studio tasks with annotations, found {plural(len(content), 'entry')}, none of them "
        f"usable{''.join(f'; {reason}' for reason in reasons)}"
    )


def _from_min(entries: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """Convert JSON-MIN entries to tasks; entries with one id are annotations of one task."""
    tasks: dict[object, dict[str, object]] = {}
    annotations: defaultdict[object, list[dict[str, object]]] = defaultdict(list)
    for entry in entries:
        task_id = entry.get("id")
        key = task_id if isinstance(task_id, int | str) else object()
        data = {name: value for name, value in entry.items() if isinstance(value, str) and name not in MIN_KEYS}
        tasks.setdefault(key, {"id": task_id, "data": data, "annotations": annotations[key]})
        times = {name: entry.get(name) for name in ("created_at", "updated_at")}
        annotations[key].append({"result": list(_min_results(entry)), **times})
    return list(tasks.values())


def _min_results(entry: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """Yield the regions of an entry, without the answers that repeat a region's shape and have no label."""
    for values in entry.values():
        for value in values if isinstance(values, list) else ():
            if isinstance(value, dict):
                more = value.keys() - GEOMETRY
                if not more or any(name.endswith("labels") for name in more):
                    yield {"value": value, **{key: value.get(key) for key in ("original_width", "original_height")}}
