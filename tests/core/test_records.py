"""Files that the package wrote are read back typed, or refused with file, field, expected and found."""

from __future__ import annotations

import contextlib
import os

import msgspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from instseg.core.records import (
    Record,
    RecordError,
    convert_plain,
    convert_record,
    parse_record,
    read_plain,
    read_record,
    write_record,
)
from instseg.core.yaml_records import read_plain_yaml


class Shelf(Record, frozen=True, kw_only=True):
    VERSION = 2
    READABLE = (1, 2)
    name: str
    widths_mm: list[float] = msgspec.field(default_factory=list)


def refused(text: bytes) -> str:
    with pytest.raises(RecordError) as caught:
        parse_record(text, Shelf, "shelf.json", "build it anew")
    return str(caught.value)


def test_a_record_is_read_as_it_was_written(tmp_path):
    write_record(tmp_path / "shelf.json", Shelf(name="Billy", widths_mm=[80, 40.5]))
    read = read_record(tmp_path / "shelf.json", Shelf, "build it anew")
    assert (read.name, read.widths_mm, read.version) == ("Billy", [80.0, 40.5], 2)


def test_a_wrong_type_is_named_with_file_field_expected_and_found():
    expected = "shelf.json: field widths_mm[1]: expected `float`, found `str`; build it anew"
    assert refused(b'{"name": "Billy", "widths_mm": [80, "wide"]}') == expected


def test_a_missing_field_is_named():
    assert refused(b'{"widths_mm": []}') == "shelf.json: field name: expected a value, found none; build it anew"


def test_a_file_of_a_later_version_asks_for_an_update():
    assert refused(b'{"name": "B", "version": 3}') == (
        "shelf.json: field version: expected 2, found 3; update instseg, or build it anew"
    )


def test_an_older_layout_that_is_still_understood_is_read():
    assert parse_record(b'{"name": "B"}', Shelf, "shelf.json", "").version == 1


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"name": "\xed\xa0\x80"}'])
def test_what_is_no_record_is_refused(text):
    assert refused(text).startswith("shelf.json: expected")


def test_a_missing_file_and_a_folder_in_its_place_are_refused(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(RecordError, match="build it anew"):
            read_record(path, Shelf, "build it anew")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_record_or_a_record_error(content):
    with contextlib.suppress(RecordError):
        assert isinstance(parse_record(content, Shelf, "f", "r"), Shelf)


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.floats(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_plain_containers_are_a_record_or_a_record_error(content):
    with contextlib.suppress(RecordError):
        convert_record(content, Shelf, "f", "r")


def test_a_tensor_in_the_place_of_a_mapping_is_refused():
    class Named(Record, frozen=True, kw_only=True):
        widths_mm: dict[str, float]

    with pytest.raises(RecordError, match=r"shelf: .*Tensor.*; build it anew"):
        convert_record({"widths_mm": torch.ones(3)}, Named, "shelf", "build it anew")


@pytest.mark.parametrize("read", [read_record, read_plain, read_plain_yaml])
def test_a_pipe_a_device_and_a_file_larger_than_any_of_ours_are_refused_at_once(read, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**40)
    for name, said in (("pipe", "a file"), ("device", "a file"), ("huge", r"at most \d+ bytes, found 1099511627776")):
        with pytest.raises(RecordError, match=f"{name}: expected {said}.*build it anew"):
            read(tmp_path / name, Shelf, "build it anew")


def test_a_key_of_another_type_is_said_to_be_a_key():
    with pytest.raises(RecordError, match="a key of its mapping: expected `str`, found `int`"):
        convert_plain({5: 1.0}, dict[str, float], "metrics.json", "")
    with pytest.raises(RecordError, match="a key of shelf: expected `str`, found `int`"):
        convert_plain({"shelf": {5: 1.0}}, _Room, "room.json", "")


class _Room(msgspec.Struct):
    shelf: dict[str, float]


@pytest.mark.parametrize("text", ["a: &a\n  b: *a\n", "a: &a [1]\nb: *a\n", "a: &a {b: 1}\nc:\n  <<: *a\n"])
def test_an_alias_in_yaml_is_refused_because_it_may_stand_for_a_circle_or_for_more_than_memory_holds(text, tmp_path):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(RecordError, match=r"config\.yaml: expected yaml, found a damaged file \(an alias"):
        read_plain_yaml(tmp_path / "config.yaml", dict[str, object], "build it anew")
