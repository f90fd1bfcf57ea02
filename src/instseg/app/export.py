"""``stage=export``: a checkpoint as a file for other runtimes, compared with PyTorch before it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console
from rich.table import Table

from instseg.app.build_model import build_trained_model
from instseg.app.config import RunConfig
from instseg.app.export_place import output_path, room_for
from instseg.app.job import Job
from instseg.app.trial import Trial, trial_for
from instseg.checkpoints.content import TrainedModel
from instseg.core.atomic import write_text_atomically
from instseg.core.command_line import typed_command
from instseg.data.transforms.resize import Resize
from instseg.deploy.candidates import leave_to_file, missing_nms
from instseg.deploy.card import HEADER, card, cells
from instseg.deploy.export import Comparison, Exported, Int8, export
from instseg.deploy.formats import FORMATS
from instseg.deploy.trial_images import trial_images
from instseg.runs.folders import remove_unused_folders


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
    is_int8 = config.export.quantize is not None
    chosen.check_installed(config.export.format, is_int8)
    trained = build_trained_model(config, job)
    path = output_path(config, chosen.suffix)
    trial = trial_for(config, trained.categories)
    images = list(trial_images(trial.images, trained.min_size, trained.max_size))
    console = Console(highlight=False)
    console.print(f"exporting to {config.export.format}, and comparing with PyTorch on {trial.origin}", soft_wrap=True)
    candidates = leave_to_file(trained) if config.export.candidates else None
    measure = partial(trial.measure_ap, with_interval=is_int8, nms=missing_nms(candidates))
    comparison = Comparison(images, measure if trial.test is not None else None)
    int8 = _int8(config, trained, trial) if is_int8 else None
    page = path.with_name(f"{path.name}.md")  # a card for each format
    with room_for(path):
        exported = export(trained, config.export.format, path, comparison, int8, candidates)
        write_text_atomically(page, card(exported, trial.origin))
    _print(exported, page, console)
    remove_unused_folders()


def _int8(config: RunConfig, trained: TrainedModel, trial: Trial) -> Int8:
    resize = Resize(trained.min_size, trained.max_size)
    return Int8([resize(image) for image in trial.calibration], config.export.max_ap_loss)


def _print(exported: Exported, page: Path, console: Console) -> None:
    console.print(_table(exported))
    if exported.ap is not None:
        ap = exported.ap
        console.print(f"test mask AP: {ap.reference:.4f} in PyTorch, {ap.found:.4f} exported ({ap.num_images} images)")
        if ap.difference is not None:
            console.print(f"difference:   {ap.difference}, with the interval of a paired bootstrap")
    if exported.gain is not None:
        console.print(f"gain:         {exported.gain}", soft_wrap=True)
    console.print(
        f"its card:  {page}\npredict:   {typed_command('predict')} checkpoint={exported.path} source=images/",
        soft_wrap=True,
        markup=False,
    )
    print(exported.path)


def _table(exported: Exported) -> Table:
    table = Table(title="difference from PyTorch", title_justify="left")
    for number, title in enumerate(HEADER):
        table.add_column(title, justify="right" if number else "left")
    for agreement in exported.agreements:
        table.add_row(*cells(agreement))
    return table
