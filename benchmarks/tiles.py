"""Claim: in tiles a network finds what it does not on the whole image, shrunk, with an AP no lower than sahi's.

    python benchmarks/tiles.py                                  # trains a small model first: minutes
    python benchmarks/tiles.py --checkpoint best.ckpt --side 2000

One model (model=small, trained on images of 160 px cut out of made scenes) on scenes of 4,000 x 4,000 px with some
thousands of objects. The same network predicts the whole scene shrunk to its size, the whole scene at its full size,
in our tiles, and in the slices of sahi, where that is installed: of the same side and overlap, with NMS, which sahi
takes by itself for low scores, and with its merging.
AP counts all detections (segm_map_all), and those of objects that the border of a tile cuts by themselves. Seconds are
CPU time of a process of its own, memory the rise of its peak.
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
from instseg.core.masks import polygons_to_rle, rle_to_bitmask
from instseg.core.types import GroundTruth, Image, Prediction
from instseg.data.transforms.resize import Resize
from instseg.evaluation.metrics import CocoMaskMetrics
from instseg.prediction.predictor import Predictor
from instseg.prediction.tiles import tiles_of
from instseg.prediction.tiling import Tiling

TILE_PX, OVERLAP, LEAST_SCORE = 320, 0.2, 0.05
OPTIONS = (
    "model.box.detections_per_image=200",
    "model.rpn.pre_nms_top_n_test=1000",
    "model.rpn.post_nms_top_n_test=600",
)
WHOLE = ("model.box.detections_per_image=20000", "model.rpn.pre_nms_top_n_test=100000",
         "model.rpn.post_nms_top_n_test=100000")  # fmt: skip
MB = 2**20


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


def sliced_by_sahi(model: Predictor, image: Image, is_merged: bool) -> Prediction:
    """Predict with sahi, whose model ours becomes; by itself it takes NMS where it is asked for low scores."""
    base, predict, predictions = map(importlib.import_module, ("sahi.models.base", "sahi.predict", "sahi.prediction"))
    to_polygons = importlib.import_module("sahi.utils.cv").get_coco_segmentation_from_bool_mask

    class Wrapped(base.DetectionModel):  # type: ignore[misc, name-defined]
        has_mask = True

        def load_model(self) -> None:
            self.model = model
            self.category_mapping = {str(label): CATEGORIES.name(label) for label in (1, 2)}

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
                            category_name=CATEGORIES.name(int(label)),
                            segmentation=polygons,
                            score=float(score),
                            shift_amount=shift,
                            full_shape=shape,
                        )
                    )
            self._object_prediction_list_per_image = [objects]

    wrapped = Wrapped(confidence_threshold=LEAST_SCORE, device="cpu")
    result = predict.get_sliced_prediction(
        image,
        wrapped,
        TILE_PX,
        TILE_PX,
        OVERLAP,
        OVERLAP,
        perform_standard_pred=False,
        verbose=0,
        force_postprocess_type=is_merged,
    )
    return _from_sahi(result.object_prediction_list, image)


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


def quality(found: Prediction, truth: GroundTruth) -> float:
    """AP over all detections."""
    metrics = CocoMaskMetrics(CATEGORIES)
    metrics.update([found], [truth])
    return metrics.compute()["segm_map_all"]


def at_borders(truth: GroundTruth, side: int) -> tuple[GroundTruth, int]:
    """The truth where objects that no border of a tile's core cuts are to be ignored, and the number of others."""
    tiles = tiles_of((side, side), TILE_PX, OVERLAP)
    edges = sorted({tile.core.left for tile in tiles} - {0})
    cut = [any(box[0] < edge < box[2] or box[1] < edge < box[3] for edge in edges) for box in truth.boxes]
    return replace(truth, iscrowd=~np.array(cut)), sum(cut)


def measure(arguments: Namespace) -> Iterator[Row]:
    checkpoint = arguments.checkpoint or trained(arguments.out)
    side = 1200 if arguments.quick else arguments.side
    scene = make_scene(7, side, side)
    truth = scene.ground_truth(1)
    image, tiling = scene.image, Tiling(TILE_PX, OVERLAP)
    tiled = predictor(checkpoint, TILE_PX, tiling, *OPTIONS)
    calls: dict[str, Callable[[], Prediction]] = {
        "in tiles": lambda: tiled.predict_images([image], [1])[0],
        "whole, shrunk": lambda: predictor(checkpoint, TRAIN_SIDE_PX, None, *OPTIONS).predict_images([image], [1])[0],
        "whole, full size": lambda: predictor(checkpoint, side, None, *WHOLE).predict_images([image], [1])[0],
    }
    if importlib.util.find_spec("sahi") is not None:
        slices = predictor(checkpoint, TILE_PX, None, *OPTIONS)
        calls["sahi"] = lambda: sliced_by_sahi(slices, image, is_merged=False)
        calls["sahi, GREEDYNMM"] = lambda: sliced_by_sahi(slices, image, is_merged=True)
    some, number = at_borders(truth, side)
    for name in arguments.only or calls:
        call = calls[name]
        outcome = in_a_process(call)
        ap, ap_at_borders = quality(outcome.found, truth), quality(outcome.found, some)
        yield figure(
            f"{name}: {side} x {side} px, {len(truth)} objects, {number} of them over borders of tiles",
            f"AP {ap:.3f}, at borders {ap_at_borders:.3f}",
            agree=f"{outcome.cpu_seconds:.1f} CPU s, {outcome.rise_mb:.0f} MB, {len(outcome.found)} detections",
        )


def options() -> Any:
    own = parser(__doc__)
    own.add_argument("--checkpoint", type=Path, help="a model that was trained on made scenes; None trains one")
    own.add_argument("--out", type=Path, default=Path("outputs/benchmark_tiles"), help="where it is trained")
    own.add_argument(
        "--only", nargs="+", help="some of the ways: 'in tiles', 'whole, shrunk', 'whole, full size', sahi"
    )
    own.add_argument("--side", type=int, default=4000, help="of the scene, px")
    return own


if __name__ == "__main__":
    main(__doc__, measure, options())
