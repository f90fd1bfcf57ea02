"""Commands and settings that README, docs and configs show exist: verbs, groups, options, keys and their ranges."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from documented import (
    CONF,
    FLAGS_WITH_VALUE,
    ROOT,
    command_of_comment,
    commands_of,
    documents,
    settings_of,
    unknown_parts,
)

from instseg.app.flags import FLAGS
from instseg.app.verbs import EXPORT_KEYS, VERBS

CONFIGS = sorted([*CONF.rglob("*.yaml"), *(ROOT / "src/instseg/app/new_project").rglob("*.*")])
COMPOSING = [name for name, verb in VERBS.items() if verb.composes]
OTHER_NAMES = ("CHANGELOG.md", "other_tools.md")
"""Pages that speak of names that are gone, or of those of other tools, whose counterparts have a test of their own."""
OF_PLAIN_VERBS = {"metric", "root"}
"""Keys of verbs that compose no config."""


def wrong_parts(verb: str, *arguments: str) -> list[str]:
    settings = [word for before, word in pairwise(["", *arguments]) if before not in FLAGS_WITH_VALUE]
    if verb == "instseg":  # without a verb there are flags alone
        return [word for word in settings if word.partition("=")[0] not in ("-sc", "--help", "--version", "install")]
    wrong = []
    for word in settings:
        if word.startswith("-"):
            wrong += [word] if word.partition("=")[0] not in FLAGS else []
        elif verb in COMPOSING and "=" in word:
            is_export_key = verb == "export" and word.partition("=")[0] in EXPORT_KEYS
            wrong += unknown_parts(verb, f"export.{word}" if is_export_key else word)
        elif verb not in COMPOSING and "=" in word:
            wrong += [word] if word.partition("=")[0] not in OF_PLAIN_VERBS else []
    return wrong


@pytest.mark.parametrize("page", documents(), ids=lambda page: page.name)
def test_the_commands_of_a_page_exist(page: Path):
    found = [(" ".join(command), wrong_parts(*command)) for command in commands_of(page.read_text())]
    assert [(command, wrong) for command, wrong in found if wrong] == []


@pytest.mark.parametrize("page", [p for p in documents() if p.name not in OTHER_NAMES], ids=lambda page: page.name)
def test_the_settings_in_the_text_of_a_page_exist(page: Path):
    assert [wrong for setting in settings_of(page.read_text()) for wrong in unknown_parts("train", setting)] == []


def test_the_commands_in_the_comments_of_the_configs_exist():
    lines = [(file.name, line) for file in CONFIGS for line in file.read_text().splitlines()]
    commands = [(name, command) for name, line in lines if (command := command_of_comment(line))]
    assert len(commands) > 30
    assert [(name, command, wrong) for name, command in commands if (wrong := wrong_parts(*command))] == []


def test_a_wrong_command_would_be_seen():
    assert wrong_parts("train", "dataset=cocoo", "model.weigths=none", "optimizer.lr=-1", "--multirn") == [
        "dataset=cocoo", "model.weigths", "optimizer.lr=-1: expected a number above 0", "--multirn",
    ]  # fmt: skip
    assert wrong_parts("predict", "checkpoint=latest", "optimizer.lr=1e-3", "save=[overlays]") == []


def test_the_readme_tests_with_the_command_that_is_run_before_a_release():
    (shown,) = re.findall(r"^.*&& pytest.*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert shown in (ROOT / ".ci/run").read_text().splitlines()
