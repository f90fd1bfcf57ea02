"""Choice of images of Open Images from tables like the official ones."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instseg.core.errors import InstsegError
from instseg.data.builtin.openimages_selection import (
    check_classes,
    check_have_masks,
    check_table,
    filter_table,
    rank_images,
    read_table,
    select_classes,
    write_classes,
)

BOX = {"BoxXMin": "0.1", "BoxXMax": "0.9", "BoxYMin": "0.2", "BoxYMax": "0.8"}
HEADER = ["MaskPath", "ImageID", "LabelName", "BoxID", *BOX, "PredictedIoU", "Clicks"]
CAT, DOG, RARE = "/m/01yrx", "/m/0bt9lr", "/m/0rare"
CLASSES = {CAT: "Cat", DOG: "Dog", "/m/014sv8": "Human eye", "/m/011k07": "Tortoise", "/m/0cyhj_": "Orange (fruit)"}


def image_id(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:16]


def row(number: int, mid: str = CAT, **changed: str) -> list[str]:
    image, box = image_id(number), f"{number:08x}"
    mask_path = f"{image}_{mid[1:].replace('/', '')}_{box}.png"
    values = {"MaskPath": mask_path, "ImageID": image, "LabelName": mid, "BoxID": box, **BOX}
    return list((values | {"PredictedIoU": "0.9", "Clicks": "0.5 0.5 1;0.1 0.1 0"} | changed).values())


def write(path: Path, rows: Iterable[Sequence[str]], header: Sequence[str] = HEADER) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_classes_are_found_by_their_names_with_or_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    write_classes(path, CLASSES)
    assert path.read_text().splitlines()[:2] == ["LabelName,DisplayName", "/m/01yrx,Cat"]
    assert select_classes(path, ["Orange (fruit)", "Cat"]) == {CAT: "Cat", "/m/0cyhj_": "Orange (fruit)"}
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    assert select_classes(path, ["Human eye"]) == {"/m/014sv8": "Human eye"}


@pytest.mark.parametrize(
    ("wanted", "close"),
    [
        ("cat", r"Cat \(/m/01yrx\)"),
        ("Tortise", r"Tortoise \(/m/011k07\)"),
        ("Eye", r"Human eye \(/m/014sv8\)"),
        ("/m/01yrx", r"Cat \(/m/01yrx\)"),
    ],
)
def test_an_unknown_class_is_answered_with_the_names_close_to_it(tmp_path: Path, wanted: str, close: str) -> None:
    write_classes(tmp_path / "classes.csv", CLASSES)
    with pytest.raises(InstsegError, match=f"none of the 5 classes is called '{wanted}'; close to it: {close}"):
        select_classes(tmp_path / "classes.csv", ["Dog", wanted])


def test_a_class_that_is_like_none_is_answered_with_where_they_are_listed(tmp_path: Path) -> None:
    write_classes(tmp_path / "classes.csv", CLASSES)
    with pytest.raises(InstsegError, match=r"they are listed in .*classes\.csv"):
        select_classes(tmp_path / "classes.csv", ["Xylophagous"])


def test_a_class_without_masks_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "masks.txt").write_text(f"{CAT}\n{DOG}\n")
    check_have_masks(tmp_path / "masks.txt", {CAT: "Cat"})
    with pytest.raises(InstsegError, match=r"only 2 .* not Human eye \(/m/014sv8\).*dataset\.masks=false"):
        check_have_masks(tmp_path / "masks.txt", {CAT: "Cat", "/m/014sv8": "Human eye"})


def test_the_rows_of_some_classes_are_kept_as_they_are(tmp_path: Path) -> None:
    rows = [row(i, mid) for i, mid in enumerate([CAT, DOG, RARE, CAT])]
    filter_table(write(tmp_path / "all.csv", rows), tmp_path / "some" / "kept.csv", "LabelName", [CAT, RARE])
    lines = (tmp_path / "some" / "kept.csv").read_text().splitlines()
    assert lines == [",".join(HEADER)] + [",".join(rows[i]) for i in (0, 2, 3)]
    assert [r["ImageID"] for r in read_table(tmp_path / "some" / "kept.csv")] == [image_id(i) for i in (0, 2, 3)]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"MaskPath": "../../evil.png"}, "expected a MaskPath such as"),
        ({"MaskPath": f"{image_id(1)}_m01yrx_/../../x.png"}, "expected a MaskPath such as"),
        ({"MaskPath": f"{image_id(2)}_m01yrx_00000001.png"}, "expected a MaskPath such as"),  # of another image
        ({"ImageID": "../../../../evil"}, "expected an ImageID of 16 hexadecimal digits, got '../../../../evil'"),
        ({"ImageID": "0123456789ABCDEF"}, "expected an ImageID of 16 hexadecimal digits"),
    ],
)
def test_names_that_are_none_are_refused_and_nothing_is_written(
    tmp_path: Path, changed: dict[str, str], expected: str
) -> None:
    table = write(tmp_path / "all.csv", [row(0), row(1, **changed)])
    with pytest.raises(InstsegError, match=r"all\.csv: row 3: .*" + expected):
        filter_table(table, tmp_path / "kept.csv", "LabelName", [CAT])
    assert [path.name for path in tmp_path.iterdir()] == ["all.csv"]


def test_a_row_that_was_cut_off_is_an_error(tmp_path: Path) -> None:
    table = write(tmp_path / "all.csv", [row(0), row(1)[:5]])
    with pytest.raises(InstsegError, match="row 3: expected 10 columns, got 5"):
        filter_table(table, tmp_path / "kept.csv", "LabelName", [CAT])


@pytest.mark.parametrize("content", [b"", b"<html>sign in</html>", b"ImageID,x\n", b"a\xff\xfe,b\n", b"\0,\0\n"])
def test_a_file_that_is_no_table_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "all.csv"
    path.write_bytes(content)
    with pytest.raises(InstsegError, match=r"all\.csv: expected a table"):
        check_table(path, ["ImageID", "LabelName"])
    with pytest.raises(InstsegError, match=r"all\.csv: expected a table"):
        list(read_table(path))
    with pytest.raises(InstsegError, match=r"all\.csv: expected"):
        check_classes(path)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.integers(0, 400), junk=st.binary(max_size=8))
def test_spoilt_tables_raise_nothing_else(tmp_path: Path, place: int, junk: bytes) -> None:
    content = write(tmp_path / "all.csv", [row(i) for i in range(3)]).read_bytes()
    (tmp_path / "all.csv").write_bytes(content[:place] + junk + content[place + len(junk) :])
    try:
        filter_table(tmp_path / "all.csv", tmp_path / "kept.csv", "LabelName", [CAT])
        rank_images(tmp_path / "kept.csv", "0/train")
    except InstsegError as error:
        assert "all.csv" in str(error)


def ranked(folder: Path, rows: Iterable[Sequence[str]], key: str = "0/train") -> list[str]:
    return rank_images(write(folder / "table.csv", rows), key)


def test_the_order_depends_on_the_key_and_the_ids_and_not_on_the_order_of_the_rows(tmp_path: Path) -> None:
    rows = [row(i) for i in range(200)]
    order = ranked(tmp_path, rows)
    assert sorted(order) == sorted(map(image_id, range(200)))
    assert ranked(tmp_path, rows[::-1]) == order
    assert ranked(tmp_path, rows, "1/train") != order
    few = ranked(tmp_path, rows[:150])
    assert few == [name for name in order if name in few]


def test_an_image_with_several_instances_is_listed_once(tmp_path: Path) -> None:
    assert ranked(tmp_path, [row(1), row(1), row(1, DOG)]) == [image_id(1)]


def test_the_first_images_lie_in_few_archives(tmp_path: Path) -> None:
    order = ranked(tmp_path, [row(i) for i in range(400)])
    assert len({name[0] for name in order[:20]}) <= 2
    assert len({name[0] for name in order}) == 16


def test_classes_take_turns_so_that_rare_ones_are_in_from_the_start(tmp_path: Path) -> None:
    rows = [row(i, CAT) for i in range(300)] + [row(i, RARE) for i in range(300, 305)]
    rare = {image_id(i) for i in range(300, 305)}
    assert rare <= set(ranked(tmp_path, rows)[:10])


def test_a_box_around_a_group_alone_makes_no_candidate(tmp_path: Path) -> None:
    header = ["ImageID", "LabelName", "IsGroupOf"]
    rows = [[image_id(0), CAT, "1"], [image_id(1), CAT, "1"], [image_id(1), CAT, "0"], [image_id(2), CAT, "-1"]]
    order = rank_images(write(tmp_path / "boxes.csv", rows, header), "0/train")
    assert sorted(order) == sorted([image_id(1), image_id(2)])
