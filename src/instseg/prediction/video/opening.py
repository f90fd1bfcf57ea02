"""The opening of a source that is a video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from instseg.core.types import ValueRange
from instseg.data.reading.image_files import find_images
from instseg.prediction.sources import source_folder
from instseg.prediction.video.camera import Camera
from instseg.prediction.video.frames import FrameFolder, Video
from instseg.prediction.video.source import CAMERA, is_one_file
from instseg.prediction.video.video_file import VideoFile

DEFAULT_FPS = 25.0


def open_video(source: Sequence[str], fps: float | None, value_range: ValueRange | None) -> Video:
    """Open a video that was checked.

    Args:
        source: as of ``check_video``.
        fps: as of ``check_video``; None for images takes DEFAULT_FPS.
        value_range: of images of 16 bits, see ``read_image``.

    Raises:
        InstsegError: it cannot be read.
    """
    if len(source) == 1 and (match := CAMERA.fullmatch(source[0])):
        return Camera(int(match[1]))
    if is_one_file(source):
        return VideoFile(Path(source[0]).expanduser().absolute())
    paths = [path.absolute() for path in find_images(source)]
    return FrameFolder(paths, source_folder(source, paths), fps or DEFAULT_FPS, value_range)
