"""The official servers of Open Images, or mirrors with the same paths: tables, photos and masks of them.

As on https://storage.googleapis.com/openimages/web/download_v7.html and, for single photos, on
https://github.com/cvdfoundation/open-images-dataset. Sizes (train, validation, test): tables of masks 807 MB, 3 MB,
9 MB; tables of boxes 2.3 GB, 25 MB, 77 MB; each of the 16 mask archives 240 to 386 MB, 4 MB, 11 MB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from instseg.core.errors import InstsegError
from instseg.data.builtin.openimages_layout import OFFICIAL, Layout
from instseg.data.fetch.download import download_files
from instseg.data.fetch.http_ranges import Retries
from instseg.data.fetch.jobs import Download, DownloadFailure
from instseg.data.fetch.remote_zip import RemoteZip, fetch_zip_members
from instseg.data.reading.images import read_image

ANNOTATIONS_URL = "https://storage.googleapis.com/openimages"
IMAGES_URL = "https://open-images-dataset.s3.amazonaws.com"


@dataclass(frozen=True, slots=True)
class OpenImagesServer:
    """Where everything comes from, how it is fetched, and the folder that keeps what several selections need."""

    annotations_url: str
    images_url: str
    downloads: Path
    num_threads: int
    retries: Retries

    def fetch_files(self, files: Mapping[str, Callable[[Path], None]], title: str) -> list[Path]:
        """Official files, as path on the server and a check of the content; where they are now. All or InstsegError."""
        jobs = [
            Download(f"{self.annotations_url}/{file}", self.downloads / PurePosixPath(file).name, validate=check)
            for file, check in files.items()
        ]
        self.check(download_files(jobs, title=title, num_threads=self.num_threads, **self.retries).failures, title)
        return [job.path for job in jobs]

    def fetch_images(self, layout: Layout, split: str, image_ids: Sequence[str]) -> list[DownloadFailure]:
        jobs = [
            Download(
                f"{self.images_url}/{OFFICIAL[split]}/{image_id}.jpg",
                layout.image(split, image_id),
                validate=_check_image,
            )
            for image_id in image_ids
        ]
        title = f"Open Images {split} photos"
        return download_files(jobs, title=title, num_threads=self.num_threads, **self.retries).failures

    def fetch_masks(self, layout: Layout, mask_paths: Mapping[str, Sequence[str]]) -> list[DownloadFailure]:
        """``mask_paths`` of each split. There is one archive for each first digit of the image ids."""
        wanted: dict[tuple[str, str], list[str]] = {}
        for split, paths in mask_paths.items():
            for path in paths:
                wanted.setdefault((split, path[0]), []).append(path)
        archives = [self._archive(layout, *key, paths) for key, paths in sorted(wanted.items())]
        title = "Open Images masks"
        return fetch_zip_members(archives, title=title, num_threads=self.num_threads, **self.retries).failures

    def _archive(self, layout: Layout, split: str, digit: str, mask_paths: Sequence[str]) -> RemoteZip:
        folder = f"{OFFICIAL[split]}-masks"
        file = f"{folder}-{digit}.zip"
        url = f"{self.annotations_url}/v5/{folder}/{file}"
        return RemoteZip(url, self.downloads / file, layout.mask_folder(split), mask_paths)

    def check(self, failures: Sequence[DownloadFailure], what: str) -> None:
        """Raise InstsegError, with the ways out, unless there are none."""
        if failures:
            reasons = "".join(f"\n  {failure.url}: {failure.reason}" for failure in failures[:5])
            more = f"\n  … and {len(failures) - 5} more" if len(failures) > 5 else ""
            raise InstsegError(
                f"{what}: {len(failures)} could not be downloaded:{reasons}{more}\nAll others are kept: run the same "
                "command again to go on. If it does not help, set dataset.annotations_url or dataset.images_url to "
                f"mirrors with the same paths (now {self.annotations_url} and {self.images_url}), or place what is "
                f"missing by hand (as {failures[0].path})."
            )


def _check_image(path: Path) -> None:
    """Decode all of it: a JPEG that was cut off or replaced by an error page shows only then."""
    read_image(path)
