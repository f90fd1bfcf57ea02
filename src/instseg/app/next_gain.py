"""The gain that the images to label next may bring, from the learning curve of the data, or how to measure one."""

from __future__ import annotations

import shlex
from pathlib import Path

from instseg.app.config import NextConfig
from instseg.checkpoints.content import describe
from instseg.core.command_line import typed_command
from instseg.core.errors import InstsegError
from instseg.core.files import absolute_path
from instseg.core.overrides import key_of
from instseg.core.records import RecordError
from instseg.data.prepared import SPLITS_FILE
from instseg.data.splits.splits_file import read_splits_file
from instseg.runs.folders import find_checkpoint, folder_of
from instseg.runs.manifest import newest_start
from instseg.runs.stored_overrides import stored_overrides
from instseg.sweeps.forecast import CurveEnd, curve_end
from instseg.sweeps.sweep_folder import SweepFolder

AUTO = "auto"
OF_ONE_RUN = ("stage", "checkpoint", "resume", "reproduce", "run_dir", "train_fraction")


def expected_gain(config: NextConfig, num_chosen: int) -> str:
    """Return what the chosen images may bring, as a line or a line and a command.

    Args:
        config: of the command.
        num_chosen: images that may be labelled.

    Raises:
        InstsegError: the curve that was named cannot be read.
    """
    end = _named(config.curve) if config.curve != AUTO else _newest(config)
    if end is None:
        return f"unknown: there is no learning curve of this data. This makes one:\n{_command(config)}"
    return end.forecast(_num_images(end), num_chosen)


def _named(folder: str) -> CurveEnd:
    return curve_end(SweepFolder(absolute_path(folder)))


def _newest(config: NextConfig) -> CurveEnd | None:
    """Return the end of the newest learning curve of the data of the checkpoint; None where there is none."""
    if not config.checkpoint:
        return None
    outputs = absolute_path(config.outputs)
    data = describe(find_checkpoint(config.checkpoint, outputs)).data_fingerprint
    for file in sorted(outputs.glob("sweeps/*/sweep.json"), reverse=True):
        try:
            end = curve_end(SweepFolder(file.parent))
            if newest_start(_run_of(end)).data_fingerprint == data:
                return end
        except InstsegError:  # another kind of sweep, one that has just begun, or a run folder that is gone
            continue
    return None


def _run_of(end: CurveEnd) -> Path:
    return Path(end.last.run_dir or "")


def _num_images(end: CurveEnd) -> int:
    """Return the number of training images at the larger fraction."""
    file = _run_of(end) / SPLITS_FILE
    images = read_splits_file(file).train
    if not images:
        raise InstsegError(f"{file}: expected training images, found none")
    return max(1, round(len(images) * end.larger))


def _command(config: NextConfig) -> str:
    """Return the command of a learning curve of the data that the checkpoint was trained on."""
    run = folder_of(find_checkpoint(config.checkpoint, absolute_path(config.outputs))) if config.checkpoint else None
    try:
        overrides = stored_overrides(run) if run else []
    except RecordError:
        overrides = []
    kept = [override for override in overrides if key_of(override) not in OF_ONE_RUN]
    data = kept or ["dataset=auto", "dataset.root=MY_LABELS"]
    return f"{typed_command('train')} sweep=learning_curve {shlex.join(data)}"
