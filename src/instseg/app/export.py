"""``stage=export``: a checkpoint as a file for other runtimes, compared with PyTorch before it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console
from rich.table import Table

from instseg.app.build_model import build_trained_model
from instseg.app.config import RunConfig
from instseg.app.job import Job
from instseg.app.trial import trial_for
from instseg.core.atomic import write_text_atomically
from instseg.core.files import absolute_path
from instseg.deploy.agreement import Agreement
from instseg.deploy.card import HEADER, card, cells
from instseg.deploy.export import Comparison, Exported, export
from instseg.deploy.formats import FORMATS
from instseg.deploy.trial_images import trial_images
from instseg.runs.folders import find_checkpoint, remove_unused_folders

CHECKPOINTS = "checkpoints"


def export_checkpoint(config: RunConfig, job: Job) -> Mapping[str, float]:
    """Write a checkpoint as a file of another format, with its card beside it.

    Args:
        config: of the run.
        job: of this process.

    Raises:
        InstsegError: a package is missing, the network cannot be exported, or the file finds something else.
    """
    _export(config, job)
    return {}


@rank_zero_only
def _export(config: RunConfig, job: Job) -> None:
    chosen = FORMATS[config.export.format]
    chosen.check_installed(config.export.format)
    trained = build_trained_model(config, job)
    path = _output(config, chosen.suffix)
    trial = trial_for(config, trained.categories)
    images = trial_images(trial.images, trained.min_size, trained.max_size)
    console = Console(highlight=False)
    console.print(f"exporting to {config.export.format}, and comparing with PyTorch on {trial.origin}", soft_wrap=True)
    exported = export(
        trained, config.export.format, path, Comparison(images, trial.measure_ap if trial.test is not None else None)
    )
    page = path.with_suffix(".md")
    write_text_atomically(page, card(exported, trial.origin))
    _print(exported, page, console)
    remove_unused_folders()


def _output(config: RunConfig, suffix: str) -> Path:
    """Return the path of the file: as given, in the run folder of the checkpoint, or beside a checkpoint of no run."""
    if config.export.output is not None:
        path = absolute_path(config.export.output)
        return path if path.suffix == suffix else path / f"model{suffix}"
    checkpoint = find_checkpoint(str(config.checkpoint), absolute_path(config.outputs)).absolute()
    is_in_run = checkpoint.parent.name == CHECKPOINTS
    return checkpoint.parents[1] / f"model{suffix}" if is_in_run else checkpoint.with_suffix(suffix)


def _print(exported: Exported, page: Path, console: Console) -> None:
    console.print(_table(exported.agreements))
    if exported.ap is not None:
        ap = exported.ap
        console.print(f"test mask AP: {ap.reference:.4f} in PyTorch, {ap.found:.4f} exported ({ap.num_images} images)")
    console.print(
        f"its card:  {page}\npredict:   instseg predict checkpoint={exported.path} source=images/",
        soft_wrap=True,
        markup=False,
    )
    print(exported.path)


def _table(agreements: list[Agreement]) -> Table:
    table = Table(title="difference from PyTorch", title_justify="left")
    for number, title in enumerate(HEADER):
        table.add_column(title, justify="right" if number else "left")
    for agreement in agreements:
        table.add_row(*cells(agreement))
    return table
