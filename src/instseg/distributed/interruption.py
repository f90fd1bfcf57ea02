"""Ctrl-C and a scheduler's SIGTERM: heard at once, obeyed where nothing is lost."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType

from pytorch_lightning.utilities.exceptions import SIGTERMException

log = logging.getLogger(__name__)
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StoppedTogether:
    """Of an exception: it ends all processes of the training at the same place, where they may save their state."""


class InterruptedTogether(StoppedTogether, KeyboardInterrupt):
    """By Ctrl-C."""


class TerminatedTogether(StoppedTogether, SIGTERMException):
    """By a scheduler."""


class Interruption:
    """Remembers a signal until the training asks for it; a second one ends the process at once."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def defer(self) -> None:
        """From now on signals are remembered; ignored ones, as in a shell's background jobs, stay ignored."""
        self._handle(self._remember)

    def obey_at_once(self) -> None:
        """From now on there is nothing to lose."""
        self._handle(self._obey)

    def _handle(self, handler: object) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, handler)  # type: ignore[arg-type]

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            self._obey(number, frame)
        self.received = signal.Signals(number)
        log.info("%s: stopping after this step; once more stops at once, from the last checkpoint", self.received.name)

    def _obey(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self.stop()

    def stop(self) -> None:
        """KeyboardInterrupt for Ctrl-C, otherwise the end of the process with a shell's code for that signal."""
        if self.received == signal.SIGINT:
            raise KeyboardInterrupt
        raise SIGTERMException(128 + int(self.received or signal.SIGTERM))
