"""Files that a finished run leaves for later ones: ``config.yaml``, its settings, and ``metrics.json``, its metrics."""

from __future__ import annotations

from pathlib import Path

from instseg.core.records import read_plain
from instseg.core.yaml_records import read_plain_yaml

CONFIG, METRICS = "config.yaml", "metrics.json"
REMEDY = "is it the folder of a training that has finished?"


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
    return read_plain_yaml(run / CONFIG, dict[str, object], REMEDY)
