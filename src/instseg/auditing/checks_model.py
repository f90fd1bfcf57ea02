"""Checks of the configured network against the sizes and numbers of the objects that it is to find."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from instseg.auditing.anchors import LEEWAY, best_ious, shifted, suggest_sizes
from instseg.auditing.audit_options import AuditOptions
from instseg.auditing.report import AuditFinding, Severity
from instseg.auditing.tables import SplitTable, Tables, worst_images, worst_instances
from instseg.core.segmenter import AnchorGrid
from instseg.core.shell_overrides import override
from instseg.core.text import plural

SMALL_SIDE_PX, SMALL_BOX_PX = 8, 16
"""In the network frame: two cells of the finest level (stride 4), and four by four of them."""
MANY_SMALL_FRACTION, TOLERATED_SMALL_FRACTION = 0.05, 0.02
MAX_ENLARGEMENT = 2.0  # memory and time grow with its square
MODEST_ENLARGEMENT = 1.5  # of images that are smaller than those that networks are made for
MIN_BOXES = 30
"""With fewer boxes no anchors are suggested."""
NOTABLE_GAIN, LARGE_GAIN = 0.05, 0.10
"""Fraction of instances that other anchors would cover in addition."""


def model_findings(tables: Tables, options: AuditOptions) -> list[AuditFinding]:
    """Run all checks of the network.

    Args:
        tables: of all splits.
        options: settings of the network that decide it.
    """
    return [
        *too_small(tables, options), *too_large(tables, options), *anchors_miss(tables, options),
        *too_many_instances(tables, options),
    ]  # fmt: skip


def too_small(tables: Tables, options: AuditOptions) -> list[AuditFinding]:
    """Report instances that are too small for the finest feature level to show their shape.

    Args:
        tables: of all splits.
        options: settings of the network that decide it.
    """
    enlarge = {split: _needed_enlargement(table) for split, table in tables.items()}
    counts, spots = worst_instances(
        tables,
        {split: np.where(factors > 1, factors, 0) for split, factors in enlarge.items()},
        lambda table, n: table.network_size(n),
    )
    num_all = sum(map(len, enlarge.values()))
    if not spots:
        return []
    many = sum(counts.values()) > MANY_SMALL_FRACTION * num_all
    advice, commands = _larger(np.concatenate(list(enlarge.values())), options)
    return [
        AuditFinding(
            "too_small",
            Severity.WARNING if many else Severity.INFO,
            f"instances ({sum(counts.values()) / num_all:.0%}) smaller than {SMALL_SIDE_PX} px at a side or "
            f"{SMALL_BOX_PX}² px after the resize",
            counts,
            spots,
            advice,
            commands,
        )
    ]


def too_large(tables: Tables, options: AuditOptions) -> list[AuditFinding]:
    """Report images that the resize enlarges far, where their objects are large enough with less.

    Args:
        tables: of all splits.
        options: settings of the network that decide it.
    """
    scales = np.concatenate([table.scales for table in tables.values()])
    if not len(scales) or (factor := float(np.median(scales))) <= MAX_ENLARGEMENT:
        return []
    needed = np.concatenate([_needed_enlargement(table) for table in tables.values()])
    least = float(np.quantile(needed, 1 - TOLERATED_SMALL_FRACTION)) if len(needed) else 0.0
    wanted = max(MODEST_ENLARGEMENT / factor, least)
    low, high = (32 * math.ceil(size * wanted / 32) for size in (options.min_size, options.max_size))
    cost = (options.min_size / low) ** 2
    if cost < MAX_ENLARGEMENT:
        return []
    far = {split: np.where(table.scales > MAX_ENLARGEMENT, table.scales, 0) for split, table in tables.items()}
    counts, spots = worst_images(tables, far, lambda table, i: f"{table.scales[i]:.1f} times")
    title = f"images that the resize enlarges to more than {MAX_ENLARGEMENT:g} times, in the median to {factor:.1f}"
    advice = f"Enlarging adds no detail, and takes about {cost:.0f} times the time and memory of these sizes."
    command = f"augmentation.min_size={low} augmentation.max_size={high}"
    return [AuditFinding("too_large", Severity.WARNING, title, counts, spots, advice, (command,))]


def _needed_enlargement(table: SplitTable) -> NDArray[np.float64]:
    """Return the factor (N,) by which the resize would have to be larger for each instance not to be too small."""
    sides = np.maximum(table.sides * table.scales[table.images, None], 1e-6)
    by_side, by_area = SMALL_SIDE_PX / sides.min(axis=1, initial=np.inf), SMALL_BOX_PX / np.sqrt(sides.prod(axis=1))
    return np.asarray(np.maximum(by_side, by_area))


def _larger(needed: NDArray[np.float64], options: AuditOptions) -> tuple[str, tuple[str, ...]]:
    factor = min(float(np.quantile(needed, 1 - TOLERATED_SMALL_FRACTION)), MAX_ENLARGEMENT)
    if factor <= 1:
        return "They are few, and will hardly be found; nothing needs to be done.", ()
    low, high = (32 * math.ceil(size * factor / 32) for size in (options.min_size, options.max_size))
    left = float(np.mean(needed > low / options.min_size))
    growth = (low / options.min_size) ** 2
    advice = f"Larger images help: with these {left:.1%} are too small, and time and memory grow {growth:.1f} times."
    if left > TOLERATED_SMALL_FRACTION:
        advice += " For the rest, cut the images into parts before labelling."
    return advice, (f"augmentation.min_size={low} augmentation.max_size={high}",)


def anchors_miss(tables: Tables, options: AuditOptions) -> list[AuditFinding]:
    """Report instances whose best anchor is below the IoU from which anchors count as positive.

    Each is still learnt from its one best anchor, so this is a warning only where other sizes would keep many from
    being missed; sizes that only fit more tightly are a remark.

    Args:
        tables: of all splits.
        options: settings of the network that decide it.
    """
    grid = options.limits.anchors
    if grid is None:
        return []
    layout = grid.sizes, grid.ratios, grid.strides
    ious = {split: best_ious(table.network_boxes, *layout) for split, table in tables.items()}
    missed = {split: np.where(best < grid.positive_iou, 1 - best, 0) for split, best in ious.items()}
    counts, spots = worst_instances(
        tables, missed, lambda table, n: f"IoU {ious[table.split][n]:.2f}, {table.network_size(n)}"
    )
    if not spots:
        return []
    share = sum(counts.values()) / sum(map(len, ious.values()))
    barely = float(np.mean(np.concatenate(list(ious.values())) < grid.positive_iou - LEEWAY))
    severity, advice, commands = _better_anchors(tables, grid)
    title = (
        f"instances ({share:.0%}) without an anchor of IoU {grid.positive_iou:g}; "
        f"{barely:.0%} have none of {grid.positive_iou - LEEWAY:g} "
        f"(with {options.network} at {options.min_size} to {options.max_size} px)"
    )
    return [AuditFinding("anchors_miss", severity, title, counts, spots, advice, commands)]


def _better_anchors(tables: Tables, grid: AnchorGrid) -> tuple[Severity, str, tuple[str, ...]]:
    boxes = tables["train"].network_boxes if "train" in tables else np.zeros((0, 4))
    if len(boxes) < MIN_BOXES:
        return Severity.INFO, f"Fewer than {MIN_BOXES} training instances are too few to suggest other sizes from.", ()
    boxes, ratios, strides = shifted(boxes, max(grid.strides)), grid.ratios, grid.strides
    sizes = suggest_sizes(boxes, grid.sizes, ratios, strides, grid.positive_iou)
    now, then = (best_ious(boxes, s, ratios, strides) for s in (grid.sizes, sizes))
    well, barely = grid.positive_iou, round(grid.positive_iou - LEEWAY, 2)
    gain, gain_barely = (float(np.mean(then >= iou) - np.mean(now >= iou)) for iou in (well, barely))
    if max(gain, gain_barely) < NOTABLE_GAIN:
        return Severity.INFO, "Other sizes would hardly cover more; each is learnt from its best anchor.", ()
    cover = " and ".join(
        f"{np.mean(then >= iou):.0%} instead of {np.mean(now >= iou):.0%} by an IoU of {iou:g}"
        for iou in (well, barely)
    )
    command = override(f"model.{grid.sizes_option}", [level[0] if len(level) == 1 else level for level in sizes])
    advice = f"These sizes cover {cover} of the training instances. Published weights must get used to them."
    return Severity.WARNING if gain_barely > LARGE_GAIN else Severity.INFO, advice, (command,)


def too_many_instances(tables: Tables, options: AuditOptions) -> list[AuditFinding]:
    """Report images with more instances than the network returns detections.

    Args:
        tables: of all splits.
        options: settings of the network that decide it.
    """
    limit = options.limits.detections
    if limit is None:
        return []
    per_image = {split: table.per_image for split, table in tables.items()}
    over = {split: np.maximum(numbers - limit.per_image, 0).astype(np.float64) for split, numbers in per_image.items()}
    counts, spots = worst_images(
        tables, over, lambda table, image: plural(int(per_image[table.split][image]), "instance")
    )
    if not spots:
        return []
    lost = int(sum(values.sum() for values in over.values()))
    needed = 10 * math.ceil(max(int(numbers.max(initial=0)) for numbers in per_image.values()) / 10)
    return [
        AuditFinding(
            "too_many_instances",
            Severity.WARNING,
            f"images with more instances than the {plural(limit.per_image, 'detection')} that an image can have",
            counts,
            spots,
            f"{plural(lost, 'instance')} can never be found, which lowers the recall.",
            (override(f"model.{limit.option}", needed),),
        )
    ]
