"""The short audit of the data at the start of a run."""

from __future__ import annotations

from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console

from instseg.app.audit_settings import build_audit_options, dataset_name
from instseg.app.config import RunConfig
from instseg.app.job import Job
from instseg.auditing.dataset import audit_dataset
from instseg.auditing.terminal import print_short
from instseg.data.prepared import PreparedDataset


def audit_at_start(config: RunConfig, job: Job, prepared: PreparedDataset) -> None:
    """Print the counts of a data set and what is wrong with it; on every rank, stop a pointless training.

    Args:
        config: of the run.
        job: of this process.
        prepared: the data set.

    Raises:
        InstsegError: the data has a fatal finding that ``audit.accept`` does not name.
    """
    report = audit_dataset(prepared, build_audit_options(config, job), thorough=False, name=dataset_name(config))
    rank_zero_only(print_short)(report, Console())
    if config.stage == "fit":
        report.stop_if_fatal(config.audit.accept)
