"""The files of the options of a group, looked into without composing a config."""

from __future__ import annotations

import re
from pathlib import Path

from instseg.app.conf_folder import CONFIG_DIR


def keys_of(name: str, indent: int = 2) -> str:
    """Return the lines of a config between its defaults and the settings of Hydra, as they stand there: for the help.

    Args:
        name: of the config, such as predict.
        indent: spaces before each line but the first.
    """
    text = (CONFIG_DIR / f"{name}.yaml").read_text(encoding="utf-8")
    own = text.partition("\n\n")[2].partition("\nhydra:")[0].strip().splitlines()
    return ("\n" + " " * indent).join(line for line in own if "_target_:" not in line)


def has_key(file: Path, key: str) -> bool:
    """Tell whether an option has a key at its top, its own or of an option that it starts from.

    Args:
        file: of the option.
        key: without dots.
    """
    parents = re.search(r"^defaults: \[(.*)\]", file.read_text(encoding="utf-8"), re.M)
    bases = [file.with_name(f"{name.strip()}.yaml") for name in parents[1].split(",")] if parents else []
    return sets_key(file, key) or any(has_key(base, key) for base in bases if base.is_file())


def sets_key(file: Path, key: str) -> bool:
    """Tell whether an option itself sets a key at its top.

    Args:
        file: of the option.
        key: without dots.
    """
    return re.search(rf"^{re.escape(key)}:", file.read_text(encoding="utf-8"), re.M) is not None
