"""The list of all suspicions as a CSV, for spreadsheets and scripts."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from instseg.analysis.label_errors.judged import Judged
from instseg.analysis.label_errors.suspicion import Suspicion
from instseg.analysis.wording import boxes_of
from instseg.core.atomic import write_text_atomically
from instseg.core.channels import csv_cell

HEADS = ("rank", "score", "kind", "image", "labelled", "found", "x1", "y1", "x2", "y2", "judge")


def write_table(path: Path, judged: Judged, suspicions: Sequence[Suspicion]) -> None:
    """Write a row for each suspicion, the likeliest first; its box is that of all that it is about, in px.

    Args:
        path: the file.
        judged: the images.
        suspicions: by score.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADS)
    subject = judged.subject()
    for rank, one in enumerate(suspicions, start=1):
        boxes = boxes_of(one, subject)
        box = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)]).round(1).tolist()
        places = judged.files[one.image].name, _labelled(judged, one), _found(judged, one)
        cells = [rank, f"{one.score:.4f}", one.kind.value, *places, *box, judged.judges[one.image]]
        writer.writerow(map(csv_cell, cells))
    write_text_atomically(path, text.getvalue())


def _labelled(judged: Judged, one: Suspicion) -> str:
    labels = judged.images.truths[one.image].labels[[*one.truths]]
    return " + ".join(judged.images.categories.name(int(label)) for label in labels)


def _found(judged: Judged, one: Suspicion) -> str:
    labels = judged.images.predictions[one.image].labels[[*one.detections]]
    return " + ".join(judged.images.categories.name(int(label)) for label in labels)
