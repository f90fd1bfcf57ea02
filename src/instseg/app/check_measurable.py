"""The check that the images to validate on give the monitored metric a value."""

from __future__ import annotations

import difflib

from instseg.app.check_monitor import KNOWN, OF_CATEGORY
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.text import did_you_mean, list_names, plural
from instseg.data.index.columns import Index


def check_measurable(metric: str, val: Index, categories: Categories) -> None:
    """Check that the images to validate on give the monitored metric a value.

    Args:
        metric: name of the monitored metric.
        val: the images.
        categories: of the data.

    Raises:
        InstsegError: the metric is of instances, or of a category, of which the images have none.
    """
    of_category = OF_CATEGORY.fullmatch(metric)
    if of_category:
        _check_category(metric, of_category["category"], val, categories)
    elif metric in KNOWN and not metric.startswith("val/loss") and len(val) and not val.num_instances:
        raise InstsegError(
            f"monitor.metric={metric}: {plural(len(val), 'validation image')} without an instance, so that it would be "
            "undefined and no weights the best; split anew, or use monitor.metric=val/loss monitor.mode=min"
        )


def _check_category(metric: str, category: str, val: Index, categories: Categories) -> None:
    if category not in categories.names:
        close = difflib.get_close_matches(category, categories.names, n=3)
        raise InstsegError(
            f"monitor.metric={metric}: there is no category {category}.{did_you_mean(close)} The data have "
            f"{list_names(categories.names, 40)}"
        )
    if not val.instances_per_category()[categories.names.index(category)]:
        raise InstsegError(
            f"monitor.metric={metric}: no validation image has an instance of {category}, so that it would be "
            "undefined and no weights the best; split anew, or monitor val/segm_map"
        )
