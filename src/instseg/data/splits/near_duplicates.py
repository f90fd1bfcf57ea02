"""Near duplicates: byte copies, and images that were resized, recompressed, relit or cropped.

They belong into one split: otherwise a network is praised for what it remembers.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage
from PIL import ImageOps

from instseg.core.errors import InstsegError
from instseg.data.reading.images import decoding, image_pixels
from instseg.data.reading.threads import map_in_threads

THUMBNAIL_SIDE, NUM_FREQUENCIES = 32, 16  # the lowest 16 x 16 frequencies of 32 x 32 pixels: 256 bits
CLIPPED = (2, 98)  # percentiles: what is brighter or darker counts as these; a date stamp does not make a picture
MIN_DETAIL = 160
"""How many of the 256 frequencies must reach one gray level. The signs of fainter ones are noise: recompression moves
each by about half a level. Scenes have 229 and more; empty frames, noisy or unevenly lit, 81; with a small mark 119."""
MAX_DISTANCE = 40
"""Bits of 256 that may differ within one picture. Measured: copies of a fifth of the size, of JPEG quality 40 or with
10 % more or less light differ in at most 16, with 1 % cut off at each side in 33, with 2 % nine of ten in 40. Different
pictures: generated ones of one shape at one place on plain ground 45 and more, images of one scene 59, others 83."""
JPEG_SCALE = 3
"""Of the memory: a progressive JPEG takes a ninth of it, whatever the fraction of its size that is decoded."""
NUM_BANDS, BITS_A_BAND = 16, 16  # 65,536 buckets a band: about one image in each where there are many
MAX_PAIRS = 2_000_000  # compared at once: 0.3 GB
FEW = 1000  # hashes of which all pairs are compared: it takes less time than to look up what is near

Hashes = NDArray[np.uint64]
COMPARING = "Comparing images"
Indices = NDArray[np.int64]
Pairs = Iterator[tuple[Indices, Indices]]


def perceptual_hashes(paths: Sequence[Path]) -> Hashes:
    """Return (N, 4): the signs of each image's 256 lowest frequencies, upright, in gray, squeezed to a square.

    An image without detail, or that cannot be read, has a digest of its bytes instead and is like its byte copies
    only: black frames must not count as one picture. No file makes it raise.
    """
    return np.array(list(map_in_threads(_hash, paths, COMPARING)), dtype=np.uint64).reshape(-1, 4)


def file_digests(paths: Sequence[Path]) -> list[str]:
    """Return the same text for files of the same bytes; a file that cannot be read has one of its own."""
    return [digest.tobytes().hex() for digest in map_in_threads(_digest, paths, COMPARING)]


def _digest(path: Path) -> Hashes:
    """Return (4,) from the bytes of the file, or from its path where it cannot be read."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
    except (OSError, ValueError):  # ValueError: a name that no file can have
        digest = hashlib.sha256(str(path.absolute()).encode(errors="surrogatepass")).digest()
    return np.frombuffer(digest, dtype=np.uint64)


def _hash(path: Path) -> Hashes:
    try:
        pixels = np.asarray(_small_gray(path), dtype=np.float64)
    except InstsegError:
        return _digest(path)
    frequencies = cv2.dct(pixels.clip(*np.percentile(pixels, CLIPPED)))[:NUM_FREQUENCIES, :NUM_FREQUENCIES]
    if (np.abs(frequencies) >= 1).sum() < MIN_DETAIL:
        return _digest(path)
    return np.packbits(frequencies > 0).view(np.uint64)


def _small_gray(path: Path) -> PilImage.Image:
    """Return the image upright, small and gray; a JPEG is decoded at a fraction of its size, down to an eighth."""
    try:
        with decoding(path, JPEG_SCALE) as image:
            if image.format in ("JPEG", "MPO"):
                image.draft("L", (2 * THUMBNAIL_SIDE, 2 * THUMBNAIL_SIDE))
                return _small(ImageOps.exif_transpose(image).convert("L"))
    except InstsegError:  # of a damaged EXIF block alone, which is no harm, or told by the next attempt
        pass
    with decoding(path) as image:
        return _small(PilImage.fromarray(image_pixels(image)).convert("L"))


def _small(gray: PilImage.Image) -> PilImage.Image:
    return gray.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), PilImage.Resampling.BILINEAR, reducing_gap=3.0)


def group_similar(file_names: Sequence[str], image_root: Path) -> dict[str, str]:
    """Return file name -> group, for the images that have a near duplicate; the group is named by its first image.

    Args:
        file_names: of all images.
        image_root: the folder that they start from.
    """
    groups = similar_groups(perceptual_hashes([image_root / name for name in file_names])).tolist()
    sizes = Counter(groups)
    return {name: file_names[group] for name, group in zip(file_names, groups, strict=True) if sizes[group] > 1}


def similar_groups(hashes: Hashes, max_distance: int = MAX_DISTANCE) -> Indices:
    """Return (N,) the lowest index of each hash's group: a chain of similar pairs connects the members of a group.

    Of many, only hashes that nearly agree in one of 16 bands of 16 bits are compared: of 40 bits, some band has at most
    two. (In general, band i may have r_i bits apart where all r_i + 1 add up to the distance + 1.) The first round, of
    equal bands next to each other, unites large groups, so that the second need not compare these image by image.

    Args:
        hashes: (N, 4) uint64.
        max_distance: bits of 256 that may differ in a similar pair.
    """
    groups = np.arange(len(hashes))
    if len(hashes) <= FEW:
        _unite_similar(groups, hashes, np.arange(len(hashes)), np.triu_indices(len(hashes), 1), max_distance)
        return groups
    bands = np.ascontiguousarray(hashes).view(np.uint16).reshape(len(hashes), NUM_BANDS)
    for candidates in (_adjacent, _nearby):
        for band, keys in enumerate(bands.T):
            order = np.argsort(keys, kind="stable")
            ordered, now = hashes.take(order, axis=0), groups[order]  # near in the band, near in memory: twice as fast
            radius = (max_distance + 1 + band) // NUM_BANDS - 1
            for pairs in candidates(keys[order].astype(np.int64), now, radius):
                _unite_similar(groups, ordered, order, pairs, max_distance)
    return groups


def _unite_similar(
    groups: Indices, hashes: Hashes, order: Indices, pairs: tuple[Indices, Indices], max_distance: int
) -> None:
    """Join, in place, the groups of the similar among these pairs of ``hashes``, which are those of ``order``."""
    left, right = pairs
    near = _distances(hashes, left, right) <= max_distance
    _unite(groups, order[left[near]], order[right[near]])


def _unite(groups: Indices, left: Indices, right: Indices) -> None:
    """Join, in place, the groups of each pair of indices under the lower name."""
    while (apart := groups[left] != groups[right]).any():
        one, other = groups[left[apart]], groups[right[apart]]
        np.minimum.at(groups, np.maximum(one, other), np.minimum(one, other))
        while (groups != (higher := groups[groups])).any():
            groups[:] = higher


def _distances(hashes: Hashes, left: Indices, right: Indices) -> Indices:
    # take is ten times as fast as indexing, and a sum over rows ten times as fast as one over so few columns
    counts = np.bitwise_count(hashes.take(left, axis=0) ^ hashes.take(right, axis=0))
    distances: Indices = np.ascontiguousarray(counts.T).sum(axis=0, dtype=np.int64)
    return distances


def _adjacent(keys: Indices, groups: Indices, radius: int) -> Pairs:
    """Yield neighbours in these sorted keys that are equal and lie in different groups."""
    left = np.flatnonzero((keys[1:] == keys[:-1]) & (groups[1:] != groups[:-1]))
    yield left, left + 1


def _nearby(keys: Indices, groups: Indices, radius: int) -> Pairs:
    """Yield all pairs of these sorted keys that differ in at most ``radius`` bits and lie in different groups."""
    starts = np.searchsorted(keys, np.arange(2**BITS_A_BAND + 1))
    united = _united(keys, groups)
    for mask in (sum(bits) for n in range(radius + 1) for bits in combinations(1 << np.arange(BITS_A_BAND), n)):
        others = keys ^ mask
        first = starts[others] if mask else np.arange(1, len(keys) + 1)
        sizes = starts[others + 1] - first
        probes = np.flatnonzero((others >= keys) & (sizes > 0) & (united[others] != groups))
        totals = np.cumsum(sizes[probes])
        for some in np.split(probes, np.searchsorted(totals, np.arange(MAX_PAIRS, totals[-1:].sum(), MAX_PAIRS))):
            left, ends = np.repeat(some, sizes[some]), np.cumsum(sizes[some])
            right = np.arange(len(left)) + np.repeat(first[some] + sizes[some] - ends, sizes[some])
            apart = groups[left] != groups[right]
            yield left[apart], right[apart]


def _united(keys: Indices, groups: Indices) -> Indices:
    """Return (65536,) for each key the group that all of this key are in, -1 where they are in several."""
    united = np.full(2**BITS_A_BAND, -1)
    if len(keys):
        present, starts = np.unique(keys, return_index=True)
        lowest, highest = np.minimum.reduceat(groups, starts), np.maximum.reduceat(groups, starts)
        united[present] = np.where(lowest == highest, lowest, -1)
    return united
