"""A trace of a few steps, for Perfetto or chrome://tracing."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity

from instseg.core.atomic import replacing


class Tracer:
    """``torch.profiler`` between ``start`` and ``stop``, once; slows down what it watches."""

    def __init__(self) -> None:
        self.running = False
        self._profiler: torch.profiler.profile | None = None

    def start(self) -> None:
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else it calls a machine without a GPU an error, on stderr
        activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
        self._profiler = torch.profiler.profile(activities=activities)
        self._profiler.start()
        self.running = True

    def stop(self) -> None:
        """Ends the trace; nothing happens where none is running."""
        if self._profiler is not None and self.running:
            self.running = False
            self._profiler.stop()

    def write(self, path: Path) -> bool:
        """Write what was traced; False where nothing was."""
        if self._profiler is None:
            return False
        with replacing(path) as scratch:
            self._profiler.export_chrome_trace(str(scratch))
        return True
