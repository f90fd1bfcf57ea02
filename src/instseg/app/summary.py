"""Summary printed after a run."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from pathlib import Path

from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console
from rich.table import Table

from instseg.checkpoints.operating_points import OperatingPoints
from instseg.core.channels import plain_lines, terminal_cell
from instseg.core.command_line import typed_command
from instseg.core.text import list_names, plural
from instseg.data.datamodule import InstanceDataModule
from instseg.evaluation.bootstrap import ap_interval
from instseg.evaluation.chance import MIN_IMAGES
from instseg.evaluation.detection_limits import limit_note
from instseg.evaluation.image_results import read_image_results


@rank_zero_only
def print_summary(
    metrics: Mapping[str, float],
    data: InstanceDataModule,
    run_dir: Path,
    stage: str,
    ending: str = "",
    points: OperatingPoints | None = None,
) -> None:
    """Print AP per category, where everything lies and what to type next; the last line is the run folder.

    Args:
        metrics: by their logged names.
        data: that was measured on.
        run_dir: the run folder.
        stage: that has been run.
        ending: why and when a training ended; empty where nothing was trained.
        points: operating points of the checkpoint that was measured.
    """
    prefix = "val" if stage == "validate" else "test"
    console = Console(highlight=False)
    if any(name.startswith(f"{prefix}/") for name in metrics):  # without a test nothing was measured
        console.print(_ap_table(metrics, prefix, data, points))
    lines = [*_threshold_lines(points), ending]
    for split in ("val", "test"):
        lines += [_with_interval(run_dir, split, metrics), _limit_note(split, metrics)]
    console.print(plain_lines("\n".join(filter(None, lines))), markup=False)
    console.print(
        f"\n{_places(run_dir)}\n{_next_commands(run_dir, stage)}", markup=False, highlight=False, soft_wrap=True
    )
    print(run_dir)


def _ap_table(
    metrics: Mapping[str, float], prefix: str, data: InstanceDataModule, points: OperatingPoints | None
) -> Table:
    table = Table(title=f"Average precision on {prefix} (IoU 0.50:0.95)", title_justify="left")
    table.add_column("category")
    thresholds = points.thresholds if points else {}
    for column in ("mask AP", "box AP", "instances", *(["threshold"] if thresholds else [])):
        table.add_column(column, justify="right")
    counts = data.prepared.indices[prefix].instances_per_category()
    for name, count in zip(data.categories.names, counts, strict=True):
        aps = [_number(metrics, f"{prefix}/{kind}_map/{name}") for kind in ("segm", "bbox")]
        table.add_row(terminal_cell(name), *aps, str(count), *([_number(thresholds, name)] if thresholds else []))
    table.add_section()
    rows = {"all": "map", "AP at IoU 0.50": "map_50", "AP at IoU 0.75": "map_75"}
    if _limit_note(prefix, metrics):
        rows["all, with all detections"] = "map_all"
    for title, key in rows.items():
        table.add_row(title, *(_number(metrics, f"{prefix}/{kind}_{key}") for kind in ("segm", "bbox")), "")
    table.add_row("mask IoU of matched", _number(metrics, f"{prefix}/mean_mask_iou"), "", "")
    return table


def _threshold_lines(points: OperatingPoints | None) -> list[str]:
    """Name the goal of the thresholds, and the categories that do not reach it."""
    if points is None:
        return []
    lines = [f"threshold: {points.origin}, used by predict"] if points.points else []
    if points.recalibration:
        lines.append(f"scores of predict are recalibrated, {points.recalibration}")
    if points.missed:
        missed = list_names(f"{name} ({value:.3f})" for name, value in points.missed.items())
        lines.append(f"{points.goal_in_words} is not reached by {missed}; the threshold comes as close as any")
    return lines


def _with_interval(run_dir: Path, split: str, metrics: Mapping[str, float]) -> str:
    """Return the mask AP of a split with its interval; empty where it was not measured, or its images not kept."""
    file = run_dir / f"{split}_images.npz"
    if f"{split}/segm_map" not in metrics or not file.is_file():
        return ""
    results = read_image_results(file)
    images = plural(len(results.records), "image")
    if len(results.records) < MIN_IMAGES:
        return f"{split} mask AP {metrics[f'{split}/segm_map']:.3f} on {images}, too few for an interval"
    low, high = ap_interval(results.records, results.categories, "segm_map")
    return f"{split} mask AP {metrics[f'{split}/segm_map']:.3f}, 95 % interval {low:.3f} to {high:.3f} ({images})"


def _limit_note(split: str, metrics: Mapping[str, float]) -> str:
    ap, ap_of_all = (metrics.get(f"{split}/segm_{key}", math.nan) for key in ("map", "map_all"))
    return limit_note(f"{split} mask AP", ap, ap_of_all)


def _number(metrics: Mapping[str, float], key: str) -> str:
    value = metrics.get(key, math.nan)
    return "–" if math.isnan(value) else f"{value:.3f}"


def _places(run_dir: Path) -> str:
    best = (run_dir / "checkpoints/best.ckpt").exists()
    places = {
        "best checkpoint" if best else "last checkpoint": f"checkpoints/{'best' if best else 'last'}.ckpt",
        "report": "report.html",
        "metrics": "metrics.json",
        "history": "history.csv",
        "curves": "curves.png",
        "pictures": "pictures",
        "log": "train.log",
    }
    return "\n".join(f"{title + ':':<17}{run_dir / p}" for title, p in places.items() if (run_dir / p).exists())


def _next_commands(run_dir: Path, stage: str) -> str:
    commands = {
        "predict": f"{typed_command('predict')} {shlex.quote(f'checkpoint={run_dir}')} source=my_images/ output=out/",
    }
    if any(run_dir.glob("events.out.tfevents*")):  # none with another logger
        commands["look"] = f"tensorboard --logdir {shlex.quote(str(run_dir.parents[1]))}"
    return "\n".join(f"{title + ':':<17}{command}" for title, command in commands.items() if stage == "fit")
