"""Predictions of the images that wait, in batches, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.types import Image, Prediction
from instseg.deploy.serving.images import decode_image
from instseg.deploy.serving.limits import UNAVAILABLE, Limits, RefusedError
from instseg.prediction.predictor import Predictor

NUM_DECODING_THREADS = 4
STOPPING = "the server is stopping"

Found = tuple[Image, Prediction]
"""The pixels of an image, and what was found on them."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An image that waits for its batch."""

    path: Path
    found: asyncio.Future[Found]


class Batches:
    """The one place at which the network works: requests wait here, and those that wait go together.

    Args:
        predictor: the model at work.
        batch_size: images at once in the network.
        limits: of the requests.
        worked: told the number of images of each batch.
    """

    def __init__(
        self, predictor: Predictor, batch_size: int, limits: Limits, worked: Callable[[int], None] = lambda _: None
    ) -> None:
        self.predictor, self.batch_size, self.limits, self._worked = predictor, batch_size, limits, worked
        self.taken = 0
        """Places of requests that are taken."""
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold one of the places that requests with an image have.

        Raises:
            RefusedError: all are taken.
        """
        if self.taken >= self.limits.waiting:
            raise self.limits.too_many()
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    async def predict(self, path: Path) -> Found:
        """Predict on an image file.

        Args:
            path: of a file that has been looked at.

        Raises:
            RefusedError: it cannot be decoded, or it takes too long.
        """
        found: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait(_Waiting(path, found))
        try:
            return await asyncio.wait_for(found, self.limits.seconds)
        except TimeoutError as error:
            raise self.limits.too_late() from error

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Work on what comes, in a thread of its own; what still waits at the end is refused."""
        with ThreadPoolExecutor(1) as network, ThreadPoolExecutor(NUM_DECODING_THREADS) as decoding:
            work = asyncio.create_task(self._work(network, decoding))
            try:
                yield
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                while not self._waiting.empty():
                    _settle(self._waiting.get_nowait(), RefusedError(UNAVAILABLE, STOPPING))

    async def _work(self, network: ThreadPoolExecutor, decoding: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = await self._next_batch()
            try:
                results = await loop.run_in_executor(network, self._predict, [one.path for one in batch], decoding)
            except asyncio.CancelledError:
                results = [RefusedError(UNAVAILABLE, STOPPING)] * len(batch)
                raise
            except Exception as error:  # of the network: those who wait must hear of it, and the next ones be served
                results = [error] * len(batch)
            finally:
                for one, result in zip(batch, results, strict=True):
                    _settle(one, result)

    async def _next_batch(self) -> list[_Waiting]:
        """Return the images that wait, as many as go together; those whose requests have ended aside."""
        batch: list[_Waiting] = []
        while not batch or (len(batch) < self.batch_size and not self._waiting.empty()):
            one = await self._waiting.get()
            if not one.found.done():
                batch.append(one)
        return batch

    def _predict(self, paths: Sequence[Path], decoding: ThreadPoolExecutor) -> list[Found | Exception]:
        """Decode and predict in the thread of the network; an image that cannot be decoded is its error."""
        decoded = list(decoding.map(self._decoded, paths))
        images = [image for image in decoded if not isinstance(image, RefusedError)]
        self._worked(len(images))
        try:
            found = iter(self.predictor.predict_images(images))
        except InstsegError as error:  # the memory of the device
            raise RefusedError(UNAVAILABLE, str(error)) from error
        return [image if isinstance(image, RefusedError) else (image, next(found)) for image in decoded]

    def _decoded(self, path: Path) -> Image | RefusedError:
        try:
            return decode_image(path, self.predictor.value_range)
        except RefusedError as error:
            return error


def _settle(one: _Waiting, result: Found | Exception) -> None:
    if one.found.done():  # the request has ended
        return
    if isinstance(result, Exception):
        one.found.set_exception(result)
    else:
        one.found.set_result(result)
