"""Label errors of judged images, with all that is written about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from instseg.analysis.label_errors.judged import Judged
from instseg.analysis.label_errors.page import build_page
from instseg.analysis.label_errors.proposals import corrections_of
from instseg.analysis.label_errors.suspicion import Kind, Suspicion
from instseg.analysis.label_errors.table import write_table
from instseg.analysis.label_errors.wording import TITLES
from instseg.analysis.page.content import Advice
from instseg.analysis.page.render import write_page
from instseg.data.reading.corrections import Corrections


@dataclass(frozen=True, slots=True, eq=False)
class LabelErrors:
    """Suspicions about judged images, the likeliest first."""

    judged: Judged
    suspicions: list[Suspicion]
    min_score: float
    """From which they are likely enough for a proposed correction."""

    @property
    def likely(self) -> list[Suspicion]:
        """Suspicions with a proposed correction."""
        return [one for one in self.suspicions if one.score >= self.min_score]

    def counts(self) -> dict[str, int]:
        """Return title of each kind -> number of likely ones, where there are any."""
        counts = {TITLES[kind][0]: sum(one.kind == kind for one in self.likely) for kind in Kind}
        return {title: count for title, count in counts.items() if count}

    def corrections(self, rename: Mapping[str, str]) -> Corrections:
        """Return what to change about the labels of each image.

        Args:
            rename: name in the labels -> name of the category, where they differ.
        """
        return corrections_of(self.judged, self.likely, rename)

    def write_table(self, path: Path) -> None:
        """Write all suspicions as a CSV."""
        write_table(path, self.judged, self.suspicions)

    def write_page(self, path: Path, title: str, advice: Sequence[Advice]) -> None:
        """Write the page.

        Args:
            path: the file.
            title: of the page.
            advice: what to do with the proposals.
        """
        write_page(build_page(self.judged, self.suspicions, self.min_score, title, advice), path)
