"""What ``train.py`` and ``predict.py`` do: look at the data, train, evaluate, write down, say where everything lies."""

from __future__ import annotations

import logging
import warnings
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console
from rich.markup import escape

from instseg.app.build import (
    build_audit_options,
    build_datamodule,
    build_dataset,
    build_model,
    build_module,
    build_trained_model,
    build_trainer,
    check_parts,
    plain,
)
from instseg.app.check_config import check_config
from instseg.app.hydra_job import in_own_processes, is_sweep_of_ranks, one_job, take_a_device, typed_model_options
from instseg.app.memory import keep_freed_memory
from instseg.app.summary import print_summary
from instseg.audit.augmentation_sheet import draw_augmentation_sheet
from instseg.audit.dataset import audit_dataset
from instseg.audit.page import write_audit_page
from instseg.audit.report import write_audit_json
from instseg.audit.terminal import print_audit, print_short
from instseg.checkpoints.content import DescribeCheckpoint, finite
from instseg.checkpoints.files import load_checkpoint
from instseg.checkpoints.reproduce import compare_runs, print_comparison, write_comparison
from instseg.checkpoints.resume import Resumable, check_resumable, find_resumable, prepare_folder
from instseg.core.files import write_json
from instseg.data.datamodule import InstanceDataModule
from instseg.data.prepared import PreparedDataset
from instseg.distributed.rank_failure import watched_ranks
from instseg.runs.environment import record_start
from instseg.runs.folders import BEST, LAST, resume_command
from instseg.runs.ownership import sole_owner
from instseg.training.coordinated_stop import stopping_together
from instseg.visualization.sheets import write_image

log = logging.getLogger(__name__)

NOISE = (  # warnings of libraries that a user can do nothing about
    ".*isinstance.treespec, LeafSpec.*",
    ".*does not have many workers.*",
    ".*number of training batches .* is smaller than the logging interval.*",
    ".*when logging on epoch level in distributed setting.*",  # our metrics are of all ranks, and the same on each
    ".*`srun` command is available on your system but is not used.*",
    ".*Grad strides do not match bucket view strides.*",  # of 1x1 convolutions, whose strides have no meaning
)


def train(config: DictConfig) -> float | None:
    """Run one stage of one config in its run folder; returns the monitored metric, for sweeps.

    Raises:
        InstsegError: on anything the user can mend, before any work where it can be known before.
    """
    for pattern in NOISE:
        warnings.filterwarnings("ignore", pattern)
    if not config.trainer.profiler:  # whose table Lightning says at INFO, the level that its import sets
        logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    take_a_device()
    if is_sweep_of_ranks(config):
        return in_own_processes(config)
    with one_job(config), ExitStack() as held:
        run_dir = Path(config.run_dir)
        check_config(config)
        check_parts(config)
        pl.seed_everything(config.seed, workers=True, verbose=False)
        if config.stage in LOOKS:
            rank_zero_only(look)(config, run_dir)
            return None
        trainer = build_trainer(config)
        held.enter_context(stopping_together(trainer))
        if trainer.is_global_zero:
            held.enter_context(sole_owner(run_dir))
        if trainer.strategy.root_device.type == "cpu":
            keep_freed_memory()
        prepared = build_dataset(config)
        resumed = find_resumable(run_dir) if config.resume else None
        if resumed is not None:  # before anything of that run is written to
            check_resumable(resumed, prepared.categories, plain(config), prepared.fingerprint, trainer.world_size)
        data = build_datamodule(config, prepared)
        write_record(config, prepared, run_dir, trainer.world_size)
        open_run(config, data.prepared)
        if config.resume and trainer.is_global_zero:
            prepare_folder(run_dir, resumed)
        stage = partial(fit_and_test, resumed=resumed) if config.stage == "fit" else evaluate
        with watched_ranks(trainer):
            metrics = stage(config, trainer, data, run_dir)
        if trainer.is_global_zero:
            write_json(run_dir / "metrics.json", dict(sorted(metrics.items())), indent=2)
            if config.reproduce:
                compare_with(Path(config.reproduce), run_dir)
            print_summary(metrics, data, run_dir, config.stage)
        return metrics.get(config.monitor.metric)


def look(config: DictConfig, run_dir: Path) -> None:
    """The stages that look at the data and train nothing."""
    prepared = build_dataset(config)
    write_record(config, prepared, run_dir)
    LOOKS[config.stage](config, prepared, run_dir)
    print(run_dir)


def audit(config: DictConfig, prepared: PreparedDataset, run_dir: Path) -> None:
    """Everything that is wrong or doubtful about the dataset: on the screen, as a page and as json."""
    report = audit_dataset(prepared, build_audit_options(config), thorough=True, folder=run_dir)
    console = Console()
    print_audit(report, console)
    write_audit_page(report, run_dir / "audit.html")
    write_audit_json(report, run_dir / "audit.json")
    console.print(f"\nwith pictures:   {escape(str(run_dir / 'audit.html'))}", highlight=False, soft_wrap=True)


def show_augmentation(config: DictConfig, prepared: PreparedDataset, run_dir: Path) -> None:
    """A few training photos, as labelled and as the network will see them."""
    dataset = build_datamodule(config, prepared).train_dataset()
    write_image(run_dir / "augmentation.png", draw_augmentation_sheet(dataset))
    Console().print(f"augmentation:    {escape(str(run_dir / 'augmentation.png'))}", highlight=False, soft_wrap=True)


LOOKS = {"audit": audit, "show_augmentation": show_augmentation}


def open_run(config: DictConfig, prepared: PreparedDataset) -> None:
    """What the data is, and what is wrong with it; a training that would be pointless stops here, on every rank."""
    report = audit_dataset(prepared, build_audit_options(config), thorough=False)
    rank_zero_only(print_short)(report, Console())
    if config.stage == "fit":
        report.stop_if_fatal(config.audit.accept)


def fit_and_test(
    config: DictConfig, trainer: pl.Trainer, data: InstanceDataModule, run_dir: Path, resumed: Resumable | None = None
) -> dict[str, float]:
    """Train, from where ``resumed`` was if given, then measure the best checkpoint on the test split; all metrics."""
    last, best = (run_dir / "checkpoints" / name for name in (LAST, BEST))
    model = build_model(config, data.categories, **(resumed.model_options if resumed else {}))
    if trainer.is_global_zero and model.weights_report is not None:
        log.info("%s", model.weights_report)
    if config.compile:
        model.compile_dense_part()
    module = build_module(config, model, data.categories)
    stored = plain(config)
    stored["model"]["norm"] = model.norm  # what 'auto' became depends on the weights, which are not read again
    trainer.callbacks.insert(0, DescribeCheckpoint(data.categories, stored, data.prepared.fingerprint))  # type: ignore[attr-defined]
    try:
        trainer.fit(module, datamodule=data, ckpt_path=resumed.path if resumed else None, weights_only=True)
        metrics = finite(trainer.callback_metrics)
        tested = best if trainer.strategy.broadcast(best.is_file()) else None
        if tested is not None:
            metrics |= load_checkpoint(best)["instseg"]["metrics"]  # of the validation that made it the best
        elif trainer.is_global_zero:
            log.warning("There is no best.ckpt, because no validation ran: the last weights are tested.")
        trainer.test(module, datamodule=data, ckpt_path=tested, weights_only=True, verbose=False)
    except (SystemExit, KeyboardInterrupt):
        _explain_interruption(last, run_dir)
        raise
    return metrics | finite(trainer.callback_metrics)


def compare_with(original: Path, run_dir: Path) -> None:
    """What this run, which repeats another, does otherwise: on the screen and as reproduce.json."""
    comparison = compare_runs(original, run_dir)
    print_comparison(comparison, original, Console())
    write_comparison(comparison, original, run_dir / "reproduce.json")


def evaluate(config: DictConfig, trainer: pl.Trainer, data: InstanceDataModule, run_dir: Path) -> dict[str, float]:
    """Measure a checkpoint on the val or test split; all metrics."""
    trained = build_trained_model(config, typed_model_options(config))
    trained.categories.check_same(data.categories, "checkpoint", "dataset")
    module = build_module(config, trained.model, data.categories)
    run = trainer.validate if config.stage == "validate" else trainer.test
    run(module, datamodule=data, verbose=False)
    return finite(trainer.callback_metrics)


@rank_zero_only
def _explain_interruption(last: Path, run_dir: Path) -> None:
    if last.is_file():
        log.info("Interrupted. Everything up to here is in %s", last)
        log.info("Go on with: %s", resume_command(run_dir))
    else:
        log.info("Interrupted before the first checkpoint was written.")


@rank_zero_only
def write_record(config: DictConfig, prepared: PreparedDataset, run_dir: Path, processes: int = 1) -> None:
    """What is needed to know, later, what this run was: config, manifest, split, findings."""
    OmegaConf.save(config, run_dir / "config.yaml", resolve=True)
    record_start(run_dir, config.seed, prepared.fingerprint, processes)
    for name in ("splits.json", "findings.json"):
        (run_dir / name).write_bytes((prepared.folder / name).read_bytes())
