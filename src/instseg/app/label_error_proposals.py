"""Proposed corrections of labels, as files in the format of the labels, and what to do with them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from instseg.analysis.page.content import Advice
from instseg.app.check_choices import FOLDER_OF_LABELS
from instseg.app.config import RunConfig
from instseg.app.instantiate import build
from instseg.core.command_line import typed_command
from instseg.core.text import plural
from instseg.data.formats.corrections import propose, propose_as_coco
from instseg.data.prepared import PreparedDataset
from instseg.data.reading.corrections import Corrections, Proposed
from instseg.data.reading.readers import LabelReader

READER = "instseg.data.sources.label_reader"


def renamed(config: RunConfig) -> Mapping[str, str]:
    """Return name in the labels -> name of the category, where they differ."""
    rename = config.dataset.get("rename")
    return {str(key): str(value) for key, value in rename.items()} if isinstance(rename, Mapping) else {}


def write_proposals(
    config: RunConfig, prepared: PreparedDataset, corrections: Corrections, folder: Path
) -> list[Advice]:
    """Write the proposals, in the format of the labels where that can be, and say what to do with them.

    Args:
        config: of the run.
        prepared: the data.
        corrections: of its labels; without any, nothing is written.
        folder: where to.
    """
    if not corrections:
        return []
    wanted = sum(map(len, corrections.values()))
    if config.dataset.get("_target_") == FOLDER_OF_LABELS:
        reader = cast(LabelReader, build({**config.dataset, "_target_": READER}))
        proposed = propose(reader, corrections, folder)
        if proposed is not None:
            return [_in_place(proposed, wanted, folder, reader.root)]
    splits = [prepared.folder / f"{split}.json" for split in ("train", "val", "test")]
    proposed = propose_as_coco([path for path in splits if path.is_file()], corrections, folder)
    return [_as_coco(proposed, wanted, folder)]


def _in_place(proposed: Proposed, wanted: int, folder: Path, root: Path) -> Advice:
    place = root.parent if root.is_file() else root
    reason = (
        f"{_placed(proposed, wanted)} They are in copies of {plural(len(proposed.files), 'label file')}, of which all "
        "else is as it was. To take them over, back up your labels, copy these over them, and look in your tool:"
    )
    return Advice("Take over the proposals", reason, (shlex.join(["cp", "-r", f"{folder}/.", str(place)]),))


def _as_coco(proposed: Proposed, wanted: int, folder: Path) -> Advice:
    reason = (
        f"{_placed(proposed, wanted)} They are COCO json with all labels, since labels of this format are not written. "
        "To train on them:"
    )
    command = f"{typed_command('train')} dataset=coco {shlex.quote(f'dataset.root={folder}')}"
    return Advice("Train on the proposals", reason, (command,))


def _placed(proposed: Proposed, wanted: int) -> str:
    missed = wanted - proposed.num_placed
    left = f" {plural(missed, 'label')} could not be found again in a file, and stays as it is." if missed else ""
    return f"{plural(proposed.num_placed, 'correction')} proposed.{left}"
