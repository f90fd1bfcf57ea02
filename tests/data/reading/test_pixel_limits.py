"""What decoding may take: the limit of one image, and that threads wait where several would exceed it together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image as PilImage

from instseg.core.errors import InstsegError
from instseg.data.reading import images, pixel_limits
from instseg.data.reading.images import largest_value, read_image
from instseg.data.reading.pixel_limits import check_pixels, room_for


def test_the_environment_sets_the_limit(monkeypatch):
    monkeypatch.setenv("INSTSEG_MAX_PIXELS", "100")
    check_pixels(10, 10)
    with pytest.raises(InstsegError, match=r"11 x 10 pixels, at most 100 are read; INSTSEG_MAX_PIXELS=110 in the env"):
        check_pixels(11, 10)


@pytest.mark.parametrize("given", ["none", "-1", "0", "1e8", "\u0663", "9" * 5000 + "x"])
def test_a_limit_that_is_no_number_is_refused(monkeypatch, given):
    monkeypatch.setenv("INSTSEG_MAX_PIXELS", given)
    with pytest.raises(InstsegError, match="INSTSEG_MAX_PIXELS: expected a number of pixels"):
        check_pixels(1, 1)


def test_threads_that_decode_hold_a_limited_number_of_pixels_together_and_all_get_their_turn(monkeypatch):
    monkeypatch.setattr(pixel_limits, "AT_ONCE", 100)
    held, most, lock = 0, [0], threading.Lock()

    def decode(pixels: int) -> None:
        nonlocal held
        with room_for(pixels, 1):
            with lock:
                held += pixels
                most.append(held)
            with lock:
                held -= pixels

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, [40, 60, 100, 30, 70, 1000, 5] * 40))  # one is larger than all room: it goes alone
    assert max(size for size in most if size < 1000) <= 100 and max(most) == 1000


@pytest.mark.parametrize(("read", "decoder"), [(read_image, "image_pixels"), (largest_value, "range_of")])
@pytest.mark.parametrize(("at_once", "most"), [(399, 1), (400, 1), (800, 2)])
def test_large_images_are_decoded_one_after_the_other(
    tmp_path, monkeypatch, read: Callable[..., object], decoder, at_once, most
):
    monkeypatch.setattr(pixel_limits, "AT_ONCE", at_once)
    decode, running, seen, lock = getattr(images, decoder), 0, [], threading.Lock()

    def slow(*given: object) -> object:
        nonlocal running
        with lock:
            running += 1
            seen.append(running)
        time.sleep(0.005)
        result = decode(*given)
        with lock:
            running -= 1
        return result

    monkeypatch.setattr(images, decoder, slow)
    paths = [tmp_path / f"{number}.png" for number in range(8)]
    for path in paths:
        PilImage.fromarray(np.full((20, 20), 1000, np.uint16)).save(path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, paths))
    assert len(seen) == 8 and max(seen) == most
