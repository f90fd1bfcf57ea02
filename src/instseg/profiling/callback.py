"""The callback of ``debug=profile``, which measures a short training and writes its costs and a trace."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.profilers import PassThroughProfiler
from rich.console import Console

from instseg.core.errors import InstsegError
from instseg.core.files import write_json
from instseg.core.types import Batch
from instseg.profiling.measure import build_profile, peak_process_bytes
from instseg.profiling.parts import time_parts
from instseg.profiling.profile import Profile
from instseg.profiling.recorder import IMAGE, OUTSIDE, STEP, Clock, Recorder
from instseg.profiling.report import as_json, print_places, print_profile
from instseg.profiling.tracer import Tracer
from instseg.training.module import InstanceSegmentationModule
from instseg.training.trainer_parts import profiler_of, set_profiler, train_loader_of


class ProfileTraining(Callback):
    """Measurement of the time of training steps and evaluations by parts, on the first rank.

    Not counted are the first steps, and those that ``torch.profiler`` slows down while it traces them: the last steps
    of the first epoch and the first batches of the evaluation after it.

    Args:
        folder: for ``profile.json`` and ``trace.json``.
        warmup_steps: steps before the first that counts, at least; more if the loaders prefetch more batches, and at
            most half of all.
        traced_steps: training steps in the trace, and evaluated batches; at most a third of all.
    """

    def __init__(self, folder: Path | str, warmup_steps: int, traced_steps: int) -> None:
        self.folder = Path(folder)
        self.warmup_steps, self.traced_steps = warmup_steps, traced_steps
        self.profile: Profile | None = None
        self._fits = False
        self._recorder: Recorder | None = None
        self._tracer = Tracer()
        self._undo = ExitStack()
        self._peak_bytes: dict[str, int] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse a stage without training, and another profiler."""
        self._fits |= stage == "fit"
        if not self._fits:
            raise InstsegError("debug=profile measures a training and the evaluation after it: leave out stage=")
        if not isinstance(profiler_of(trainer), PassThroughProfiler):
            raise InstsegError("debug=profile does not go with trainer.profiler: leave out one of the two")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start recording."""
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, InstanceSegmentationModule)
        clock = Clock(trainer.strategy.root_device)
        self._recorder = Recorder(clock, self._beginning(trainer), lambda: self._tracer.running)
        self._undo.enter_context(time_parts(pl_module, self._recorder))
        self._undo.callback(set_profiler, trainer, profiler_of(trainer))
        self._undo.callback(self._tracer.stop)
        set_profiler(trainer, self._recorder)

    def _beginning(self, trainer: Trainer) -> Callable[[str, int], bool]:
        """Return the function that tells the recorder if a span counts; it also starts and stops the trace."""
        loader = train_loader_of(trainer)
        warmup = max(self.warmup_steps, loader.num_workers * (loader.prefetch_factor or 0))
        first_counted, first_traced = plan(int(trainer.num_training_batches), warmup, self.traced_steps)

        def begin(kind: str, count: int) -> bool:
            num_traced_images = min(self.traced_steps, int(sum(trainer.num_val_batches)) // 3)
            if kind == STEP and count == first_traced:
                self._note_memory(trainer, "in training")
                self._tracer.start()
            elif kind not in (STEP, OUTSIDE) and not (kind == IMAGE and count < num_traced_images):
                self._tracer.stop()
            return not self._tracer.running and (kind != STEP or count >= first_counted)

        return begin

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Note the number of images."""
        if self._recorder is not None:
            self._recorder.spans[-1].num_images = len(batch)

    on_validation_batch_start = on_train_batch_start

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop recording, and write the profile and the trace."""
        if self._recorder is None:
            return
        self._note_memory(trainer, "with evaluation")
        self._undo.close()
        self.profile = build_profile(self._recorder, trainer, self._peak_bytes)
        write_json(self.folder / "profile.json", as_json(self.profile), indent=2)
        self._tracer.write(self.folder / "trace.json")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Print the profile, now that the progress bar is gone."""
        if self.profile is not None and stage == "fit":
            console = Console()
            print_profile(self.profile, console)
            print_places(self.folder, console)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Stop recording."""
        self._undo.close()

    def _note_memory(self, trainer: Trainer, name: str) -> None:
        """Note the highest memory use so far."""
        process = peak_process_bytes()
        if process is not None:
            self._peak_bytes[name] = process
        device = trainer.strategy.root_device
        if device.type == "cuda":
            self._peak_bytes[f"GPU {name}"] = torch.cuda.max_memory_allocated(device)


def plan(num_steps: int, warmup_steps: int, traced_steps: int) -> tuple[int, int]:
    """Return the first step that counts and the first that is traced; at least one step counts.

    Args:
        num_steps: steps of the epoch.
        warmup_steps: wanted number of steps before the first that counts.
        traced_steps: wanted number of traced steps.
    """
    num_traced = min(traced_steps, num_steps // 3)
    return min(warmup_steps, (num_steps - num_traced) // 2), num_steps - num_traced
