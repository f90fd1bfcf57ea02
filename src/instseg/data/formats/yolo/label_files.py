"""Text files of images: in ``labels/`` for ``images/``, else beside the image, also where a tool has respelled them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.files import read_lines
from instseg.data.formats.yolo.config import CLASS_FILES
from instseg.data.formats.yolo.rows import read_row
from instseg.data.reading.image_files import IMAGE_EXTENSIONS
from instseg.data.reading.spelling import alike, pair_names

NOT_LABELS = (*CLASS_FILES, "train.txt", "val.txt", "valid.txt", "test.txt", "requirements.txt", "README.txt")
"""Text files beside labels: names of classes, and lists of images as darknet has them."""
LABELS = ("labels", "Labels", "LABELS")


@dataclass(frozen=True, slots=True)
class LabelFiles:
    """The text files of images.

    Attributes:
        found: image -> its text file; images without one are not in it.
        respelled: images that differ in spelling from their text file.
        unmatched: text files with rows that belong to no image, sorted.
    """

    found: dict[Path, Path] = field(default_factory=dict)
    respelled: set[Path] = field(default_factory=set)
    unmatched: list[Path] = field(default_factory=list)

    def take(self, wanted: Mapping[Path, Path], files: Mapping[Path, Path]) -> None:
        """Pair images with files.

        Args:
            wanted: image -> path of its text file without extension.
            files: path without extension -> text file.
        """
        pairs = pair_names(map(str, wanted.values()), map(str, files))
        for image, path in wanted.items():
            if (name := pairs.get(str(path))) is not None:
                self.found[image] = files[Path(name)]
                self.respelled.update({image} if name != str(path) else ())


def find_label_files(images: Iterable[Path]) -> LabelFiles:
    """Find the text file of each image, and those that belong to none."""
    images = dict.fromkeys(images)
    folders = {folder: _label_folder(folder) for folder in {image.parent for image in images}}
    found = LabelFiles()
    parallel = _text_files({labels for labels in folders.values() if labels is not None})
    found.take({image: labels / image.stem for image in images if (labels := folders[image.parent])}, parallel)
    alone = [image for image in images if image not in found.found]
    beside = _text_files({image.parent for image in alone})
    found.take({image: image.parent / image.stem for image in alone}, beside)
    unused = {*parallel.values(), *beside.values()} - {*found.found.values()}
    if rows := sorted(filter(_has_rows, unused)):
        found.unmatched.extend(_of_no_image(rows, images, folders))
    return found


def expected_label_file(image: Path) -> Path:
    """Return the text file that an image without one would have."""
    return (_label_folder(image.parent) or image.parent) / f"{image.stem}.txt"


def labels_beside(images: Path) -> Path | None:
    """Return the folder called labels, in any case, beside one called images; None where there is none."""
    return next((folder for name in LABELS if (folder := images.with_name(name)).is_dir()), None)


def _label_folder(folder: Path) -> Path | None:
    """Return the folder of the labels of a folder of images: the last ``images`` becomes ``labels``; else None."""
    images = next((one for one in (folder, *folder.parents) if one.name.casefold() == "images"), None)
    if images is None:
        return None
    labels = labels_beside(images) or images.with_name(LABELS[0])
    for part in folder.relative_to(images).parts:
        there = [] if (labels / part).is_dir() else [one.name for one in _entries(labels) if one.is_dir()]
        labels /= pair_names([part], there).get(part, part)
    return labels


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # its files are missing, which is told later
        return []


def _text_files(folders: Iterable[Path]) -> dict[Path, Path]:
    files = (path for folder in folders for path in _entries(folder) if path.suffix.lower() == ".txt")
    return {path.with_suffix(""): path for path in files if path.is_file()}


def _has_rows(file: Path) -> bool:
    try:
        lines = [] if file.name in NOT_LABELS else read_lines(file)
        return bool(lines) and read_row(lines[0]) is not None
    except InstsegError:
        return False


def _of_no_image(
    files: Iterable[Path], listed: Collection[Path], folders: Mapping[Path, Path | None]
) -> Iterator[Path]:
    """Yield those of the text files that are not of images which the dataset leaves out."""
    others = (path for folder in folders for path in _entries(folder) if path not in listed)
    left_out = [path for path in others if path.suffix.lower() in IMAGE_EXTENSIONS]
    known = {alike(str((folders[image.parent] or image.parent) / image.stem)) for image in left_out}
    known |= {alike(str(image.with_suffix(""))) for image in left_out}
    yield from (file for file in files if alike(str(file.with_suffix(""))) not in known)
