"""Profiles computed from recorded ranges, and properties of the machine in them."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sized
from typing import cast

import torch
from pytorch_lightning import Trainer

from instseg.core.text import plural
from instseg.profiling import profile as part
from instseg.profiling.profile import Profile
from instseg.profiling.recorder import EPOCH_END, EVALUATION_END, IMAGE, STEP, Recorder, Span
from instseg.training.trainer_parts import as_loader, train_loader_of

SMALL = 0.01  # a callback below this fraction is not named
NAMED = {value for name, value in vars(part).items() if name.isupper() and isinstance(value, str)}


def build_profile(recorder: Recorder, trainer: Trainer, peak_bytes: Mapping[str, int]) -> Profile:
    """Build the profile of what was recorded.

    Args:
        recorder: after the training.
        trainer: that was recorded.
        peak_bytes: of what -> memory.
    """
    steps, images = _counted(recorder, STEP), _counted(recorder, IMAGE)
    loader = train_loader_of(trainer)
    image, evaluation = _evaluation(recorder, images)
    device = trainer.strategy.root_device
    return Profile(
        device=_device_name(device),
        on_gpu=device.type != "cpu",
        precision=str(trainer.precision),
        num_workers=loader.num_workers,
        num_cores=max(1, num_cores() // max(1, trainer.num_devices)),
        images_per_step=_num_images(steps) / len(steps),
        num_processes=trainer.world_size,
        num_steps=len(steps),
        step=_named(recorder.seconds(steps), len(steps)),
        num_images=_num_images(images),
        image=image,
        evaluation=evaluation,
        checkpoints_seconds=_seconds(recorder, part.CHECKPOINTS, EVALUATION_END, EPOCH_END) / _evaluations(recorder),
        steps_per_epoch=len(loader),
        images_per_evaluation=_images_of(trainer.val_dataloaders) if images else 0,
        peak_bytes=dict(peak_bytes),
    )


def _evaluation(recorder: Recorder, counted: list[Span]) -> tuple[dict[str, float], dict[str, float]]:
    """Return seconds for each image, and seconds for each evaluation."""
    if not counted:
        return {}, {}
    image = recorder.seconds(counted)
    image.pop(part.PICTURES, None)  # only the first few images are drawn
    image = _named(image, _num_images(counted))
    end = recorder.seconds(_of(recorder, EVALUATION_END))
    image[part.COMPUTE] = end.pop(part.COMPUTE, 0.0) / _num_images(_of(recorder, IMAGE))
    end[part.PICTURES] = _seconds(recorder, part.PICTURES, IMAGE, EVALUATION_END)
    end.pop(part.CHECKPOINTS, None)
    return image, _named(end, _evaluations(recorder))


def _of(recorder: Recorder, *kinds: str) -> list[Span]:
    return [span for span in recorder.spans if span.kind in kinds]


def _counted(recorder: Recorder, kind: str) -> list[Span]:
    return [span for span in _of(recorder, kind) if span.counts and span.num_images]


def _num_images(spans: list[Span]) -> int:
    return sum(span.num_images for span in spans)


def _seconds(recorder: Recorder, name: str, *kinds: str) -> float:
    return recorder.seconds(_of(recorder, *kinds)).get(name, 0.0)


def _evaluations(recorder: Recorder) -> int:
    return max(1, len(_of(recorder, EVALUATION_END)))


def _named(seconds: Mapping[str, float], count: int) -> dict[str, float]:
    """Return seconds of one; the loops around the parts and small callbacks are added to ``OTHER``."""
    named = {part.OTHER: 0.0}
    total = sum(seconds.values())
    for name, value in seconds.items():
        is_callback = name == part.PICTURES or name.startswith("callback ")
        keeps_name = value >= SMALL * total if is_callback else name in NAMED
        name = name if keeps_name else part.OTHER
        named[name] = named.get(name, 0.0) + value / count
    return named


def _images_of(loaders: object) -> int:
    """Return the number of images of this process in one loader or in a list of them."""
    each = loaders if isinstance(loaders, list) else [loaders]
    return sum(len(cast("Sized", as_loader(loader).sampler)) for loader in each)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = f", {plural(torch.get_num_threads(), 'thread')}" if device.type == "cpu" else ""
    return f"{device.type} ({platform.machine()}{threads})"


def num_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_process_bytes() -> int | None:
    """Return the peak memory of this process, without its loader processes; None if the system keeps no count."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
