"""The words of the source, held by tests: docstrings, the terms of the vocabulary, and how much of it is untyped."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeGuard

import pytest

SRC = Path(__file__).parents[1] / "src"
FILES = sorted(SRC.rglob("*.py"))

QUESTION = re.compile(r"(What|Which|Where|Whether|How|Who|When|Why)\b")
"""A docstring that opens like this is a noun phrase that must be read twice: say what the function does."""

WRONG_WORDS = {
    r"outlines?": "polygon, or contour",
    r"mend(s|ed|ing)?": "fix",
    r"photos?": "image",
    r"(go|goes|going|went) on": "resume, or continue",
    r"shares? of": "fraction of",
    r"look-?alikes?": "near duplicate",
    r"by heart": "overfit",
}
"""Wrong word -> the field's own. Looked for in docstrings and in texts such as messages."""

HOOKS = re.compile(r"on_|(training|validation|test|predict)_step$|(setup|teardown|forward|backward|plugin_\w+)$")
"""Methods whose parameters are given by Lightning, torch or Hydra, and are described there."""

MAX_ANY_PER_1000_LINES = 1.0
MAX_IGNORES_PER_1000_LINES = 0.1

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def docstrings() -> Iterator[tuple[Path, str, str]]:
    """Yield file, name and docstring of all modules, classes and functions that have one."""
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, Documented) and (text := ast.get_docstring(node)):
                yield path, getattr(node, "name", path.stem), text


@cache
def prose() -> list[tuple[Path, ast.Constant]]:
    """List the texts that are sentences, such as docstrings and messages."""
    constants = ((path, node) for path in FILES for node in ast.walk(tree(path)) if isinstance(node, ast.Constant))
    return [(path, node) for path, node in constants if is_prose(node.value)]


def public_functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    """Yield the functions of a module and the methods of its classes that are meant to be called from outside."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body)
        elif isinstance(node, ast.FunctionDef) and not (node.name.startswith("_") or is_given(node)):
            yield node


def is_given(function: ast.FunctionDef) -> bool:
    """Tell whether the parameters are those of a hook, of an overload or of a method that is overridden."""
    decorators = {ast.unparse(decorator) for decorator in function.decorator_list}
    return bool(HOOKS.match(function.name)) or bool(decorators & {"override", "overload", "typing.override"})


def num_parameters(function: ast.FunctionDef) -> int:
    listed = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
    return sum(argument.arg not in ("self", "cls") for argument in listed)


def lines(found: list[tuple[Path, str]]) -> list[str]:
    return [f"{path.relative_to(SRC)}: {what}" for path, what in found]


def is_prose(value: object) -> TypeGuard[str]:
    """Tell a text from a value, such as the name of a folder that people call photos."""
    return isinstance(value, str) and " " in value


def test_no_docstring_opens_with_a_question_word():
    found = [(path, f"{name}: {text.splitlines()[0]}") for path, name, text in docstrings() if QUESTION.match(text)]
    assert lines(found) == []


def test_every_public_function_with_two_parameters_describes_them():
    found = [
        (path, function.name)
        for path in FILES
        for function in public_functions(tree(path).body)
        if num_parameters(function) >= 2 and "Args:" not in (ast.get_docstring(function) or "")
    ]
    assert lines(found) == []


@pytest.mark.parametrize("wrong", WRONG_WORDS)
def test_docstrings_and_messages_use_the_words_of_the_field(wrong):
    pattern = re.compile(rf"\b{wrong}\b", re.IGNORECASE)
    found = [
        (path, f"line {node.lineno}: {match[0]!r}, write {WRONG_WORDS[wrong]}")
        for path, node in prose()
        if (match := pattern.search(node.value))
    ]
    assert lines(found) == []


def test_little_of_the_source_is_untyped(capsys):
    num_lines = sum(len(path.read_text().splitlines()) for path in FILES)
    names = [node.id for path in FILES for node in ast.walk(tree(path)) if isinstance(node, ast.Name)]
    per_1000 = names.count("Any") * 1000 / num_lines
    ignored = sum(path.read_text().count("# type: ignore") for path in FILES) * 1000 / num_lines
    with capsys.disabled():
        print(f" {per_1000:.1f} Any and {ignored:.2f} ignored types in 1,000 lines ", end="")
    assert per_1000 <= MAX_ANY_PER_1000_LINES
    assert ignored <= MAX_IGNORES_PER_1000_LINES
