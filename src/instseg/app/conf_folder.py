"""The folder of all configs: ``conf`` of the repository, or ``instseg.conf`` where the package is installed."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parents[1]
INSTALLED, IN_REPOSITORY = PACKAGE / "conf", PACKAGE.parents[1] / "conf"

CONFIG_DIR = INSTALLED if INSTALLED.is_dir() else IN_REPOSITORY
PROVIDER = "command-line"
"""Hydra's name for what ``--config-dir`` adds to its search path."""
