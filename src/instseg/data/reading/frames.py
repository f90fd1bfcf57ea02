"""The frame in which each image was labelled: as stored in the file, or turned by its EXIF orientation.

The size in the labels decides it for images turned by a quarter. Square images, half turns and labels without a size
look alike in both frames: they follow the majority of their source, all splits together, and without any others they
are taken as a person sees them. ``dataset.exif`` decides it by hand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.types import CocoImage, ImageSize
from instseg.data.reading.damage import seems_damaged
from instseg.data.reading.findings import Findings
from instseg.data.reading.images import ImageHeader, read_image, read_image_header
from instseg.data.reading.threads import map_in_threads


@dataclass(frozen=True, slots=True)
class ListedImage:
    """Image that the labels list, with the header of its file, or the ``error`` that came in place of a header.

    Both are None where there is no such file.
    """

    entry: CocoImage
    path: Path
    header: ImageHeader | None
    error: str | None = None

    @property
    def declared_size(self) -> ImageSize | None:
        """Size (height, width) that the labels declare, None where they declare none."""
        height, width = self.entry.get("height"), self.entry.get("width")
        return (height, width) if height and width else None

    @property
    def source(self) -> str:
        """Name of the set of labels that it came with; one tool wrote them, so one frame holds for all of a source."""
        return self.entry.get("source", "")

    @property
    def labelled_upright(self) -> bool | None:
        """Return True for labels in the rotated frame, False for the stored one, None where the size cannot decide."""
        header, declared = self.header, self.declared_size
        if header is None or header.orientation == 1 or declared is None or header.size == header.displayed_size:
            return None
        return {header.displayed_size: True, header.size: False}.get(declared)


def read_headers(images: list[CocoImage], image_root: Path, what: str = "Reading") -> list[ListedImage]:
    """Read the header of every image file; only those that seem damaged are decoded, to see whether they can be.

    Args:
        images: entries of the labels.
        image_root: the folder that their file names start from.
        what: title of the progress bar.

    Returns:
        The images in their order, each with a header or the reason why there is none.
    """

    def read(entry: CocoImage) -> ListedImage:
        path = image_root / entry["file_name"]
        try:
            if not path.is_file():
                return ListedImage(entry, path, None)
            header = read_image_header(path)
            if seems_damaged(path):
                read_image(path)
            return ListedImage(entry, path, header)
        except (InstsegError, OSError, ValueError) as error:  # OSError: a name that no file system takes
            return ListedImage(entry, path, None, str(error))

    return list(map_in_threads(read, images, what))


class Headers:
    """Headers of image files, each of which is read once."""

    def __init__(self) -> None:
        self._known: dict[str, ListedImage] = {}

    def read(self, images: list[CocoImage], image_root: Path, what: str) -> list[ListedImage]:
        """Return what ``read_headers`` does, which is asked for the images that are new.

        Args:
            images: entries of the labels.
            image_root: the folder that their file names start from.
            what: title of the progress bar.
        """
        paths = [f"{image_root}/{entry['file_name']}" for entry in images]
        new = [(path, entry) for path, entry in zip(paths, images, strict=True) if path not in self._known]
        listed = read_headers([entry for _, entry in new], image_root, what)
        self._known.update(zip((path for path, _ in new), listed, strict=True))
        return [replace(self._known[path], entry=entry) for path, entry in zip(paths, images, strict=True)]


def decide_frames(images: Iterable[ListedImage], exif: str = "auto") -> Callable[[ListedImage], bool]:
    """Return the function that tells of each image whether its labels are in the upright frame.

    Args:
        images: all, of all splits.
        exif: ``upright`` or ``stored`` for all of them, or ``auto``: as an image's size decides, else as most images of
            its source whose size decides it, else upright.
    """
    votes: defaultdict[str, int] = defaultdict(int)
    for image in images:
        votes[image.source] += {True: 1, False: -1, None: 0}[image.labelled_upright]

    def is_upright(image: ListedImage) -> bool:
        if exif != "auto":
            return exif == "upright"
        own_vote = image.labelled_upright
        return votes[image.source] >= 0 if own_vote is None else own_vote

    return is_upright


def labelled_frame(
    image: ListedImage, is_upright: Callable[[ListedImage], bool], findings: Findings
) -> tuple[ImageSize, bool] | None:
    """Return the size (height, width) of an image in the frame of its labels, and whether that is the upright one.

    Args:
        image: entry and header.
        is_upright: see ``decide_frames``.
        findings: where an unusable image is noted.

    Returns:
        None where the image is unusable.
    """
    upright = is_upright(image)
    unusable = why_unusable(image, upright)
    if unusable is not None:
        findings.add(*unusable)
        return None
    assert image.header is not None
    if not upright and image.header.orientation != 1:
        findings.add("ignores_exif", image.entry["file_name"])
    return image.header.displayed_size if upright else image.header.size, upright


def why_unusable(image: ListedImage, upright: bool) -> tuple[str, str] | None:
    """Return the kind and the text of the finding for an image that cannot be used, None for one that can.

    Args:
        image: entry and header.
        upright: whether its labels are in the upright frame.
    """
    name, header, declared = image.entry["file_name"], image.header, image.declared_size
    if header is None:
        return "image_unreadable" if image.error else "image_missing", image.error or name
    size = header.displayed_size if upright else header.size
    if declared is not None and declared != size:
        return "image_size_differs", f"{name} (labels {declared[1]}x{declared[0]}, file {size[1]}x{size[0]})"
    return None
