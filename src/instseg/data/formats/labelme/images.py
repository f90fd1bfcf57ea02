"""Images of LabelMe json files, including those that exist only inside their json."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath

from instseg.core.atomic import replacing
from instseg.core.errors import InstsegError
from instseg.core.files import mark_as_cache
from instseg.core.text import is_file_name, usable_text
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import ImageFinder
from instseg.data.reading.image_files import IMAGE_EXTENSIONS


class LabelmeImages:
    """Finder of the image of a label file among the image files below ``root``.

    Label files are given as paths from ``root``.
    """

    def __init__(self, root: Path, cache_dir: str | None) -> None:
        """List the images.

        Args:
            root: the folder of the dataset.
            cache_dir: where to write images that exist only inside their json; None: they are not written.
        """
        self.finder, self._root = ImageFinder(root), root.resolve()
        self._own: dict[PurePosixPath, str | None] = {}
        self._cache = None if cache_dir is None else Path(cache_dir).resolve() / "labelme_embedded"
        self._written = sha256(str(self._root).encode(errors="surrogateescape")).hexdigest()[:16]

    def own(self, label_file: PurePosixPath) -> str | None:
        """Return the image with the label file's own name, beside it or anywhere; None if there is none, or several."""
        if label_file not in self._own:
            self._own[label_file] = self._find(label_file, f"{label_file.stem}.jpg")  # other extensions match too
        return self._own[label_file]

    def image_of(self, label_file: PurePosixPath, content: Mapping[str, object], findings: Findings) -> str | None:
        """Return the image that a label file describes, whether the file exists or not.

        Args:
            label_file: its path from the root.
            content: its json.
            findings: gets what was unusual.

        Returns:
            A path from the root, an absolute one for an image elsewhere or in the cache, or None when the image
            exists only inside the json and there is no cache.
        """
        wanted = usable_text(content.get("imagePath")).replace("\\", "/")
        named = self._find(label_file, wanted)
        is_below = named is not None and not PurePosixPath(named).is_absolute()
        names_own = is_below and PurePosixPath(wanted).stem.casefold() == label_file.stem.casefold()
        own = named if names_own else self.own(label_file)
        if own is not None:
            if named not in (own, None):
                findings.add("image_own_name", f"{label_file} (names {wanted})")
            return own
        image = _embedded(content.get("imageData"))
        if image is None:
            return named or _missing(label_file, wanted)
        if self._cache is None and named is None:
            findings.add("image_only_embedded", str(label_file))
        if self._cache is None:
            return named
        findings.add("image_embedded", str(label_file))
        suffix = PurePosixPath(wanted).suffix
        name = label_file.with_suffix(suffix if suffix.lower() in IMAGE_EXTENSIONS else ".jpg")
        _write(self._cache / self._written / name, image, self._cache)
        return (self._cache / self._written / name).as_posix()

    def _find(self, label_file: PurePosixPath, wanted: str) -> str | None:
        """Return the exact path, which may lie outside the root, else the best match below the root."""
        if not wanted:
            return None
        path = Path(os.path.normpath(self._root / label_file.parent / wanted))
        if path.is_relative_to(self._root):
            wanted = path.relative_to(self._root).as_posix()
        elif path.suffix.lower() in IMAGE_EXTENSIONS and _is_file(path):
            return path.as_posix()
        return self.finder.find(wanted, near=str(label_file.parent))


def _missing(label_file: PurePosixPath, wanted: str) -> str:
    """Return the name under which a missing image is reported."""
    name = PurePosixPath(wanted).name
    return str(label_file.parent / (name if is_file_name(name) else f"{label_file.stem}.jpg"))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # for example a name that is too long
        return False


def _embedded(data: object) -> bytes | None:
    """Decode imageData: base64, from some tools as a data URL."""
    if not isinstance(data, str) or not data:
        return None
    try:
        return base64.b64decode(data.partition(",")[2] if data.startswith("data:") else data) or None
    except ValueError:
        return None


def _write(file: Path, image: bytes, cache: Path) -> None:
    """Write the file unless it exists, and mark the cache so that it is not mistaken for a dataset."""
    try:
        if file.is_file() and file.read_bytes() == image:
            return
        with replacing(file, sync=True) as scratch:
            scratch.write_bytes(image)
        mark_as_cache(cache)
    except OSError as error:
        raise InstsegError(f"cache_dir: the image inside a label file cannot be written to {file}: {error}") from error
