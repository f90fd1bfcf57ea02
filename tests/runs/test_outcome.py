"""Settings and metrics of a finished run are read typed, or refused with the file and the reason."""

from __future__ import annotations

import contextlib
import random

import pytest
from mutating import read_damaged_files
from reading import mutated_bytes

from instseg.core.errors import InstsegError
from instseg.runs.differences import differences
from instseg.runs.outcome import read_metrics, read_settings

SETTINGS = """\
optimizer: {lr: 0.001, betas: [0.9, 0.999]}
dataset:
  root: 'a b'
  started: 2026-01-31
  split: !!int "3"
1.5: {null: ~, true: .inf}
"""


def test_metrics_are_read_as_numbers_by_name(tmp_path):
    (tmp_path / "metrics.json").write_text('{"test/segm_map": 0.5, "test/num_images": 3}')
    assert read_metrics(tmp_path) == {"test/segm_map": 0.5, "test/num_images": 3.0}


def test_a_metric_that_is_no_number_is_named(tmp_path):
    (tmp_path / "metrics.json").write_text('{"test/segm_map": "high"}')
    with pytest.raises(InstsegError, match=r"metrics\.json: field \[\.\.\.\]: expected `float`, found `str`"):
        read_metrics(tmp_path)


def test_a_run_that_has_not_finished_is_refused_with_the_missing_file(tmp_path):
    with pytest.raises(InstsegError, match=r"metrics\.json: expected a file, found none"):
        read_metrics(tmp_path)
    with pytest.raises(InstsegError, match=r"config\.yaml: expected a file, found none"):
        read_settings(tmp_path)


def test_whatever_is_wrong_with_the_metrics_is_one_kind_of_error(tmp_path, tries):
    path = tmp_path / "metrics.json"
    path.write_text('{"test/segm_map": 0.5, "test/loss": 1.25, "images_per_second": 12.0}')
    tried, refused = read_damaged_files(path, lambda: read_metrics(tmp_path), tries)
    assert tried > tries and refused > 0.5 * tried


def test_whatever_is_wrong_with_the_settings_is_one_kind_of_error_and_what_is_read_can_be_compared(tmp_path, tries):
    rng, path, refused = random.Random(0), tmp_path / "config.yaml", 0
    texts = [b"a: " + b"[" * 5000, b"- 1", b"1: 2", b"", b"!!timestamp x", b"a: !!int ''"]
    texts += [mutated_bytes(SETTINGS.replace("1.5:", "odd:").encode(), rng) for _ in range(tries // 2)]
    for text in texts:
        path.write_bytes(text)
        with contextlib.suppress(InstsegError):
            differences(read_settings(tmp_path), {"optimizer": {"lr": 0.1}, "odd": {"a": 1, "b": 2}})
            continue
        refused += 1
    assert refused > 0.3 * len(texts)
