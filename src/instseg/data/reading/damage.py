"""Image files that seem damaged, from a look at their ends and checksums alone."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image as PilImage

JPEG_START, JPEG_END, PNG_START = b"\xff\xd8", b"\xff\xd9", b"\x89P"
NUM_TAIL_BYTES = 1024


def seems_damaged(path: str | Path) -> bool:
    """Tell whether a JPEG shows no end marker in its last bytes, as when cut short, or checksums of a PNG are wrong.

    The header is known to be good. A PNG is read whole, in a hundredth of the time of decoding it. Only a suspicion:
    some cameras append a kilobyte and more of their own. Decoding decides.
    """
    with Path(path).open("rb", buffering=0) as file:
        start = file.read(2)
        file.seek(max(0, file.seek(0, os.SEEK_END) - NUM_TAIL_BYTES))
        lacks_its_end = start == JPEG_START and JPEG_END not in file.read()
    return lacks_its_end or (start == PNG_START and not _has_right_checksums(path))


def _has_right_checksums(path: str | Path) -> bool:
    try:
        with PilImage.open(path) as image:
            image.verify()
    except Exception:  # a damaged file makes the decoders raise nearly anything
        return False
    return True
