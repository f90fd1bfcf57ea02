"""What is known of each key of a config: that it holds a path, or one of a few texts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest
from omegaconf import OmegaConf

from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.config import NextConfig, PredictConfig, RunConfig, ServeConfig
from instseg.app.text_arguments import as_texts
from instseg.app.value_ranges import NEXT_VALUES, PREDICT_VALUES, RUN_VALUES, SERVE_VALUES

PLACES = {
    "root", "images", "image_folder", "annotations", "output", "outputs", "source", "cache_dir", "files", "weights",
    "splits_file", "labelled", "curve", "corrected", "checkpoint", "resume", "reproduce",
}  # fmt: skip
"""Last part of a key whose value is a file or a folder."""


def plain_keys(file: Path) -> list[str]:
    """Dotted keys of a config file, as one types them."""
    group = file.parent.relative_to(CONFIG_DIR).as_posix().replace("/", ".")
    is_of_all = group == "." or "@package _global_" in file.read_text()
    content = flattened(OmegaConf.to_container(OmegaConf.load(file)), "" if is_of_all else f"{group}.")
    return [key for key, value in content.items() if not str(value).startswith("${")]


def flattened(node, prefix: str = "") -> dict[str, object]:
    if not isinstance(node, dict):
        return {prefix.removesuffix("."): node}
    return {key: value for name, inner in node.items() for key, value in flattened(inner, f"{prefix}{name}.").items()}


def test_the_value_of_every_key_of_a_place_is_read_as_the_text_that_was_typed():
    keys = {key for file in CONFIG_DIR.rglob("*.yaml") for key in plain_keys(file)}
    places = {key for key in keys if key.rpartition(".")[2] in PLACES}
    assert {"export.output", "dataset.splits.val.images", "labelstudio.files"} <= places
    for key in (*places, "dataset.sources.phone.root"):
        assert as_texts([f"{key}=2024_05"]) == [f'{key}="2024_05"'], key


def choices_in(kind, prefix: str = "") -> set[str]:
    """Dotted keys of a config whose type is a choice of texts."""
    found = set()
    for name, hint in get_type_hints(kind).items():
        parts = (hint, *get_args(hint))
        if any(get_origin(part) is Literal for part in parts):
            found.add(prefix + name)
        for part in parts:
            if isinstance(part, type) and issubclass(part, msgspec.Struct):
                found |= choices_in(part, f"{prefix}{name}.")
    return found


@pytest.mark.parametrize(("kind", "values"), [
    (RunConfig, RUN_VALUES), (PredictConfig, PREDICT_VALUES), (NextConfig, NEXT_VALUES), (ServeConfig, SERVE_VALUES),
])  # fmt: skip
def test_every_choice_of_a_config_is_listed_where_a_wrong_one_is_answered(kind, values):
    assert choices_in(kind) <= values.keys()
