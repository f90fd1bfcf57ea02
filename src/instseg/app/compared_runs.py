"""Runs read from their folders, for a page that compares them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from instseg.analysis.compared_run import ComparedRun, RunNames
from instseg.analysis.judge_run import judge_run
from instseg.analysis.subject import ImageFile, Subject
from instseg.app.linked_pages import REPORT
from instseg.core.command_line import typed_command
from instseg.core.errors import InstsegError
from instseg.evaluation.evaluated import EvaluatedImages
from instseg.evaluation.image_details import PlacedRecord
from instseg.evaluation.image_record import ImageRecord
from instseg.evaluation.image_results import ImageResults
from instseg.evaluation.masks_file import FILE_NAME, MaskResults, read_masks
from instseg.runs.stored_overrides import stored_overrides
from instseg.sweeps.comparison import read_run
from instseg.visualization.page.links import link_to

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def remedy(folder: Path) -> str:
    """Return the sentence on how a run comes to have masks that a page can show."""
    command = f"{typed_command('report')} {shlex.quote(f'checkpoint={folder}')}"
    return f"Every report keeps them: {command} writes one, whose folder can be compared"


def read_compared(folders: Sequence[Path], results: Sequence[ImageResults], page_folder: Path) -> list[ComparedRun]:
    """Read the masks of runs.

    Args:
        folders: of the runs.
        results: of each, on the images that are compared.
        page_folder: where the page will lie.

    Raises:
        InstsegError: masks are missing, damaged, or of another test than the results.
    """
    if len(folders) > len(LETTERS):
        raise InstsegError(f"expected at most {len(LETTERS)} runs, found {len(folders)}")
    numbered = zip(LETTERS, folders, results, strict=False)
    return [_read(letter, folder, of_run, page_folder) for letter, folder, of_run in numbered]


def _read(letter: str, folder: Path, results: ImageResults, page_folder: Path) -> ComparedRun:
    tested = read_masks(folder / FILE_NAME, remedy(folder))
    places = _places(folder, tested, results)
    evaluated = tested.evaluated
    kept = EvaluatedImages(
        [evaluated.predictions[place] for place in places],
        [evaluated.truths[place] for place in places],
        evaluated.categories,
    )
    files = {
        evaluated.truths[place].image_id: ImageFile(name, Path(tested.paths[place]), tested.rotations[place])
        for place, name in zip(places, results.file_names, strict=True)
    }
    report = folder / REPORT
    names = RunNames(
        letter,
        f"{folder.parent.name} · {folder.name}",
        " ".join(stored_overrides(folder)),
        link_to(report, page_folder, "").href if report.is_file() else "",
    )
    images = [_placed(tested, place, record) for place, record in zip(places, results.records, strict=True)]
    return judge_run(names, images, Subject(kept, files.__getitem__, tested.thresholds))


def _places(folder: Path, tested: MaskResults, results: ImageResults) -> list[int]:
    """Return the place of each image of the results among the tested ones."""
    whole = read_run(folder)
    sizes = [(record.image_id, len(record.truth_labels), len(record.labels)) for record in whole.records]
    truths = zip(tested.evaluated.truths, tested.boxes, strict=True)
    if sizes != [(truth.image_id, len(truth), len(boxes)) for truth, boxes in truths]:
        raise InstsegError(
            f"{folder / FILE_NAME}: expected the test of test_images.npz, found another. {remedy(folder)}"
        )
    place_of = {name: place for place, name in enumerate(whole.file_names)}
    return [place_of[name] for name in results.file_names]


def _placed(tested: MaskResults, place: int, record: ImageRecord) -> PlacedRecord:
    truth = tested.evaluated.truths[place]
    return PlacedRecord(record, truth.image_size, truth.boxes, tested.boxes[place])
