"""VIA projects and exports as people bring them: which attribute is the category, what a region is, copies of files."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest
from factories import write_json, write_picture
from reading import check_reading, instances, mutated_bytes, mutated_json, read_labels

from instseg.core.errors import InstsegError
from instseg.data.formats.via.reader import ViaReader, recognise
from instseg.data.reading.labels import Labels

SIZE = (12, 16)
POLYGON = {"name": "polygon", "all_points_x": [2, 9, 9], "all_points_y": [2, 2, 9]}
OUTLINE = [[2, 2, 9, 2, 9, 9]]
RECT = {"name": "rect", "x": 3, "y": 4, "width": 6, "height": 5}


def region(shape: Any = POLYGON, **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": attributes}


def exported(root: Path, **regions: list[Any]) -> dict[str, Any]:
    """The json export of version 2 for the images ``<name>.png``, which are written too."""
    entries = {}
    for name, listed in regions.items():
        size = write_picture(root / f"{name}.png", SIZE).stat().st_size
        entry = {"filename": f"{name}.png", "size": size, "regions": listed, "file_attributes": {"caption": "x"}}
        entries[f"{name}.png{size}"] = entry
    return entries


def project(entries: dict[str, Any], **options: Any) -> dict[str, Any]:
    attributes = {"region": {key: {"type": "dropdown", "options": value} for key, value in options.items()}}
    return {"_via_settings": {"ui": {}}, "_via_img_metadata": entries, "_via_attributes": attributes}


def read(root: Path, **options: Any) -> tuple[dict[str, Labels], dict[str, list[str]]]:
    return read_labels(ViaReader(root, **options))


def found(root: Path, **options: Any) -> dict[str, list[tuple[str, Any]]]:
    return instances(read(root, **options)[0]["all"])


# ---- files


def test_a_project_an_export_and_the_export_of_version_1_say_the_same(tmp_path):
    expected = {"a.png": [("car", OUTLINE), ("dog", [3, 4, 6, 5])], "b.png": []}
    regions = [region(kind="car"), region(RECT, kind="dog")]
    for name in ("project", "export", "first"):
        entries = exported(tmp_path / name, a=regions, b=[])
        if name == "first":
            for entry in entries.values():
                entry |= {"fileref": "", "base64_img_data": ""}
                entry["regions"] = {str(i): listed for i, listed in enumerate(entry["regions"])}
        write_json(tmp_path / name / "via.json", project(entries) if name == "project" else entries)
        assert found(tmp_path / name) == expected
        assert found(tmp_path / name / "via.json") == expected, "the file itself may be the root"
        assert recognise(tmp_path / name) == "VIA annotations (via.json)"


def write_csv(path: Path, rows: list[list[Any]], mark: str = "") -> None:
    header = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        file.write(f"{mark}{header}\n")
        csv.writer(file).writerows(
            [json.dumps(cell) if isinstance(cell, dict) else cell for cell in row] for row in rows
        )


@pytest.mark.parametrize("mark", ["", "#"])
def test_the_csv_has_a_row_for_each_region_and_one_for_an_image_without(tmp_path, mark):
    entries = exported(tmp_path, a=[], b=[])
    sizes = [entry["size"] for entry in entries.values()]
    rows = [
        ["a.png", sizes[0], {}, 2, 0, POLYGON, {"name": 'a "red" car'}],
        ["a.png", sizes[0], {}, 2, 1, RECT, {"name": "dog"}],
        ["b.png", sizes[1], {}, 0, 0, {}, {}],
    ]
    write_csv(tmp_path / "export.csv", rows, mark)
    assert found(tmp_path) == {"a.png": [('a "red" car', OUTLINE), ("dog", [3, 4, 6, 5])], "b.png": []}
    assert recognise(tmp_path) == "VIA annotations (export.csv)"


def test_rows_that_cannot_be_read_are_named_and_a_comma_in_a_file_name_is_no_new_column(tmp_path):
    write_picture(tmp_path / "a,b.png", SIZE)
    rows = [["a", "b.png", 1, {}, 1, 0, POLYGON, {"name": "car"}], ["x.png", 1, {}, 1, 0, "{", {}], ["too", "short"]]
    write_csv(tmp_path / "export.csv", rows)
    labels, findings = read(tmp_path)
    assert instances(labels["all"]) == {"a,b.png": [("car", OUTLINE)]}
    assert [name.rsplit(": ", 1)[0].split("/")[-1][:17] for name in findings["label_invalid"]] == [
        "export.csv: row 3",
        "export.csv: row 4",
    ]


def via3(root: Path, *regions: tuple[list[Any], Any], **more: Any) -> dict[str, Any]:
    write_picture(root / "a.png", SIZE)
    metadata = {f"1_{i}": {"vid": "1", "flg": 0, "z": [], "xy": xy, "av": av} for i, (xy, av) in enumerate(regions)}
    return {
        "project": {"pid": "__VIA_PROJECT_ID__", "data_format_version": "3.1.1", "vid_list": ["1"]},
        "attribute": {
            "1": {"aname": "kind", "anchor_id": "FILE1_Z0_XY1", "type": 4, "options": {"0": "car", "1": "dog"}}
        },
        "file": {"1": {"fid": 1, "fname": "a.png", "type": 2, "loc": 1, "src": ""}},
        "view": {"1": {"fid_list": [1]}},
        "metadata": {**metadata, **more},
    }


def test_a_project_of_version_3_has_its_shapes_by_number_and_its_options_by_id(tmp_path):
    car, dog = {"1": "0"}, {"1": "1"}
    content = via3(
        tmp_path,
        ([7, 2, 2, 9, 2, 9, 9], car),
        ([2, 3, 4, 6, 5], dog),
        ([8, 3, 6, 5, 4, 9, 7, 6, 9], dog),  # four points on the edges of a box
        ([1, 5, 5], car),
        ([], {"1": "caption of the whole photo"}),
        video={"vid": "1", "z": [1.5], "xy": [2, 0, 0, 5, 5], "av": car},
    )
    write_json(tmp_path / "via.json", content)
    labels, findings = read(tmp_path)
    assert instances(labels["all"]) == {"a.png": [("car", OUTLINE), ("dog", [3, 4, 6, 5]), ("dog", [3, 4, 6, 5])]}
    assert {kind: len(names) for kind, names in findings.items()} == {"label_invalid": 1, "shape_open": 1}
    assert recognise(tmp_path) == "VIA annotations (via.json)"


# ---- regions


def test_what_is_no_instance_is_counted_and_named_and_the_others_stay(tmp_path):
    point, broken = (
        region({"name": "point", "cx": 1, "cy": 1}, kind="car"),
        region(kind="car") | {"shape_attributes": 3},
    )
    write_json(tmp_path / "via.json", exported(tmp_path, a=[point, broken, region(kind="dog"), "region", region()]))
    labels, findings = read(tmp_path)
    assert instances(labels["all"]) == {"a.png": [("dog", OUTLINE)]}
    assert findings == {
        "shape_open": ["a.png: region 1 (point)"],
        "shape_invalid": [f"a.png: region {number}: shape '' is not known" for number in (2, 4)],
        "category_missing": ["a.png: region 5 (none)"],
    }


# ---- which attribute is the category


def categories(root: Path, *attributes: dict[str, Any], **options: Any) -> list[str]:
    write_json(root / "via.json", exported(root, a=[region(**given) for given in attributes]))
    return [name for name, _ in found(root, **options)["a.png"]]


def test_a_single_attribute_is_the_category_whatever_it_is_called(tmp_path):
    assert categories(tmp_path, {"tyre": "flat", "": "x", "note": ""}, {"tyre": 3, "note": " "}) == ["flat", "3"]


def test_an_attribute_may_be_spelled_in_another_case_in_another_file(tmp_path):
    assert categories(tmp_path, {"Name": "car", "size": "1"}, {"name": "dog"}, {" NAME": "cat"}) == [
        "car",
        "dog",
        "cat",
    ]
    assert categories(tmp_path, {"Kind": "car", "size": "1"}, {"kind": "dog"}, attribute="kind") == ["car", "dog"]


def test_of_several_the_one_with_a_usual_name_is_the_category(tmp_path):
    assert categories(tmp_path, {"colour": "red", "Class": "car"}, {"colour": "blue", "Class": "dog"}) == ["car", "dog"]


@pytest.mark.parametrize("keys", [("colour", "size"), ("name", "type")])
def test_of_several_with_no_or_two_usual_names_the_user_must_choose(tmp_path, keys):
    given = [dict.fromkeys(keys, "red") | {keys[0]: "big"}]
    with pytest.raises(
        InstsegError, match=rf"{keys[0]} \(big\); {keys[1]} \(red\): it is not clear .*dataset=via dataset\.attribute="
    ):
        categories(tmp_path, *given)
    assert categories(tmp_path, *given, attribute=keys[1]) == ["red"]
    with pytest.raises(InstsegError, match="none is called 'shape'"):
        categories(tmp_path, *given, attribute="shape")


def test_a_ticked_check_box_is_the_category_and_several_are_none(tmp_path):
    boxes = [{"kind": {"car": True, "dog": False}}, {"kind": {"car": True, "dog": True}}, {"kind": {}}]
    assert categories(tmp_path, *boxes) == ["car"]
    assert read(tmp_path)[1] == {"category_missing": ["a.png: region 2 (car, dog)", "a.png: region 3 (none)"]}


def test_without_any_attribute_there_is_one_category(tmp_path):
    assert categories(tmp_path, {}, {"name": ""}) == ["object", "object"]
    assert read(tmp_path)[1] == {"category_unnamed": ["object"]}


def test_options_whose_ids_are_numbers_are_called_by_their_description(tmp_path):
    entries = exported(tmp_path, a=[region(kind="1"), region(kind="2"), region(kind="bus")])
    write_json(tmp_path / "via.json", project(entries, kind={"1": "car", "2": "", "bus": "a bus"}))
    assert [name for name, _ in found(tmp_path)["a.png"]] == ["car", "2", "bus"]


# ---- images, splits, several files


def test_images_are_found_by_name_in_other_folders_and_from_urls(tmp_path):
    entries = exported(tmp_path / "photos", a=[region(kind="car")], b=[])
    for entry, name in zip(entries.values(), ("D:\\x\\a.png", "https://x.org/some%20where/b.png?s=1"), strict=True):
        entry["filename"] = name
    write_json(tmp_path / "labels/via.json", entries)
    assert set(found(tmp_path)) == {"photos/a.png", "photos/b.png"}


def test_of_images_with_the_same_name_the_size_of_the_file_tells_which_is_meant(tmp_path):
    write_picture(tmp_path / "x/a.png", (40, 40))
    write_json(tmp_path / "labels/via.json", exported(tmp_path / "y", a=[region(kind="car")]))
    labels, findings = read(tmp_path)
    assert set(instances(labels["all"])) == {"y/a.png"}
    assert findings == {"image_unlabelled": ["x/a.png"]}


def test_one_file_in_each_folder_of_a_split(tmp_path):
    for split in ("train", "val"):
        write_json(
            tmp_path / split / "via_region_data.json", exported(tmp_path / split, **{split: [region(kind=split)]})
        )
    labels, _ = read(tmp_path)
    assert {split: list(instances(part)) for split, part in labels.items()} == {
        "train": ["train/train.png"],
        "val": ["val/val.png"],
    }
    assert all([c["name"] for c in part.coco["categories"]] == ["train", "val"] for part in labels.values())


def test_one_project_whose_images_lie_in_folders_of_splits(tmp_path):
    entries = exported(tmp_path / "train", a=[region(kind="car")]) | exported(tmp_path / "val", b=[], gone=[])
    (tmp_path / "val/gone.png").unlink()
    write_json(tmp_path / "via.json", entries)
    labels, _ = read(tmp_path)
    assert {split: sorted(instances(part)) for split, part in labels.items()} == {
        "train": ["gone.png", "train/a.png"],  # what does not exist is reported, in whichever split
        "val": ["val/b.png"],
    }


def test_a_project_beside_its_export_counts_once_and_of_two_states_the_fuller(tmp_path):
    old = exported(tmp_path, a=[region(kind="car")], b=[region(kind="car")])
    new = exported(tmp_path, a=[region(kind="car"), region(RECT, kind="car")], b=[region(kind="car")])
    write_json(tmp_path / "1_new.json", project(new))
    write_json(tmp_path / "2_old.json", project(old))
    write_json(tmp_path / "3_export.json", new)
    labels, findings = read(tmp_path)
    assert {name: len(listed) for name, listed in instances(labels["all"]).items()} == {"a.png": 2, "b.png": 1}
    assert findings == {"image_labelled_twice": ["a.png (2 regions used from 1_new.json, not 1 in 2_old.json)"]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (project({}), "none of the 0 regions in its VIA files is an instance"),
        (project(["a"]), "_via_img_metadata is not an object but list"),
        ({"a.json": 1}, r"no VIA file found; expected a project .* found via\.json"),
        ({"_via_img_metadata": {"a": 3, "b": {"filename": "", "regions": []}}}, "none of the 0 regions"),
    ],
)
def test_a_folder_without_regions_or_with_another_json_is_refused(tmp_path, content, told):
    write_json(tmp_path / "via.json", content)
    with pytest.raises(InstsegError, match=told):
        read(tmp_path)


def test_damaged_files_give_findings_or_a_clear_error_and_nothing_else(tmp_path, tries):
    regions = [
        region(RECT, kind="car"),
        region(kind={"dog": True}),
        region({"name": "circle", "cx": 5, "cy": 5, "r": 3}),
    ]
    entries = exported(tmp_path, a=regions, b=regions[:1])
    contents = [project(entries, kind={"1": "car"}), entries, via3(tmp_path, ([7, 2, 2, 9, 2, 9, 9], {"1": "0"}))]
    write_csv(tmp_path / "x.csv", [["a.png", 1, {}, 1, 0, POLYGON, {"kind": "car"}], ["b.png", 1, {}, 0, 0, {}, {}]])
    table = (tmp_path / "x.csv").read_bytes()
    (tmp_path / "x.csv").unlink()
    results = []
    for seed in range(4 * tries):
        rng = random.Random(seed)
        content = contents[seed % 3]
        path = tmp_path / ("via.csv" if seed % 4 == 0 else "via.json")
        good = table if seed % 4 == 0 else json.dumps(content).encode()
        damaged = json.dumps(mutated_json(content, rng)).encode() if seed % 2 else mutated_bytes(good, rng)
        path.write_bytes(damaged)
        results.append(check_reading(lambda: ViaReader(tmp_path)))
        recognise(tmp_path)
        path.unlink()
    assert 3 * sum(results) > len(results), "most damage is local"
