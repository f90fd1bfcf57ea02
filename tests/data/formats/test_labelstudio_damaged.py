"""Label Studio's exports with anything in any place: what comes out is labels, findings, or one error."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import coco_annotation, coco_dict, coco_image, rectangle, write_json, write_picture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labelstudio_exports import SIZE, annotation, brush, polygon, read, region, task

from instseg.core.errors import InstsegError
from instseg.data.formats.labelstudio.reader import recognise
from instseg.data.reading.findings import KINDS

TASKS = [
    task(annotation(polygon(), region("rectanglelabels", region_id="r2", x=1, y=2, width=30, height=40, rotation=20))),
    task(brush(np.eye(*SIZE, dtype=np.uint8), "dog"), task_id=2, photo="s3://bucket/fb26c02b-a.png"),
    task(annotation(region("ellipselabels", x=9, y=9, radiusX=5, radiusY=5, rotation=0)), annotation(), task_id=3),
]
COCO = coco_dict(
    [coco_image(0, "images\\fb26c02b-a.jpg", SIZE), coco_image(1, "fb26c02b-a.png", SIZE)],
    [coco_annotation(i, i, i, rectangle(4, 2, 20, 12), bbox=[4, 2, 16, 10], ignore=0) for i in range(2)],
    {"mobil": 0, "truk": 1},
)
ODD = [None, True, -1, 0, 2**70, 10**400, 1e308, float("nan"), float("inf"), "", "x", "\ud800", "../../x.png", [], {}]
ODD += [[None], {"a": 1}, "http://[", "\0", "a/" * 3000 + "a.png", "n" * 300 + ".png", [[1, 2], [3, 4]]]


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a json, those of long lists by their first few."""
    if path:
        yield path
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(items)[:12]:
        yield from places(value, (*path, key))


def mutated(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value in this place; ``KeyError`` stands for none at all."""
    content = copy.deepcopy(content)
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    if value is KeyError:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return content


@pytest.fixture(scope="module")
def photo_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    write_picture(folder / "a.jpg", SIZE, orientation=6)
    write_picture(folder / "a.png", SIZE)
    return folder


@pytest.mark.parametrize("content", [TASKS, COCO], ids=["json", "coco"])
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_stands_in_any_place_only_the_error_of_this_program_comes_out(photo_folder, content, data):
    for _ in range(data.draw(st.integers(1, 3))):
        ways = list(places(content)) if isinstance(content, dict | list) else []
        if ways:
            content = mutated(content, data.draw(st.sampled_from(ways)), data.draw(st.sampled_from([KeyError, *ODD])))
    write_json(photo_folder / "result.json", content)
    recognise(photo_folder)
    try:
        labels, findings = read(photo_folder / "result.json", images=str(photo_folder))
    except InstsegError as error:
        assert str(error)
        return
    for part in labels.values():
        for image in part.coco["images"]:
            path = part.image_root / image["file_name"]
            path.is_file()  # a name that the system cannot take would raise
            assert ".." not in path.parts and path.is_relative_to(photo_folder)
    assert {kind for one in findings.values() for kind in one.names} <= KINDS.keys()
