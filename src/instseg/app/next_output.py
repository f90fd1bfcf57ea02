"""The output folder of ``instseg next``: pre-labels as of ``predict``, the list and the sheets beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from instseg.app.config import NextConfig
from instseg.app.next_choice import Choice
from instseg.app.next_format import formats_of_pre_labels
from instseg.app.next_writers import NextList, Sheets
from instseg.app.predict import build_writers
from instseg.core.files import absolute_path
from instseg.prediction.folder import PredictionFolder
from instseg.prediction.output import OutputOptions, write_predictions
from instseg.prediction.predictor import Predictor
from instseg.prediction.summary import PredictSummary
from instseg.prediction.writers.writer import Writer

OWN: Mapping[str, type[Writer]] = {"next_images": NextList, "sheets": Sheets}
"""Writers of their own, by the names that they have beside those of the config."""


class NextOutput:
    """The folder that everything is written to.

    Args:
        config: of the command.

    Raises:
        InstsegError: it holds what an earlier run left, which may not be replaced.
    """

    def __init__(self, config: NextConfig) -> None:
        self.config, self.path = config, absolute_path(config.output)
        self._writers = build_writers(config.writers)
        self.formats = formats_of_pre_labels(config, self._writers)
        own = [writer.writes for writer in OWN.values()]
        known = [writer.writes for writer in self._writers.values()] + own
        writes = own + [self._writers[name].writes for name in self.formats]
        self._folder = PredictionFolder(self.path, writes, known, config.overwrite)

    def contains(self, path: Path) -> bool:
        """Tell whether a file was made by this or an earlier run."""
        return self._folder.contains(path)

    def write(
        self,
        predictor: Predictor,
        choice: Choice,
        image_folder: Path,
        identity: Mapping[str, object],
        console: Console,
    ) -> PredictSummary:
        """Predict on the images that were chosen, and write everything.

        Args:
            predictor: the loaded model.
            choice: the images.
            image_folder: that files are named relative to.
            identity: of the model.
            console: where the progress is shown.

        Returns:
            As ``write_predictions``.
        """
        own: Mapping[str, Writer] = {
            "next_images": NextList(choice.reasons),
            "sheets": Sheets(choice.reasons, self.config.colour_by),
        }
        options = OutputOptions(
            save=[*own, *self.formats],
            score_threshold=self.config.score_threshold,
            categories=self.config.categories,
            batch_size=self.config.batch_size,
            overwrite=self.config.overwrite,
        )
        return write_predictions(
            predictor,
            choice.paths,
            self.path,
            {**self._writers, **own},
            options,
            identity=identity,
            console=console,
            image_folder=image_folder,
        )
