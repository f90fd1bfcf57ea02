"""Files that a finished run leaves for later ones: ``config.yaml``, its settings, and ``metrics.json``, its metrics."""

from __future__ import annotations

from pathlib import Path

import yaml

from instseg.core.records import RecordError, read_plain

CONFIG, METRICS = "config.yaml", "metrics.json"
REMEDY = "is it the folder of a training that has finished?"
NOT_YAML = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What PyYAML raises for damaged text: of its tags, such as ``!!int`` before a word, errors that are not its own."""


def read_metrics(run: Path) -> dict[str, float]:
    """Read the final metrics of a run, by name.

    Raises:
        RecordError: the file is missing or damaged.
    """
    return read_plain(run / METRICS, dict[str, float], REMEDY)


def read_settings(run: Path) -> dict[str, object]:
    """Read the resolved config of a run, as nested plain containers.

    Raises:
        RecordError: the file is missing or damaged.
    """
    path = run / CONFIG
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror or error}; {REMEDY}") from error
    except NOT_YAML as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RecordError(f"{path}: expected yaml, found {reason}; {REMEDY}") from error
    if not isinstance(settings, dict) or not all(isinstance(key, str) for key in settings):
        raise RecordError(f"{path}: expected settings by name, found {type(settings).__name__}; {REMEDY}")
    return settings
