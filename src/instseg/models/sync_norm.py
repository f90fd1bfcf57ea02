"""Check of batch norm that is averaged over processes, before any work."""

from __future__ import annotations

from instseg.core.errors import InstsegError
from instseg.core.segmenter import Devices
from instseg.models.builder import Options


def check_sync_norm(options: Options, devices: Devices) -> None:
    """Require several GPUs for ``norm: sync_bn``.

    Args:
        options: of ``build_mask_rcnn``.
        devices: of the training.

    Raises:
        InstsegError: the norm cannot be averaged over these devices.
    """
    if options.get("norm") != "sync_bn":
        return
    if not devices.on_gpu:
        raise InstsegError(
            "model.norm=sync_bn averages over GPUs, and none is used here: PyTorch has no such norm for CPU "
            "processes; use gn, which does not depend on the batch, or bn"
        )
    if devices.is_single:
        raise InstsegError("model.norm=sync_bn averages over processes, and there is one; use bn, or trainer=ddp")
