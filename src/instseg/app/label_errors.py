"""``stage=label_errors``: labels that are likely wrong, as a page, a table, and proposed corrections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console

from instseg.analysis.label_errors.find import find_label_errors
from instseg.analysis.label_errors.found import LabelErrors
from instseg.analysis.label_errors.judged import Judged
from instseg.analysis.page.content import Advice
from instseg.app.config import RunConfig
from instseg.app.job import Job
from instseg.app.judge_images import judge_images
from instseg.app.judges import jury_of
from instseg.app.label_error_proposals import renamed, write_proposals
from instseg.app.open_run import opened
from instseg.core.channels import plain_lines
from instseg.core.text import plural
from instseg.data.prepared import PreparedDataset

PAGE, TABLE, PROPOSALS = "label_errors.html", "label_errors.csv", "proposals"
KEPT_CALLBACKS = ("progress",)
"""The others belong to a training or a test."""


def label_errors(config: RunConfig, job: Job) -> Mapping[str, float]:
    """Judge the labels of images that models have not seen. Nothing is trained, and no label is changed.

    Args:
        config: of the run.
        job: of this process.

    Raises:
        InstsegError: there is no checkpoint, or it has other categories than the data set.
    """
    callbacks = {name: node for name, node in config.callbacks.items() if name in KEPT_CALLBACKS}
    with opened(replace(config, callbacks=callbacks, metrics={}, logger={}), job) as run:
        judged = judge_images(jury_of(config, run.data.prepared), run, job)
        _write(config, run.data.prepared, judged)
    return {}


@rank_zero_only
def _write(config: RunConfig, prepared: PreparedDataset, judged: Judged) -> None:
    """Rank the suspicions, write all files, and say where they are."""
    errors = LabelErrors(judged, find_label_errors(judged.images), config.label_errors.min_score)
    folder = config.folder
    errors.write_table(folder / TABLE)
    advice = write_proposals(config, prepared, errors.corrections(renamed(config)), folder / PROPOSALS)
    errors.write_page(folder / PAGE, f"{folder.parent.name} · {folder.name}", advice)
    _print(errors, advice, folder)


def _print(errors: LabelErrors, advice: Sequence[Advice], folder: Path) -> None:
    likely = f"{plural(len(errors.likely), 'label error')} likely"
    counts = [f"  {count:>6,}  {title.lower()}" for title, count in errors.counts().items()]
    console = Console(highlight=False)
    said = [*errors.judged.notes, "", f"{likely}:" if counts else f"{likely}.", *counts, ""]
    console.print(plain_lines("\n".join(said)), markup=False)
    for one in advice:
        console.print(plain_lines(one.reason), markup=False)
        console.print(plain_lines("\n".join(f"  {text}" for text in one.commands) + "\n"), markup=False, soft_wrap=True)
    places = {"page": PAGE, "list": TABLE, "proposals": PROPOSALS}
    lines = [f"{name + ':':<17}{folder / file}" for name, file in places.items() if (folder / file).exists()]
    console.print(plain_lines("\n".join(lines)), markup=False, soft_wrap=True)
    print(folder)
