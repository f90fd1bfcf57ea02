"""The check that the images to validate on give the monitored metrics a value."""

from __future__ import annotations

import difflib
import re

import numpy as np
from numpy.typing import NDArray

from instseg.app.check_monitor import KNOWN, OF_CATEGORY, Monitored, monitors_of
from instseg.app.config import RunConfig
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.text import did_you_mean, list_names
from instseg.data.index.columns import Index
from instseg.evaluation.matching import AREAS, within_areas

OF_SIZE = re.compile(r"val/(?:segm|bbox)_ma[pr]_(?P<size>small|medium|large)")
SIZES = {"small": " of up to 32² px²", "medium": " of 32² to 96² px²", "large": " of 96² px² or more"}
INSTEAD = ("val/segm_map", "val/bbox_map")
"""Metrics that may be measured where others are not, the better one first."""


def check_measurable(config: RunConfig, val: Index, categories: Categories) -> None:
    """Check that the images to validate on give each monitored metric a value.

    Args:
        config: of the run.
        val: the images.
        categories: of the data.

    Raises:
        InstsegError: a metric is of instances, or of a category, of which the images have none.
    """
    for monitor in monitors_of(config):
        of_category = OF_CATEGORY.fullmatch(monitor.metric)
        if of_category:
            _check_category(monitor, of_category["category"], categories)
        is_of_instances = monitor.metric in KNOWN and not monitor.metric.startswith("val/loss")
        if (of_category or is_of_instances) and len(val) and not _counted(monitor.metric, val, categories):
            raise InstsegError(
                f"{monitor}: no validation image has an instance{_described(monitor.metric, val)}, so that it would be "
                f"undefined and no weights the best; split anew, or use {_instead(monitor, val, categories)}"
            )


def _check_category(monitor: Monitored, category: str, categories: Categories) -> None:
    if category not in categories.names:
        close = difflib.get_close_matches(category, categories.names, n=3)
        raise InstsegError(
            f"{monitor}: there is no category {category}.{did_you_mean(close)} The data have "
            f"{list_names(categories.names, 40)}"
        )


def _counted(metric: str, val: Index, categories: Categories) -> int:
    """Return how many instances a metric counts."""
    counts, of_category = val.instances_per_category(_is_counted(metric, val)), OF_CATEGORY.fullmatch(metric)
    return int(counts[categories.names.index(of_category["category"])] if of_category else counts.sum())


def _is_counted(metric: str, val: Index) -> NDArray[np.bool_]:
    """Return (N,) whether a metric counts an instance that is no crowd: by its mask and its size."""
    is_counted, of_size = ~_is_unlabelled(val), OF_SIZE.fullmatch(metric)
    if _is_of_masks(metric):
        is_counted &= val.column("has_mask")
    if of_size:
        is_counted &= within_areas(val.column("areas"))[:, list(AREAS).index(of_size["size"])]
    return is_counted


def _is_unlabelled(val: Index) -> NDArray[np.bool_]:
    """Return (N,) whether an instance is of a category that the source of its image has not labelled completely."""
    table = np.zeros((len(val.sources), val.categories.num_classes), dtype=np.bool_)
    for row, source in zip(table, val.sources, strict=True):
        row[list(source.unlabelled)] = True
    source_of = np.repeat(val.column("sources"), np.diff(val.column("instance_offsets")))
    found: NDArray[np.bool_] = table[source_of, val.column("labels")]
    return found


def _is_of_masks(metric: str) -> bool:
    return not metric.startswith("val/bbox")


def _described(metric: str, val: Index) -> str:
    of_category, of_size = OF_CATEGORY.fullmatch(metric), OF_SIZE.fullmatch(metric)
    category = f" of {of_category['category']}" if of_category else ""
    with_mask = " with a mask" if _is_of_masks(metric) and not val.column("has_mask").all() else ""
    return category + with_mask + (SIZES[of_size["size"]] if of_size else "")


def _instead(monitor: Monitored, val: Index, categories: Categories) -> str:
    """Return the setting of a metric that has a value."""
    measured = (metric for metric in INSTEAD if metric != monitor.metric and _counted(metric, val, categories))
    metric = next(measured, None)
    mode = f"{monitor.key.rpartition('.')[0]}.mode"
    return f"{monitor.key}={metric}" if metric else f"{monitor.key}=val/loss {mode}=min"
