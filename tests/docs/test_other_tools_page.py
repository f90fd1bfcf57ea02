"""The page about other tools has the tables that the command answers from, and what they advise can be typed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from documented import unknown_parts

from instseg.app.other_tools import OF_OTHER_TOOLS, OF_PREDICT, OF_TOOLS

PAGE = Path(__file__).parents[2] / "docs" / "other_tools.md"
SETTING = re.compile(r"[\w./]+=\S+?(?=[,:]?(?:\s|$))")
"""A ``key=value`` within a sentence."""


def table(names: dict[str, str]) -> str:
    """The rows of a table: the other tool's name, and ours with its settings in code."""
    return "\n".join(f"| `{name}` | {in_code(ours)} |" for name, ours in names.items())


def in_code(answer: str) -> str:
    return SETTING.sub(r"`\g<0>`", answer)


@pytest.mark.parametrize("tool", OF_TOOLS)
def test_the_page_has_every_name_of_a_tool(tool):
    assert table(dict(OF_TOOLS[tool])) in PAGE.read_text()


def test_the_page_has_every_name_of_predicting():
    assert table(dict(OF_PREDICT)) in PAGE.read_text()


@pytest.mark.parametrize("command", OF_OTHER_TOOLS)
def test_what_is_advised_exists(command):
    settings = [setting for answer in OF_OTHER_TOOLS[command].values() for setting in SETTING.findall(answer)]
    assert len(settings) > 10
    assert [setting for setting in settings if unknown_parts(command, setting)] == []
