"""Text in the encodings of tools on all systems comes out as it was written, or with marks for what is damaged."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instseg.core.decoding import EncodingDoubt, decode_text
from instseg.core.files import read_json, read_lines


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("汽车 a1", "gb18030"),
        ("狗，猫", "gb18030"),
        ("くるま", "shift_jis"),
        ("Straße, café", "cp1252"),
        ("Büro 3", "cp1252"),
        *(("汽车 Straße", encoding) for encoding in ("utf-8", "utf-16", "utf-16-le", "utf-32")),
        ("plain", "utf-8"),
    ],
)
def test_a_text_is_read_in_the_encoding_that_its_letters_show(text, encoding, tmp_path):
    content = json.dumps({"label": text}, ensure_ascii=False)
    assert decode_text(content.encode(encoding))[0] == content
    (tmp_path / "a.json").write_bytes(content.encode(encoding))
    noted: list[EncodingDoubt] = []
    assert read_json(tmp_path / "a.json", noted.append) == {"label": text}
    assert list(map(str, noted)) == ([] if encoding.startswith("utf") else [encoding])


@pytest.mark.parametrize(
    ("text", "encoding", "doubt"),
    [
        ("牛", "gb18030", "utf-8, but it may be gb18030: 牛"),  # C5 A3, which is an accented t in UTF-8
        ("猫", "gb18030", "utf-8, but it may be gb18030: 猫"),
        ("café", "utf-8", None),
        ("é", "utf-8", "utf-8, but it may be gb18030: 茅"),
        ("но", "utf-8", None),
        ("牛", "utf-8", None),
    ],
)
def test_accents_that_stand_alone_may_be_chinese_and_are_named(text, encoding, doubt, tmp_path):
    (tmp_path / "a.json").write_bytes(json.dumps({"label": text}, ensure_ascii=False).encode(encoding))
    noted: list[EncodingDoubt] = []
    content = read_json(tmp_path / "a.json", noted.append)
    assert list(map(str, noted)) == ([] if doubt is None else [doubt])
    assert encoding != "utf-8" or content == {"label": text}


def test_a_byte_order_mark_is_left_out_and_damage_is_marked():
    assert decode_text(b"\xef\xbb\xbfone\ntw\xff") == ("one\ntw\N{REPLACEMENT CHARACTER}", "utf-8")


@given(st.binary(max_size=40))
def test_any_bytes_are_some_text(data):
    text, encoding = decode_text(data)
    assert isinstance(text, str) and encoding


def test_empty_lines_count_where_the_number_of_a_line_means_something(tmp_path):
    (tmp_path / "classes.txt").write_text("car\n\n dog \n\n\n")
    assert read_lines(tmp_path / "classes.txt") == ["car", "dog"]
    assert read_lines(tmp_path / "classes.txt", keep_empty=True) == ["car", "", "dog"]
