"""A part that cannot be built ends its own job, whatever it raises and in whatever kind of sweep."""

from __future__ import annotations

import pytest
from omegaconf import DictConfig
from sampled import first
from sweeping import swept

from instseg.app.instantiate import build
from instseg.app.read_config import plain
from instseg.core.errors import InstsegError
from instseg.sweeps.sweep_folder import SweepFolder

PARTS = ("circular", "refused", "raises", "leaves", "works")
REASONS = {
    "circular": "InstantiationException: ",
    "refused": "mine: expected another value",
    "raises": "InstantiationException: ",
    "leaves": "SystemExit: 1",
}
SWEEPS = {
    "grid": "sweep=grid",
    "folds": "sweep=kfold sweep.folds=2 dataset=labelme dataset.root=x",
    "learning curve": "sweep=learning_curve sweep.fractions=[0.5,1.0]",
    "ablation": "sweep=ablation augmentation=flip",
    "search": "sweep=optuna sweep.num_trials=9 sweep.startup_trials=9",
}


def train(config: DictConfig) -> float:
    """Build the part that the sweep tries."""
    build(plain(config.callbacks.mine))
    return 0.5


@pytest.mark.parametrize("typed", first(1, SWEEPS.values()), ids=SWEEPS)
def test_the_job_of_the_part_fails_with_its_reason_and_all_others_are_done(tmp_path, typed):
    targets = ",".join(f"failing_parts.{part}" for part in PARTS)
    with pytest.raises(InstsegError, match=r"jobs failed"):
        swept(tmp_path, train, *typed.split(), f"+callbacks.mine._target_={targets}")
    records = SweepFolder(tmp_path / "sweeps" / "one").records()
    tried = [record.values["+callbacks.mine._target_"].rpartition(".")[2] for record in records]
    assert {"works", "leaves"} < set(tried)
    assert [record.state for record in records] == ["done" if part == "works" else "failed" for part in tried]
    for part, record in zip(tried, records, strict=True):
        assert (record.reason or "").startswith(REASONS.get(part, ""))


def test_ctrl_c_ends_the_sweep_also_where_a_library_turns_it_into_an_exit(tmp_path):
    def interrupted(config: DictConfig) -> float:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise SystemExit(1)  # noqa: B904  (as Lightning does)

    with pytest.raises(SystemExit):
        swept(tmp_path, interrupted, "seed=0,1")
    (begun,) = SweepFolder(tmp_path / "sweeps" / "one").records()
    assert begun.state == "interrupted"
