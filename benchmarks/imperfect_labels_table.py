"""The trainings of ``imperfect_labels.py`` as tables: each is a line of json."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from resumable import read_lines
from small_data_table import mean_with_interval

PAIRS = (
    ("category, aware", "category, naive"),
    ("complete", "category, aware"),
    ("masks, box only", "masks, filled"),
    ("masks, box only", "masks, dropped"),
    ("complete", "masks, box only"),
)
MEASURES = {"ap": "mask AP", "ap_lost": "mask AP of the lost category", "box_ap": "box AP"}


@dataclass(frozen=True)
class Training:
    """A line of the file."""

    dataset: str
    labels: str  # what was taken away, and what was made of it
    seed: int
    ap: float
    ap_lost: float  # mask AP of the category that half of the images lose in the simulation of categories
    box_ap: float
    lost: str
    num_images: int
    num_test_images: int
    steps: int
    cpu_s: float  # of the training

    @property
    def key(self) -> tuple[object, ...]:
        return self.dataset, self.labels, self.seed, self.steps


def read(file: Path) -> list[Training]:
    return read_lines(file, Training)


def table(trainings: Sequence[Training]) -> Iterator[str]:
    """A Markdown table: for each set and its labels the mean over the seeds."""
    yield "| set | labels | mask AP | of each seed | mask AP of the lost category | box AP | steps | CPU s |"
    yield "|---|---|---|---|---|---|---|---|"
    order = sorted(trainings, key=lambda t: (t.dataset, t.steps, t.labels, t.seed))
    for (dataset, steps, labels), same in groupby(order, key=lambda t: (t.dataset, t.steps, t.labels)):
        runs = list(same)
        ap, ap_lost, box_ap, cpu_s = (
            statistics.mean(getattr(one, name) for one in runs) for name in ("ap", "ap_lost", "box_ap", "cpu_s")
        )
        each = ", ".join(f"{one.ap:.3f}" for one in runs)
        tested = f"{dataset} ({runs[0].num_images} images, {runs[0].num_test_images} tested)"
        lost = f"{ap_lost:.3f} ({runs[0].lost})"
        yield f"| {tested} | {labels} | {ap:.3f} | {each} | {lost} | {box_ap:.3f} | {steps} | {cpu_s:.0f} |"


def differences(trainings: Sequence[Training]) -> Iterator[str]:
    """A Markdown table: pairs of labels, with Student's interval of 95 % over the seeds that both have."""
    yield f"| set | steps | labels | against | {' | '.join(MEASURES.values())} |"
    yield "|---|---|---|---|---|---|---|"
    known = {training.key: training for training in trainings}
    sets = sorted({(t.dataset, t.steps) for t in trainings})
    for dataset, steps in sets:
        for better, base in PAIRS:
            ahead = [t for t in trainings if (t.dataset, t.labels, t.steps) == (dataset, better, steps)]
            both = [(one, known.get((dataset, base, one.seed, steps))) for one in ahead]
            pairs = [(one, other) for one, other in both if other is not None]
            if pairs:
                more = [
                    mean_with_interval([getattr(one, name) - getattr(other, name) for one, other in pairs])
                    for name in MEASURES
                ]
                yield f"| {dataset} | {steps} | {better} | {base} | {' | '.join(more)} |"
