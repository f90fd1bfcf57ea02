"""Overrides that were probably meant by a setting of another name, with its value, written for the shell."""

from __future__ import annotations

import shlex

from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.other_tools import DEVICES, OF_OTHER_TOOLS, on_device
from instseg.app.suggestions import closest_keys, known_keys
from instseg.app.text_arguments import as_texts

LABELS = "dataset.root"


def setting_meant(config_name: str, name: str, value: str) -> str:
    """Return the overrides that do here what a setting of another name does; empty where none is alike.

    Args:
        config_name: train, predict, next or serve.
        name: as it was typed, such as ``epochs`` or ``SOLVER.BASE_LR``.
        value: as it was typed; empty for none.
    """
    if name in DEVICES and value:
        return on_device(config_name, value)
    known = known_keys(config_name, (), CONFIG_DIR)
    named = OF_OTHER_TOOLS[config_name].get(name, "").partition("=")[0]
    if config_name == "train" and LABELS in (name, named):
        return labels_in(value or "FOLDER")
    keys = [named] if named in known else [name] if name in known else closest_keys(name, known)
    return typed(keys[0], value or "…") if keys else ""


def is_setting(config_name: str, name: str) -> bool:
    """Tell whether a name is that of a setting, here, in another tool, or as the last part of a key.

    Args:
        config_name: train, predict, next or serve.
        name: as it was typed.
    """
    if name in OF_OTHER_TOOLS[config_name]:
        return True
    known = known_keys(config_name, (), CONFIG_DIR)
    return any(name in (key, key.rpartition(".")[2]) for key in known)


def labels_in(folder: str) -> str:
    """Return the overrides for a folder of labels in whatever format."""
    return f"dataset=auto {typed(LABELS, folder)}"


def typed(key: str, value: str) -> str:
    """Return an override as it is typed into a shell, with the quotes that it needs there.

    Args:
        key: dotted.
        value: its text.
    """
    return shlex.quote(as_texts([f"{key}={value}"])[0])
