"""Pictures of instances: pure functions from arrays to arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.types import GroundTruth, Image, ImageSize, Prediction, Rle, Target
from instseg.visualization.canvas import Canvas, Look, Shape
from instseg.visualization.colours import Colour, ColourBy, category_colour, instance_colours
from instseg.visualization.scaling import cut_mask, stretch_mask

if TYPE_CHECKING:
    from torch import Tensor

CROWD_COLOUR: Colour = (150, 150, 150)
NOTES = {Look.HATCHED: "(crowd)", Look.DASHED: "(box only)"}


def draw_prediction(
    image: Image,
    prediction: Prediction,
    categories: Categories,
    score_threshold: float = 0.5,
    colour_by: ColourBy = "instance",
) -> Image:
    """Draw predicted instances over their image.

    Args:
        image: (H, W, 3) uint8 RGB in the original frame, not changed.
        prediction: of this image, in the same frame.
        categories: names of the labels.
        score_threshold: instances with a lower score are not drawn.
        colour_by: instance or category.

    Returns:
        As ``draw_instances``.
    """
    kept = prediction.select(prediction.scores >= score_threshold)
    return draw_instances(image, kept.boxes, kept.labels, kept.rles, categories, kept.scores, colour_by=colour_by)


def draw_ground_truth(
    image: Image,
    truth: GroundTruth,
    categories: Categories,
    colour_by: ColourBy = "instance",
    size: ImageSize | None = None,
) -> Image:
    """Draw annotated instances over their image, crowds hatched in gray, boxes without a mask dashed.

    Args:
        image: (H, W, 3) uint8 RGB in the original frame, not changed.
        truth: of this image, in the same frame.
        categories: names of the labels.
        colour_by: instance or category.
        size: as of ``draw_instances``.

    Returns:
        As ``draw_instances``.
    """
    columns = truth.boxes, truth.labels, truth.rles
    return draw_instances(
        image,
        *columns,
        categories,
        iscrowd=truth.iscrowd,
        is_box_only=truth.is_box_only,
        colour_by=colour_by,
        size=size,
    )


def draw_instances(
    image: Image,
    boxes: NDArray[np.floating],
    labels: NDArray[np.int64],
    rles: Sequence[Rle],
    categories: Categories,
    scores: NDArray[np.floating] | None = None,
    iscrowd: NDArray[np.bool_] | None = None,
    is_box_only: NDArray[np.bool_] | None = None,
    colour_by: ColourBy = "instance",
    size: ImageSize | None = None,
) -> Image:
    """Draw masks, boxes, names and scores over an image.

    Args:
        image: (H, W, 3) uint8 RGB, not changed.
        boxes: (N, 4) xyxy in pixels of the image.
        labels: (N,) 1..num_categories.
        rles: N masks of the image's size.
        categories: names of the labels.
        scores: (N,) 0..1; None writes names alone.
        iscrowd: (N,) regions to hatch in gray, without a box.
        is_box_only: (N,) instances without a mask, to draw as dashed boxes, crowds or not.
        colour_by: instance: a shade of its category's colour for each; category: the category's colour.
        size: height and width of the picture, of the image's shape; None: see below.

    Returns:
        A new picture, of the image's size or, where that is below MIN_SIDE_PX, enlarged to it.

    Raises:
        InstsegError: a mask has another size than the image.
    """
    check_mask_sizes(image, rles)
    canvas = Canvas(image, len(labels), size)
    looks = _looks(len(labels), iscrowd, is_box_only)
    texts = _texts(labels, categories, scores, looks)
    colours = instance_colours(labels, boxes, colour_by)

    def shape(i: int) -> Shape:
        mask, corner = cut_mask(rles[i], canvas.scale)
        box = np.asarray(boxes[i], np.float64) * canvas.scale
        colour = CROWD_COLOUR if looks[i] == Look.HATCHED else colours[i]
        return Shape(box, mask, corner, colour, texts[i], looks[i], has_box=looks[i] == Look.SOLID)

    return canvas.paint(shape(i) for i in large_first(boxes))


def draw_tracks(
    image: Image,
    found: Prediction,
    tracks: NDArray[np.int64],
    categories: Categories,
    colour_by: ColourBy,
    size: ImageSize,
    num_instances: int,
) -> Image:
    """Draw the instances of a frame over it, with the numbers of their tracks.

    Args:
        image: (H, W, 3) uint8 RGB, not changed.
        found: N instances in it.
        tracks: (N,) from 1.
        categories: names of the labels.
        colour_by: instance: each track has a colour; category: each category.
        size: height and width of the picture, of the image's shape.
        num_instances: that lines and letters are sized for, the same in all frames that follow each other.

    Returns:
        A new picture.

    Raises:
        InstsegError: a mask has another size than the image.
    """
    check_mask_sizes(image, found.rles)
    canvas = Canvas(image, num_instances, size)
    names = shown_names(found.labels, categories)
    owners = tracks if colour_by == "instance" else found.labels

    def shape(i: int) -> Shape:
        mask, corner = cut_mask(found.rles[i], canvas.scale)
        text = joined(f"#{tracks[i]}", names[i], f"{found.scores[i]:.2f}")
        box = found.boxes[i].astype(np.float64) * canvas.scale
        return Shape(box, mask, corner, category_colour(int(owners[i])), text)

    return canvas.paint(shape(i) for i in large_first(found.boxes))


def draw_target(
    image: Image | Tensor,
    target: Target,
    categories: Categories,
    colour_by: ColourBy = "instance",
    size: ImageSize | None = None,
) -> Image:
    """Draw a training target as the model sees it: every box mask stretched back into its box.

    Args:
        image: (H, W, 3) uint8 array or (3, H, W) uint8 tensor, in the network frame, with or without padding.
        target: of this image, in the same frame.
        categories: names of the labels.
        colour_by: instance or category.
        size: as of ``draw_instances``.

    Returns:
        As ``draw_instances``.
    """
    pixels = image if isinstance(image, np.ndarray) else np.ascontiguousarray(image.cpu().permute(1, 2, 0).numpy())
    canvas = Canvas(pixels, len(target), size)
    boxes = target.boxes.cpu().numpy().astype(np.float64) * canvas.scale
    labels, box_masks = target.labels.cpu().numpy(), target.box_masks.cpu().numpy()
    looks = _looks(len(labels), None, None if target.has_mask is None else ~target.has_mask.cpu().numpy())
    texts = _texts(labels, categories, None, looks)
    colours = instance_colours(labels, boxes, colour_by)

    def shape(i: int) -> Shape:
        mask, corner = stretch_mask(box_masks[i], boxes[i], (canvas.pixels.shape[0], canvas.pixels.shape[1]))
        return Shape(boxes[i], mask, corner, colours[i], texts[i], looks[i], has_box=looks[i] == Look.SOLID)

    return canvas.paint([*_ignored_shapes(target, canvas), *map(shape, large_first(boxes))])


def _ignored_shapes(target: Target, canvas: Canvas) -> Iterator[Shape]:
    """Yield the regions in which nothing is learnt."""
    if target.ignored is not None:
        height, width = canvas.pixels.shape[:2]
        boxes = target.ignored.boxes.cpu().numpy().astype(np.float64) * canvas.scale
        for box, box_mask in zip(boxes, target.ignored.box_masks.cpu().numpy(), strict=True):
            mask, corner = stretch_mask(box_mask, box, (height, width))
            yield Shape(box, mask, corner, CROWD_COLOUR, "(crowd)", Look.HATCHED, has_box=False)


def check_mask_sizes(image: Image, rles: Sequence[Rle]) -> None:
    """Require masks of the size of their image.

    Args:
        image: (H, W, 3).
        rles: the masks.

    Raises:
        InstsegError: a mask has another size.
    """
    size = image.shape[:2]
    for rle in rles:
        if tuple(rle["size"]) != size:
            raise InstsegError(f"mask of size {tuple(rle['size'])} on an image of size {size} (height, width)")


def large_first(boxes: NDArray[np.floating]) -> list[int]:
    """Order instances, by their boxes (N, 4), so that small ones are drawn on top of large ones."""
    boxes = np.asarray(boxes).reshape(-1, 4)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return [int(i) for i in np.argsort(-areas, kind="stable")]


def shown_names(labels: NDArray[np.int64], categories: Categories) -> list[str]:
    """Name instances; where there is one category, its name would tell nothing and is left out.

    Args:
        labels: (N,) 1..num_categories.
        categories: names of the labels.

    Returns:
        N names, or N empty texts.
    """
    return ["" if len(categories) == 1 else categories.name(int(label)) for label in labels]


def joined(*texts: str) -> str:
    """Join the texts that are not empty."""
    return " ".join(filter(None, texts))


def _looks(count: int, iscrowd: NDArray[np.bool_] | None, is_box_only: NDArray[np.bool_] | None) -> list[Look]:
    nothing = np.zeros(count, bool)
    flags = zip(nothing if iscrowd is None else iscrowd, nothing if is_box_only is None else is_box_only, strict=True)
    return [Look.DASHED if box_only else Look.HATCHED if crowd else Look.SOLID for crowd, box_only in flags]


def _texts(
    labels: NDArray[np.int64], categories: Categories, scores: NDArray[np.floating] | None, looks: Sequence[Look]
) -> list[str]:
    notes = [NOTES.get(look, "") for look in looks]
    numbers = [""] * len(labels) if scores is None else [f"{score:.2f}" for score in scores]
    return [joined(*texts) for texts in zip(shown_names(labels, categories), notes, numbers, strict=True)]
