"""``instseg compare``: the differences between runs, with their intervals, in a line each and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from instseg.analysis.comparison import build_comparison
from instseg.analysis.page.render import write_page
from instseg.app.compared_runs import read_compared, remedy
from instseg.app.plain_arguments import parse_plain, plain_parser
from instseg.core.text import list_names, plural
from instseg.evaluation.image_results import ImageResults
from instseg.evaluation.intervals import RESAMPLES
from instseg.evaluation.masks_file import FILE_NAME
from instseg.runs.folders import find_checkpoint, folder_of
from instseg.sweeps.comparison import check_comparable, on_common_images, read_run, sentence
from instseg.sweeps.comparison import compare as difference_of

LATEST = Path("latest")
DESCRIPTION = """\
Tell whether runs are better than the first one, or whether it may be chance.
All must have been tested on the same images: AP is computed again and again on
images drawn with replacement, the same for all runs.

Writes a page as well: the differences in each category and in parts of the
objects, and pictures of what is fixed and broken, the runs side by side."""
ALL, COMMON = "all", "common"


def compare(arguments: Sequence[str]) -> None:
    """Compare the runs that the arguments name.

    Raises:
        InstsegError: a run has no test results, or the runs cannot be compared.
    """
    parser = plain_parser("compare", DESCRIPTION)
    parser.add_argument("run", metavar="RUN", type=Path, help="a run folder, outputs/…/2026-01-31_12-00-00, or latest")
    parser.add_argument("others", metavar="OTHER_RUN", type=Path, nargs="+", help="one or more to compare it with")
    parser.add_argument("--metric", default="segm_map", help="segm_map (default), segm_map_50, segm_map/car, …")
    parser.add_argument("--resamples", metavar="N", type=int, default=RESAMPLES, help=f"default {RESAMPLES}")
    parser.add_argument("--images", choices=(ALL, COMMON), default=ALL, help="common: leave out what not all have")
    parser.add_argument("--page", metavar="FILE", type=Path, help="default: comparison.html in the folder of RUN")
    parser.add_argument("--outputs", metavar="DIR", type=Path, default=Path("outputs"), help="for latest")
    given = parse_plain(parser, arguments)
    runs = [_run_named(place, given.outputs) for place in (given.run, *given.others)]
    folders = [folder_of(run.expanduser()) for run in runs]
    results, notes = _results(folders, given.images)
    console = Console(soft_wrap=True, highlight=False)
    for note in notes:
        console.print(note, markup=False)
    names = [str(run) for run in runs]
    for other, name in zip(results[1:], names[1:], strict=True):
        difference = difference_of(results[0], other, given.metric, given.resamples, names=(names[0], name))
        console.print(sentence(difference, given.metric, names[0], name), markup=False)
    _write_page(folders, results, notes, given.page or folders[0] / "comparison.html", console)


def _run_named(place: Path, outputs: Path) -> Path:
    """Return the run folder itself, or the newest run for ``latest``."""
    return find_checkpoint(str(place), outputs, "RUN").parents[1] if place == LATEST else place


def _results(folders: Sequence[Path], images: str) -> tuple[list[ImageResults], list[str]]:
    """Return the results of each run on the same images, and what was left out."""
    results = [read_run(folder) for folder in folders]
    if images == ALL:
        return results, []
    common = on_common_images(results)
    kept = set(common[0].file_names)
    notes = []
    for folder, of_run in zip(folders, results, strict=True):
        left_out = sorted(set(of_run.file_names) - kept)
        if left_out:
            notes.append(f"{folder}: {plural(len(left_out), 'image')} left out: {list_names(left_out, 3)}")
    return common, [f"On the {plural(len(kept), 'image')} that all runs were tested on.", *notes] if notes else []


def _write_page(
    folders: Sequence[Path], results: Sequence[ImageResults], notes: Sequence[str], page: Path, console: Console
) -> None:
    """Write the page, where the masks of all runs were kept."""
    for other in results[1:]:
        check_comparable(results[0], other)
    without = [folder for folder in folders if not (folder / FILE_NAME).is_file()]
    if without:
        console.print(f"no page: no {FILE_NAME} in {list_names(without)}. {remedy(without[0])}.", markup=False)
        return
    write_page(build_comparison(read_compared(folders, results, page.parent), notes), page)
    console.print(f"page:            {page}", markup=False)
