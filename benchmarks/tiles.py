"""Claim: in tiles a network finds what it does not on the whole image, shrunk, with an AP no lower than sahi's.

    python benchmarks/tiles.py                                  # trains a small model first: minutes
    python benchmarks/tiles.py --checkpoint best.ckpt --side 2000
    python benchmarks/tiles.py --mosaic ../shared/data/nuclei_coco --checkpoint RUN     # a model of nuclei at 320 px

One model (model=small, trained on images of 160 px cut out of made scenes) on scenes of 4,000 x 4,000 px with some
thousands of objects; with ``--mosaic`` a model of yours on real images of 256 px, side by side in one large image. The
same network predicts the whole scene shrunk to its size, the whole scene at its full size, in our tiles, and in the
slices of sahi, where that is installed: of the same side and overlap, with NMS, which sahi takes by itself for low
scores, and with its merging. AP counts all detections (segm_map_all), and those of objects that the border of a tile
cuts by themselves. Seconds are CPU time of a process of its own, memory the rise of its peak.
"""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import resource
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from made_scenes import CATEGORIES, TRAIN_SIDE_PX, make_scene, write_training_set

from comparing import Row, figure, main, parser
from instseg.app.load import load_model
from instseg.core.box_masks import crop_to_rle
from instseg.core.categories import Categories
from instseg.core.files import read_json
from instseg.core.masks import polygons_to_rle, rle_area, rle_to_bitmask, rle_to_box, rle_to_crop, segmentation_to_rle
from instseg.core.types import GroundTruth, Image, Prediction
from instseg.data.reading.images import read_image
from instseg.data.transforms.resize import Resize
from instseg.evaluation.metrics import CocoMaskMetrics
from instseg.prediction.predictor import Predictor
from instseg.prediction.tiles import tiles_of
from instseg.prediction.tiling import Tiling

OVERLAP, LEAST_SCORE = 0.2, 0.05
PART_PX, PARTS = 256, 6
"""Side of the images of a mosaic, and how many are side by side."""
OPTIONS = (
    "model.box.detections_per_image=200",
    "model.rpn.pre_nms_top_n_test=1000",
    "model.rpn.post_nms_top_n_test=600",
)
WHOLE = ("model.box.detections_per_image=20000", "model.rpn.pre_nms_top_n_test=100000",
         "model.rpn.post_nms_top_n_test=100000")  # fmt: skip
MB = 2**20


@dataclass(frozen=True)
class Case:
    """A large image, and the sizes at which a model knows such images."""

    image: Image
    truth: GroundTruth
    categories: Categories
    tile_px: int
    network_px: int  # side of a tile in the network
    whole_px: int  # side of the whole image in the network, as in training


@dataclass(frozen=True)
class Outcome:
    found: Prediction
    cpu_seconds: float
    rise_mb: float


def trained(folder: Path) -> Path:
    """Train the model, unless it is there."""
    from instseg import train

    checkpoint = folder / "run" / "checkpoints" / "best.ckpt"
    if not checkpoint.is_file():
        data = write_training_set(folder / "scenes", num_images=700, seed=1000)
        sizes = f"augmentation.min_size={TRAIN_SIDE_PX}", f"augmentation.max_size={TRAIN_SIDE_PX}"
        train("dataset=auto", f"dataset.root={data}", "model=small", *sizes, "trainer.max_epochs=2", "batch_size=4",
              "num_workers=0", "report=false", f"run_dir={folder / 'run'}")  # fmt: skip
    return checkpoint


def predictor(checkpoint: Path, side: int, tiling: Tiling | None, *options: str) -> Predictor:
    """The model at a size of the images in the network."""
    model = load_model(checkpoint, [*options, f"min_size={side}", f"max_size={side}"], "cpu", None)
    own: Predictor = model._predictor
    return Predictor(own.network, Resize(side, side), tiling=tiling)


def in_a_process(call: Callable[[], Prediction]) -> Outcome:
    """Run in a fork, so that its peak of memory is its own."""
    receive, send = multiprocessing.Pipe(duplex=False)

    def work() -> None:
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        found = call()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        send.send(Outcome(found, time.process_time() - start, (after - before) * 1024 / MB))

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    outcome: Outcome = receive.recv()
    process.join()
    return outcome


def made_case(side: int) -> Case:
    """A made scene."""
    scene = make_scene(7, side, side)
    return Case(scene.image, scene.ground_truth(1), CATEGORIES, 320, 320, TRAIN_SIDE_PX)


def mosaic_case(folder: Path) -> Case:
    """The first test images of COCO labels that are square and small, side by side."""
    coco = read_json(folder / "annotations" / "instances_test.json")
    square = [image for image in coco["images"] if image["width"] == image["height"] == PART_PX][: PARTS**2]
    side, corners = PARTS * PART_PX, {image["id"]: at for at, image in enumerate(square)}
    whole = np.zeros((side, side, 3), np.uint8)
    for image in square:
        row, column = np.array(divmod(corners[image["id"]], PARTS)) * PART_PX
        whole[row : row + PART_PX, column : column + PART_PX] = read_image(folder / "test" / image["file_name"])
    rles = []
    for one in coco["annotations"]:
        if one["image_id"] in corners:
            crop, (left, top) = rle_to_crop(segmentation_to_rle(one["segmentation"], (PART_PX, PART_PX)))
            row, column = np.array(divmod(corners[one["image_id"]], PARTS)) * PART_PX
            rles.append(crop_to_rle(crop.view(np.bool_), int(left + column), int(top + row), (side, side)))
    boxes, areas = np.array([rle_to_box(rle) for rle in rles]), np.array([rle_area(rle) for rle in rles])
    ones = np.ones(len(rles), np.int64)
    truth = GroundTruth(1, (side, side), boxes, ones, areas, ones == 0, rles)
    return Case(whole, truth, Categories(("nucleus",)), PART_PX, 320, 320)


def sliced_by_sahi(model: Predictor, case: Case, is_merged: bool) -> Prediction:
    """Predict with sahi, whose model ours becomes; by itself it takes NMS where it is asked for low scores."""
    base, predict, predictions = map(importlib.import_module, ("sahi.models.base", "sahi.predict", "sahi.prediction"))
    labels = range(1, len(case.categories.names) + 1)
    to_polygons = importlib.import_module("sahi.utils.cv").get_coco_segmentation_from_bool_mask

    class Wrapped(base.DetectionModel):  # type: ignore[misc, name-defined]
        has_mask = True

        def load_model(self) -> None:
            self.model = model
            self.category_mapping = {str(label): case.categories.name(label) for label in labels}

        def perform_inference(self, image: Image) -> None:
            self._original_predictions = model.predict_images([image])

        def _create_object_prediction_list_from_original_predictions(
            self, shift_amount_list: Any = None, full_shape_list: Any = None
        ) -> None:
            found, shift = self._original_predictions[0], shift_amount_list or [0, 0]
            shift = shift[0] if isinstance(shift[0], list) else shift
            shape = full_shape_list[0] if full_shape_list and isinstance(full_shape_list[0], list) else full_shape_list
            objects = []
            for box, label, score, rle in zip(found.boxes, found.labels, found.scores, found.rles, strict=True):
                polygons = to_polygons(rle_to_bitmask(rle).astype(bool))
                if polygons:
                    objects.append(
                        predictions.ObjectPrediction(
                            bbox=box.tolist(),
                            category_id=int(label),
                            category_name=case.categories.name(int(label)),
                            segmentation=polygons,
                            score=float(score),
                            shift_amount=shift,
                            full_shape=shape,
                        )
                    )
            self._object_prediction_list_per_image = [objects]

    wrapped = Wrapped(confidence_threshold=LEAST_SCORE, device="cpu")
    result = predict.get_sliced_prediction(
        case.image,
        wrapped,
        case.tile_px,
        case.tile_px,
        OVERLAP,
        OVERLAP,
        perform_standard_pred=False,
        verbose=0,
        force_postprocess_type=is_merged,
    )
    return _from_sahi(result.object_prediction_list, case.image)


def _from_sahi(objects: list[Any], image: Image) -> Prediction:
    size = (image.shape[0], image.shape[1])
    objects = sorted(objects, key=lambda each: -each.score.value)
    rles = [
        polygons_to_rle([np.array(part, float).reshape(-1, 2) for part in each.mask.segmentation], size)
        for each in objects
    ]
    boxes = np.array([each.bbox.to_xyxy() for each in objects], np.float32).reshape(-1, 4)
    labels = np.array([each.category.id for each in objects], np.int64)
    return Prediction(1, size, boxes, labels, np.array([each.score.value for each in objects], np.float32), rles)


def quality(found: Prediction, truth: GroundTruth, categories: Categories) -> float:
    """AP over all detections."""
    metrics = CocoMaskMetrics(categories)
    metrics.update([found], [truth])
    return metrics.compute()["segm_map_all"]


def at_borders(case: Case) -> tuple[GroundTruth, int]:
    """The truth where objects that no border of a tile's core cuts are to be ignored, and the number of others."""
    tiles = tiles_of(case.truth.image_size, case.tile_px, OVERLAP)
    edges = sorted({tile.core.left for tile in tiles} - {0})
    cut = [any(box[0] < edge < box[2] or box[1] < edge < box[3] for edge in edges) for box in case.truth.boxes]
    return replace(case.truth, iscrowd=~np.array(cut)), sum(cut)


def ways(checkpoint: Path, case: Case) -> dict[str, Callable[[], Prediction]]:
    """What is compared, by name."""
    image, tiling = case.image, Tiling(case.tile_px, OVERLAP)
    tiled, slices = (predictor(checkpoint, case.network_px, how, *OPTIONS) for how in (tiling, None))
    shrunk = predictor(checkpoint, case.whole_px, None, *OPTIONS)
    full_px = len(image) * case.network_px // case.tile_px
    calls: dict[str, Callable[[], Prediction]] = {
        "in tiles": lambda: tiled.predict_images([image], [1])[0],
        "whole, shrunk": lambda: shrunk.predict_images([image], [1])[0],
        "whole, full size": lambda: predictor(checkpoint, full_px, None, *WHOLE).predict_images([image], [1])[0],
    }
    if importlib.util.find_spec("sahi") is not None:
        calls["sahi"] = lambda: sliced_by_sahi(slices, case, is_merged=False)
        calls["sahi, GREEDYNMM"] = lambda: sliced_by_sahi(slices, case, is_merged=True)
    return calls


def measure(arguments: Namespace) -> Iterator[Row]:
    checkpoint = arguments.checkpoint or trained(arguments.out)
    case = mosaic_case(arguments.mosaic) if arguments.mosaic else made_case(1200 if arguments.quick else arguments.side)
    side, (some, number) = len(case.image), at_borders(case)
    calls = ways(checkpoint, case)
    for name in arguments.only or calls:
        outcome = in_a_process(calls[name])
        ap, ap_at_borders = (quality(outcome.found, truth, case.categories) for truth in (case.truth, some))
        yield figure(
            f"{name}: {side} x {side} px, {len(case.truth)} objects, {number} of them over borders of tiles",
            f"AP {ap:.3f}, at borders {ap_at_borders:.3f}",
            agree=f"{outcome.cpu_seconds:.1f} CPU s, {outcome.rise_mb:.0f} MB, {len(outcome.found)} detections",
        )


def options() -> Any:
    own = parser(__doc__)
    own.add_argument("--checkpoint", type=Path, help="of a model; None trains one on made scenes")
    own.add_argument("--out", type=Path, default=Path("outputs/benchmark_tiles"), help="where it is trained")
    own.add_argument(
        "--only", nargs="+", help="some of the ways: 'in tiles', 'whole, shrunk', 'whole, full size', sahi"
    )
    own.add_argument("--mosaic", type=Path, help="folder of COCO labels, instead of a made scene")
    own.add_argument("--side", type=int, default=4000, help="of the scene, px")
    return own


if __name__ == "__main__":
    main(__doc__, measure, options())
