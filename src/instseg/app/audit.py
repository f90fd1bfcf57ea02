"""``stage=audit``: everything that is wrong or doubtful about the data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console

from instseg.app.audit_settings import build_audit_options, dataset_name
from instseg.app.build_data import build_recorded_dataset
from instseg.app.config import RunConfig
from instseg.app.job import Job
from instseg.app.linked_pages import AUDIT, REPORT, link_back, links_to
from instseg.auditing.dataset import audit_dataset
from instseg.auditing.gallery import labelled_gallery
from instseg.auditing.page import write_audit_page
from instseg.auditing.report import write_audit_json
from instseg.auditing.terminal import print_audit
from instseg.auditing.thumbnails import illustrate
from instseg.core.channels import terminal_lines


def audit(config: RunConfig, job: Job) -> Mapping[str, float]:
    """Report on the data set: on the screen, as a page and as json. Trains and measures nothing.

    Args:
        config: of the run.
        job: of this process.
    """
    _audit(config, job)
    return {}


@rank_zero_only
def _audit(config: RunConfig, job: Job) -> None:
    prepared = build_recorded_dataset(config, job)
    page = config.folder / AUDIT
    report = audit_dataset(prepared, build_audit_options(config, job), True, config.folder, dataset_name(config))
    report = replace(illustrate(report, prepared), gallery=tuple(labelled_gallery(prepared)))
    console = Console()
    print_audit(report, console)
    data = config.outputs, prepared.fingerprint
    write_audit_page(report, page, links_to(REPORT, *data, page.parent))
    link_back(REPORT, *data, page)
    write_audit_json(report, config.folder / "audit.json")
    console.print(f"\nwith pictures:   {terminal_lines(str(page))}", highlight=False, soft_wrap=True)
    print(config.folder)
