"""The record of a run, for whoever wants to know later what it was: config, manifest, split, findings."""

from __future__ import annotations

from omegaconf import OmegaConf
from pytorch_lightning.utilities import rank_zero_only

from instseg.app.config import RunConfig
from instseg.app.job import Job
from instseg.core.command_line import typed_command
from instseg.data.prepared import PreparedDataset
from instseg.runs.environment import record_start


@rank_zero_only
def write_record(config: RunConfig, job: Job, prepared: PreparedDataset, processes: int = 1) -> None:
    """Write what the run is into its folder.

    Args:
        config: of the run.
        job: with the overrides that composed it.
        prepared: the data set, whose split and findings are copied.
        processes: ranks of the run.
    """
    OmegaConf.save(OmegaConf.create(config.resolved), config.folder / "config.yaml")
    command = [typed_command("train"), *job.overrides]
    record_start(config.folder, command, config.seed, prepared.fingerprint, processes)
    for name in ("splits.json", "findings.json"):
        (config.folder / name).write_bytes((prepared.folder / name).read_bytes())
