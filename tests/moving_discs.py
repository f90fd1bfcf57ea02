"""Videos of discs that move, and a network that finds exactly these discs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from instseg.core.categories import Categories
from instseg.core.masks import bitmask_to_rle, rle_to_box
from instseg.core.types import Image, ImageSize, Prediction
from instseg.data.transforms.resize import Resize
from instseg.prediction.predictor import Predictor

CATEGORIES = Categories(("disc", "ball"))
COLOURS = {"red": (230, 30, 30), "green": (30, 230, 30), "blue": (30, 30, 230), "yellow": (230, 230, 30)}
LABELS = {"red": 1, "green": 1, "blue": 1, "yellow": 2}
SIZE: ImageSize = (96, 160)
Centre = tuple[float, float]
Course = Callable[[int], Centre | None]
"""Frame from 0 -> the centre of a disc in it; None: it is not there."""


def picture(places: dict[str, Centre | None], size: ImageSize = SIZE, radius: int = 12) -> Image:
    """A gray image with a disc of each colour; later ones lie on top."""
    image = np.full((*size, 3), 110, np.uint8)
    for colour, centre in places.items():
        if centre is not None:
            cv2.circle(image, (round(centre[0]), round(centre[1])), radius, COLOURS[colour], -1)
    return image


def film(num_frames: int, size: ImageSize = SIZE, **courses: Course) -> list[Image]:
    return [picture({colour: at(frame) for colour, at in courses.items()}, size) for frame in range(num_frames)]


def write_video(
    path: Path, images: Sequence[Image], rate: int = 25, times: Sequence[int] | None = None, sound: str | None = None
) -> Path:
    """Write images at times in units of 1 / (10 x rate) seconds, one after the other if there are none."""
    options = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("h264", rate=rate, options={"crf": "12", "preset": "veryfast"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt, stream.codec_context.time_base = "yuv444p", Fraction(1, 10 * rate)
        voice = container.add_stream(sound, rate=16000) if sound else None
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = (times[number] if times else 10 * number), Fraction(1, 10 * rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if voice is not None:
            samples = np.zeros((1, 16000 * len(images) // rate), np.int16)
            heard = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            heard.sample_rate, heard.pts = 16000, 0
            container.mux(voice.encode(heard))
            container.mux(voice.encode(None))
    return path


class FindsDiscs:
    """Finds every disc by its colour, however much of it is seen.

    Args:
        scores: the score of a colour's disc by the frame's image id; 0.9 of all others.
    """

    categories, device = CATEGORIES, "cpu"

    def __init__(self, scores: Callable[[str, int], float] = lambda colour, frame: 0.9) -> None:
        self.scores = scores
        self.frames: list[int] = []
        """Image ids of the frames that were predicted."""

    def predict(
        self, images: Sequence[Image], image_ids: Sequence[int], original_sizes: Sequence[ImageSize]
    ) -> list[Prediction]:
        self.frames += image_ids
        return [self.find(image, number) for image, number in zip(images, image_ids, strict=True)]

    def find(self, image: Image, number: int) -> Prediction:
        masks = {colour: is_near(image, rgb) for colour, rgb in COLOURS.items()}
        found = {colour: bitmask_to_rle(mask) for colour, mask in masks.items() if mask.sum() > 8}
        return Prediction(
            number,
            (image.shape[0], image.shape[1]),
            np.array([rle_to_box(rle) for rle in found.values()], np.float32).reshape(-1, 4),
            np.array([LABELS[colour] for colour in found], np.int64),
            np.array([self.scores(colour, number) for colour in found], np.float32),
            [*found.values()],
        )


def is_near(image: Image, rgb: tuple[int, int, int]) -> NDArray[np.bool_]:
    least, most = (tuple(int(np.clip(value + off, 0, 255)) for value in rgb) for off in (-60, 60))
    return cv2.inRange(image, least, most) > 0


def disc_predictor(network: FindsDiscs | None = None) -> Predictor:
    return Predictor(network or FindsDiscs(), Resize(*SIZE))
