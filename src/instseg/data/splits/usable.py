"""Images that can be used, chosen before they are divided: the others would count as a part of some split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from instseg.core.errors import InstsegError
from instseg.data.reading.findings import Findings, reasons
from instseg.data.reading.frames import Headers, decide_frames, why_unusable
from instseg.data.reading.labels import Labels
from instseg.data.splits.select import select_images


@dataclass(frozen=True, slots=True)
class UsableImages:
    """Choice of the images whose files are there, can be read, and have the size that the labels declare."""

    exif: str  # the frame in which the labels were drawn, see ``decide_frames``
    findings: Mapping[str, Findings]  # split -> where the others are named
    headers: Headers = field(default_factory=Headers)
    left_out: list[Labels] = field(default_factory=list)
    found: Findings = field(default_factory=Findings)  # the same as in ``findings``, of the left out images alone

    def of(self, labels: Labels, split: str) -> Labels:
        """Return the labels of the images that can be used.

        Args:
            labels: about to be divided.
            split: of the findings.

        Raises:
            InstsegError: there is no such image.
        """
        images = self.headers.read(labels.coco["images"], labels.image_root, "Reading images")
        is_upright = decide_frames(images, self.exif)
        kept: list[int] = []
        lost: list[int] = []
        for image in images:
            unusable = why_unusable(image, is_upright(image))
            (kept if unusable is None else lost).append(image.entry["id"])
            if unusable is not None:
                self.findings[split].add(*unusable)
                self.found.add(*unusable)
        if images and not kept:
            raise InstsegError(
                f"none of the images could be used; they were sought in {labels.image_root}{reasons(self.found)}"
            )
        if lost:
            self.left_out.append(Labels(select_images(labels.coco, lost), labels.image_root))
        return Labels(select_images(labels.coco, kept), labels.image_root) if lost else labels

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Add to an error on too few images why some were left out."""
        try:
            yield
        except InstsegError as error:
            raise InstsegError(f"{error}{reasons(self.found)}") from error
