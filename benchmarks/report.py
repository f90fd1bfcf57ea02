"""Claim: the report on 5,000 images with 100 detections each takes less than 60 s, 2 GB and a page of 15 MB.

    python benchmarks/report.py                  # 200, 1,000 and 5,000 images, each in a process of its own
    python benchmarks/report.py --quick          # 50 and 200

Detections are made, ellipses of 8 categories around objects and elsewhere; images are JPEGs of 640 x 480. Time is
CPU time of one process from predictions and ground truth to the page; memory its peak above what those take.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from made_detections import SIZE, make_images
from made_photos import write_photo
from processes import apart, cost

from comparing import Row, figure, main
from instseg.analysis.advice import Situation
from instseg.analysis.measured import measure as measure_masks
from instseg.analysis.page.render import render
from instseg.analysis.report import Heading, build_report
from instseg.analysis.subject import ImageFile, Subject
from instseg.core.categories import Categories
from instseg.evaluation.evaluated import EvaluatedImages

CATEGORIES = Categories(tuple(f"category {number}" for number in range(1, 9)))
NUM_FILES = 20


def measure(arguments: argparse.Namespace) -> Iterator[Row]:
    with TemporaryDirectory() as folder:
        for number in range(NUM_FILES):
            write_photo(Path(folder) / f"{number}.jpg", SIZE, np.random.default_rng(number))
        for num_images in (50, 200) if arguments.quick else (200, 1000, 5000):
            seconds, megabytes, page_megabytes = apart(report_on, num_images, Path(folder))
            what = f"report on {num_images:,} images x 100 detections"
            yield figure(f"{what}: CPU time", f"{seconds:.1f} s", "60 s or less of 5,000")
            yield figure(f"{what}: memory", f"{megabytes:.0f} MB", "2,000 MB or less of 5,000")
            yield figure(f"{what}: page", f"{page_megabytes:.1f} MB", "15 MB or less")


def report_on(num_images: int, folder: Path) -> tuple[float, float, float]:
    """CPU seconds, peak of memory above the predictions, and size of the page, both in MB."""
    made = make_images(num_images, num_categories=len(CATEGORIES))
    evaluated = EvaluatedImages.of(made, CATEGORIES)
    thresholds = np.full(len(CATEGORIES), 0.5)
    subject = Subject(evaluated, lambda image_id: _file(folder, image_id), thresholds)
    situation = Situation(SIZE[0], SIZE[1], np.full(len(CATEGORIES), 500))
    pages: list[str] = []
    start = time.process_time()
    heading = Heading("benchmark", "made detections")
    _, megabytes = cost(lambda: pages.append(render(build_report(subject, measure_masks(subject), heading, situation))))
    return time.process_time() - start, megabytes, len(pages[0].encode()) / 1e6


def _file(folder: Path, image_id: int) -> ImageFile:
    return ImageFile(f"{image_id}.jpg", folder / f"{image_id % NUM_FILES}.jpg")


if __name__ == "__main__":
    main(__doc__, measure)
