"""``instseg compare``: the difference between two runs, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from instseg.app.plain_arguments import parse_plain, plain_parser
from instseg.evaluation.intervals import RESAMPLES
from instseg.sweeps.comparison import compare_runs, sentence

DESCRIPTION = """\
Tell whether one run is better than another, or whether it may be chance. Both
must have been tested on the same images: AP is computed again and again on
images drawn with replacement, the same for both runs."""


def compare(arguments: Sequence[str]) -> None:
    """Compare the two runs that the arguments name.

    Raises:
        InstsegError: a run has no test results, or the two cannot be compared.
    """
    parser = plain_parser("compare", DESCRIPTION)
    parser.add_argument("run", metavar="RUN", type=Path, help="a run folder, outputs/…/2026-01-31_12-00-00")
    parser.add_argument("other", metavar="OTHER_RUN", type=Path, help="the run to compare it with")
    parser.add_argument("--metric", default="segm_map", help="segm_map (default), segm_map_50, segm_map/car, …")
    parser.add_argument("--resamples", metavar="N", type=int, default=RESAMPLES, help=f"default {RESAMPLES}")
    given = parse_plain(parser, arguments)
    difference = compare_runs(given.run, given.other, given.metric, given.resamples)
    text = sentence(difference, given.metric, str(given.run), str(given.other))
    Console(soft_wrap=True, highlight=False).print(text, markup=False)
