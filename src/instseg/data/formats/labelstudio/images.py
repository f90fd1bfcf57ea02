r"""Images of a Label Studio export: found by the names it gives them, or fetched from remote storage.

An uploaded image ``my name.jpg`` is ``/data/upload/3/fb26c02b-my_name.jpg`` in a task, ``images\fb26c02b-my_name.jpg``
in a COCO export made on Windows and ``images/7d5a1e0c__fb26c02b-my_name.jpg`` in one of a later version. The local
folder may hold any of these, or the originals.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote

from instseg.core.errors import InstsegError
from instseg.core.files import mark_as_cache
from instseg.core.text import is_file_name, list_names, plural, printable, usable_text
from instseg.data.fetch.remote_files import Refused, fetch_files, file_place, list_folder, may_be_fetched
from instseg.data.reading.findings import Findings, told
from instseg.data.reading.folders import ImageFinder, common_root, image_names, prefix_from
from instseg.data.reading.image_files import IMAGE_EXTENSIONS
from instseg.data.reading.option_values import given_path

ADDED = re.compile(r"^([0-9a-f]{8}__)?([0-9a-f]{8}-)?")
"""Prefixes that Label Studio adds to the name of an image on export and on upload."""
ADDRESS = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+://", re.IGNORECASE)
"""Of a folder that a user names; what labels name is fetched by ``may_be_fetched`` only."""
CACHE_FOLDER = "labelstudio_photos"
UNFETCHED = ("image_not_fetched", "address_refused")
MAX_FOLDERS = 8  # of the path of a missing image


def spellings(listed: str) -> list[str]:
    """Return the paths that an image named in labels may have, the likeliest first; queries of URLs are dropped."""
    path, _, query = listed.partition("?")
    given = parse_qs(query)
    for key in ("d", "filepath"):  # /data/local-files/?d=…, /storage-data/uploaded/?filepath=…
        if key in given:
            return [given[key][-1].replace("\\", "/")]
    text = path.partition("://")[2] if "://" in path else listed
    return list(dict.fromkeys(spelled.replace("\\", "/") for spelled in (text, unquote(text))))


def looks_like_image(listed: str) -> bool:
    """Tell whether a text from the labels has the extension of an image."""
    return any(PurePosixPath(path).suffix.lower() in IMAGE_EXTENSIONS for path in spellings(listed))


def original(path: str) -> str:
    """Return the path with the image's name before upload, with the characters that Label Studio keeps."""
    name = ADDED.sub("", PurePosixPath(path).name)
    return str(PurePosixPath(path).parent / re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_")))


class LabelStudioImages:
    """Finder of the images of an export, which fetches remote ones into ``<cache_dir>/labelstudio_photos/``."""

    def __init__(self, root: Path, images: str | None, cache_dir: str | None) -> None:
        """List the images.

        Args:
            root: the folder of the export.
            images: a folder (from ``root``), or the URL of one (s3://…); None: anywhere below ``root``.
            cache_dir: where fetched images are kept; None: nothing is fetched.

        Raises:
            InstsegError: ``images`` does not exist, or a remote folder has no images.
        """
        self.address = images.rstrip("/") if images and ADDRESS.match(images) else None
        self.folder = given_path("images", images, root).resolve() if images and self.address is None else root
        self.cache = Path(cache_dir).absolute() / CACHE_FOLDER if cache_dir else None
        self._has_labels = images is None
        self.names = self._listed() if self.address else image_names(self.folder)
        self._present = ImageFinder(self.folder, self.names)
        self._by_original: defaultdict[str, list[str]] = defaultdict(list)
        for name in self.names:
            self._by_original[original(name)].append(name)
        self._originals = ImageFinder(self.folder, self._by_original)

    def _listed(self) -> list[str]:
        names = list_folder(self.address or "")
        images = [name for name in names if PurePosixPath(name).suffix.lower() in IMAGE_EXTENSIONS]
        if not images:
            raise InstsegError(f"dataset.images: no images in {self.address}; found {list_names(names)}")
        return images

    def locate(self, listed: Iterable[str], near: str, findings: Findings) -> dict[str, Path]:
        """Find the file of each image named in the labels, fetching it where needed.

        Args:
            listed: the names in the labels.
            near: the labels' folder as a path from the root, preferred where several files match.
            findings: gets the images that cannot be fetched.

        Returns:
            Name -> path, which need not exist.

        Raises:
            InstsegError: no image exists, or a fetch failed that may succeed later.
        """
        near = near if self._has_labels else ""
        found = self._find_all(listed, near)
        home = self.cache if self.address and self.cache else self.folder
        paths: dict[str, Path] = {}
        addresses: dict[str, str] = {}
        for name, file in found.items():
            if file is not None and self.address is None:
                paths[name] = self.folder / file
            elif file is not None:
                addresses[name] = f"{self.address}/{file}"
            elif may_be_fetched(name):
                addresses[name] = name
            else:
                if "://" in name:
                    findings.add("address_refused", printable(name))
                paths[name] = home / _expected(name, near)
        paths |= self._fetched(addresses, findings)
        if not any(path.is_file() for path in paths.values()):
            refused = [told(kind, names) for kind in UNFETCHED if (names := findings.names.get(kind))][:1]
            raise InstsegError(
                f"none of {plural(len(paths), 'image')}, such as {next(iter(paths), None)!r}, is below "
                f"{self.address or self.folder}{'; ' * len(refused) + ''.join(refused)}. Give their folder: "
                "dataset=labelstudio dataset.images=FOLDER (uploads lie in media/upload of Label Studio's data folder)"
            )
        return paths

    def _find_all(self, listed: Iterable[str], near: str) -> dict[str, str | None]:
        """Find all images; of several URLs that match one file only the one with its folders gets it."""
        found = {name: self._find(name, near) for name in dict.fromkeys(listed)}
        claims = Counter(found.values())
        for name, file in found.items():
            if file is not None and claims[file] > 1 and ADDRESS.match(name):
                found[name] = file if any(path.endswith(f"/{file}") for path in spellings(name)) else None
        return found

    def _find(self, name: str, near: str) -> str | None:
        spelled = [path for path in map(usable_text, spellings(name)) if path]
        for path in spelled:
            if (found := self._present.find(path, near)) is not None:
                return found
        for path in spelled:
            found = self._originals.find(original(path), near)
            if found is not None and len(self._by_original[found]) == 1:
                return self._by_original[found][0]
        return None

    def _fetched(self, addresses: dict[str, str], findings: Findings) -> dict[str, Path]:
        if not addresses:
            return {}
        if self.cache is None:
            raise InstsegError(
                f"{plural(len(addresses), 'image')} to fetch from elsewhere, such as "
                f"{next(iter(addresses.values()))}: set cache_dir to "
                "fetch them, or give a local folder: dataset=labelstudio dataset.images=FOLDER"
            )
        fetched = fetch_files(list(addresses.values()), self.cache, "Fetching images")
        mark_as_cache(self.cache)
        reasons = {url: reason for url, reason in fetched.items() if isinstance(reason, str)}
        passing = [f"{url}: {reason}" for url, reason in reasons.items() if not isinstance(reason, Refused)]
        if passing:
            raise InstsegError(
                f"{len(passing)} of {plural(len(fetched), 'image')} could not be fetched, such as {passing[0]}. Start "
                "again to resume (fetched images are kept), or give a local folder: dataset.images=FOLDER"
            )
        for url, reason in reasons.items():
            findings.add("image_not_fetched", f"{url}: {reason}")
        return {name: self.cache / file_place(url) for name, url in addresses.items()}

    def image_root(self, paths: Sequence[Path]) -> tuple[Path, list[str]]:
        """Return the deepest folder that holds all of ``paths``, and their names from there."""
        homes = [home.absolute() for home in (self.folder, self.cache) if home is not None]
        used = {path: next(home for home in homes if path.absolute().is_relative_to(home)) for path in paths}
        root = common_root(list(dict.fromkeys(used.values())))
        return root, [prefix_from(root, used[p]) + p.absolute().relative_to(used[p]).as_posix() for p in paths]


def _expected(name: str, near: str) -> PurePosixPath:
    """Return where a missing image should be: below the labels' folder, whatever its name in the labels holds."""
    parts = re.split("[/:]", usable_text(spellings(name)[0]))
    return PurePosixPath(near, *([part for part in parts if is_file_name(part)] or ["unnamed"])[-MAX_FOLDERS:])
