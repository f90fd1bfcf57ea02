"""The end of a run that has trained or measured: its metrics, its comparison, its summary."""

from __future__ import annotations

from collections.abc import Mapping

from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console

from instseg.app.config import RunConfig
from instseg.app.summary import print_summary
from instseg.checkpoints.operating_points import OperatingPoints
from instseg.checkpoints.reproduce import compare_runs, print_comparison, write_comparison
from instseg.core.files import absolute_path, write_json
from instseg.data.datamodule import InstanceDataModule


@rank_zero_only
def write_metrics(config: RunConfig, metrics: Mapping[str, float]) -> None:
    """Write ``metrics.json``.

    Args:
        config: of the run.
        metrics: all that it measured, by their logged names.
    """
    write_json(config.folder / "metrics.json", dict(sorted(metrics.items())), indent=2)


@rank_zero_only
def close_run(
    config: RunConfig,
    data: InstanceDataModule,
    metrics: Mapping[str, float],
    points: OperatingPoints | None,
    ending: str = "",
) -> None:
    """Compare with the run that this one repeats, and print the summary.

    Args:
        config: of the run.
        data: that it trained or measured on.
        metrics: all that it measured, by their logged names.
        points: operating points of the checkpoint that was measured.
        ending: why and when a training ended; empty where nothing was trained.
    """
    if config.reproduce:
        original = absolute_path(config.reproduce)
        comparison = compare_runs(original, config.folder)
        print_comparison(comparison, original, Console())
        write_comparison(comparison, original, config.folder / "reproduce.json")
    print_summary(metrics, data, config.folder, config.stage, ending, points)
