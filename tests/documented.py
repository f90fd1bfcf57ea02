"""Commands and settings that the documentation shows, looked up in the configs without composing any."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import yaml

from instseg.app.value_ranges import NEXT_VALUES, PREDICT_VALUES, RUN_VALUES, SERVE_VALUES
from instseg.app.verbs import VERBS

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
OWN = (ROOT / "tests" / "outside" / "conf", ROOT / "src" / "instseg" / "app" / "new_project" / "conf")
"""Configs of the pages about adding one's own, and of a project that ``instseg init`` writes."""
GROUPS = {path.name for path in CONF.iterdir() if path.is_dir() and path.name != "hydra"}
FREE = re.compile(r"hydra\.|dataset\.rename\.|dataset\.sources\.")
"""Keys whose leaves are not ours: Hydra's, and names that a user gives."""
FLAGS_WITH_VALUE = ("--config-dir", "-cd", "--cfg", "-c", "--package", "-p")
OF_MODELS = {"predict": PREDICT_VALUES, "next": NEXT_VALUES, "serve": SERVE_VALUES}
"""Verb that composes a config of its own -> the values of its keys."""
FILES = (".py", ".json", ".yaml", ".onnx")
SEVERAL = re.compile(r"[,(\[{…<]|\$")
"""Marks of a value that is not one value: a list, a function, a reference, a place to fill."""


def documents() -> list[Path]:
    """All pages of the documentation."""
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])


def commands_of(text: str) -> Iterator[list[str]]:
    """Yield the arguments of each command of ours in the bash blocks of a page, beginning with its verb."""
    for block in re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split(" && "):
                if arguments := _arguments(part):
                    yield arguments


def command_of_comment(line: str) -> list[str]:
    """The same of a comment of a config, from where the command begins; empty where there is none."""
    typed = re.search(r"(python (train|predict)\.py|instseg [a-z-]+) .*", line)
    return _arguments(re.split(r"\s{3,}", typed[0])[0].rstrip("\\ ")) if typed and "#" in line[: typed.start()] else []


def settings_of(text: str) -> list[str]:
    """Settings in the running text that name a group, or a key of one: ``model=small``, ``trainer.max_epochs``."""
    code = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    words = [word for piece in code for word in piece.split()]
    setting = re.compile(rf"[+~]*({'|'.join(sorted(GROUPS))})(\.[a-z_0-9.]+$|\.[a-z_0-9.]+=|=.)")
    return [word for word in words if setting.match(word) and Path(word).suffix not in FILES]


def unknown_parts(verb: str, setting: str) -> list[str]:
    """Say what is wrong with ``key=value`` or ``group=option`` of a command; nothing where all of it exists."""
    key, equals, value = setting.lstrip("+~").partition("=")
    if key in GROUPS:
        return [f"{key}={option}" for option in _options(value) if not _option_files(key, option.strip())]
    if setting.startswith("+") or FREE.match(key) or "<" in key:
        return []
    if key not in known_keys(verb if verb in OF_MODELS else "train"):
        return [key]
    ranges = OF_MODELS.get(verb, RUN_VALUES)
    is_wrong = equals and key in ranges and not SEVERAL.search(value) and _number(value) not in ranges[key]
    return [f"{setting}: expected {ranges[key]}"] if is_wrong else []


@cache
def known_keys(name: str) -> frozenset[str]:
    """Every dotted key that ``train``, ``predict``, ``next`` or ``serve`` may have, with whatever options."""
    keys = set(_dotted(_read(CONF / f"{name}.yaml")))
    for group in GROUPS:
        for file in [file for conf in (CONF, *OWN) for file in (conf / group).glob("*.yaml")]:
            is_global = "@package _global_" in file.read_text()
            keys |= set(_dotted(_read(file), "" if is_global else f"{group}."))
    return frozenset(keys)


def _arguments(command: str) -> list[str]:
    words = shlex.split(command, comments=True)
    for position, word in enumerate(words):
        if word in ("train.py", "predict.py") or word.endswith("/train.py"):
            return [Path(word).stem, *words[position + 1 :]]
        if word == "instseg" and words[position + 1 : position + 2] and words[position + 1] in VERBS:
            return words[position + 1 :]
        if word == "instseg" and position == 0:
            return ["instseg", *words[1:]]
    return []


def _options(value: str) -> list[str]:
    options = re.split(r"[,|]", value.strip("[]"))
    return [option for option in options if option.strip() not in ("", "null") and not re.search(r"[<…]", option)]


def _option_files(group: str, option: str) -> list[Path]:
    files = [conf / group / f"{option}.yaml" for conf in (CONF, *OWN)]
    return [file for file in files if file.is_file()]


def _read(file: Path) -> Mapping[str, object]:
    return yaml.safe_load(file.read_text()) or {}


def _dotted(config: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    for key, value in config.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")


def _number(value: str) -> object:
    try:
        return float(value) if re.search(r"[.e]", value) else int(value)
    except ValueError:
        return yaml.safe_load(value)
