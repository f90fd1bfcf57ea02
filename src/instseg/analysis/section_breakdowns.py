"""Section of the report with AP by size, by crowding and by truncation at the border."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from instseg.analysis.line_chart import Bar, bar_chart
from instseg.analysis.page.content import Chart, Charts, Section
from instseg.evaluation.estimates import Estimate


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the objects."""

    name: str
    num_objects: int
    num_lost: int
    """Those that are not found, under their category, at the thresholds."""
    ap: Estimate


def breakdown_section(parts: Mapping[str, Sequence[Part]]) -> Section:
    """Show the mask AP of parts of the objects.

    Args:
        parts: title -> parts.
    """
    charts = [Chart(title, bar_chart([*map(_bar, some)])) for title, some in parts.items()]
    explanation = (
        "Mask AP of some of the objects, where all others are ignored; beside it, how many they are. Sizes divide the "
        "objects here into quarters, or fewer parts where many are alike. Neighbours are objects whose boxes overlap."
    )
    return Section("breakdowns", "Which objects", explanation, Charts(charts))


def _bar(part: Part) -> Bar:
    is_defined = not math.isnan(part.ap.value)
    text = f"{part.ap.value:.3f} · {part.num_objects:,}" if is_defined else f"– · {part.num_objects:,}"
    interval = None if math.isnan(part.ap.low) else (part.ap.low, part.ap.high)
    return Bar(part.name, part.ap.value if is_defined else 0.0, text, interval)
