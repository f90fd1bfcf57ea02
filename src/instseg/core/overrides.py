"""Overrides ``key=value`` in Hydra's grammar, read and written without Hydra.

In that grammar a comma, a bracket, a space, a quote or an = has a meaning: a path that contains one of them is written
in quotes. A path given without them, as a shell completes it, is understood as well.
"""

from __future__ import annotations

import re
import reprlib
import unicodedata
from collections.abc import Iterable, Mapping

from instseg.core.errors import InstsegError
from instseg.core.plain_values import NotPlainError, check_plain_value

VALUE_KEYS = (
    "stage", "checkpoint", "resume", "retry_failed", "reproduce", "batch_size", "num_workers", "compile",
    "train_fraction", "overfit_images", "seed", "monitor", "audit", "outputs", "cache_dir", "colour_by", "run_dir",
    "report", "operating_point", "recalibrate", "repeat_threshold", "label_errors",
    "export", "export_check",
)  # fmt: skip
"""The keys of ``conf/train.yaml`` that have a value; every other key without a dot is a group, ours or a user's own."""

LAUNCHER_KEYS = frozenset(
    f"hydra.launcher.{name}"
    for name in (
        "n_jobs", "timeout", "timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes",
        "name", "stderr_to_stdout", "partition", "qos", "constraint", "exclude", "gres", "cpus_per_gpu",
        "gpus_per_task", "mem_per_gpu", "mem_per_cpu", "account", "signal_delay_s", "max_num_timeout",
        "array_parallelism",
    )
)  # fmt: skip
"""Settings of a launcher that the command of a sweep may hold: how much of which machines, and for how long.

Missing on purpose: ``setup`` and ``additional_parameters`` (lines of a shell script), ``pre_dispatch`` (an expression
that joblib evaluates), ``backend``, and every folder (what lies there is unpickled).
"""

MULTIRUN = ("-m", "--multirun")
KEY = re.compile(r"[A-Za-z][\w-]*(?:\.(?:[A-Za-z][\w-]*|0|[1-9][0-9]*))*", re.ASCII)
NAME = r"""(?:[A-Za-z0-9][\w-]*|"[A-Za-z0-9][\w-]*"|'[A-Za-z0-9][\w-]*')"""
NAMES = rf"{NAME}(?: *, *{NAME})*"
OPTION = re.compile(rf"{NAME}|\[ *{NAMES} *\]", re.ASCII)
OPTIONS = re.compile(rf"{NAMES}|choice\( *{NAMES} *\)", re.ASCII)
LIMIT = re.compile(r"""[\w.:/+-]+|"[\w.:/+,|&-]+"|'[\w.:/+,|&-]+'""", re.ASCII)
HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control and format characters, surrogates, separators of lines


def key_of(argument: str) -> str:
    """Return the key of an override, without its ``+`` or ``~``."""
    return argument.partition("=")[0].lstrip("+~")


def typed_values(arguments: Iterable[str]) -> dict[str, str]:
    """Return the overrides among the arguments: key, with its ``+`` or ``~``, to value without quotes around it."""
    pairs = (argument.partition("=") for argument in arguments if "=" in argument and not argument.startswith("-"))
    return {key: unquoted(value) for key, _, value in pairs}


def quoted(key: str, value: object) -> str:
    """Return ``key="value"`` so that Hydra reads exactly this value: backslashes count where a quote follows them.

    Args:
        key: dotted key of the configuration.
        value: anything; its text counts.
    """
    escaped = re.sub(r'(\\*)("|\Z)', lambda found: found[1] * 2 + (f"\\{found[2]}" if found[2] else ""), str(value))
    return f'{key}="{escaped}"'


def unquoted(text: str) -> str:
    """Return the value that Hydra reads from a text in quotes; any other text is returned as it is."""
    quote = text[:1]
    if len(text) < 2 or quote not in ("'", '"') or text[-1] != quote:
        return text
    return re.sub(rf"(\\+)({quote}|\Z)", lambda found: found[1][: len(found[1]) // 2] + found[2], text[1:-1])


def check_stored_overrides(overrides: Iterable[object], where: str, *, is_sweep: bool = False) -> list[str]:
    """Return the overrides that a file holds, after checking that each only chooses an option or gives a plain value.

    Hydra's grammar can do more: ``group=../../file`` reads any file, ``+key`` adds a node, ``_target_`` names what is
    called, ``${…}`` is resolved, ``hydra.*`` configures Hydra itself. A user may type all that; a file may not say it.

    Args:
        overrides: the lines as they were read: a run's ``.hydra/overrides.yaml``, the command in a manifest or in the
            file of a sweep.
        where: the file, as messages name it.
        is_sweep: whether the lines are the command of a sweep: several values for a key, ``choice``, ``range``,
            ``interval``, ``tag``, ``-m`` and the limits of a launcher (``LAUNCHER_KEYS``) are allowed as well.

    Returns:
        The same lines.

    Raises:
        InstsegError: a line does more than that, or is no override. The message names the file and the line.
    """
    if isinstance(overrides, str | bytes | Mapping):
        raise InstsegError(f"{where}: expected a list of overrides, found {type(overrides).__name__}")
    return [_checked(line, where, is_sweep) for line in overrides]


def _checked(line: object, where: str, is_sweep: bool) -> str:
    if not isinstance(line, str):
        raise InstsegError(f"{where}: expected overrides of the form key=value, found {_short(line)}")
    try:
        if not (is_sweep and line in MULTIRUN):
            _check_characters(line)
            _check_override(line, is_sweep)
    except NotPlainError as reason:
        raise InstsegError(
            f"{where}: {_short(line)}: {reason}. Settings that a file holds may choose options and give plain values, "
            "and nothing else. If this one is meant, type it again on the command line"
        ) from None
    return line


def _short(line: object) -> str:
    printer = reprlib.Repr()
    printer.maxstring, printer.maxother = 200, 80
    return printer.repr(line)


def _check_characters(line: str) -> None:
    """Refuse what a reader would not see, and what Hydra and OmegaConf act on, however it is spelled."""
    if any(unicodedata.category(character) in HIDDEN for character in line):
        raise NotPlainError("it has a character that cannot be seen")
    plain = unicodedata.normalize("NFKC", line).casefold()
    bare = re.sub(r"""[\\"'\s]""", "", plain)
    if "${" in bare:
        raise NotPlainError("it has an interpolation")
    if "_target_" in plain or "_target_" in bare:
        raise NotPlainError("it names what is called")


def _check_override(line: str, is_sweep: bool) -> None:
    key, equals, value = line.partition("=")
    if line.startswith(("+", "~")):
        raise NotPlainError("it adds or deletes a key")
    if not equals or not KEY.fullmatch(key):
        raise NotPlainError("it is not of the form key=value, with a plain key")
    if key.partition(".")[0].casefold() == "hydra":
        if not (is_sweep and key in LAUNCHER_KEYS and LIMIT.fullmatch(value)):
            raise NotPlainError("it configures Hydra itself")
    elif "." not in key and key not in VALUE_KEYS:  # as the option of a group, Hydra takes a path to any file as well
        if not (OPTION.fullmatch(value) or (is_sweep and OPTIONS.fullmatch(value))):
            raise NotPlainError("expected the name of an option")
    else:
        check_plain_value(value, is_sweep)
