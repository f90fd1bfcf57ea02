"""Claim: of 200 requests at 8 at once none is lost, every answer is right, and the server's memory stays flat.

    python benchmarks/serving.py
    python benchmarks/serving.py --checkpoint outputs/shapes_small/2026-01-31_12-00-00

The server is a process of its own, `instseg serve` on a free port; without a checkpoint it serves `model=small` with
random weights, exported to ONNX, which finds as many instances as it may. Images are made, of five sizes. Memory is
what the server says of itself in /metrics, after the first half of the requests and after the last.
"""

from __future__ import annotations

import io
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from PIL import Image as PilImage

from comparing import Row, figure, main, parser
from instseg.app.compose import compose
from instseg.app.config import PredictConfig
from instseg.app.read_config import read_config
from instseg.checkpoints.content import TrainedModel
from instseg.core.categories import Categories
from instseg.data.transforms.resize import resize_image
from instseg.deploy.export import Comparison, export
from instseg.deploy.trial_images import made_images
from instseg.models.known import build_network

AT_ONCE, NUM_REQUESTS, NUM_REQUESTS_QUICK = 8, 200, 40
SCALES = (0.5, 0.75, 1.0, 1.25, 1.5)
MAX_RISE = 0.05  # of the memory, from the first half of the requests to the end
CATEGORIES = Categories(("disc", "triangle", "ring"))
START_SECONDS = 120


def measure(arguments: Namespace) -> Iterator[Row]:
    num_requests = NUM_REQUESTS_QUICK if arguments.quick else NUM_REQUESTS
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = arguments.checkpoint or exported(Path(scratch))
        with serving(checkpoint) as url:
            images = made_files()
            expected = [ask(url, image) for image in images]  # one by one, which warms it up, too
            start = time.perf_counter()
            seconds = ask_at_once(url, images, expected, num_requests // 2)
            before = resident_mb(url)
            seconds += ask_at_once(url, images, expected, num_requests - num_requests // 2)
            total = time.perf_counter() - start
            after = resident_mb(url)
    rise = after / before - 1
    if rise > MAX_RISE:
        raise SystemExit(f"memory rose by {rise:.1%}: {before:.0f} MB, then {after:.0f} MB")
    what = f"{num_requests} requests, {AT_ONCE} at once"
    yield figure(what, f"{num_requests / total:.1f} requests/s", agree="every answer as when asked alone, none lost")
    yield figure("a request", f"{statistics.median(seconds):.2f} s", agree=f"slowest {max(seconds):.2f} s")
    yield figure("memory of the server", f"{after:.0f} MB", f"+{MAX_RISE:.0%} at most", f"{before:.0f} MB at half time")


def exported(folder: Path) -> Path:
    """model=small with random weights, as one file."""
    config = read_config(compose("predict", ["model=small", "weights=none", "source=[]"]), PredictConfig)
    model = build_network({**config.model, "weights": "none"}, CATEGORIES, {}, "model", load=False)
    trained = TrainedModel(model, 320, 534, {}, {"checkpoint": "random weights"}, None)
    return export(trained, "onnx", folder / "model.onnx", Comparison([])).path


@contextmanager
def serving(checkpoint: Path) -> Iterator[str]:
    """The server in a process of its own; its address."""
    command = [sys.executable, "-m", "instseg", "serve", f"checkpoint={checkpoint}", "port=0", "score_threshold=0"]
    with tempfile.TemporaryFile("w+") as log, subprocess.Popen(command, stdout=log, stderr=log, text=True) as process:
        try:
            yield address(process, Path(f"/proc/self/fd/{log.fileno()}"))
        finally:
            process.terminate()
            if process.wait() != 0:
                raise SystemExit(f"the server ended with code {process.returncode}")


def address(process: subprocess.Popen[str], log: Path) -> str:
    for _ in range(10 * START_SECONDS):
        if (said := re.search(r"serving: +(\S+)", text := log.read_text())) and "Ctrl-C" in text:
            return said[1]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(log.read_text())


def made_files() -> list[bytes]:
    """JPEG files of made images, each of another size."""
    files = []
    for image, scale in zip(made_images(len(SCALES)), SCALES, strict=True):
        file = io.BytesIO()
        size = (round(image.shape[0] * scale), round(image.shape[1] * scale))
        PilImage.fromarray(resize_image(image, size)).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


def ask(url: str, image: bytes) -> object:
    request = urllib.request.Request(f"{url}/predict", image, {"Content-Type": "image/jpeg"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def ask_at_once(url: str, images: Sequence[bytes], expected: Sequence[object], count: int) -> list[float]:
    """Seconds of each request; SystemExit where an answer is lost, or another than when it was asked for alone."""

    def asked(number: int) -> float:
        start = time.perf_counter()
        if ask(url, images[number % len(images)]) != expected[number % len(images)]:
            raise SystemExit(f"request {number}: another answer than when it was asked for alone")
        return time.perf_counter() - start

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(asked, range(count)))


def resident_mb(url: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        said = re.search(r"^process_resident_memory_bytes (\S+)$", answer.read().decode(), re.MULTILINE)
    return float(said[1]) / 1e6 if said else float("nan")


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--checkpoint", type=Path, help="serve this model instead")
    main(__doc__, measure, options)
