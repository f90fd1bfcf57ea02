"""The pass over the images to choose from: each is looked at twice; a pass that was interrupted resumes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from instseg import __version__
from instseg.analysis.next_images.scanned import Scan, ScannedImage
from instseg.analysis.next_images.uncertainty import uncertainty
from instseg.core.file_states import stamp_of
from instseg.core.text import path_text, plural
from instseg.prediction.folder import Unreadable
from instseg.prediction.output import progress_bar
from instseg.prediction.predictor import Predictor
from instseg.prediction.twice import look_twice


def scan_key(identity: Mapping[str, object], *options: object) -> str:
    """Return a text that changes with whatever changes the predictions.

    Args:
        identity: of the model.
        options: in which it may differ from its checkpoint.
    """
    checkpoint = str(identity.get("checkpoint", ""))
    content = [__version__, dict(identity), stamp_of(checkpoint) if checkpoint else "", options]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def scan_images(
    predictor: Predictor, paths: Sequence[Path], scan: Scan, batch_size: int, console: Console
) -> list[Unreadable] | None:
    """Look at all images that the scan does not know yet.

    Args:
        predictor: the loaded model.
        paths: of the images.
        scan: receives them.
        batch_size: images at once.
        console: where the progress is shown.

    Returns:
        The files that could not be read; None after Ctrl-C, where the scan holds what was done.
    """
    new = [path for path in paths if not scan.knows(path)]
    try:
        with progress_bar(console) as progress, _kept(scan):
            task = progress.add_task("look", total=len(paths), completed=len(paths) - len(new))
            for count in _looked_at(predictor, new, scan, batch_size):
                progress.advance(task, count)
            progress.update(task, completed=len(paths))
    except KeyboardInterrupt:
        done = plural(len(scan.images), "image")
        console.print(f"[yellow]interrupted:[/] {done} looked at; the same command resumes", soft_wrap=True)
        return None
    return [Unreadable(path_text(path), reason) for path, reason in predictor.unreadable]


def _looked_at(predictor: Predictor, paths: Sequence[Path], scan: Scan, batch_size: int) -> Iterator[int]:
    for batch in predictor.read_files(paths, batch_size):
        ids, files, images = zip(*batch, strict=True)
        for path, looks in zip(files, look_twice(predictor, images, ids), strict=True):
            scan.add(ScannedImage.of(path, uncertainty(looks.found, looks.mirrored), looks.features))
        yield len(batch)


@contextmanager
def _kept(scan: Scan) -> Iterator[None]:
    try:
        yield
    finally:
        scan.flush()
