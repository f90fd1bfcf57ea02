"""Files that leave suppression to whoever predicts with them."""

from __future__ import annotations

from instseg.checkpoints.content import TrainedModel
from instseg.prediction.exported import Candidates
from instseg.prediction.nms import OF_NETWORK, Nms
from instseg.prediction.torch_network import leave_candidates


def leave_to_file(trained: TrainedModel) -> Candidates:
    """Have a network leave candidates, and return what it would do with them itself, for the record of its file.

    Raises:
        InstsegError: it does not say how it suppresses.
    """
    own = leave_candidates(trained.model, "export.candidates=true")
    return Candidates(own.iou_threshold, own.per_image)


def missing_nms(candidates: Candidates | None) -> Nms:
    """Return the suppression that a file lacks: none where it leaves no candidates."""
    return OF_NETWORK if candidates is None else Nms("box", candidates.iou_threshold, limit=candidates.per_image)
