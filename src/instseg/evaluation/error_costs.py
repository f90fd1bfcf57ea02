"""Cost of each type of errors: what AP would gain if these errors alone were fixed (TIDE; Bolya et al., 2020)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from instseg.core.arrays import Flags, Floats, Rows
from instseg.evaluation.error_types import CLASSIFICATION, LOCALISATION, MISSED, TYPES, TypedErrors
from instseg.evaluation.estimates import Estimate, estimates
from instseg.evaluation.image_details import DetailsPool
from instseg.evaluation.resampling import Weights, in_parts
from instseg.evaluation.weighted_curves import Curve, weighted_precisions

RECALLS = np.arange(101) / 100  # of which ten differ from COCO's in their last bit
FALSE_POSITIVES, FALSE_NEGATIVES = "false positives", "false negatives"


@dataclass(frozen=True, slots=True)
class ErrorCosts:
    """AP at one IoU, 0 to 1, and how much more it would be without the errors of each type.

    The costs do not add up to what is missing from 1: errors hide each other.
    """

    ap: Estimate
    costs: Mapping[str, Estimate]  # of each of TYPES
    false_positives: Estimate  # without the wrong detections, of whatever type
    false_negatives: Estimate  # without the instances that are not found
    counts: Mapping[str, int]  # of detections of each type, those in crowds too, and of missed instances


@dataclass(eq=False, slots=True)
class _Variant:
    """Detections and instances as AP sees them when some errors are fixed."""

    rows: Rows  # (C,) detections, best score first
    labels: Rows  # (C,)
    is_right: Flags  # (C,)
    to_find: Flags  # (G,)

    def curves(self, pool: DetailsPool, labels: Rows) -> Iterator[Curve]:
        for label in labels.tolist():
            of_label = self.labels == label
            right, images = self.is_right[of_label], pool.images[self.rows[of_label]]
            truths = pool.truth_images[self.to_find & (pool.rows.truth_labels == label)]
            yield Curve(images, right[:, None], ~right[:, None], truths)


def error_costs(pool: DetailsPool, errors: TypedErrors, drawn: Weights) -> ErrorCosts:
    """Measure AP without the errors of each type.

    Args:
        pool: the images.
        errors: of ``type_errors``.
        drawn: draws of the images for the intervals, as ``draws_for`` returns them.
    """
    variants = [_as_it_is(pool, errors), *(_without(pool, errors, name) for name in TYPES)]
    variants += [_without_false_positives(pool, errors), _without_false_negatives(pool, errors)]
    labels = np.union1d(pool.rows.labels, pool.rows.truth_labels)
    curves = [list(variant.curves(pool, labels)) for variant in variants]

    def measure(weights: Weights) -> Floats:
        aps = np.stack([_mean_ap(of_variant, weights) for of_variant in curves], axis=1)
        costs = aps[:, 1:] - aps[:, :1]
        costs[:, : len(TYPES)] = np.maximum(costs[:, : len(TYPES)], 0)  # below 0 is rounding, says tidecv
        return np.concatenate([aps[:, :1], costs], axis=1)

    ap, *costs, false_positives, false_negatives = estimates(measure, drawn)
    counts = {name: len(errors.of_type(name)) for name in TYPES}
    return ErrorCosts(ap, dict(zip(TYPES, costs, strict=True)), false_positives, false_negatives, counts)


def _as_it_is(pool: DetailsPool, errors: TypedErrors) -> _Variant:
    rows = errors.order[~errors.is_ignored[errors.order]]
    return _sorted(pool, rows, pool.rows.labels[rows], _is_right(errors)[rows], ~pool.rows.truth_iscrowd)


def _without(pool: DetailsPool, errors: TypedErrors, name: str) -> _Variant:
    """Return the variant in which the errors of a type are right where one can be, and else not there."""
    is_right, labels, is_kept = _is_right(errors), pool.rows.labels.copy(), ~errors.is_ignored
    fixed = np.zeros(0, np.int64)
    if name != MISSED:
        rows = errors.of_type(name)
        is_kept[rows] = False
        if name in (CLASSIFICATION, LOCALISATION):
            fixed = rows[errors.fixed_by[errors.truths[rows]] == rows]
        is_kept[fixed] = True
    labels[fixed] = pool.rows.truth_labels[errors.truths[fixed]]
    wrong_first = np.concatenate([errors.order[~is_right[errors.order]], errors.order[is_right[errors.order]]])
    is_right[fixed] = True
    rows = wrong_first[is_kept[wrong_first]]
    to_find = ~pool.rows.truth_iscrowd & ~(errors.is_missed & (name == MISSED))
    return _sorted(pool, rows, labels[rows], is_right[rows], to_find)


def _without_false_positives(pool: DetailsPool, errors: TypedErrors) -> _Variant:
    variant = _as_it_is(pool, errors)
    order = np.argsort(~variant.is_right, kind="stable")
    return _Variant(variant.rows[order], variant.labels[order], variant.is_right[order], variant.to_find)


def _without_false_negatives(pool: DetailsPool, errors: TypedErrors) -> _Variant:
    variant = _without(pool, errors, MISSED)
    variant.to_find = errors.is_found
    return variant


def _is_right(errors: TypedErrors) -> Flags:
    is_right: Flags = errors.types == 0
    return is_right


def _sorted(pool: DetailsPool, rows: Rows, labels: Rows, is_right: Flags, to_find: Flags) -> _Variant:
    order = np.argsort(-pool.rows.scores[rows], kind="stable")
    return _Variant(rows[order], labels[order], is_right[order], to_find)


def _mean_ap(curves: list[Curve], weights: Weights) -> Floats:
    """Return the mean AP (resamples,) of the categories that have an instance or a detection; NaN where none has."""
    longest = max((len(curve.images) for curve in curves), default=1)
    return in_parts(partial(_mean_ap_of, curves), weights, longest)


def _mean_ap_of(curves: list[Curve], weights: Weights) -> Floats:
    total, number = np.zeros(len(weights)), np.zeros(len(weights))
    for curve in curves:
        total += np.maximum(weighted_precisions(curve, weights, RECALLS)[:, 0], 0).mean(axis=1)
        number += weights[:, np.union1d(curve.images, curve.truth_images)].any(axis=1)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)
