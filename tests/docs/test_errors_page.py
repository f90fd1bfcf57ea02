"""The page about errors quotes sentences that the source can say, word for word."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "errors.md"
SENTENCES = [" ".join(block.split()) for block in re.findall(r"^```text\n(.*?)^```", PAGE.read_text(), re.S | re.M)]
MIN_FIXED = 0.25
"""Fraction of a sentence that stands in the source as it is; the rest are names and numbers of the example."""


@cache
def templates() -> list[list[str]]:
    """Every text of the source, as the parts between what is filled in."""
    return [text for path in (ROOT / "src").rglob("*.py") for text in texts_of(ast.parse(path.read_text()))]


def texts_of(tree: ast.AST) -> Iterator[list[str]]:
    """The parts of each text that stand as they are, with single spaces; between two of them something is filled in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            filled = "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
            yield re.sub(r"\s+", " ", filled).split("\0")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield [node.value]


def is_said(sentence: str) -> bool:
    return any(
        sum(map(len, parts)) >= MIN_FIXED * len(sentence)
        and sentence.startswith(parts[0])
        and sentence.endswith(parts[-1])
        and re.fullmatch(".*".join(map(re.escape, parts)), sentence)
        for parts in templates()
    )


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: sentence[:40])
def test_a_sentence_of_the_page_is_one_of_the_source(sentence):
    assert is_said(sentence)


def test_a_sentence_that_nothing_says_would_be_seen():
    assert len(SENTENCES) > 25
    assert not is_said("dataset.root: there is no folder of this name: photos")
