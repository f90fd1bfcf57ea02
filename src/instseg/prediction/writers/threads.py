"""Drawing and encoding in threads beside the network, for all formats of a run."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType

from instseg.core.errors import InstsegError
from instseg.prediction.writers.predicted_image import LoadedImage, PredictedImage
from instseg.prediction.writers.writer import PredictionRun, Writer

NUM_THREADS, MAX_WAITING = 2, 4


class WriterThreads:
    """A context in which images are added one after the other; only a few are held with their pixels.

    Leaving it waits for them.

    Args:
        run: what all images have in common.
        writers: the formats to write.

    Raises:
        InstsegError: the output cannot be written to, such as a full disk.
    """

    def __init__(self, run: PredictionRun, writers: Sequence[Writer]) -> None:
        self.run, self.writers = run, writers
        for writer in writers:
            writer.start(run)
        self.images: list[PredictedImage] = []
        """The images added so far, without their pixels."""
        self._pool = ThreadPoolExecutor(NUM_THREADS)
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> WriterThreads:
        return self

    def add(self, image: LoadedImage) -> None:
        """Hand an image to all writers; wait while too many images are being written."""
        while len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft().result()  # raises what went wrong
        self._waiting.append(self._pool.submit(self._add, image))
        self.images.append(image.predicted)

    def _add(self, image: LoadedImage) -> None:
        with self._writing():
            for writer in self.writers:
                writer.add(image)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)
        if kind is None:
            for future in self._waiting:
                future.result()

    def finish(self) -> list[str]:
        """Write the files of the whole run, and return notes on them for the user."""
        with self._writing():
            for writer in self.writers:
                writer.finish(self.images)
        return [note for writer in self.writers for note in writer.notes]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InstsegError(f"output={self.run.output} cannot be written to: {error}") from error
