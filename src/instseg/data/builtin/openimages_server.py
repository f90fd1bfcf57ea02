"""Requests to the servers of Open Images, or mirrors with the same paths, for tables, images and masks.

Paths as on https://storage.googleapis.com/openimages/web/download_v7.html and, for single images, on
https://github.com/cvdfoundation/open-images-dataset. Sizes (train, validation, test): tables of masks 807 MB, 3 MB,
9 MB; tables of boxes 2.3 GB, 25 MB, 77 MB; each of the 16 mask archives 240 to 386 MB, 4 MB, 11 MB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from instseg.core.errors import InstsegError
from instseg.data.builtin.openimages_layout import OFFICIAL, Layout
from instseg.data.fetch.connection import Connection
from instseg.data.fetch.download import download_files
from instseg.data.fetch.jobs import Download, DownloadFailure
from instseg.data.fetch.remote_zip import RemoteZip, fetch_zip_members
from instseg.data.reading.images import read_image

ANNOTATIONS_URL = "https://storage.googleapis.com/openimages"
IMAGES_URL = "https://open-images-dataset.s3.amazonaws.com"


@dataclass(frozen=True, slots=True)
class OpenImagesServer:
    """The servers, the options of downloads, and the folder of the official files that selections share.

    Attributes:
        annotations_url: server of the tables and masks.
        images_url: server of the images.
        downloads: folder of the official files.
        connection: to both servers.
    """

    annotations_url: str
    images_url: str
    downloads: Path
    connection: Connection

    def fetch_files(self, files: Mapping[str, Callable[[Path], None]], title: str) -> list[Path]:
        """Download official files.

        Args:
            files: path on the server -> check of the content.
            title: for the progress bar.

        Returns:
            Their local paths.

        Raises:
            InstsegError: a file cannot be downloaded.
        """
        jobs = [
            Download(f"{self.annotations_url}/{file}", self.downloads / PurePosixPath(file).name, validate=check)
            for file, check in files.items()
        ]
        self.check(
            download_files(
                jobs, title=title, num_threads=self.connection.num_threads, **self.connection.retries
            ).failures,
            title,
        )
        return [job.path for job in jobs]

    def fetch_images(self, layout: Layout, split: str, image_ids: Sequence[str]) -> list[DownloadFailure]:
        """Download images.

        Args:
            layout: of the selection.
            split: train, val or test.
            image_ids: of the images.

        Returns:
            The failures.
        """
        jobs = [
            Download(
                f"{self.images_url}/{OFFICIAL[split]}/{image_id}.jpg",
                layout.image(split, image_id),
                validate=_check_image,
            )
            for image_id in image_ids
        ]
        title = f"Open Images {split} images"
        return download_files(
            jobs, title=title, num_threads=self.connection.num_threads, **self.connection.retries
        ).failures

    def fetch_masks(self, layout: Layout, mask_paths: Mapping[str, Sequence[str]]) -> list[DownloadFailure]:
        """Fetch masks from their archives, of which there is one for each first digit of the image ids.

        Args:
            layout: of the selection.
            mask_paths: of each split.

        Returns:
            The failures.
        """
        wanted: dict[tuple[str, str], list[str]] = {}
        for split, paths in mask_paths.items():
            for path in paths:
                wanted.setdefault((split, path[0]), []).append(path)
        archives = [self._archive(layout, *key, paths) for key, paths in sorted(wanted.items())]
        title = "Open Images masks"
        return fetch_zip_members(
            archives, title=title, num_threads=self.connection.num_threads, **self.connection.retries
        ).failures

    def _archive(self, layout: Layout, split: str, digit: str, mask_paths: Sequence[str]) -> RemoteZip:
        folder = f"{OFFICIAL[split]}-masks"
        file = f"{folder}-{digit}.zip"
        url = f"{self.annotations_url}/v5/{folder}/{file}"
        return RemoteZip(url, self.downloads / file, layout.mask_folder(split), mask_paths)

    def check(self, failures: Sequence[DownloadFailure], what: str) -> None:
        """Check that there are no failures.

        Args:
            failures: of a download.
            what: was downloaded, for the message.

        Raises:
            InstsegError: there are some; the message says what to do.
        """
        if failures:
            reasons = "".join(f"\n  {failure.url}: {failure.reason}" for failure in failures[:5])
            more = f"\n  … and {len(failures) - 5} more" if len(failures) > 5 else ""
            raise InstsegError(
                f"{what}: {len(failures)} could not be downloaded:{reasons}{more}\nAll others are kept: run the same "
                "command again to resume. If that does not help, set dataset.annotations_url or dataset.images_url to "
                f"mirrors with the same paths (now {self.annotations_url} and {self.images_url}), or place the "
                f"missing files by hand (as {failures[0].path})."
            )


def _check_image(path: Path) -> None:
    """Decode the whole image: a JPEG that is truncated or replaced by an error page shows only then."""
    read_image(path)
