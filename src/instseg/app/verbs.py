"""The command ``instseg``: its verbs, one line each in a table, and what it says about itself.

Imports neither torch nor Hydra: the list of the verbs is printed at once.
"""

from __future__ import annotations

import difflib
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from instseg import __version__
from instseg.core.errors import InstsegError


@dataclass(frozen=True)
class Verb:
    """A verb of the command, and the function that does it."""

    summary: str
    example: str
    """The arguments that it may have."""
    run: Callable[[Sequence[str]], None]
    composes: str | None = None
    """The config that Hydra composes from its arguments; None for a verb with arguments of its own."""


def _composing(config_name: str, summary: str, example: str, *fixed: str) -> Verb:
    """Describe a verb whose arguments are flags and overrides, with overrides that it adds."""

    def run(arguments: Sequence[str]) -> None:
        from instseg.app.command import run_command

        run_command(config_name, [*fixed, *arguments])

    return Verb(summary, example, run, config_name)


def _stage(verb: str, summary: str, example: str) -> Verb:
    """Describe a verb that runs one stage of what ``train`` composes."""
    stage = verb.replace("-", "_")
    composing = _composing("train", summary, example, f"stage={stage}")

    def run(arguments: Sequence[str]) -> None:
        other = next((argument for argument in arguments if argument.startswith("stage=")), None)
        if other:
            raise InstsegError(f"{other}: instseg {verb} is stage={stage}; leave it out, or use instseg train {other}")
        if {"-h", "--help"} & {*arguments}:
            print(f"instseg {verb}: {summary}\n\n  instseg {verb} {example}\n\nIt takes what instseg train takes.\n")
        composing.run(arguments)

    return Verb(summary, example, run, composing.composes)


EXPORT_KEYS = ("format", "output", "source", "test", "quantize", "max_ap_loss", "candidates")
"""Keys of ``export`` that are typed without its name."""


def _export(arguments: Sequence[str]) -> None:
    """Export a checkpoint; the keys of its own stand below ``export`` in the config of trainings."""
    from instseg.app.command import run_command

    if {"-h", "--help"} & {*arguments}:
        print(EXPORT_HELP)
        return
    typed = [f"export.{a}" if a.partition("=")[0] in EXPORT_KEYS else a for a in arguments]
    run_command("train", ["stage=export", *typed])


def _compare(arguments: Sequence[str]) -> None:
    from instseg.app.compare import compare

    compare(arguments)


def _leaderboard(arguments: Sequence[str]) -> None:
    from instseg.app.leaderboard import leaderboard

    leaderboard(arguments)


def _init(arguments: Sequence[str]) -> None:
    from instseg.app.init import init

    init(arguments)


def _doctor(arguments: Sequence[str]) -> None:
    from instseg.app.doctor import doctor

    doctor(arguments)


VERBS: Mapping[str, Verb] = {
    "train": _composing("train", "train on labelled images, then test", "dataset=auto dataset.root=my_folder"),
    "test": _stage("test", "measure a checkpoint on the test images", "checkpoint=latest"),
    "validate": _stage("validate", "measure a checkpoint on the validation images", "checkpoint=latest"),
    "audit": _stage("audit", "say what is wrong or doubtful about labels", "dataset=auto dataset.root=my_folder"),
    "report": _stage("report", "show what a checkpoint gets wrong, as a page", "checkpoint=latest"),
    "label-errors": _stage(
        "label-errors", "find labels that are likely wrong, and propose corrections", "checkpoint=SWEEP"
    ),
    "show-augmentation": _stage("show-augmentation", "draw images as the network will see them", "augmentation=strong"),
    "predict": _composing("predict", "find objects in images", "checkpoint=latest source=images/ output=out/"),
    "next": _composing("next", "choose the images to label next", "checkpoint=latest source=unlabelled/ count=50"),
    "export": Verb("write a checkpoint for other runtimes", "checkpoint=latest format=onnx", _export, "train"),
    "serve": _composing("serve", "answer over HTTP, and Label Studio as its ML backend", "checkpoint=latest"),
    "compare": Verb("tell whether one run is better than another, with a page", "RUN OTHER_RUN", _compare),
    "leaderboard": Verb("rank the jobs of a sweep", "[SWEEP_FOLDER]", _leaderboard),
    "init": Verb("write a small project to start from", "DIR root=my_folder", _init),
    "doctor": Verb("check this machine, with a remedy for what is wrong", "", _doctor),
}
"""Verb -> what it does; one line for each."""

OTHER_NAMES = {"fit": "train", "val": "validate", "eval": "test", "evaluate": "test", "detect": "predict",
               "infer": "predict", "augment": "show-augmentation", "check": "doctor"}  # fmt: skip
"""Names that these verbs have elsewhere."""


EXPORT_HELP = """instseg export: write a checkpoint as one file for other runtimes; it is compared with PyTorch.

  instseg export checkpoint=latest
  instseg export checkpoint=latest format=openvino quantize=int8
  instseg export checkpoint=best.ckpt source=images/ output=model.onnx

  checkpoint=   a .ckpt, a run folder, or latest
  format=       onnx: one file, for onnxruntime and many other programs
                openvino: an .xml with its .bin, for OpenVINO, on CPUs and accelerators of Intel
                torch_export: a .pt2 of torch.export, for PyTorch without the code of the network
  output=       the file, or a folder; otherwise model.onnx (.xml, .pt2) in the run folder of the checkpoint
  source=       images to compare on; otherwise the data of the checkpoint; made: drawn ones
  test=false    do not compare AP on the test images
  quantize=int8 of format=openvino: a third of the size, and faster; refused where it loses test AP of more than
  max_ap_loss=  0.01; null accepts any loss
  candidates=true
                leave suppression out of the file, so that instseg predict nms=mask or soft can use it; slower

Options of the model that may change after training are kept in the file: model.box.detections_per_image=300, …"""


def run_verb(arguments: Sequence[str]) -> None:
    """Run the verb that the first argument names, or print what there is.

    Args:
        arguments: those of this process.

    Raises:
        InstsegError: there is no such verb; the message has the closest one.
    """
    name, *others = arguments or ["--help"]
    if name in ("--help", "-h", "help"):
        print(overview())
    elif name == "--version":
        print(f"instseg {__version__} (Python {platform.python_version()})")
    elif name in ("-sc", "--shell-completion"):
        from instseg.app.completion import complete

        complete(others, {name: verb.composes for name, verb in VERBS.items()})
    elif name in VERBS:
        VERBS[name].run(others)
    else:
        raise InstsegError(_unknown(name))


def overview() -> str:
    """Return the list of the verbs, with two examples."""
    width = max(map(len, VERBS))
    listed = "\n".join(f"  {name:<{width}}  {verb.summary}" for name, verb in VERBS.items())
    examples = "\n".join(f"  instseg {name} {VERBS[name].example}" for name in ("train", "predict"))
    return f"""Train instance segmentation on your own images, and use what was trained.

{examples}

Commands, each with --help:

{listed}

instseg --version; shell completion: eval "$(instseg -sc install=bash)" """.rstrip()


def _unknown(name: str) -> str:
    if "=" in name or name.startswith("-"):
        return f"{name}: a command comes first, as in: instseg train {name}. Commands: {', '.join(VERBS)}"
    known = {verb: verb for verb in VERBS} | OTHER_NAMES
    close = difflib.get_close_matches(name.lower().replace("_", "-"), known, n=1, cutoff=0.5)
    meant = f" Did you mean instseg {known[close[0]]}?" if close else ""
    return f"instseg {name}: there is no such command.{meant} Commands: {', '.join(VERBS)}"
