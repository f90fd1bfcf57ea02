"""Arguments whose value is a name or a path: it reaches the config as the text that was typed, whatever it looks like.

Hydra reads ``2024_01`` as the number 202401, ``a,b`` as two values, ``my {x}`` not at all. In quotes they are texts. So
are the options of groups.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from instseg.app.conf_folder import CONFIG_DIR
from instseg.core.errors import InstsegError
from instseg.core.overrides import MULTIRUN, quoted
from instseg.core.text import visible_lines

TEXTS = (
    "checkpoint", "resume", "reproduce", "outputs", "cache_dir", "run_dir", "source", "labelled", "output", "curve",
    "weights", "device", "categories", "dataset.root", "dataset.cache_dir", "dataset.images", "dataset.image_folder",
    "dataset.splits_file", "dataset.group_by", "dataset.categories", "dataset.drop", "dataset.corrected",
    "model.weights", "export.output", "export.source", "labelstudio.files",
)  # fmt: skip
"""Keys with a text, or with a list of texts."""
NAMED_TEXTS = re.compile(r"dataset\.(splits|sources)\.[^.]+\.(root|images|annotations|image_folder)")
"""The same below a name that the user chooses: of a split, or of one of several sources."""

READ_AS_TEXT = re.compile(
    r"(?!(?:true|false|nan|inf)$)(?:[a-z_~/]|\.+/)[\w~/.:@+*?-]*|\.\.?|", re.IGNORECASE | re.ASCII
)
FUNCTION = re.compile(r"(choice|range|interval|glob|sort|shuffle|tag|extend_list|str)\(.*\)", re.DOTALL)
INTERPOLATION = re.compile(r"\$\{[^${}]+\}")


def as_texts(arguments: Sequence[str]) -> list[str]:
    """Quote names and paths where Hydra would read something else than their text.

    Args:
        arguments: of the command, as they were typed.

    Raises:
        InstsegError: a name holds what starts an interpolation, or an argument what no name can hold.
    """
    for argument in arguments:
        _refuse_what_names_nothing(argument)
    is_sweep = any(a in MULTIRUN or a.startswith("sweep=") for a in arguments)
    return [_as_text(argument, is_sweep) for argument in arguments]


def is_text(key: str) -> bool:
    """Tell whether the value of a dotted key is a text, whatever it looks like."""
    return key in TEXTS or NAMED_TEXTS.fullmatch(key) is not None


def _refuse_what_names_nothing(argument: str) -> None:
    """Raise InstsegError for half a pair of surrogates; a byte that is no UTF-8 may stand in a file name alone."""
    is_address = "://" in argument
    try:
        argument.encode() if is_address else os.fsencode(argument)
    except UnicodeEncodeError as error:
        holder, found = "an address" if is_address else "a file name", f"U+{ord(argument[error.start]):04X}"
        raise InstsegError(
            f"{visible_lines(argument)}: expected characters that {holder} can hold, found {found}; type it again"
        ) from None


def reference_in(argument: str) -> InstsegError:
    """Return the error of a name that a config would take for a reference.

    Args:
        argument: that holds the name.
    """
    return InstsegError(f"{argument}: ${{ starts a reference to another key, and no name may hold it: rename it")


def _as_text(argument: str, is_sweep: bool) -> str:
    key, equals, value = argument.partition("=")
    name = key.lstrip("+")
    is_group = "." not in name and (CONFIG_DIR / name).is_dir()
    if not equals or not (is_group or is_text(name)):
        return argument
    if value == "null":  # of a group: no option of it, which Hydra writes as a list
        return f"{key}=[]" if is_group else argument
    if "${" in INTERPOLATION.sub("", value):
        raise reference_in(argument)
    if value[:1] in ("'", '"') or FUNCTION.fullmatch(value) or (is_sweep and "," in value):
        return argument
    if value.startswith("[") and value.endswith("]"):
        return f"{key}=[{_list(value[1:-1])}]"
    return argument if READ_AS_TEXT.fullmatch(value) else quoted(key, value)


def _list(entries: str) -> str:
    """Quote the entries of a list, unless it holds quotes or lists already."""
    if not entries.strip() or re.search(r"""["'\[\]{}]""", entries):
        return entries
    return ",".join(_quoted_entry(entry.strip()) for entry in entries.split(","))


def _quoted_entry(entry: str) -> str:
    return entry if entry == "null" or READ_AS_TEXT.fullmatch(entry) else quoted("", entry).removeprefix("=")
