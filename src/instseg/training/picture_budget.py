"""Budget of the pictures of a training: how many bytes and how much time they may take."""

from __future__ import annotations

from dataclasses import dataclass

MAX_TIME_FRACTION = 0.05
"""Drawing may take this part of the time of the evaluations; the first one and the test are drawn all the same."""


@dataclass(slots=True)
class PictureBudget:
    """Bytes in TensorBoard, and seconds, that pictures have taken, and may take.

    Args:
        max_bytes: of all pictures in TensorBoard.
        bytes: that they have taken so far.
        bytes_of_set: that those of one evaluation take.
    """

    max_bytes: float
    bytes: int = 0
    bytes_of_set: int = 0
    drawing_seconds: float = 0.0
    seconds_of_set: float = 0.0
    evaluation_seconds: float = 0.0  # without the drawing
    seconds_of_evaluation: float = 0.0

    def has_room(self, done: float) -> bool:
        """Tell whether one more evaluation can be drawn.

        Room for the pictures of the test is kept, and bytes for all that is to come. Seconds are those since the
        training was started or resumed.

        Args:
            done: fraction of the training.
        """
        seconds = MAX_TIME_FRACTION * (self.evaluation_seconds + self.seconds_of_evaluation)
        has_time = not self.seconds_of_set or self.drawing_seconds + self.seconds_of_set <= seconds
        has_bytes = self.bytes + 2 * self.bytes_of_set <= self.max_bytes * min(1.0, done)
        return has_time and (has_bytes or not self.bytes_of_set)

    def note(self, seconds: float, drawing_seconds: float, bytes_of_set: int) -> None:
        """Count an evaluation.

        Args:
            seconds: that it took, without its drawing.
            drawing_seconds: that its pictures took, 0 where it was not drawn.
            bytes_of_set: of its pictures in TensorBoard.
        """
        self.evaluation_seconds += seconds
        self.seconds_of_evaluation = seconds
        self.drawing_seconds += drawing_seconds
        self.seconds_of_set = max(self.seconds_of_set, drawing_seconds)
        self.bytes_of_set = max(self.bytes_of_set, bytes_of_set)
