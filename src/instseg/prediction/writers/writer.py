"""Writes all formats of a run, drawing and encoding in threads beside the network."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType

from instseg.core.errors import InstsegError
from instseg.prediction.writers.formats import FORMATS
from instseg.prediction.writers.predicted_image import ExportRun, Picture, PredictedPhoto

NUM_THREADS, MAX_WAITING = 2, 4


class Exporter:
    """A context in which pictures are added one after the other; at most a few wait with their pixels.

    Leaving it waits for them. InstsegError when the output cannot be written to, such as a full disk.

    Args:
        save: names of FORMATS.
    """

    def __init__(self, run: ExportRun, save: Sequence[str]) -> None:
        self.run = run
        self.exports = [FORMATS[name](run) for name in save]
        self.photos: list[PredictedPhoto] = []
        """What was added so far, without the pixels."""
        self._pool = ThreadPoolExecutor(NUM_THREADS)
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Exporter:
        return self

    def add(self, picture: Picture) -> None:
        while len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft().result()  # raises what went wrong
        self._waiting.append(self._pool.submit(self._add, picture))
        self.photos.append(picture.photo)

    def _add(self, picture: Picture) -> None:
        with self._writing():
            for export in self.exports:
                export.add(picture)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)
        if kind is None:
            for future in self._waiting:
                future.result()

    def finish(self) -> list[str]:
        """Write what belongs to the whole run; returns what the user should know about the files."""
        with self._writing():
            for export in self.exports:
                export.finish(self.photos)
        return [note for export in self.exports for note in export.notes]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InstsegError(f"output={self.run.output} cannot be written to: {error}") from error
