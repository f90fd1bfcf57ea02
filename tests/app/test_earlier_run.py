"""What an earlier run decides of the config of this one: the precision, and whether it resumes."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from instseg.app import earlier_run
from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.config import RunConfig
from instseg.app.earlier_run import of_earlier_run
from instseg.app.read_config import read_config


@pytest.fixture(autouse=True)
def fast_in_bfloat16(monkeypatch) -> None:
    monkeypatch.setattr(earlier_run, "fastest_precision", {"cpu": "bf16-mixed", "cuda": "32-true"}.get)


def run_config(folder: Path, *overrides: str) -> RunConfig:
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        config = compose("train", overrides=["trainer=cpu", *overrides])
    OmegaConf.update(config, "run_dir", str(folder))
    return read_config(config, RunConfig)


def recorded_run(folder: Path, precision: str) -> Path:
    folder.mkdir()
    (folder / "config.yaml").write_text(f"trainer: {{precision: {precision}}}")
    return folder


def test_a_new_run_takes_the_fastest_precision_and_records_what_it_became(tmp_path):
    config = of_earlier_run(run_config(tmp_path))
    assert config.trainer.precision == config.trainer_options["precision"] == "bf16-mixed"


def test_the_devices_decide(tmp_path):
    assert of_earlier_run(run_config(tmp_path, "trainer.accelerator=cuda")).trainer.precision == "32-true"


def test_a_precision_that_is_given_stays(tmp_path):
    assert of_earlier_run(run_config(tmp_path, "trainer.precision=64-true")).trainer.precision == "64-true"


@pytest.mark.parametrize("key", ["resume", "reproduce"])
def test_a_run_that_is_resumed_or_reproduced_keeps_its_own_whatever_is_fastest_here(tmp_path, key):
    run = recorded_run(tmp_path / "run", "32-true")
    folder = run if key == "resume" else tmp_path / "again"
    assert of_earlier_run(run_config(folder, f"{key}={run}")).trainer.precision == "32-true"


def test_a_run_that_was_stopped_before_its_record_is_a_new_one(tmp_path):
    assert of_earlier_run(run_config(tmp_path, f"resume={tmp_path}")).trainer.precision == "bf16-mixed"
