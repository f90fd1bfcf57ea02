"""Tracks: the instances of successive frames that are one object, told by their masks.

In the way of ByteTrack (Zhang et al., 2022): confident detections continue tracks first, then weak ones, and only
confident ones begin a track. Masks are compared as well as boxes, both moved to where their object should be by now.
The whole state follows from the frames and the numbers given, so that a run that was stopped resumes with every
identity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.box_masks import crop_to_rle
from instseg.core.boxes import box_areas, box_ious
from instseg.core.masks import rle_to_crop
from instseg.core.types import ImageSize, Prediction, Rle

WEAK_IOU = 0.5
"""Least IoU of a weak detection with a track: as in ByteTrack, more than of a confident one."""
REACH = 0.5
"""Of the sides of a box, by which it grows at each end when fast objects are sought (Yang et al., 2023)."""
NEAR_IOU = 0.2
"""Least IoU of boxes that have grown: an object of unknown speed may move by 1.3 of its sides between two frames."""
MAX_GROWTH = 2.0
"""Of the area of a box from one frame to the next, where boxes alone are compared."""
GAIN = 0.3
"""Weight of the newest step in the velocity of a track."""


@dataclass(slots=True)
class Track:
    """An object, as it was seen last."""

    number: int
    label: int
    box: NDArray[np.float64]  # (4,) xyxy
    crop: NDArray[np.bool_]  # (h, w), the mask within its box
    corner: tuple[int, int]  # x, y of crop[0, 0]
    seconds: float  # time of that frame
    velocity: NDArray[np.float64] | None = None  # (2,) px in a second; None: seen once

    def shift(self, seconds: float) -> NDArray[np.float64]:
        """Return how far, (2,) px in x and y, the object should have moved since it was seen."""
        return np.zeros(2) if self.velocity is None else self.velocity * (seconds - self.seconds)

    def moved_mask(self, seconds: float, image_size: ImageSize) -> Rle:
        """Return the mask at the place where the object should be.

        Args:
            seconds: time of a frame.
            image_size: (height, width) px of it.
        """
        x, y = np.rint(self.shift(seconds)).astype(int).tolist()
        return crop_to_rle(self.crop, self.corner[0] + x, self.corner[1] + y, image_size)


class Tracker:
    """Numbers the objects of a video, each category by itself.

    Args:
        max_gap_seconds: an object that is not seen for longer, in one frame at least, gets a new number when it appears
            again.
        min_iou: least IoU, the mean of that of masks and of boxes, of a track, moved, with a confident detection which
            continues it.
        weak_fraction: of its category's score threshold: detections from there on continue tracks, but begin none.
    """

    def __init__(self, max_gap_seconds: float = 1.0, min_iou: float = 0.1, weak_fraction: float = 0.5) -> None:
        self.max_gap_seconds, self.min_iou, self.weak_fraction = max_gap_seconds, min_iou, weak_fraction
        self.tracks: list[Track] = []
        self._last_number = 0
        self._last_seconds = -np.inf

    def update(self, found: Prediction, is_confident: NDArray[np.bool_], seconds: float) -> NDArray[np.int64]:
        """Number the instances of the next frame.

        Args:
            found: in the frame; with weak detections.
            is_confident: (N,) those that may begin a track.
            seconds: time of the frame, later than those before.

        Returns:
            (N,) the number of each instance's track, from 1; 0 for a weak one that continues none.
        """
        begin = min(seconds - self.max_gap_seconds, self._last_seconds)  # frames may be further apart than the gap
        self.tracks = [track for track in self.tracks if track.seconds >= begin]
        numbers = np.zeros(len(found), np.int64)
        ious = self._ious(found, seconds)
        self._match(ious, is_confident, self.min_iou, numbers)
        self._match(ious, ~is_confident, WEAK_IOU, numbers)
        if not numbers[is_confident].all():
            self._match(self._near_ious(found, seconds), is_confident, NEAR_IOU, numbers)
        begins = np.flatnonzero(is_confident & (numbers == 0))
        numbers[begins] = self._last_number + 1 + np.arange(len(begins))
        self.follow(found.select(numbers > 0), numbers[numbers > 0], seconds)
        return numbers

    def follow(self, found: Prediction, numbers: NDArray[np.int64], seconds: float) -> None:
        """Take note of a frame whose instances are numbered already.

        Args:
            found: N instances.
            numbers: (N,) of their tracks.
            seconds: time of the frame.
        """
        known = {track.number: track for track in self.tracks}
        for index, number in enumerate(numbers.tolist()):
            known[number] = _seen(found, index, number, seconds, known.get(number))
        self.tracks = [*known.values()]
        self._last_number = max(self._last_number, *numbers.tolist(), 0)
        self._last_seconds = seconds

    def _match(
        self, ious: NDArray[np.float64], is_allowed: NDArray[np.bool_], least: float, numbers: NDArray[np.int64]
    ) -> None:
        """Assign free tracks (rows) to free detections (columns), so that the sum of their IoUs is the largest."""
        rows = np.flatnonzero([track.number not in numbers for track in self.tracks])
        columns = np.flatnonzero(is_allowed & (numbers == 0))
        if not len(rows) or not len(columns):
            return
        from scipy.optimize import linear_sum_assignment  # a tenth of a second, that images do not need

        part = ious[np.ix_(rows, columns)]
        part = np.where(part >= least, part, 0)
        for row, column in zip(*linear_sum_assignment(part, maximize=True), strict=True):
            if part[row, column] > 0:
                numbers[columns[column]] = self.tracks[rows[row]].number

    def _ious(self, found: Prediction, seconds: float) -> NDArray[np.float64]:
        """Return (tracks, N) means of the IoUs of moved masks and of moved boxes; 0 for another category.

        Of crowds that cross, it tells more than either of both.
        """
        if not self.tracks or not len(found):
            return np.zeros((len(self.tracks), len(found)))
        moved = [track.moved_mask(seconds, found.image_size) for track in self.tracks]
        of_masks = np.asarray(coco_mask.iou(moved, found.rles, [0] * len(found)), np.float64)
        of_boxes = box_ious(self._moved_boxes(seconds), found.boxes.astype(np.float64))
        return np.where(self._is_same(found), (of_masks + of_boxes) / 2, 0)

    def _near_ious(self, found: Prediction, seconds: float) -> NDArray[np.float64]:
        """Return (tracks, N) IoUs of boxes that have grown; 0 for tracks that the frame before does not show.

        The box of a track counts where it should be and where it was: the times of frames may jitter.
        """
        if not self.tracks or not len(found):
            return np.zeros((len(self.tracks), len(found)))
        last, boxes = np.stack([track.box for track in self.tracks]), found.boxes.astype(np.float64)
        moved = self._moved_boxes(seconds)
        ratio = box_areas(last)[:, None] / np.maximum(box_areas(boxes), 1)
        is_like = (ratio <= MAX_GROWTH) & (ratio >= 1 / MAX_GROWTH)
        is_fresh = np.array([[track.seconds == self._last_seconds] for track in self.tracks])
        is_possible = is_like & is_fresh & self._is_same(found)
        ious = [box_ious(_grown(tracks), _grown(boxes)) for tracks in (last, moved)]
        return np.where(is_possible, np.maximum(*ious), 0)

    def _moved_boxes(self, seconds: float) -> NDArray[np.float64]:
        """Return the boxes (tracks, 4) at the places where the objects should be."""
        return np.stack([track.box + np.tile(track.shift(seconds), 2) for track in self.tracks])

    def _is_same(self, found: Prediction) -> NDArray[np.bool_]:
        """Tell, (tracks, N), which are of one category."""
        labels = np.array([track.label for track in self.tracks])
        is_same: NDArray[np.bool_] = labels[:, None] == found.labels
        return is_same


def _seen(found: Prediction, index: int, number: int, seconds: float, earlier: Track | None) -> Track:
    """Return a track after it was seen again, or for the first time."""
    crop, corner = rle_to_crop(found.rles[index])
    box = found.boxes[index].astype(np.float64)
    track = Track(number, int(found.labels[index]), box, crop.astype(bool), corner, seconds)
    if earlier is not None:
        step = (_centre(box) - _centre(earlier.box)) / (seconds - earlier.seconds)
        before = step if earlier.velocity is None else earlier.velocity
        track.velocity = before + GAIN * (step - before)
    return track


def _centre(box: NDArray[np.float64]) -> NDArray[np.float64]:
    return (box[:2] + box[2:]) / 2


def _grown(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = REACH * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate([boxes[:, :2] - sides, boxes[:, 2:] + sides], axis=1)
