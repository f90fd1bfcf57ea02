"""An audit of labels that a test makes up: ``audited({"train": labelled(...)})``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from auditing.made import IMAGE_SIZE, audited_for, labelled, one_car_each
from factories import write_json, write_picture

from instseg.auditing.audit_options import AuditOptions
from instseg.auditing.dataset import audit_dataset
from instseg.auditing.report import AuditFinding, AuditReport
from instseg.auditing.thumbnails import illustrate
from instseg.core.types import CocoDict
from instseg.data import sources
from instseg.data.formats.coco.reader import CocoReader
from instseg.data.prepared import PreparedDataset


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[..., PreparedDataset]:
    """Write the labels of each split, a picture for every image that has none yet, and prepare them."""

    def prepare(splits: Mapping[str, CocoDict], **options: Any) -> PreparedDataset:
        for number, (split, coco) in enumerate(splits.items()):
            write_json(tmp_path / "annotations" / f"instances_{split}.json", coco)
            for i, image in enumerate(coco["images"]):
                path = tmp_path / split / image["file_name"]
                if not path.exists():
                    write_picture(path, IMAGE_SIZE, seed=1000 * number + i)
        folder, cache = str(tmp_path), str(tmp_path / "cache")
        return sources.folder(name="made", reader=CocoReader, root=folder, cache_dir=cache, **options)

    return prepare


@pytest.fixture
def audited(prepared: Callable[..., PreparedDataset]) -> Callable[..., AuditReport]:
    """The audit of labels by split; train and val are filled up with ten good images where they are not given."""

    def audit(
        splits: Mapping[str, CocoDict], thorough: bool = False, options: AuditOptions | None = None
    ) -> AuditReport:
        dataset = prepared({split: labelled(one_car_each(split, 10)) for split in ("train", "val")} | dict(splits))
        report = audit_dataset(dataset, options or audited_for(min_size=60, max_size=80), thorough)
        return illustrate(report, dataset) if thorough else report

    return audit


@pytest.fixture
def found(audited: Callable[..., AuditReport]) -> Callable[..., AuditFinding | None]:
    """One kind of finding of an audit, None where it is not found."""

    def find(kind: str, *arguments: Any, **options: Any) -> AuditFinding | None:
        return next((f for f in audited(*arguments, **options).findings if f.kind == kind), None)

    return find
