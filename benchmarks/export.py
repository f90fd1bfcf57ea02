"""Claim: an exported model predicts on a CPU faster than PyTorch does, and starts in a fraction of its time and memory.

    taskset -c 0 python benchmarks/export.py --results benchmarks/results/export.txt
    taskset -c 0 python benchmarks/export.py --only r50fpn
    taskset -c 0 python benchmarks/export.py --checkpoint RUN   # also what int8 loses: AP on the run's test images

The networks are those of ``conf/model`` with the norms that their weights bring and random weights, at 800 px, small at
the 64 px of ``dataset=shapes``. A call is one image through the network, to the masks within their boxes: drawing them
is the same for all and left out. All sides run in turn in one process, on one core, and CPU seconds are compared: they
mean the same on a busy machine. How fast float32 can be at all is told by a large product of matrices: of the seconds
of a call, those that its multiplications take at that rate are the least that any library needs. A start is a process
of its own that loads the file and predicts one image file, beside one that loads the checkpoint; its CPU seconds and
its peak of memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.utils.flop_counter import FlopCounterMode

from comparing import Row, compared, figure, main, parser
from instseg import __version__
from instseg.app.build_model import build_model
from instseg.app.compose import compose
from instseg.app.memory import keep_freed_memory
from instseg.app.read_config import plain
from instseg.checkpoints.content import TrainedModel
from instseg.checkpoints.description import CheckpointDescription, Preprocessing, add_to_entry, as_entry
from instseg.core.categories import Categories
from instseg.core.precision import BFLOAT16, FLOAT32, multiplies_bfloat16
from instseg.core.segmenter import as_exportable, as_module
from instseg.core.types import Image
from instseg.data.transforms.resize import Resize
from instseg.deploy.onnx_writer import write_onnx
from instseg.deploy.openvino_int8 import quantize_openvino
from instseg.deploy.openvino_writer import convert_onnx
from instseg.deploy.trial_images import made_images
from instseg.prediction.exported import ExportRecord, open_exported
from instseg.prediction.torch_network import TorchNetwork
from instseg.visualization.sheets import write_image

CASES = [("small", 64), ("r18fpn", 800), ("r50fpn", 800)]
CATEGORIES = Categories(("car", "dog", "tree"))
GOAL = "1.5x or more"
MATRIX_SIDE = 2048
NUM_CALIBRATION, CALIBRATION_SIDE = 4, 320
"""For time alone: what ranges int8 has makes no difference to it."""
FILES = {"onnxruntime": "model.onnx", "OpenVINO": "model.xml", "OpenVINO int8": "model_int8.xml"}
START = (
    "import sys, time, instseg\n"
    "instseg.load(sys.argv[1], device='cpu').predict(sys.argv[2])\n"
    "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
    "print(time.process_time(), int(peak.split()[1]) / 1024)"
)


def make_trained(name: str, side: int) -> TrainedModel:
    """A network with random weights that finds as much as it may."""
    torch.manual_seed(0)
    node = plain(compose("train", [f"model={name}", "model.box.score_threshold=0"]).model)
    model = build_model(node, CATEGORIES, trained=node)
    as_module(model).eval()
    return TrainedModel(model, side, side * 4 // 3, {"model": node})


def write_files(trained: TrainedModel, folder: Path) -> None:
    """Write the network as a checkpoint and in every format; untrained, it is timed and not compared."""
    description = CheckpointDescription(
        __version__, list(CATEGORIES.names), Preprocessing(trained.min_size, trained.max_size), trained.config
    )
    weights = as_module(trained.model).state_dict()
    checkpoint: dict[str, object] = {"state_dict": {f"model.{name}": value for name, value in weights.items()}}
    add_to_entry(checkpoint, as_entry(description))
    torch.save(checkpoint, folder / "model.ckpt")
    side = min(CALIBRATION_SIDE, trained.min_size)
    calibration = [Resize(side, 2 * side)(image) for image in made_images(NUM_CALIBRATION)]
    onnx, openvino, int8 = (folder / FILES[name] for name in ("onnxruntime", "OpenVINO", "OpenVINO int8"))
    record = ExportRecord(
        written_by=__version__,
        format="onnx",
        categories=list(CATEGORIES.names),
        min_size=trained.min_size,
        max_size=trained.max_size,
    )
    write_onnx(as_exportable(trained.model), record, onnx)
    convert_onnx(onnx, record, openvino)
    quantize_openvino(openvino, calibration, record, int8)


def by_torch(trained: TrainedModel, image: Image, precision: str) -> Callable[[], int]:
    network = TorchNetwork(trained.model, "cpu", precision)
    batch, model = network.batch([image], [0], [image.shape[:2]]), as_module(trained.model)

    def predict() -> int:
        with torch.inference_mode(), network.at_work(batch):
            _, (found,) = model(batch.images, batch.image_sizes)
        return len(found.labels)

    return predict


def by_file(path: Path, image: Image) -> Callable[[], int]:
    network, _ = open_exported(path, "cpu")
    return lambda: len(network.find(image).labels)


def measure(arguments: Namespace) -> Iterator[Row]:
    keep_freed_memory()
    if len(os.sched_getaffinity(0)) > 1:
        raise SystemExit(
            "one core is expected, as more threads than cores spend seconds on waiting: taskset -c 0 python …"
        )
    torch.set_num_threads(1)
    has_bf16 = multiplies_bfloat16("cpu")
    chosen = arguments.only or (["small"] if arguments.quick else [name for name, _ in CASES])
    for name, side in [case for case in CASES if case[0] in chosen]:
        with TemporaryDirectory() as scratch:
            folder, trained = Path(scratch), make_trained(name, side)
            write_files(trained, folder)
            yield from times(f"{name}, {side} px", trained, folder, has_bf16, arguments.repeats)
            yield from starts(f"{name}, {side} px", folder, max(1, arguments.repeats // 2))
    if not has_bf16:
        yield figure("bfloat16, in PyTorch and as OpenVINO's hint", "not measured", agree="the processor has none")
    if arguments.checkpoint:
        yield from accuracy(arguments.checkpoint)


def times(what: str, trained: TrainedModel, folder: Path, has_bf16: bool, repeats: int) -> Iterator[Row]:
    image = Resize(trained.min_size, trained.max_size)(made_images(1)[0])
    sides = {"PyTorch": by_torch(trained, image, FLOAT32)}
    sides |= {name: by_file(folder / file, image) for name, file in FILES.items()}
    if has_bf16:
        sides["PyTorch bf16"] = by_torch(trained, image, BFLOAT16)
        network, _ = open_exported(folder / FILES["OpenVINO"], "cpu", BFLOAT16)
        sides["OpenVINO bf16"] = lambda: len(network.find(image).labels)
    yield bound(what, sides["PyTorch"])
    found = {name: call() for name, call in sides.items()}
    if len({found["PyTorch"], found["onnxruntime"], found["OpenVINO"]}) > 1 or not found["PyTorch"]:
        raise SystemExit(f"{what}: expected each to find as many instances, found {found}")
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, call in sides.items():
            seconds[name].append(process_seconds(call))
    for name in sides:
        if name != "PyTorch":
            goal = GOAL if name == "OpenVINO" else ""
            agree = f"{found[name]} instances, as {found['PyTorch']}"
            yield compared(
                f"{what}, {name}", "PyTorch float32", seconds[name], seconds["PyTorch"], "s of CPU", goal, agree
            )


def bound(what: str, predict: Callable[[], int]) -> Row:
    """How many times as fast as PyTorch float32 can be, with convolutions that multiply as often."""
    matrix = torch.randn(MATRIX_SIDE, MATRIX_SIDE)
    seconds = min(process_seconds(lambda: matrix @ matrix) for _ in range(5))
    rate = 2 * MATRIX_SIDE**3 / seconds
    with FlopCounterMode(display=False) as counter:
        predict()
    least = counter.get_total_flops() / rate
    whole = min(process_seconds(predict) for _ in range(3))
    return figure(
        f"{what}, float32 at the rate of a product of matrices",
        f"{least:.3g} s of CPU, {counter.get_total_flops() / 1e9:.3g} GFLOP at {rate / 1e9:.0f} GFLOP/s",
        against=f"PyTorch {whole:.3g} s of CPU, {whole / least:.2f}x that",
    )


def process_seconds(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


def starts(what: str, folder: Path, repeats: int) -> Iterator[Row]:
    """Size of each file, and the start of a process that predicts one image with it."""
    write_image(folder / "image.png", made_images(1)[0])
    used: dict[str, list[tuple[float, float]]] = {name: [] for name in ("PyTorch", *FILES)}
    for _ in range(repeats):
        for name in used:
            used[name].append(start(folder / FILES.get(name, "model.ckpt"), folder / "image.png"))
    for name, file in FILES.items():
        size = sum(part.stat().st_size for part in folder.glob(f"{Path(file).stem}.*") if part.suffix in _parts(file))
        yield figure(f"{what}, size of {name}'s file", f"{size / 1e6:.1f} MB")
        for column, (of, unit) in enumerate([("start", "s of CPU"), ("memory", "MB")]):
            ours, theirs = ([one[column] for one in used[side]] for side in (name, "PyTorch"))
            yield compared(f"{what}, {of} with {name}", "PyTorch", ours, theirs, unit)


def _parts(file: str) -> Sequence[str]:
    return (".xml", ".bin") if file.endswith(".xml") else (Path(file).suffix,)


def start(model: Path, image: Path) -> tuple[float, float]:
    """CPU seconds and peak of memory (MB) of a process that predicts one image."""
    done = subprocess.run([sys.executable, "-c", START, model, image], capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, done.stdout.split())
    return seconds, megabytes


def accuracy(checkpoint: str) -> Iterator[Row]:
    """What int8 loses, as ``instseg export`` says it."""
    with TemporaryDirectory() as folder:
        typed = [f"checkpoint={checkpoint}", "format=openvino", "quantize=int8", "max_ap_loss=null", f"output={folder}"]
        command = [sys.executable, "-m", "instseg", "export", *typed]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in said.splitlines():
        if line.startswith(("test mask AP:", "difference:", "gain:")):
            title, _, value = line.partition(":")
            yield figure(f"int8 of a trained model=small, {title}", value.strip())


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--only", nargs="+", choices=[name for name, _ in CASES], help="these networks alone")
    options.add_argument("--checkpoint", help="a checkpoint of model=small trained on dataset=shapes")
    main(__doc__, measure, options)
