"""The command that trains again, on the earlier labels and on predictions that were corrected."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from instseg.app.arguments import is_own_option
from instseg.app.config import PredictConfig
from instseg.core.command_line import typed_command, typed_config_dir
from instseg.core.files import absolute_path
from instseg.core.overrides import key_of, quoted, unquoted
from instseg.core.records import RecordError
from instseg.prediction.exported import exported_file
from instseg.prediction.writers.labelstudio import HOW_TO, TASKS
from instseg.runs.folders import find_checkpoint, folder_of
from instseg.runs.outcome import read_settings
from instseg.runs.stored_overrides import config_dirs_of, stored_overrides

CORRECTED = "dataset.corrected"
TOOLS = {"labelme": "labelme", "labelstudio": "EXPORT.json", "coco": "predictions.json"}
"""Writer -> the place of what a person corrected: below the output, or the file that Label Studio exports."""
OF_ONE_RUN = ("stage", "checkpoint", "resume", "reproduce", "model.weights", "run_dir")
"""Keys of an earlier command that the next one has anew, or not at all."""


def how_to_train_again(config: PredictConfig) -> str:
    """Return a sentence and a command for after the correction; empty where no tool to correct in was asked for."""
    saved = [config.save] if isinstance(config.save, str) else config.save
    tool = next((tool for tool in TOOLS if tool in saved and (tool != "coco" or "overlays" not in saved)), None)
    if tool is None:
        return ""
    place = TOOLS[tool] if tool == "labelstudio" else str(Path(config.output) / TOOLS[tool])
    edited = place if tool != "labelstudio" else _in_label_studio(Path(config.output) / tool)
    return f"correct {edited}, then train again on these and the earlier labels:\n{_command(config, place)}"


def _in_label_studio(folder: Path) -> str:
    return f"{folder / TASKS} in Label Studio, as {folder / HOW_TO} says, and export it as EXPORT.json"


def _command(config: PredictConfig, place: str) -> str:
    run = _run_of(config)
    overrides = _overrides(run) if run else []
    if run is None or not _is_of_own_labels(run, overrides):
        labels = ["dataset=auto", "dataset.root=EARLIER_LABELS", f"{CORRECTED}={place}"]
        return f"{typed_command('train')} {shlex.join(labels)}"
    earlier = [unquoted(o.partition("=")[2]) for o in overrides if key_of(o) == CORRECTED]
    kept = [o for o in overrides if key_of(o) not in (*OF_ONE_RUN, CORRECTED)]
    more = [_corrected(earlier, place), quoted("model.weights", run) if "," in str(run) else f"model.weights={run}"]
    return f"{_train_with_configs_of(run, kept)} {shlex.join([*kept, *more])}"


def _is_of_own_labels(run: Path, overrides: Sequence[str]) -> bool:
    """Tell whether a run learnt from a folder of labels, which was typed or stands in a config."""
    if any(key_of(override) == "dataset.root" for override in overrides):
        return True
    try:
        dataset = read_settings(run).get("dataset")
    except RecordError:
        return False
    return isinstance(dataset, dict) and {"root", "corrected"} <= dataset.keys()


def _train_with_configs_of(run: Path, overrides: Sequence[str]) -> str:
    """Return the start of the command, with the folder of the user's own configs where the overrides need it."""
    train = typed_command("train")
    needs_more = typed_config_dir() is None and any(map(is_own_option, overrides))
    folders = config_dirs_of(run) if needs_more else []
    return f"{train} --config-dir {shlex.quote(folders[0])}" if folders else train


def _corrected(earlier: Sequence[str], place: str) -> str:
    places = [entry.strip() for text in earlier for entry in text.strip("[]").split(",")]
    return f"{CORRECTED}=[{','.join([*places, place])}]" if places else f"{CORRECTED}={place}"


def _run_of(config: PredictConfig) -> Path | None:
    """Return the folder of the run that the checkpoint was saved by; None where there is none any more."""
    if not config.checkpoint or exported_file(config.checkpoint) is not None:
        return None
    run = folder_of(find_checkpoint(config.checkpoint, absolute_path(config.outputs)))
    return run if run.is_dir() else None


def _overrides(run: Path) -> list[str]:
    """Return what the run was started with; nothing where its file is of no use: the predictions are written."""
    try:
        return stored_overrides(run)
    except RecordError:
        return []
