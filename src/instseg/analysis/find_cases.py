"""Search for the cases of an evaluated set, and what each costs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from instseg.analysis.cases import Case, Kind
from instseg.analysis.pairs import NONE, Pairs
from instseg.analysis.subject import Subject


def find_cases(subject: Subject) -> list[Case]:
    """Return all cases, those of one kind in the order of their cost."""
    costs = _Costs(subject)
    cases = [case for image, pairs in enumerate(subject.pairs) for case in _cases_of(image, pairs, subject, costs)]
    return sorted(cases, key=lambda case: -case.cost)


def _cases_of(image: int, pairs: Pairs, subject: Subject, costs: _Costs) -> Iterator[Case]:
    truth = subject.evaluated.truths[image]
    explained = truth.iscrowd.copy()
    by_truth: dict[int, int] = {}
    for row in np.flatnonzero(pairs.match >= 0).tolist():
        if pairs.is_kept[row]:
            explained[pairs.match[row]] = True
        else:
            by_truth[int(pairs.match[row])] = row
    for row in np.flatnonzero(pairs.is_kept & (pairs.match == NONE)).tolist():
        kind, partner = _kind(pairs, row)
        cost = costs.false(image, row)
        if kind in (Kind.CONFUSED, Kind.BAD_MASK):
            assert partner is not None
            explained[partner] = True
            cost += costs.missed(int(truth.labels[partner]))
        yield Case(kind, image, partner, row, float(pairs.ious[row]), cost)
    for row in np.flatnonzero(~explained).tolist():
        yield Case(Kind.MISSED, image, row, by_truth.get(row), 0.0, costs.missed(int(truth.labels[row])))


def _kind(pairs: Pairs, row: int) -> tuple[Kind, int | None]:
    by_kind = ((Kind.CONFUSED, pairs.confused), (Kind.BAD_MASK, pairs.touched), (Kind.REPEATED, pairs.repeated))
    return next(((kind, int(rows[row])) for kind, rows in by_kind if rows[row] >= 0), (Kind.FALSE, None))


class _Costs:
    """Loss of mean AP by a wrong detection or a missed instance, each alone.

    A missed instance of a category with n instances takes 1/n of recall at full precision. A wrong detection of rank r
    lowers the precision at each right one after it, of rank k with t right ones up to there, by t / (k (k - 1)).
    """

    def __init__(self, subject: Subject) -> None:
        evaluated = subject.evaluated
        self._num = np.zeros(len(evaluated.categories) + 1)
        for truth in evaluated.truths:
            np.add.at(self._num, truth.labels[~truth.iscrowd], 1)
        self._share = 1 / max(1, int((self._num > 0).sum()))  # of a category in the mean
        labels, scores, matches = _columns(subject)
        self._of_row = self._false(labels, scores, matches)
        self._start = np.cumsum([0, *map(len, evaluated.predictions)])

    def missed(self, label: int) -> float:
        return float(self._share / self._num[label]) if self._num[label] else 0.0

    def false(self, image: int, row: int) -> float:
        return float(self._of_row[self._start[image] + row])

    def _false(
        self, labels: NDArray[np.int64], scores: NDArray[np.float64], matches: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        costs = np.zeros(len(labels))
        for label in np.flatnonzero(self._num).tolist():
            rows = np.flatnonzero((labels == label) & (matches >= NONE))  # not those in crowds
            rows = rows[np.argsort(-scores[rows], kind="stable")]
            is_right = matches[rows] >= 0
            rank = np.arange(1, len(rows) + 1)
            loss = is_right * np.cumsum(is_right) / (rank * np.maximum(rank - 1, 1))
            after = loss[::-1].cumsum()[::-1] - loss
            costs[rows] = self._share * np.where(is_right, 0.0, after) / self._num[label]
        return costs


def _columns(subject: Subject) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    predictions = subject.evaluated.predictions
    labels = np.concatenate([np.zeros(0, np.int64), *(one.labels for one in predictions)])
    scores = np.concatenate([np.zeros(0), *(one.scores for one in predictions)])
    matches = np.concatenate([np.zeros(0, np.int64), *(pairs.match for pairs in subject.pairs)])
    return labels, scores, matches
