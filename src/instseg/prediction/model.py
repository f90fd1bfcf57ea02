"""A trained model for use from Python: images of any kind in, results out."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.core.errors import InstsegError
from instseg.core.ranges import COUNT
from instseg.core.text import plural
from instseg.data.reading.image_files import find_images
from instseg.prediction.output import run_identity
from instseg.prediction.predictor import Decoded, Predictor
from instseg.prediction.result import Result, Results
from instseg.prediction.saving import ModelFacts
from instseg.prediction.source_image import ImageLike, SourceImage, source_image, source_images
from instseg.prediction.thresholds import AUTO, ScoreThreshold, choose_thresholds
from instseg.prediction.writers.writer import Writer

if TYPE_CHECKING:
    from torch import Tensor

NUM_DECODING_THREADS = 4
NUM_NAMES_SHOWN = 5


class Model:
    """A trained model; ``instseg.load`` makes it.

    Args:
        predictor: the loaded network.
        identity: plain containers that say which model it is.
        make_writers: makes the writers of all formats there are, by name.
    """

    def __init__(
        self, predictor: Predictor, identity: Mapping[str, object], make_writers: Callable[[], Mapping[str, Writer]]
    ) -> None:
        self._predictor, self.identity, self._make_writers = predictor, dict(identity), make_writers

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of the categories; label 1 is the first."""
        return self._predictor.categories.names

    @property
    def device(self) -> str:
        """The device that it works on, such as cpu or cuda:0."""
        return self._predictor.network.device

    @property
    def thresholds(self) -> dict[str, float]:
        """Score threshold of each category: its operating point, chosen on val in training; 0.5 where it has none."""
        return choose_thresholds(AUTO, self._predictor.categories, self._predictor.operating_points).by_category

    @overload
    def predict(  # type: ignore[overload-overlap]  # a text is one image, though it has letters
        self,
        images: str | os.PathLike[str] | PilImage.Image | NDArray[np.generic] | Tensor,
        *,
        score_threshold: ScoreThreshold = AUTO,
        batch_size: int = 1,
    ) -> Result: ...

    @overload
    def predict(
        self, images: Iterable[ImageLike], *, score_threshold: ScoreThreshold = AUTO, batch_size: int = 1
    ) -> Results: ...

    def predict(
        self, images: ImageLike | Iterable[ImageLike], *, score_threshold: ScoreThreshold = AUTO, batch_size: int = 1
    ) -> Result | Results:
        """Find the instances on an image, or on each of several.

        Arrays are RGB: an image that OpenCV has read needs ``cv2.cvtColor(image, cv2.COLOR_BGR2RGB)`` first.

        Args:
            images: a path, a Pillow image, an array (H, W, 3) or (H, W) of uint8, of uint16 or of floats from 0 to 1, a
                tensor (3, H, W) of the same, or a list of these, mixed as you like.
            score_threshold: instances with a lower score are left out; a number from 0 to 1, numbers by category such
                as ``{"car": 0.3}``, or ``"auto"``, which is ``thresholds``; so are the categories without a number.
            batch_size: images at once in the network, or tiles of one.

        Returns:
            One result, or for a list as many as it has images, in its order.

        Raises:
            InstsegError: an image cannot be read or is none, named by its file or position.
        """
        if isinstance(images, str | os.PathLike | PilImage.Image) or hasattr(images, "__array__"):
            only = source_image(images, 1, self._predictor.value_range)
            (result,) = self._results([only], score_threshold, batch_size)
            return result
        return self._results(source_images(images, self._predictor.value_range), score_threshold, batch_size)

    def predict_folder(
        self, folder: str | os.PathLike[str], *, score_threshold: ScoreThreshold = AUTO, batch_size: int = 1
    ) -> Results:
        """Find the instances on all images of a folder and of the folders in it, sorted as a person counts.

        Args:
            folder: a folder, or a pattern such as ``images/*.jpg``.
            score_threshold: as of ``predict``.
            batch_size: as of ``predict``.

        Raises:
            InstsegError: there is no image, or one cannot be read.
        """
        images = source_images(find_images(os.fspath(folder)), self._predictor.value_range)
        return self._results(images, score_threshold, batch_size)

    def _results(self, sources: Sequence[SourceImage], score_threshold: ScoreThreshold, batch_size: int) -> Results:
        categories = self._predictor.categories
        thresholds = choose_thresholds(score_threshold, categories, self._predictor.operating_points)
        if batch_size not in COUNT:
            raise InstsegError(f"batch_size={batch_size}: expected {COUNT}")
        facts = ModelFacts(categories, run_identity(self.identity, categories, thresholds), self._make_writers)
        results = Results()
        for chosen, images in _read_ahead(sources, batch_size, self._decoded):
            ids = range(len(results) + 1, len(results) + 1 + len(images))
            predicted = self._predictor.predict_images(images, ids, batch_size)
            for source, image, found in zip(chosen, images, predicted, strict=True):
                source = replace(source, is_large=not isinstance(image, np.ndarray))
                results.append(Result(source, found.select(thresholds.is_kept(found)), facts))
        return results

    def _decoded(self, source: SourceImage) -> Decoded:
        return source.pixels() if source.path is None else self._predictor.decode(source.path)

    def __repr__(self) -> str:
        names = ", ".join(self.categories[:NUM_NAMES_SHOWN]) + (", …" if len(self.categories) > NUM_NAMES_SHOWN else "")
        count = plural(len(self.categories), "category")
        origin = self.identity.get("exported") or self.identity.get("checkpoint") or self.identity.get("weights")
        return f"Model({origin}, {count}: {names}, on {self.device})"


def _read_ahead(
    sources: Sequence[SourceImage], batch_size: int, decode: Callable[[SourceImage], Decoded]
) -> Iterator[tuple[Sequence[SourceImage], list[Decoded]]]:
    """Yield batches; the next one is decoded in threads while the network works."""
    with ThreadPoolExecutor(NUM_DECODING_THREADS) as pool:
        waiting: deque[tuple[Sequence[SourceImage], list[Future[Decoded]]]] = deque()
        for start in range(0, len(sources), batch_size):
            chosen = sources[start : start + batch_size]
            waiting.append((chosen, [pool.submit(decode, source) for source in chosen]))
            if len(waiting) > 1:
                yield _decoded(*waiting.popleft())
        while waiting:
            yield _decoded(*waiting.popleft())


def _decoded(
    chosen: Sequence[SourceImage], pixels: Sequence[Future[Decoded]]
) -> tuple[Sequence[SourceImage], list[Decoded]]:
    return chosen, [future.result() for future in pixels]
