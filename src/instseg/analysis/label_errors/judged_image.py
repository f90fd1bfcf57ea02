"""One judged image: how its labels and detections overlap, and how far each detection can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.arrays import Floats
from instseg.core.types import GroundTruth, Prediction
from instseg.evaluation.image_record import mask_areas, mask_ious

FITS = 0.5
"""IoU from which a detection is of the object that a label is of."""


@dataclass(frozen=True, slots=True, eq=False)
class JudgedImage:
    """D detections and G labels of an image."""

    image: int
    """Position among the judged images."""
    labels: NDArray[np.int64]  # (G,)
    iscrowd: NDArray[np.bool_]  # (G,)
    found_labels: NDArray[np.int64]  # (D,)
    trust: Floats  # (D,) how likely each detection is right
    ious: Floats  # (D, G) 0 with a crowd
    inside: Floats  # (D, G) fraction of the detection that lies in the label
    covered: Floats  # (D, G) fraction of the label that lies in the detection
    truth_areas: Floats  # (G,) px²
    prediction: Prediction
    truth: GroundTruth

    @classmethod
    def of(cls, image: int, prediction: Prediction, truth: GroundTruth, trust: Floats) -> JudgedImage:
        """Compare what was found with what is labelled.

        Args:
            image: its position.
            prediction: D detections in the original frame.
            truth: G labels of the same image.
            trust: (D,) how likely each detection is right, 0 to 1.
        """
        overlaps = mask_ious(prediction, truth)  # with a crowd: the fraction inside
        areas, truth_areas = mask_areas(prediction.rles)[:, None], mask_areas(truth.rles)
        with_crowds = np.where(truth.iscrowd, overlaps * areas, overlaps * (areas + truth_areas) / (1 + overlaps))
        return cls(
            image,
            truth.labels,
            truth.iscrowd,
            prediction.labels,
            trust,
            ious=np.where(truth.iscrowd, 0.0, overlaps),
            inside=with_crowds / np.maximum(areas, 1),
            covered=with_crowds / np.maximum(truth_areas, 1),
            truth_areas=truth_areas,
            prediction=prediction,
            truth=truth,
        )

    @property
    def is_same(self) -> NDArray[np.bool_]:
        """True where detection and label are of one category, (D, G)."""
        same: NDArray[np.bool_] = self.found_labels[:, None] == self.labels
        return same

    def traces(self) -> Floats:
        """Return how much of anything was found at each label, (G,) 0 to 1, whatever its category.

        Even a detection with a very low score shows that there is something: the square root of its score counts.
        """
        overlap = np.maximum(self.ious, np.where(self.iscrowd, 0.0, self.inside * self.covered))
        scores = np.sqrt(np.asarray(self.prediction.scores, dtype=np.float64))
        traces: Floats = (overlap * scores[:, None]).max(axis=0, initial=0.0)
        return traces

    def best(self, is_meant: NDArray[np.bool_]) -> Floats:
        """Return the trust of the best of the detections that are meant for each label, (G,); 0 where there is none.

        Args:
            is_meant: (D, G).
        """
        best: Floats = np.where(is_meant, self.trust[:, None], 0.0).max(axis=0, initial=0.0)
        return best

    def union_iou(self, detections: list[int], truths: list[int]) -> float:
        """Return the IoU of the union of some detections with the union of some labels.

        Args:
            detections: their rows.
            truths: rows of the labels.
        """
        found = coco_mask.merge([self.prediction.rles[row] for row in detections])
        labelled = coco_mask.merge([self.truth.rles[row] for row in truths])
        return float(coco_mask.iou([found], [labelled], [0])[0, 0])

    def overlap_of_detections(self, one: int, others: list[int]) -> float:
        """Return the largest fraction of a detection, or of another one, that both have in common.

        Args:
            one: row of the detection.
            others: rows of the others.
        """
        if not others:
            return 0.0
        rles = [self.prediction.rles[row] for row in others]
        own = [self.prediction.rles[one]]
        both = np.asarray(coco_mask.iou(rles, own, [1]))[:, 0]  # of the others, within this one
        return float(max(both.max(), np.asarray(coco_mask.iou(own, rles, [1] * len(rles))).max()))
