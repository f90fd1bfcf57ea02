"""Ctrl-C and SIGTERM of a scheduler: noted at once, obeyed where no work is lost."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType

from pytorch_lightning.utilities.exceptions import SIGTERMException

log = logging.getLogger(__name__)
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StoppedTogether:
    """Mixin of exceptions that end all ranks of a training at the same place, where they may save their state."""


class InterruptedTogether(StoppedTogether, KeyboardInterrupt):
    """Stop of all ranks after Ctrl-C."""


class TerminatedTogether(StoppedTogether, SIGTERMException):
    """Stop of all ranks after a signal of a scheduler."""


class Interruption:
    """A signal that is remembered until the training asks for it; a second one ends the process at once."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def defer(self) -> None:
        """Remember signals from now on; ignored ones, as in a shell's background jobs, stay ignored."""
        self._handle(self._remember)

    def obey_at_once(self) -> None:
        """Act on signals at once from here on: no unsaved work can be lost."""
        self._handle(self._obey)

    def _handle(self, handler: Callable[[int, FrameType | None], None]) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            self._obey(number, frame)
        self.received = signal.Signals(number)
        log.info("%s received: stopping after this step; a second one stops at once, unsaved", self.received.name)

    def _obey(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self.stop()

    def stop(self) -> None:
        """Raise KeyboardInterrupt for Ctrl-C, otherwise SIGTERMException with a shell's exit code for that signal."""
        if self.received == signal.SIGINT:
            raise KeyboardInterrupt
        raise SIGTERMException(128 + int(self.received or signal.SIGTERM))
