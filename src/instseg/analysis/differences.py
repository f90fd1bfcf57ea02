"""Measurement of runs on the same draws of the same images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from instseg.analysis.compared_run import ComparedRun
from instseg.analysis.difference_numbers import CategoryNumbers, Differences, PartNumbers
from instseg.analysis.measured import GROUP_DRAWS, GROUPINGS
from instseg.core.arrays import Floats
from instseg.core.categories import Categories
from instseg.evaluation.bootstrap import ResampledAp
from instseg.evaluation.breakdowns import GroupCurves, group_curves
from instseg.evaluation.estimates import draws_for, ratio_of_sums
from instseg.evaluation.paired import Paired, paired
from instseg.evaluation.resampling import Measure, Weights
from instseg.evaluation.score_curves import ScoreCurve
from instseg.evaluation.weighted_curves import Curve, category_aps, mean_aps, mean_defined


def measure_differences(runs: Sequence[ComparedRun]) -> Differences:
    """Measure runs on the same images."""
    categories = runs[0].subject.evaluated.categories
    num_detections = sum(len(one.record.labels) for run in runs for one in run.images)
    drawn = draws_for(len(runs[0].images), num_detections)
    ap, ap50, *of_categories = paired([_aps(run, categories) for run in runs], drawn)
    recall, precision = paired([_at_thresholds(run) for run in runs], drawn)
    counts = runs[0].confusion.matrix.sum(axis=1)[1:].tolist()
    f1s = [_f1(runs, label, drawn) for label in range(1, len(categories) + 1)]
    rows = zip(categories.names, counts, of_categories, f1s, strict=True)
    parts = _parts(runs, categories, drawn[:GROUP_DRAWS])
    return Differences(ap, ap50, recall, precision, [CategoryNumbers(*row) for row in rows], parts)


def _aps(run: ComparedRun, categories: Categories) -> Measure:
    """Return the measure of AP, of AP at an IoU of 0.50, and of AP of each category."""
    curves = ResampledAp([one.record for one in run.images], categories, "segm_map").curves

    def measure(weights: Weights) -> Floats:
        each = category_aps(curves, weights)
        return np.concatenate([mean_defined(each), each[:, :, 0]], axis=1)

    return measure


def _at_thresholds(run: ComparedRun) -> Measure:
    """Return the measure of recall and precision over all categories."""
    cases, num_images = run.confusion.cases, len(run.images)
    is_right = (cases.truth_labels == cases.labels).astype(np.float64)
    right, present, detected = (
        np.bincount(cases.images, weights=chosen, minlength=num_images)
        for chosen in (is_right, cases.truth_labels > 0, cases.labels > 0)
    )
    return ratio_of_sums(np.stack([right, right], axis=1), np.stack([present, detected], axis=1))


def _f1(runs: Sequence[ComparedRun], label: int, drawn: Weights) -> Paired:
    curves = [ScoreCurve.of(run.pool, run.assignment, label) for run in runs]
    *_, f1 = paired([curve.at_threshold(-np.inf) for curve in curves], drawn)  # all that is left is at the thresholds
    return f1


def _parts(runs: Sequence[ComparedRun], categories: Categories, drawn: Weights) -> list[PartNumbers]:
    parts = []
    for title, grouping in GROUPINGS.items():
        of_runs = [group_curves(run.images, grouping(run.images), categories) for run in runs]
        for groups in zip(*of_runs, strict=True):
            parts.append(_part(title, groups, drawn))
    return parts


def _part(title: str, groups: Sequence[GroupCurves], drawn: Weights) -> PartNumbers:
    (ap,) = paired([partial(_mean_ap, group.curves) for group in groups], drawn)
    return PartNumbers(title, groups[0].group, groups[0].num_instances, ap)


def _mean_ap(curves: Sequence[Curve], weights: Weights) -> Floats:
    return mean_aps(curves, weights)[:, :1]
