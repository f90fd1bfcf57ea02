"""Checks of shapes that look like mistakes of a person or of an export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.auditing.crossings import count_crossings
from instseg.auditing.report import AuditFinding, Severity
from instseg.auditing.tables import SplitTable, Tables, polygons_of, worst_instances
from instseg.core.boxes import paired_box_ious
from instseg.core.text import plural

ROUNDING_PX = 0.01  # of coordinates that are written with two decimals
WHOLE_IMAGE_FRACTION = 0.95
DUPLICATE_IOU = 0.95
LIKELY_BOX_IOU = 0.8  # of the boxes; only then the masks are compared
MANY_FRACTION = 0.01
"""Of all instances: from here on such shapes are no slips any more, but a habit or a broken export."""


def shape_findings(tables: Tables) -> list[AuditFinding]:
    """Run the checks that take no time."""
    return [*outside_image(tables), *sub_pixel(tables), *whole_image(tables)]


def thorough_shape_findings(tables: Tables) -> list[AuditFinding]:
    """Run the checks that take seconds on large datasets."""
    return [*self_crossing(tables), *duplicate_annotations(tables)]


def outside_image(tables: Tables) -> list[AuditFinding]:
    """Report polygons with points beyond the border; those wholly outside were left out when the labels were read."""
    beyond = {split: _px_outside(table) for split, table in tables.items()}
    counts, spots = worst_instances(tables, beyond, lambda table, n: f"{beyond[table.split][n]:.3g} px outside")
    if not spots:
        return []
    worst = max(float(values.max(initial=0)) for values in beyond.values())
    severity = Severity.INFO if worst <= 1 or not _are_many(counts, tables) else Severity.WARNING
    title = f"instances that reach out of their image, by up to {worst:.3g} px"
    advice = "They are cut at the border. Where many are far outside, images and labels do not belong together."
    return [AuditFinding("shape_outside_image", severity, title, counts, spots, advice)]


def _px_outside(table: SplitTable) -> NDArray[np.float64]:
    """Measure how far (N,) polygons reach beyond the border, px; 0 where they do not."""
    beyond = np.zeros(len(table.rows))
    for polygons in polygons_of(table):
        if len(polygons.points):
            instances = np.repeat(polygons.instances, polygons.part_sizes)
            limits = table.image_sizes[table.images[instances]][:, ::-1]
            outside = np.maximum(-polygons.points, polygons.points - limits).max(axis=1)
            np.maximum.at(beyond, instances, outside)
    return np.where(beyond > ROUNDING_PX, beyond, 0)


def sub_pixel(tables: Tables) -> list[AuditFinding]:
    """Report instances that are thinner than a pixel of their image."""
    thinnest = {split: table.sides.min(axis=1, initial=np.inf) for split, table in tables.items()}
    badness = {split: np.where(sides < 1, 1 - sides, 0) for split, sides in thinnest.items()}
    counts, spots = worst_instances(tables, badness, lambda table, n: f"{thinnest[table.split][n]:.2g} px thin")
    if not spots:
        return []
    advice = "No mask can show them: delete them in the annotation tool."
    title = "instances thinner than one pixel"
    return [AuditFinding("shape_sub_pixel", Severity.WARNING, title, counts, spots, advice)]


def whole_image(tables: Tables) -> list[AuditFinding]:
    """Report instances that fill their image, which is right for portraits and a slip elsewhere."""
    covered = {split: _fraction_of_image(table) for split, table in tables.items()}
    badness = {split: np.where(values >= WHOLE_IMAGE_FRACTION, values, 0) for split, values in covered.items()}
    counts, spots = worst_instances(tables, badness, lambda table, n: f"{covered[table.split][n]:.0%} of the image")
    if not spots:
        return []
    advice = "Look whether the polygon follows the object; image-level labels turned into boxes look like this."
    severity = Severity.WARNING if sum(counts.values()) > 10 * MANY_FRACTION * _num_instances(tables) else Severity.INFO
    title = f"instances that cover {WHOLE_IMAGE_FRACTION:.0%} of their image or more"
    return [AuditFinding("shape_whole_image", severity, title, counts, spots, advice)]


def _fraction_of_image(table: SplitTable) -> NDArray[np.float64]:
    """Compute the fraction (N,) of the image's area; annotated areas are not always true, so the box bounds them."""
    images = table.image_sizes.prod(axis=1)[table.images]
    return np.asarray(np.minimum(table.areas, table.sides.prod(axis=1)) / images)


def self_crossing(tables: Tables) -> list[AuditFinding]:
    """Report polygons that cross themselves: a loop between crossings counts as outside of the mask."""
    crossings = {split: _crossings(table) for split, table in tables.items()}
    counts, spots = worst_instances(
        tables, crossings, lambda table, n: plural(int(crossings[table.split][n]), "crossing")
    )
    found = []
    if spots:
        severity = Severity.WARNING if _are_many(counts, tables) else Severity.INFO
        title = "instances whose polygon crosses itself"
        advice = "A loop of the polygon turns inside out there: move its points in the annotation tool."
        found.append(AuditFinding("shape_crosses_itself", severity, title, counts, spots, advice))
    counts, spots = worst_instances(tables, {s: -c for s, c in crossings.items()}, lambda table, n: "")
    if spots:
        title = "instances whose polygon has too many points to see whether it crosses itself"
        advice = "Such polygons come from masks that were traced pixel by pixel; they can be simplified without harm."
        found.append(AuditFinding("shape_too_fine", Severity.INFO, title, counts, spots, advice))
    return found


def _crossings(table: SplitTable) -> NDArray[np.float64]:
    """Count the crossings (N,); -1 where a part has too many points to tell."""
    crossings = np.zeros(len(table.rows))
    too_fine = np.zeros(len(table.rows), dtype=np.bool_)
    for polygons in polygons_of(table):
        found = count_crossings(polygons.points, polygons.part_sizes)
        np.add.at(crossings, polygons.instances, np.maximum(found, 0))
        too_fine[polygons.instances[found < 0]] = True
    return np.where(too_fine, -1.0, crossings)


def duplicate_annotations(tables: Tables) -> list[AuditFinding]:
    """Report instances that repeat one of the same category in the same image: an object that was exported twice."""
    repeats = {split: _repeats(table) for split, table in tables.items()}
    counts, spots = worst_instances(tables, repeats, lambda table, n: f"IoU {repeats[table.split][n]:.2f}")
    if not spots:
        return []
    severity = Severity.WARNING if _are_many(counts, tables) else Severity.INFO
    title = f"instances that repeat another of their category and image (IoU {DUPLICATE_IOU} or more)"
    advice = "Each counts as an object that must be found a second time: delete the copies in the annotation tool."
    return [AuditFinding("shape_duplicate", severity, title, counts, spots, advice)]


def _repeats(table: SplitTable) -> NDArray[np.float64]:
    """Compute the IoU (N,) of each duplicate with an earlier instance of its image and category; 0 for the others."""
    repeats = np.zeros(len(table.rows))
    masks: dict[int, object] = {}
    for first, second in _likely_duplicates(table):
        for n in (first, second):
            if n not in masks:
                masks[n] = table.index.rle(int(table.rows[n]), int(table.images[n]))
        iou = float(coco_mask.iou([masks[second]], [masks[first]], [0])[0, 0])
        if iou >= DUPLICATE_IOU:
            repeats[second] = max(repeats[second], iou)
    return repeats


def _likely_duplicates(table: SplitTable) -> Iterator[tuple[int, int]]:
    """Yield pairs of the same image and category whose boxes overlap enough, the earlier instance first."""
    group = table.images * (int(table.labels.max(initial=0)) + 1) + table.labels
    order = np.argsort(group, kind="stable")
    ordered, boxes = group[order], table.boxes[order]
    near, distance = np.arange(len(order)), 0
    while len(near):
        distance += 1
        near = near[near + distance < len(order)]
        near = near[ordered[near] == ordered[near + distance]]
        likely = near[paired_box_ious(boxes[near], boxes[near + distance]) >= LIKELY_BOX_IOU]
        yield from zip(order[likely].tolist(), order[likely + distance].tolist(), strict=True)


def _are_many(counts: Mapping[str, int], tables: Tables) -> bool:
    return sum(counts.values()) > MANY_FRACTION * _num_instances(tables)


def _num_instances(tables: Tables) -> int:
    return sum(len(table.rows) for table in tables.values())
