"""Overrides that the audit suggests mean, once the shell and Hydra have read them, what was meant."""

from __future__ import annotations

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from instseg.core.shell_overrides import override, sayable


def read(text: str):
    (argument,) = shlex.split(text)
    parsed = OverridesParser.create().parse_override(argument)
    return parsed.key_or_group, parsed.value()


@pytest.mark.parametrize("name", ["car", "Sign Board", "it's", 'a "b"', "back\\slash\\", "é", "true", "1", "{x}", ""])
def test_a_list_of_names_comes_through_as_it_is(name):
    key, names = read(override("dataset.drop", [name, "other"]))
    assert key == "dataset.drop" and names == [name, "other"]


@pytest.mark.parametrize("old", ["Car ", " car", "sign board", "a:b", "a,b", "x=y", "(z)", "[0]", "\\d", "12", "c++"])
def test_a_renaming_comes_through_as_it_is(old):
    assert sayable(old)
    _, mapping = read(override("dataset.rename", {old: "Sign Board", "b": "it's"}))
    assert {str(key): value for key, value in mapping.items()} == {old: "Sign Board", "b": "it's"}


@pytest.mark.parametrize("old", ["it's", "é", 'a"', "true", "Null", "1e5", "-5", ""])
def test_names_that_no_mapping_on_the_command_line_can_hold_are_known(old):
    assert not sayable(old)


def test_numbers_are_written_short():
    assert read(override("model.anchors.sizes", [12.0, 24, [1.5, 2]]))[1] == [12, 24, [1.5, 2]]


@given(st.lists(st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="$")), min_size=1))
def test_any_names_come_through(names):
    assert read(override("dataset.drop", names))[1] == names
