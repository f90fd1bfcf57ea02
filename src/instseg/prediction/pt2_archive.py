"""The content of a .pt2 file, let through only where loading and running it computes on tensors and does nothing else.

``torch.export.load`` trusts its file: it unpickles objects, loads compiled libraries, evaluates the expressions of
sizes as Python, and looks up what a node calls by its path below ``torch``, the ``os`` that is found there included. So
a file is read here first, and what is handed on is what was read. The list of what is allowed holds all that a network
of this package is made of; whatever is not on it is refused. Imports no torch.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.text import printable

MODEL, SAMPLE = "models/model.json", "data/sample_inputs/model.pt"
WEIGHTS, CONSTANTS = "data/weights/model_weights_config.json", "data/constants/model_constants_config.json"
EXTRA = "extra/"
ENTRY = re.compile(
    r"\.data/\w+|byteorder|archive_(format|version)|extra/\w+|models/model\.json|data/sample_inputs/model\.pt"
    r"|data/weights/(model_weights_config\.json|weight_\d+)|data/constants/(model_constants_config\.json|tensor_\d+)",
    re.ASCII,
)
NAME = re.compile(r"[\w.+-]*", re.ASCII)
"""Of all texts and keys without a rule of their own: PyTorch writes names into the program that it then compiles."""
RULES: Mapping[str, re.Pattern[str]] = {
    "path_name": re.compile(r"(weight|tensor)_\d+", re.ASCII),
    "target": re.compile(
        r"\w*|torch\.ops\.(aten|torchvision)\.\w+\.\w+|torch\.sym_(not|max|min|int|float|ite|sqrt)"
        r"|_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_|not_|getitem)",
        re.ASCII,
    ),
    "expr_str": re.compile(
        r"((Add|Mul|Integer|Rational|Max|Min|FloorDiv|CeilDiv|PythonMod|Mod|Eq|Ne|Lt|Le|Gt|Ge|Not|And|Or)\("
        r"|Symbol\('[su]\d+'|(positive|integer|nonnegative)=(True|False)|[su]\d+|-?\d+|True|False|[(), ])*",
        re.ASCII,
    ),
    "as_string": re.compile(
        "constant|reflect|replicate|circular|none|tanh|floor|trunc|ij|xy|nearest|bilinear", re.ASCII
    ),
    "type": re.compile(r"builtins\.(tuple|list|dict)|cpu", re.ASCII),
    "context": re.compile(r"null|\[\]", re.ASCII),
}
"""Key -> its texts. An operator that opens files would need the name of one, ``as_string``."""
NEVER = ("as_graph", "as_custom_obj", "as_operator", "guards_code", "metadata", "use_pickle")
"""Keys that lead to code, or may; our files leave them empty."""
PARSED = ("in_spec", "out_spec")
"""Keys whose texts are json again."""


class UnsafeFileError(InstsegError):
    """A file that might do more than compute."""


def read_archive(path: Path) -> dict[str, bytes]:
    """Return the entries of a .pt2 file, by their name below its first folder.

    Raises:
        InstsegError: it is damaged, or holds something that is not allowed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                _require(entry.compress_type == zipfile.ZIP_STORED, path, f"{entry.filename} compressed")
            entries = {entry.filename.partition("/")[2]: archive.read(entry) for entry in archive.infolist()}
            for name in entries:
                _require(ENTRY.fullmatch(name) is not None, path, f"the entry {name}")
            _check(entries, path)
    except (zipfile.BadZipFile, OSError, NotImplementedError, KeyError, ValueError, RecursionError) as error:
        raise InstsegError(f"{path} cannot be read as a .pt2 file: {error}") from error
    return entries


def _check(entries: Mapping[str, bytes], path: Path) -> None:
    _require(not entries[SAMPLE], path, "pickled inputs")
    for name in (MODEL, WEIGHTS, CONSTANTS):
        content: object = json.loads(entries[name])
        for key, value in _leaves(content, ""):
            _require(NAME.fullmatch(key) is not None, path, f"the key {key}")
            _require(key not in NEVER or not value, path, f"{key} with content")
            rule = RULES.get(key, NAME)
            _require(not isinstance(value, str) or rule.fullmatch(value) is not None, path, f"{key} {value}")


def _leaves(content: object, key: str) -> Iterator[tuple[str, object]]:
    """Yield each value within that holds no others, with the key of the mapping that it stands in; and each key."""
    if key in PARSED and isinstance(content, str):
        content = json.loads(content)
    if isinstance(content, dict):
        for inner, value in content.items():
            yield str(inner), None
            if inner in NEVER:
                yield str(inner), value
            else:
                yield from _leaves(value, str(inner))
    elif isinstance(content, list):
        for entry in content:
            yield from _leaves(entry, key)
    else:
        yield key, content


def _require(is_allowed: bool, path: Path, found: str) -> None:
    if not is_allowed:
        raise UnsafeFileError(
            f"{path} is not loaded: expected tensors and operators on them alone, found {printable(found)}"
        )
