"""The log of a run that is started from Python: on the screen and in the run folder, beside the caller's own log."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from logging.config import DictConfigurator

import msgspec
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

CONSOLE = "console"


class _Root(msgspec.Struct):
    level: str
    handlers: list[str]


class _JobLogging(msgspec.Struct):
    """``hydra.job_logging``, in the form of Python's ``logging.config``."""

    formatters: dict[str, dict[str, object]]
    handlers: dict[str, dict[str, object]]
    root: _Root
    loggers: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)


@contextmanager
def logged() -> Iterator[None]:
    """Log as ``hydra.job_logging`` of the running job says, until the block ends.

    The caller's handlers stay; Hydra would close them. Where there are some, the screen is theirs.
    """
    wanted = msgspec.convert(OmegaConf.to_container(HydraConfig.get().job_logging, resolve=True), _JobLogging)
    root = logging.getLogger()
    handlers = _handlers(wanted, has_own=bool(root.handlers))
    levels = {name: node["level"] for name, node in wanted.loggers.items() if "level" in node}
    with _levels({"": wanted.root.level, **levels}):
        for handler in handlers:
            root.addHandler(handler)
        try:
            yield
        finally:
            for handler in handlers:
                root.removeHandler(handler)
                handler.close()


def _handlers(wanted: _JobLogging, has_own: bool) -> list[logging.Handler]:
    configurator = DictConfigurator({"formatters": wanted.formatters, "handlers": wanted.handlers})
    for name, node in wanted.formatters.items():
        configurator.config["formatters"][name] = configurator.configure_formatter(dict(node))
    names = [name for name in wanted.root.handlers if not (name == CONSOLE and has_own)]
    return [configurator.configure_handler(configurator.config["handlers"][name]) for name in names]


@contextmanager
def _levels(wanted: Mapping[str, str]) -> Iterator[None]:
    """Set levels of loggers, and restore them."""
    loggers = {name: logging.getLogger(name) for name in wanted}
    before = {name: logger.level for name, logger in loggers.items()}
    for name, level in wanted.items():
        loggers[name].setLevel(level)
    try:
        yield
    finally:
        for name, number in before.items():
            loggers[name].setLevel(number)
