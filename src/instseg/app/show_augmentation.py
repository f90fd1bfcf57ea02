"""``stage=show_augmentation``: a few training images, as labelled and as the network will see them."""

from __future__ import annotations

from collections.abc import Mapping

from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console

from instseg.app.build_data import build_datamodule, build_recorded_dataset
from instseg.app.config import RunConfig
from instseg.app.job import Job
from instseg.auditing.augmentation_sheet import draw_augmentation_sheet
from instseg.core.channels import terminal_lines
from instseg.visualization.sheets import write_image


def show_augmentation(config: RunConfig, job: Job) -> Mapping[str, float]:
    """Write a sheet of augmented training images. Trains and measures nothing.

    Args:
        config: of the run.
        job: of this process.
    """
    _show(config, job)
    return {}


@rank_zero_only
def _show(config: RunConfig, job: Job) -> None:
    prepared = build_recorded_dataset(config, job)
    sheet = config.folder / "augmentation.png"
    dataset = build_datamodule(config, prepared).train_dataset()
    write_image(sheet, draw_augmentation_sheet(dataset, colour_by=config.colour_by))
    Console().print(f"augmentation:    {terminal_lines(str(sheet))}", highlight=False, soft_wrap=True)
    print(config.folder)
