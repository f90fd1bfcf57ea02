"""Recorder of Lightning's actions and of the parts of the network on one time line, without overlap."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch
from pytorch_lightning.profilers import Profiler
from torch.profiler import record_function

from instseg.profiling import profile as part

STEP, IMAGE, EVALUATION_END, EPOCH_END, OUTSIDE = "step", "image", "evaluation end", "epoch end", "outside"
STARTS = {  # an action of Lightning -> the kind of span that begins with it
    "train_dataloader_next": STEP,
    "on_validation_start": OUTSIDE,
    "val_next": IMAGE,
    "on_validation_epoch_end": EVALUATION_END,
    "on_train_epoch_end": EPOCH_END,
    "on_train_end": OUTSIDE,
}
REPEATED = {STEP, IMAGE}  # each such action begins a span; the others are announced once for each callback
ACTIONS = {  # an action of Lightning -> the part that it belongs to
    "train_dataloader_next": part.DATA,
    "val_next": part.DATA,
    "batch_to_device": part.COPY,
    "run_training_batch": "training step",  # a name to look for in the trace
    "validation_step": "evaluation step",
    "training_step": part.REST,
    "backward": part.BACKWARD,
    "optimizer_step": part.OPTIMIZER,
    "optimizer_zero_grad": part.OPTIMIZER,
    "save_checkpoint": part.CHECKPOINTS,
}
CALLBACK = re.compile(r"\[Callback\](\w+)")

Mark = float | torch.cuda.Event


class Clock:
    """Marks on the time line of the device, made without waiting for it on a GPU.

    There a mark is an event in the stream. The time between two of them is what training costs: that in which the GPU
    computed, and that in which it was idle. A loader that waits while the GPU still computes costs nothing.

    Args:
        device: that trains.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device.type

    def mark(self) -> Mark:
        """Mark this moment."""
        if self._device == "cuda":
            new_event: Callable[..., torch.cuda.Event] = torch.cuda.Event
            event = new_event(enable_timing=True)
            event.record()
            return event
        if self._device != "cpu":  # such as mps, which is asynchronous, too
            torch.accelerator.synchronize()
        return time.perf_counter()

    @staticmethod
    def seconds(start: Mark, end: Mark) -> float:
        """Return the time between two marks.

        Args:
            start: the earlier one.
            end: the later one; on a GPU the host waits for it.
        """
        if isinstance(start, float) and isinstance(end, float):
            return end - start
        assert isinstance(start, torch.cuda.Event) and isinstance(end, torch.cuda.Event)
        end.synchronize()
        return float(start.elapsed_time(end)) / 1000


@dataclass(slots=True, eq=False)
class Span:
    """A training step, the evaluation of a batch, or what lies around them."""

    kind: str
    counts: bool  # False while warming up or traced
    start: Mark
    end: Mark
    num_images: int = 0


@dataclass(slots=True, eq=False)
class Range:
    """One run of a part, within the part that called it."""

    name: str
    span: Span
    within: Range | None
    start: Mark
    end: Mark
    traced: AbstractContextManager[object] | None


class Recorder(Profiler):
    """A Lightning profiler that records the actions of the trainer and those announced by ``range``.

    Args:
        clock: of the device that trains.
        begin: called before each span with its kind and the number of earlier spans of that kind; its time is not
            recorded. Returns True if the span counts.
        tracing: returns True while ``torch.profiler`` runs, which is then told the names of the ranges.
    """

    def __init__(self, clock: Clock, begin: Callable[[str, int], bool], tracing: Callable[[], bool]) -> None:
        super().__init__()
        self.clock, self.begin, self.tracing = clock, begin, tracing
        self.spans: list[Span] = []
        self.ranges: list[Range] = []
        self._open: list[Range | None] = []

    def start(self, action_name: str) -> None:
        """Begin an action; called by Lightning."""
        action = action_name.rsplit(".", 1)[-1]
        kind = STARTS.get(action)
        if kind and (kind in REPEATED or not self.spans or self.spans[-1].kind != kind):
            self.cut(kind)
        self._enter(_part_of(action_name, action))

    def stop(self, action_name: str) -> None:
        """End an action; called by Lightning."""
        self._leave()

    @contextmanager
    def range(self, name: str) -> Iterator[None]:
        """Record the context as a run of a part."""
        self._enter(name)
        try:
            yield
        finally:
            self._leave()

    def cut(self, kind: str) -> None:
        """End the span and begin another; an open range belongs to the span in which it began."""
        if self.spans:
            self.spans[-1].end = self.clock.mark()
        counts = self.begin(kind, sum(span.kind == kind for span in self.spans))
        now = self.clock.mark()
        self.spans.append(Span(kind, counts, now, now))

    def _enter(self, name: str | None) -> None:
        if name is None or not self.spans:
            self._open.append(None)
            return
        within = next((outer for outer in reversed(self._open) if outer is not None), None)
        traced: AbstractContextManager[object] | None = record_function(name) if self.tracing() else None
        if traced is not None:
            traced.__enter__()
        now = self.clock.mark()
        self._open.append(Range(name, self.spans[-1], within, now, now, traced))

    def _leave(self) -> None:
        opened = self._open.pop()
        if opened is None:
            return
        opened.end = self.clock.mark()
        self.ranges.append(opened)
        if opened.traced is not None:
            opened.traced.__exit__(None, None, None)

    def seconds(self, spans: Iterable[Span]) -> dict[str, float]:
        """Return part -> seconds in these spans, without the parts within it; the rest is ``OTHER``."""
        chosen = {id(span): self.clock.seconds(span.start, span.end) for span in spans}
        totals: dict[str, float] = defaultdict(float, {part.OTHER: sum(chosen.values())})
        for item in (item for item in self.ranges if id(item.span) in chosen):
            duration = self.clock.seconds(item.start, item.end)
            totals[item.name] += duration
            totals[item.within.name if item.within and item.within.span is item.span else part.OTHER] -= duration
        return dict(totals)


def _part_of(action_name: str, action: str) -> str | None:
    if callback := CALLBACK.match(action_name):
        return part.PICTURES if callback[1] == "PictureLogger" else f"callback {callback[1]}"
    if action_name.startswith("[LightningModule]") and action not in ("optimizer_step", "optimizer_zero_grad"):
        return None
    return ACTIONS.get(action)
