"""The network as everything outside of ``models`` sees it: one protocol, and what a network may offer besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.types import Batch, Prediction


@dataclass(frozen=True, slots=True)
class AnchorGrid:
    """The anchor boxes from which a network proposes regions."""

    sizes: tuple[tuple[float, ...], ...]  # px in the network frame, for each level of the pyramid
    ratios: tuple[float, ...]  # height / width
    strides: tuple[int, ...]  # px, one for each level
    positive_iou: float  # from here on an anchor is positive in training
    sizes_option: str  # dotted key of the option that sets ``sizes``, without ``model.``


@dataclass(frozen=True, slots=True)
class DetectionLimit:
    """The largest number of detections that a network returns."""

    per_image: int
    option: str  # dotted key of the option that sets it, without ``model.``


@dataclass(frozen=True, slots=True)
class NetworkLimits:
    """Limits on the instances that a network can learn and find, as its options set them; None is no limit."""

    anchors: AnchorGrid | None = None
    detections: DetectionLimit | None = None


@dataclass(frozen=True, slots=True)
class Devices:
    """The devices of a training, as far as they are known before it starts."""

    on_gpu: bool
    is_single: bool  # true where there is one process, false where there are more or it is not known


@runtime_checkable
class InstanceSegmenter(Protocol):
    """A network that learns from batches and finds instances in them. It is an ``nn.Module`` besides.

    Attributes:
        categories: names of its labels 1...
    """

    categories: Categories

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the terms of the training loss by name, scalars on the device; their sum is minimised.

        The names are the same for every batch. They become ``train/<name>`` and ``val/<name>`` in the log.
        """
        ...

    def predict(self, batch: Batch) -> list[Prediction]:
        """Return what is found on each image, in the original frame; in evaluation mode. Targets are not looked at."""
        ...

    def losses_and_predictions(self, batch: Batch) -> tuple[dict[str, Tensor], list[Prediction]]:
        """Return both from one pass, in evaluation mode; the same batch always gives the same losses."""
        ...


@runtime_checkable
class DescribesImages(Protocol):
    """A network that can say what an image looks like to it."""

    def predictions_and_features(self, batch: Batch) -> tuple[list[Prediction], Tensor]:
        """Return what is found on each image, and float (B, D): near each other for images that look alike.

        In evaluation mode, from one pass.
        """
        ...


@dataclass(frozen=True, slots=True)
class BoxSuppression:
    """Suppression of boxes at the end of a network, within each category."""

    iou_threshold: float  # a box is dropped by a better one with a higher IoU
    per_image: int  # the best that are left of an image


@runtime_checkable
class SuppressesBoxes(Protocol):
    """A network whose suppression can change after training, to leave candidates to another one.

    Attributes:
        box_suppression: how it suppresses; takes effect from the next image on.
    """

    box_suppression: BoxSuppression


@runtime_checkable
class Compilable(Protocol):
    """A network that knows which part of it is worth compiling."""

    def compile_dense_part(self) -> None:
        """Compile it for images of any size; the names in the state dict stay."""
        ...


@runtime_checkable
class ResolvesOptions(Protocol):
    """A network that was built from options whose values were left open.

    Attributes:
        resolved_options: what these became, for the checkpoint: option, such as ``norm``, to a plain value.
    """

    resolved_options: Mapping[str, object]


class Suppression(Protocol):
    """Non-maximum suppression within each of G groups of N boxes, in the operators of a format that is exported to."""

    def __call__(
        self, boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float, limit: int
    ) -> Tensor:
        """Return the rows of the boxes that are kept, int64 (S,), counted over all groups: group * N + row.

        Args:
            boxes: float32 (G, N, 4) xyxy.
            scores: (G, N).
            iou_threshold: a box is suppressed by a better one of its group with a higher IoU.
            score_threshold: boxes that do not exceed it are left out.
            limit: the best that are needed of each group; more may be returned.
        """
        ...


@runtime_checkable
class Exportable(Protocol):
    """A network that other runtimes can run."""

    def as_graph(self, suppress: Suppression) -> nn.Module:
        """Return the network as a module from one image to what is found on it.

        The image is uint8 (H, W, 3) RGB in the network frame, of any size. The module returns boxes float32 (N, 4) xyxy
        px in that frame, labels int64 (N,), scores float32 (N,) that fall, and mask probabilities float32 (N, m, m)
        in the frame of each box. It shares its parameters with the network.

        Args:
            suppress: to be used for all suppression.
        """
        ...


class WeightsSummary(Protocol):
    """The account of the weights that a network was built from; ``str`` makes a table of it."""

    @property
    def is_complete(self) -> bool:
        """True where every tensor of the network was taken over."""
        ...

    @property
    def is_from_scratch(self) -> bool:
        """True where none was."""
        ...


@runtime_checkable
class StartsFromWeights(Protocol):
    """A network that can start from trained weights.

    Attributes:
        weights_report: what became of them; None where the network was built for a state dict that follows.
    """

    weights_report: WeightsSummary | None


def as_module(segmenter: InstanceSegmenter) -> nn.Module:
    """Return the segmenter as the ``nn.Module`` that it is besides."""
    if not isinstance(segmenter, nn.Module):
        raise TypeError(f"{type(segmenter).__name__} is no torch.nn.Module")
    return segmenter


def check_segmenter(built: object, builder: str) -> InstanceSegmenter:
    """Return a network that was built, checked.

    Args:
        built: by the builder.
        builder: its name, for the message.

    Raises:
        InstsegError: it is no network of this protocol.
    """
    if isinstance(built, nn.Module) and isinstance(built, InstanceSegmenter):
        return built
    raise InstsegError(
        f"model: expected {builder} to build a torch.nn.Module with categories, losses, predict and "
        f"losses_and_predictions (instseg.core.segmenter.InstanceSegmenter), found {type(built).__name__}"
    )


def resolved_options(segmenter: InstanceSegmenter) -> dict[str, object]:
    """Return the options whose values were decided while the network was built; empty for most networks."""
    return dict(segmenter.resolved_options) if isinstance(segmenter, ResolvesOptions) else {}


def weights_summary(segmenter: InstanceSegmenter) -> WeightsSummary | None:
    """Return what became of the weights that the network started from; None where it read none."""
    return segmenter.weights_report if isinstance(segmenter, StartsFromWeights) else None


def as_exportable(segmenter: InstanceSegmenter) -> Exportable:
    """Return the network as one that can be exported.

    Raises:
        InstsegError: it does not offer it.
    """
    if not isinstance(segmenter, Exportable):
        raise InstsegError(
            f"{type(segmenter).__name__} cannot be exported: expected a method as_graph "
            "(instseg.core.segmenter.Exportable)"
        )
    return segmenter


def compile_dense_part(segmenter: InstanceSegmenter) -> None:
    """Compile what is worth it.

    Raises:
        InstsegError: the network does not say what that is.
    """
    if not isinstance(segmenter, Compilable):
        raise InstsegError(f"compile=true: {type(segmenter).__name__} has no part to compile; leave compile out")
    segmenter.compile_dense_part()
