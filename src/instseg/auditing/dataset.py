"""Audit of a prepared dataset: facts and findings, the gravest first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from instseg.auditing.audit_options import AuditOptions
from instseg.auditing.checks_categories import category_findings
from instseg.auditing.checks_exif import exif_findings
from instseg.auditing.checks_images import copy_findings, list_images, similar_findings
from instseg.auditing.checks_model import model_findings
from instseg.auditing.checks_reading import lost_images, num_lost, reading_findings
from instseg.auditing.checks_shapes import shape_findings, thorough_shape_findings
from instseg.auditing.checks_splits import split_findings
from instseg.auditing.copies import identical_files
from instseg.auditing.fixed_splits import write_fixed_splits
from instseg.auditing.report import AuditFinding, AuditReport, Severity, SplitFacts
from instseg.auditing.tables import SplitTable, Tables, read_tables
from instseg.data.prepared import FINDINGS, PreparedDataset
from instseg.data.reading.findings import Findings
from instseg.data.reading.findings_file import read_findings

MAX_QUICK_IMAGES = 20_000
"""With more, files are not compared when a training starts: it takes seconds."""
GRAVITY = tuple(Severity)


def audit_dataset(
    prepared: PreparedDataset, options: AuditOptions, thorough: bool, folder: Path | None = None, name: str = ""
) -> AuditReport:
    """Look for everything that is wrong or doubtful about a dataset.

    Nothing is changed, and findings do not raise: see ``AuditReport.stop_if_fatal``.

    Args:
        prepared: the dataset.
        options: settings of the network that it is meant for.
        thorough: read the images too: near duplicates are found. Otherwise none is decoded, and 5,000 images take well
            under a second.
        folder: receives files that fix a finding: ``splits_without_copies.json``.
        name: of the dataset, as a person knows it; empty: its fingerprint.
    """
    tables = read_tables(prepared.indices, options.min_size, options.max_size)
    read = read_findings(prepared.folder / FINDINGS)
    found = [*_quick_findings(tables, read, options), *_file_findings(prepared, tables, thorough, folder)]
    if thorough:
        found += thorough_shape_findings(tables)
    found.sort(key=lambda finding: GRAVITY.index(finding.severity))
    anchors = options.limits.anchors
    return AuditReport(
        name=name or prepared.fingerprint,
        fingerprint=prepared.fingerprint,
        categories=prepared.categories.names,
        splits={split: _facts(table, num_lost(read, split)) for split, table in tables.items()},
        findings=tuple(found),
        notes=tuple(prepared.notes),
        anchor_sizes=tuple(size for level in (anchors.sizes if anchors else ()) for size in level),
        thorough=thorough,
    )


def _quick_findings(tables: Tables, read: Mapping[str, Findings], options: AuditOptions) -> list[AuditFinding]:
    roots = {split: str(table.index.image_root) for split, table in tables.items()}
    return [
        *lost_images(read, tables),
        *split_findings(tables),
        *category_findings(tables),
        *reading_findings(read, roots, sum(len(table.rows) for table in tables.values())),
        *exif_findings(read, tables, options),
        *shape_findings(tables),
        *model_findings(tables, options),
    ]


def _file_findings(
    prepared: PreparedDataset, tables: Tables, thorough: bool, folder: Path | None
) -> list[AuditFinding]:
    if not thorough and sum(len(table.index) for table in tables.values()) > MAX_QUICK_IMAGES:
        return []
    listed = list_images(tables)
    copies = identical_files(listed.paths)
    named = ([listed.split_name(n) for n in group] for group in copies)
    lists, order = prepared.split_lists(), list(prepared.indices)
    fixed = folder and write_fixed_splits(folder / "splits_without_copies.json", lists, order, named)
    return [*copy_findings(listed, copies, fixed), *(similar_findings(listed, copies) if thorough else [])]


def _facts(table: SplitTable, num_lost: int) -> SplitFacts:
    per_image = table.per_image
    sides = table.network_boxes[:, 2:] - table.network_boxes[:, :2]
    return SplitFacts(
        num_listed=len(table.index) + num_lost,
        num_empty=int(np.count_nonzero(per_image == 0)),
        num_crowds=table.num_crowds,
        per_category=table.per_category,
        per_image=per_image,
        image_sizes=table.image_sizes,
        instance_sides=np.sqrt(sides.prod(axis=1)),
    )
