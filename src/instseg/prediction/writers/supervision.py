"""Tables with the columns of Roboflow's supervision, and the masks besides: JSON lines, and parquet."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Sequence
from types import ModuleType

from instseg.core.atomic import replacing
from instseg.core.errors import InstsegError
from instseg.core.text import utf8_text
from instseg.prediction.writers.predicted_image import PredictedImage
from instseg.prediction.writers.writer import PredictionRun, Writer

Row = dict[str, str | int | float]


class DetectionTable(Writer):
    """Base of the tables: a row for each instance.

    Columns: ``file``, ``image_width``, ``image_height``; ``x_min``, ``y_min``, ``x_max``, ``y_max``, px with an
    exclusive end; ``class_id`` (from 0), ``class_name``, ``confidence``; ``mask``, the counts of COCO's compressed RLE.
    """

    def rows(self, images: Sequence[PredictedImage]) -> Iterator[Row]:
        """Yield the rows, in the order of the images and the best score first.

        Args:
            images: of the run.
        """
        for image in images:
            found = image.prediction
            height, width = found.image_size
            for box, label, score, rle in zip(found.boxes, found.labels, found.scores, found.rles, strict=True):
                corners = dict(zip(("x_min", "y_min", "x_max", "y_max"), map(float, box.round(2)), strict=True))
                yield {
                    "file": utf8_text(image.file),
                    "image_width": width,
                    "image_height": height,
                    **corners,
                    "class_id": int(label) - 1,
                    "class_name": utf8_text(self.run.categories.name(int(label))),
                    "confidence": round(float(score), 6),
                    "mask": rle["counts"].decode("ascii"),
                }


class JsonLines(DetectionTable):
    """Writer of ``predictions.jsonl``."""

    writes = "predictions.jsonl"

    def finish(self, images: Sequence[PredictedImage]) -> None:
        """Write the table, a line for each instance."""
        with replacing(self.path) as scratch, scratch.open("w", encoding="utf-8") as file:
            for row in self.rows(images):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


class Parquet(DetectionTable):
    """Writer of ``predictions.parquet``; it needs pyarrow."""

    writes = "predictions.parquet"

    def start(self, run: PredictionRun) -> None:
        """Look for pyarrow before any image is predicted.

        Raises:
            InstsegError: it is not installed.
        """
        super().start(run)
        self._arrow()

    def finish(self, images: Sequence[PredictedImage]) -> None:
        """Write the table."""
        arrow = self._arrow()
        columns = [
            *((name, arrow.string()) for name in ("file", "class_name", "mask")),
            *((name, arrow.int64()) for name in ("image_width", "image_height", "class_id")),
            *((name, arrow.float64()) for name in ("x_min", "y_min", "x_max", "y_max", "confidence")),
        ]
        table = arrow.Table.from_pylist(list(self.rows(images)), schema=arrow.schema(columns))
        with replacing(self.path) as scratch:
            importlib.import_module("pyarrow.parquet").write_table(table, scratch)

    def _arrow(self) -> ModuleType:
        try:
            return importlib.import_module("pyarrow")
        except ImportError as error:
            raise InstsegError("save=parquet needs pyarrow: pip install 'instseg[parquet]'") from error
