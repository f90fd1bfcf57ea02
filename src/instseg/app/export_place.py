"""The place of a file that is exported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from instseg.app.config import RunConfig
from instseg.core.disk_reasons import FAULTS_OF_THE_DISK, reason_of
from instseg.core.errors import InstsegError
from instseg.core.files import absolute_path
from instseg.runs.folders import find_checkpoint

CHECKPOINTS = "checkpoints"


def output_path(config: RunConfig, suffix: str) -> Path:
    """Return the path of the file: as given, in the run folder of the checkpoint, or beside a checkpoint of no run.

    Args:
        config: of the run.
        suffix: of the format, with its dot.
    """
    end = f"_{config.export.quantize}{suffix}" if config.export.quantize else suffix
    if config.export.output is not None:
        path = absolute_path(config.export.output)
        return path if path.suffix == suffix else path / f"model{end}"
    checkpoint = find_checkpoint(str(config.checkpoint), absolute_path(config.outputs)).absolute()
    is_in_run = checkpoint.parent.name == CHECKPOINTS
    return checkpoint.parents[1] / f"model{end}" if is_in_run else checkpoint.with_name(f"{checkpoint.stem}{end}")


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Name a file that is written within, where the disk refuses it.

    Raises:
        InstsegError: it does.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FAULTS_OF_THE_DISK:
            raise
        raise InstsegError(f"{path}: {reason_of(error, path.parent)}") from error
