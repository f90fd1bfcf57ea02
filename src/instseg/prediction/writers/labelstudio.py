"""Label Studio: a file of tasks with predictions, the labelling setup to paste, and how to import both."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from instseg.core.atomic import write_text_atomically
from instseg.core.channels import xml_text
from instseg.core.command_line import typed_command
from instseg.core.files import write_json
from instseg.core.prediction_mark import DIGEST, IMAGES, labelstudio_digest
from instseg.core.text import path_text
from instseg.prediction.writers.labelstudio_regions import Control, Region, mean_score, polygon_region
from instseg.prediction.writers.predicted_image import LoadedImage, PredictedImage
from instseg.prediction.writers.writer import PredictionRun, Writer
from instseg.visualization.colours import category_colour

TASKS, HOW_TO = "tasks.json", "HOW_TO_IMPORT.txt"
LABELS, IMAGE = "label", "image"  # names of the tags in the labelling setup


class LabelStudio(Writer):
    """Writer of one polygon for each instance, in percent of the image; parts and holes are joined by seams."""

    writes = "labelstudio"

    def start(self, run: PredictionRun) -> None:
        """Start with no results."""
        super().start(run)
        self.results: dict[str, list[Region]] = {}

    def add(self, image: LoadedImage) -> None:
        """Collect the polygons of an image."""
        found = image.prediction
        control = Control(LABELS, IMAGE)
        self.results[image.file] = [
            polygon_region(
                control,
                index + 1,
                polygons,
                self.run.categories.name(int(found.labels[index])),
                float(found.scores[index]),
                found.image_size,
            )
            for index, polygons in enumerate(image.polygons)
            if polygons
        ]

    def finish(self, images: Sequence[PredictedImage]) -> None:
        """Write the tasks, the labelling setup and the instructions."""
        write_json(self.path / TASKS, [self._task(image) for image in images])
        write_text_atomically(self.path / "label_config.xml", _label_config(self.run))
        write_text_atomically(self.path / HOW_TO, _how_to(self.run))

    def _task(self, image: PredictedImage) -> dict[str, object]:
        """Return the task of an image, with the mean score of its instances, by which Label Studio can sort.

        An image without instances has no prediction: some versions refuse an empty one. The digest and the
        folder of the images are in the data of the task, which the JSON and the JSON-MIN export have.
        """
        result = self.results[image.file]
        prediction = {
            "model_version": self.run.model_version,
            "score": mean_score(result),
            "result": result,
        }
        # Images are served from the folder above theirs: Label Studio wants a folder below the one that it serves.
        path = os.fsencode(f"{self.run.image_folder.name}/{image.file}")
        return {
            "data": {
                IMAGE: f"/data/local-files/?d={quote(path)}",
                DIGEST: labelstudio_digest(result),
                IMAGES: path_text(self.run.image_folder),
            },
            "predictions": [prediction] if result else [],
            "meta": {"instseg": dict(self.run.identity)},
        }


def _label_config(run: PredictionRun) -> str:
    names = [quoteattr(xml_text(name)) for name in run.categories.names]
    labels = "\n".join(
        f'    <Label value={name} background="#{"".join(f"{c:02x}" for c in category_colour(label))}"/>'
        for label, name in enumerate(names, start=1)
    )
    return (
        f'<View>\n  <Image name="{IMAGE}" value="${IMAGE}" zoom="true" zoomControl="true"/>\n'
        f'  <PolygonLabels name="{LABELS}" toName="{IMAGE}" strokeWidth="2" pointSize="small" opacity="0.4">\n'
        f"{labels}\n  </PolygonLabels>\n</View>\n"
    )


def _how_to(run: PredictionRun) -> str:
    folder, above = (path_text(path) for path in (run.image_folder, run.image_folder.parent))
    return textwrap.dedent(
        f"""\
        1. Start Label Studio so that it may show the images from where they are:

             LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true \\
             LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT='{above}' label-studio

        2. Create a project. Under Labeling Setup choose Custom template, Code, and paste label_config.xml.
        3. Under Settings, Cloud Storage, add a source storage of the type Local files with the path

             {folder}

           and save it without Sync, which would make tasks of its own.
        4. Import tasks.json. Every task shows its predictions; correct them and submit. Where a prediction is right as
           it is, submit it and set the star (ground truth): without it, it counts as not looked at.
        5. Export as JSON or JSON-MIN (the COCO export does not say what was corrected) and train again, on these and
           on the earlier labels:

             {typed_command("train")} dataset=auto dataset.root=EARLIER_LABELS dataset.corrected=EXPORT.json
        """
    )
