"""Reader of a table of boxes: ``boxes.csv`` beside the images, a line ``file,category,x1,y1,x2,y2`` for each object."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from instseg.core.errors import InstsegError
from instseg.data.reading.findings import Findings
from instseg.data.reading.labels import UNSPLIT, Labels, LabelsBuilder, categories_of


@dataclass(frozen=True)
class BoxTableReader:
    """Reads ``root``; ``table`` is the name of the file in it."""

    FORMAT: ClassVar[str] = "box_table"
    VERSION: ClassVar[int] = 1
    root: Path
    table: str = "boxes.csv"

    def label_files(self) -> list[Path]:
        """Return the files whose change makes the dataset be read again."""
        return [self.root / self.table]

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Return the labels; split name -> labels where there are splits."""
        path = self.root / self.table
        if not path.is_file():
            raise InstsegError(f"{path}: expected a table of boxes, found no file")
        builder, image_ids = LabelsBuilder(), dict[str, int]()
        for number, row in enumerate(csv.reader(path.read_text().splitlines()), start=1):
            try:
                name, category, *corners = row
                x1, y1, x2, y2 = map(float, corners)
            except ValueError:
                findings[UNSPLIT].add("label_invalid", f"line {number} of {self.table}")
                continue
            if name not in image_ids:
                image_ids[name] = builder.add_image(name)
            builder.add_box(image_ids[name], category, np.array([x1, y1, x2, y2]))
        return {UNSPLIT: Labels(builder.coco(categories_of([builder])), self.root)}
