"""Sources that are videos: a file, a camera, or images that are frames. Nothing is opened."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.near_paths import where_looked
from instseg.data.reading.image_files import IMAGE_EXTENSIONS, check_source

VIDEO_EXTENSIONS = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv"}
    | {".3gp", ".ogv", ".mxf", ".y4m", ".vob"}
)
"""Lower case."""
ANIMATED = frozenset({".gif", ".webp", ".avif"})
"""Of images that may be videos."""
CAMERA = re.compile(r"camera:(\d+)")
AUTO = "auto"


def names_video(source: Sequence[str], video: bool | str) -> bool:
    """Tell whether a source is predicted as a video.

    Args:
        source: one entry, or several.
        video: true or false as the user says; auto: video files and cameras are, images are not.

    Raises:
        InstsegError: videos stand in a list with others.
    """
    if video != AUTO:
        return bool(video)
    named = [entry for entry in source if CAMERA.fullmatch(entry) or _is_video_file(Path(entry).expanduser())]
    if named and len(source) > 1:
        raise InstsegError(f"source: expected one video, or images, found {named[0]} among {len(source)} entries")
    return bool(named)


def check_video(source: Sequence[str], fps: float | None) -> None:
    """Check that a video can be read, as far as that is seen before any work.

    Args:
        source: one video file, one camera, or images that are frames.
        fps: frames in a second of such images; None otherwise.

    Raises:
        InstsegError: it is not there, or PyAV is not installed.
    """
    if importlib.util.find_spec("av") is None:
        raise InstsegError(f'source={source[0]}: videos need PyAV: pip install "instseg[video]"')
    path = Path(source[0]).expanduser()
    if is_one_file(source) and fps is not None:
        raise InstsegError(f"fps={fps:g} is for images that are frames; {source[0]} has times of its own")
    if is_one_file(source):
        return
    if len(source) == 1 and path.suffix.lower() in VIDEO_EXTENSIONS and not path.exists():
        raise InstsegError(f"source={source[0]}: no such file{where_looked(path)}")
    check_source(source)


def is_one_file(source: Sequence[str]) -> bool:
    """Tell whether a source is one camera, or one file that is no still image."""
    path = Path(source[0]).expanduser()
    is_still = path.suffix.lower() in IMAGE_EXTENSIONS - ANIMATED
    return len(source) == 1 and (CAMERA.fullmatch(source[0]) is not None or (path.is_file() and not is_still))


def _is_video_file(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_EXTENSIONS and not path.is_dir()
