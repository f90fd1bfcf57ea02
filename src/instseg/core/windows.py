"""Rectangles of whole pixels in an image, and images that are read by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from instseg.core.types import Image, ImageSize


class Window(NamedTuple):
    """A rectangle of an image in px, with exclusive ends."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> ImageSize:
        """(height, width) px."""
        return self.bottom - self.top, self.right - self.left

    def common(self, other: Window) -> Window | None:
        """Return the part that both cover; None where they do not overlap."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Window(left, top, right, bottom) if left < right and top < bottom else None

    def within(self, other: Window) -> Window:
        """Return the same rectangle in px from the corner of another."""
        left, top = other.left, other.top
        return Window(self.left - left, self.top - top, self.right - left, self.bottom - top)


@dataclass(frozen=True, slots=True)
class Tile:
    """A window that is predicted by itself."""

    window: Window
    core: Window
    """The part of it that is nearer to its middle than to that of any other tile; cores do not overlap."""


class Windowed(Protocol):
    """An image whose pixels can be had in part."""

    @property
    def size(self) -> ImageSize:
        """(height, width) px."""
        ...

    def read(self, window: Window) -> Image:
        """Return the pixels in a window, (h, w, 3) uint8 RGB."""
        ...


@dataclass(frozen=True, slots=True)
class InMemory:
    """An image that is decoded."""

    pixels: Image

    @property
    def size(self) -> ImageSize:
        """(height, width) px."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def read(self, window: Window) -> Image:
        """Return a window of it, (h, w, 3) uint8 RGB."""
        return self.pixels[window.top : window.bottom, window.left : window.right]


class LargeImage(Windowed, Protocol):
    """An image that is better not decoded as a whole."""

    def shrunk(self, factor: int) -> Image:
        """Return the whole image in small, each pixel the mean of factor x factor."""
        ...

    def whole(self) -> Image:
        """Decode all of it."""
        ...
