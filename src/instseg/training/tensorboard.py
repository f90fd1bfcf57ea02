"""The TensorBoard logger of a run, and its scalars read back."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from pytorch_lightning import Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from instseg.core.types import Image

OVERVIEW = "AP and losses"
"""The group of curves that TensorBoard opens on: the first of the alphabet."""
SHOWN_FIRST = {
    "val/segm_map": "val mask AP", "val/segm_map_50": "val mask AP50", "val/bbox_map": "val box AP",
    "val/loss": "val loss", "train/loss": "train loss",
}  # fmt: skip
HPARAM_METRICS = ("val/segm_map", "val/segm_map_50", "val/bbox_map", "val/loss", "test/segm_map")
JPEG_QUALITY = 80
SETTINGS = "-settings"
"""End of the name of the event file with the settings alone: TensorBoard shows the first that it finds of a run."""


class TensorBoard(TensorBoardLogger):
    """TensorBoard's logger, which opens on AP and losses, and fills the HPARAMS tab from the curves.

    Args:
        save_dir: folder of the event files.
    """

    def __init__(self, save_dir: Path | str) -> None:
        super().__init__(str(save_dir), name="", version="", default_hp_metric=False)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write scalars, the most important ones in the first group as well; epochs are steps under another name.

        Args:
            metrics: logged name -> value.
            step: of the training.
        """
        first = {f"{OVERVIEW}/{title}": metrics[name] for name, title in SHOWN_FIRST.items() if name in metrics}
        super().log_metrics({name: value for name, value in {**metrics, **first}.items() if name != "epoch"}, step)

    @rank_zero_only
    def log_hyperparams(
        self, params: dict[str, object] | Namespace, metrics: dict[str, object] | None = None, step: int | None = None
    ) -> None:
        """Write settings for the HPARAMS tab, in the place of those from before the run was resumed.

        Its metrics are the last points of the curves.

        Args:
            params: name -> setting.
            metrics: unused: those of ``HPARAM_METRICS`` are shown.
            step: of the training.
        """
        named = vars(params) if isinstance(params, Namespace) else params
        plain = {key: value if isinstance(value, bool | int | float) else str(value) for key, value in named.items()}
        self.hparams.update(plain)
        folder = Path(self.log_dir)
        for earlier in (folder / self.NAME_HPARAMS_FILE, *folder.glob(f"events.out.tfevents.*{SETTINGS}")):
            earlier.unlink(missing_ok=True)  # Lightning writes hparams.yaml where there is none
        with SummaryWriter(str(folder), filename_suffix=SETTINGS) as writer:
            for part in hparams(plain, dict.fromkeys(HPARAM_METRICS, 0.0)):
                writer._get_file_writer().add_summary(part, step)


def tensorboard_of(trainer: Trainer) -> SummaryWriter | None:
    """Return the TensorBoard writer of a trainer, None if it has none."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            writer: SummaryWriter = logger.experiment
            return writer
    return None


def add_jpeg(writer: SummaryWriter, tag: str, picture: Image, jpeg: bytes, step: int) -> None:
    """Write a picture as JPEG, a tenth of the size of the PNG that ``add_image`` writes.

    Args:
        writer: of the run.
        tag: name of the picture.
        picture: (H, W, 3) uint8 RGB.
        jpeg: the same, encoded.
        step: of the training.
    """
    height, width = picture.shape[:2]
    encoded = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=jpeg)
    writer._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=tag, image=encoded)]), step)


def read_scalars(log_dir: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Read the scalars of a TensorBoard folder: tag -> (steps, values)."""
    events = EventAccumulator(str(log_dir), size_guidance={"scalars": 0, "images": 1, "tensors": 0})
    events.Reload()
    scalars = {}
    for tag in events.Tags()["scalars"]:
        rows = events.Scalars(tag)
        scalars[tag] = ([row.step for row in rows], [row.value for row in rows])
    return scalars
