"""The strategies of this package, by the names under which configs and the files of sweeps choose them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import import_module
from typing import cast

import msgspec

from instseg.core.errors import InstsegError
from instseg.sweeps.records import Option
from instseg.sweeps.strategy import Strategy

GRID = "grid"
STRATEGIES = {
    GRID: ("strategy", "Grid"),
    "optuna": ("optuna_search", "OptunaSearch"),
    "learning_curve": ("learning_curve", "LearningCurve"),
    "kfold": ("kfold", "KFold"),
    "ablation": ("ablation", "Ablation"),
}
"""Name -> module beside this one, and class. Imported when chosen: matplotlib, scipy and Optuna take their time."""


def build_strategy(name: str, options: Mapping[str, object], where: str) -> Strategy:
    """Build one of the strategies of this package.

    Args:
        name: see ``STRATEGIES``.
        options: by name, as a config or the file of a sweep gives them.
        where: origin of both, as messages name it.

    Raises:
        InstsegError: there is no such strategy or option, or the option has no such value.
    """
    if name not in STRATEGIES:
        raise InstsegError(f"{where}: strategy: expected one of {', '.join(STRATEGIES)}, found {name!r}")
    module, class_name = STRATEGIES[name]
    kind = cast("type[Strategy]", getattr(import_module(f"instseg.sweeps.{module}"), class_name))
    known: list[str] = [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
    for option in options:
        if option not in known:
            raise InstsegError(f"{where}: {name} has no option {option}; it has {', '.join(known) or 'none'}")
    try:
        return msgspec.convert(dict(options), kind) if known else kind()
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # the latter of half a pair of surrogates
        raise InstsegError(f"{where}: {str(error).replace('$.', '')}") from error


def plain_options(strategy: Strategy) -> dict[str, Option]:
    """Return the options of a strategy of this package, for the file of its sweep."""
    if not dataclasses.is_dataclass(strategy):
        return {}
    return msgspec.convert(dataclasses.asdict(strategy), dict[str, Option])
