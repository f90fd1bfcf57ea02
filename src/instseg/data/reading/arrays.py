"""Arrays as images: what a person means by them, as 8-bit RGB, or a sentence that says why it is not known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.core.errors import InstsegError
from instseg.core.types import Image, ValueRange
from instseg.data.reading.deep_pixels import to_8_bits
from instseg.data.reading.images import image_pixels

CHANNELS = (1, 3, 4)
MAX_8_BIT, MAX_16_BIT = 255, 65535
ROUNDING = 1e-3
"""How far floats may lie outside of 0 to 1, as they do after a resize."""
EXPECTED = "expected uint8, uint16, or floats of 0 to 1"
AS_8_BIT = "image.astype(np.uint8)"


def array_to_image(array: NDArray[np.generic], value_range: ValueRange | None = None) -> Image:
    """Return an array as the image that it means.

    uint8 is taken as it is, uint16 is scaled over the bits that it uses (8 to 16), as that of a file is,
    floats are 0 to 1, and other integers must lie within 0 to 255. Gray is repeated, alpha is laid on white. Channels
    are red, green, blue: an image that OpenCV has read needs ``cv2.cvtColor(image, cv2.COLOR_BGR2RGB)`` first.

    Args:
        array: (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA.
        value_range: of uint16, that becomes 0 to 255; None for the range that it uses.

    Returns:
        uint8 (H, W, 3) RGB, a copy.

    Raises:
        InstsegError: the shape, the dtype or the range is of no image; the message names all three and the remedy.
    """
    _check_shape(array)
    values = _as_8_bit(array, value_range)
    if values.ndim == 2 or values.shape[2] == 1:
        return np.repeat(values.reshape(*values.shape[:2], 1), 3, axis=2)
    if values.shape[2] == 4:
        return image_pixels(PilImage.fromarray(np.ascontiguousarray(values), "RGBA"))
    return np.array(values, order="C")


def _check_shape(array: NDArray[np.generic]) -> None:
    if array.ndim == 4:
        raise _refused(array, "expected one image, (height, width, 3); give several as a list: list(images)")
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise _refused(array, "expected (height, width) or (height, width, 3)")
    if array.ndim == 3 and array.shape[2] not in CHANNELS:
        remedy = "; the channels come first: image.transpose(1, 2, 0)" if array.shape[0] in CHANNELS else ""
        raise _refused(array, f"expected (height, width, 3) or (height, width){remedy}")


def _as_8_bit(array: NDArray[np.generic], value_range: ValueRange | None) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array.astype(np.uint8, copy=False)
    if array.dtype == np.uint16:
        return to_8_bits(array.astype(np.uint16, copy=False), value_range)
    if np.issubdtype(array.dtype, np.integer):
        return _from_integers(array.astype(np.int64), array)
    if np.issubdtype(array.dtype, np.floating):
        return _from_floats(array.astype(np.float32), array)
    raise _refused(array, EXPECTED)


def _from_integers(values: NDArray[np.int64], array: NDArray[np.generic]) -> NDArray[np.uint8]:
    if values.min() >= 0 and values.max() <= MAX_8_BIT:
        return values.astype(np.uint8)
    is_16_bit = values.min() >= 0 and values.max() <= MAX_16_BIT
    raise _refused(array, EXPECTED + ("; if these are of 16 bits: image.astype(np.uint16)" if is_16_bit else ""))


def _from_floats(values: NDArray[np.float32], array: NDArray[np.generic]) -> NDArray[np.uint8]:
    if not np.isfinite(values).all():
        raise _refused(array, "expected floats of 0 to 1; some are not finite: np.nan_to_num(image)")
    low, high = float(values.min()), float(values.max())
    if low < -ROUNDING:
        raise _refused(array, "expected floats of 0 to 1; undo the normalisation first")
    if high > 1 + ROUNDING:
        remedy = f"these seem to be of 8 bits: {AS_8_BIT}" if high <= MAX_8_BIT else "divide by the largest value"
        raise _refused(array, f"expected floats of 0 to 1; {remedy}")
    return np.rint(np.clip(values, 0, 1) * MAX_8_BIT).astype(np.uint8)


def _refused(array: NDArray[np.generic], sentence: str) -> InstsegError:
    """Name dtype, shape and range, then what was expected."""
    values = ""
    if array.size and np.issubdtype(array.dtype, np.number) and not np.iscomplexobj(array):
        numbers = array.astype(np.float64)
        values = f" with values {numbers.min():.6g} to {numbers.max():.6g}"
    shape = " x ".join(map(str, array.shape)) or "no dimension"
    return InstsegError(f"{array.dtype} array of {shape}{values}: {sentence}")
