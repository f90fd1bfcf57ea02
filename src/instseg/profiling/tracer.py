"""A trace of a few steps, for Perfetto or chrome://tracing."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity

from instseg.core.atomic import replacing


class Tracer:
    """One run of ``torch.profiler`` between ``start`` and ``stop``; it slows down what it traces."""

    def __init__(self) -> None:
        self.running = False
        self._profiler: torch.profiler.profile | None = None

    def start(self) -> None:
        """Start the trace."""
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else it reports a missing GPU as an error on stderr
        activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
        self._profiler = torch.profiler.profile(activities=activities)
        self._profiler.start()
        self.running = True

    def stop(self) -> None:
        """End the trace, if it is running."""
        if self._profiler is not None and self.running:
            self.running = False
            self._profiler.stop()

    def write(self, path: Path) -> bool:
        """Write the trace, and return False if there is none."""
        if self._profiler is None:
            return False
        with replacing(path) as scratch:
            self._profiler.export_chrome_trace(str(scratch))
        return True
