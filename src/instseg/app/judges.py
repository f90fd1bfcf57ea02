"""Models that judge labels, each with the images whose labels it has not seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from instseg.app.build_data import build_dataset
from instseg.app.config import RunConfig
from instseg.core.command_line import typed_command
from instseg.core.files import absolute_path
from instseg.core.text import plural
from instseg.data.index.columns import Index
from instseg.data.prepared import PreparedDataset
from instseg.runs.folders import find_checkpoint, folder_of
from instseg.sweeps.folds import FoldRuns, fold_runs, is_sweep, missing_folds


@dataclass(frozen=True, slots=True)
class Judge:
    """A checkpoint, the data that it was trained with, and the images that it judges."""

    checkpoint: str
    prepared: PreparedDataset
    images: Index

    @property
    def name(self) -> str:
        """Its run, such as ``auto_small/2026-01-31_12-00-00``."""
        folder = folder_of(absolute_path(self.checkpoint))
        return f"{folder.parent.name}/{folder.name}"


@dataclass(frozen=True, slots=True)
class Jury:
    """All judges of a set of labels."""

    judges: list[Judge]
    notes: list[str]
    """Sentences on which images are judged, by whom, and which are not."""


def jury_of(config: RunConfig, prepared: PreparedDataset) -> Jury:
    """Find the judges that ``checkpoint=`` names: one run, or those of a cross-validation.

    Args:
        config: of this run, composed from the run or from the first fold.
        prepared: its data.

    Raises:
        InstsegError: there is no checkpoint, or the sweep is no cross-validation.
    """
    given = str(config.checkpoint)
    if is_sweep(absolute_path(given)):
        return _of_folds(config, fold_runs(absolute_path(given)))
    checkpoint = str(find_checkpoint(given, absolute_path(config.outputs)))
    judges = [Judge(checkpoint, prepared, index) for index in _unseen(prepared)]
    judged, unseen = sum(len(judge.images) for judge in judges), len(prepared.indices["train"])
    splits = "val" if len(judges) == 1 else "val and test"
    notes = [
        f"Judged: the {plural(judged, 'image')} of {splits}.",
        f"Not judged: the {plural(unseen, 'image')} of train, whose labels the model has learnt, wrong ones too. To "
        f"judge all images, each by a model that has not seen it: {typed_command('train')} sweep=kfold …, then "
        f"{typed_command('label-errors')} checkpoint= with the folder of the sweep.",
    ]
    return Jury(judges, notes)


def _unseen(prepared: PreparedDataset) -> Iterator[Index]:
    """Yield val, and test where that is not the same."""
    val, test = prepared.indices["val"], prepared.indices["test"]
    yield val
    if test is not val:
        yield test


def _of_folds(config: RunConfig, found: FoldRuns) -> Jury:
    judges = []
    for number, fold in enumerate(found.runs):
        dataset = {**config.dataset, "folds": found.num_folds, "fold": fold.fold}
        prepared = build_dataset(replace(config, dataset=dataset))
        checkpoint = str(find_checkpoint(str(fold.run), absolute_path(config.outputs)))
        indices = [*_unseen(prepared)]
        judges += [Judge(checkpoint, prepared, index) for index in (indices if number == 0 else indices[:1])]
    judged, missing = sum(len(judge.images) for judge in judges), missing_folds(found)
    models = f"that of {len(found.runs)} models which" if len(found.runs) > 1 else "a model that"
    notes = [f"Judged: {plural(judged, 'image')}, each by {models} has not seen it."]
    if missing:
        notes.append(f"Not judged: the images of the folds {missing}, whose trainings are not done.")
    if found.others:
        notes.append(f"Of what was swept, the models of {found.others} judge: their mean is the best.")
    return Jury(judges, notes)
