"""A value in quotes reaches Hydra as it is, and what is typed in quotes is read as Hydra reads it."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from instseg.core.overrides import quoted, typed_values

VALUES = ["/a/b", "a, b", "a=b", "[a] {b} (c)", "'a'", 'say "b"', "it's", "\\", '\\"', "a\\b\\\\c", "", "ä#%:$"]


@pytest.mark.parametrize("value", VALUES)
def test_any_value_is_quoted_so_that_hydra_reads_the_same(value):
    override = quoted("key", value)
    assert str(OverridesParser.create().parse_override(override).value()) == value
    assert typed_values([override]) == {"key": value}


@pytest.mark.parametrize("text", ["'a\\'b'", '"a\\\\"', "'a\"b'", '"a\\b"'])
def test_other_quotes_are_read_as_hydra_reads_them(text):
    assert typed_values([f"key={text}"])["key"] == str(OverridesParser.create().parse_override(f"key={text}").value())


def test_flags_are_no_values_and_a_path_may_be_typed_without_quotes():
    assert typed_values(["-m", "--multirun", "resume=a, b=c", "+x=1"]) == {"resume": "a, b=c", "+x": "1"}
