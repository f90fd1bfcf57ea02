"""A command that refers to a run inherits the overrides of that run."""

import json
import re

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from run_folders import made_run
from run_starts import run_start

from instseg.app.arguments import complete_arguments, complete_command
from instseg.core.errors import InstsegError
from instseg.core.overrides import quoted
from instseg.runs.manifest import add_start


def as_hydra_reads(argument: str) -> str:
    return str(OverridesParser.create().parse_override(argument).value())


def test_resume_auto_takes_the_newest_run_or_the_newest_of_what_is_typed(tmp_path):
    shapes = made_run(tmp_path, "shapes_small", "2026-01-02")
    coco = made_run(tmp_path, "coco_r50fpn", "2026-01-01", "dataset=coco", "dataset.root=here", "model=r50fpn")
    outputs = f"outputs={tmp_path}"
    assert quoted("resume", coco) in complete_arguments(["resume=auto", outputs])
    assert quoted("resume", shapes) in complete_arguments(["resume=auto", "dataset=shapes", outputs])
    with pytest.raises(InstsegError, match=r"resume=auto: no run model=r18fpn"):
        complete_arguments(["resume=auto", "model=r18fpn", outputs])


def test_resume_auto_does_not_take_a_dataset_whose_name_begins_or_ends_alike(tmp_path):
    outputs = f"outputs={tmp_path}"
    coco = made_run(tmp_path, "coco_r50fpn", "2026-01-01", "dataset=coco")
    made_run(tmp_path, "coco4_r50fpn", "2026-01-02", "dataset=coco4")
    longer = made_run(tmp_path, "coco_cats_r50fpn", "2026-01-03", "dataset=coco_cats")
    choices = {"hydra": {"runtime": {"choices": {"dataset": "coco_cats", "model": "r50fpn"}}}}
    (longer / ".hydra" / "hydra.yaml").write_text(json.dumps(choices))
    assert quoted("resume", coco) in complete_arguments(["resume=auto", "dataset=coco", outputs])
    assert quoted("resume", longer) in complete_arguments(["resume=auto", "dataset=coco_cats", outputs])
    assert quoted("resume", longer) in complete_arguments(["resume=auto", "model=r50fpn", outputs])


def test_what_the_run_was_started_with_comes_first_and_what_is_typed_wins(tmp_path):
    started = ("dataset=coco", "dataset.root=here", "trainer=gpu", "trainer.devices=4", "seed=3", "outputs=elsewhere")
    run = made_run(tmp_path, "coco_r50fpn", "a", *started)
    typed = [quoted("resume", run), "trainer=cpu", "seed=4"]
    assert complete_arguments(typed) == ["dataset=coco", "dataset.root=here", *typed]


def test_a_run_of_own_options_asks_for_their_folder_which_no_file_may_choose(tmp_path, monkeypatch):
    run = made_run(tmp_path, "mine_small", "a", "experiment=first", "model=small")
    sources = [{"path": "/ours/conf", "provider": "main"}, {"path": "/me/my conf", "provider": "command-line"}]
    runtime = {"choices": {}, "config_sources": sources}
    (run / ".hydra" / "hydra.yaml").write_text(json.dumps({"hydra": {"runtime": runtime}}))
    with pytest.raises(
        InstsegError, match=r"experiment=first from a folder of your own: type --config-dir '/me/my conf'"
    ):
        complete_arguments([f"resume={run}"])
    assert "experiment=first" in complete_arguments([f"resume={run}"], "my conf")
    monkeypatch.setattr("sys.argv", ["instseg", "train", "--config-dir", "my conf"])
    assert "experiment=first" in complete_command([f"resume={run}"])


@pytest.mark.parametrize("line", ["hydra.searchpath=[file:///tmp/evil]", "hydra.run.dir=/etc", "hydra/launcher=joblib"])
def test_what_configures_hydra_itself_is_refused_where_a_run_folder_says_it(tmp_path, line):
    run = made_run(tmp_path, "coco_r50fpn", "a", "dataset=coco", line)
    with pytest.raises(InstsegError, match=rf"overrides.yaml: '{re.escape(line)}': .*type it again"):
        complete_arguments([f"resume={run}"])
    key = line.partition("=")[0]
    assert complete_arguments([f"resume={run}", f"{key}=x"]) == ["dataset=coco", quoted("resume", run), f"{key}=x"]


@pytest.mark.parametrize(
    ("stored", "typed", "kept"),
    [
        (["trainer.max_epochs=50", "trainer.devices=4"], "trainer=cpu", ["trainer.max_epochs=50"]),
        (["scheduler.warmup_steps=9", "scheduler.final_factor=0.1"], "scheduler=constant", []),
        (["scheduler.warmup_steps=9"], "scheduler=warmup_multistep", ["scheduler.warmup_steps=9"]),
        (["optimizer.momentum=0.8"], "optimizer=adamw", []),
        (["dataset.root=here", "dataset.drop=[car]"], "dataset=labelme", []),
    ],
)
def test_settings_of_a_run_stay_where_an_option_chosen_anew_leaves_them_open_and_others_are_named(
    stored, typed, kept, tmp_path, capsys
):
    run = made_run(tmp_path, "coco_r50fpn", "a", *stored)
    assert complete_arguments([quoted("resume", run), typed])[:-2] == kept
    lost = [setting for setting in stored if setting not in kept]
    assert capsys.readouterr().err.strip() == (
        f"note: {typed} is chosen anew, without {', '.join(lost)} of the run" if lost else ""
    )


@pytest.mark.parametrize("name", ["a, b", "c=d", "[e] {f}", 'say "g"', "it's (h)", "back\\slash"])
def test_a_run_is_resumed_whatever_the_name_of_its_folder_and_however_it_is_quoted(tmp_path, name):
    run = made_run(tmp_path / name, "shapes_small", "2026-01-01", "model=small")
    add_start(run, run_start())
    for needed in ("config.yaml", "metrics.json"):
        (run / needed).touch()
    outputs = quoted("outputs", tmp_path / name)
    for typed in ([f"resume={run}"], [quoted("resume", run)], [outputs, "resume=auto"]):
        assert as_hydra_reads(complete_arguments(typed)[-1]) == str(run)
    for key in ("reproduce", "checkpoint"):
        assert as_hydra_reads(complete_arguments([f"{key}={run}"])[-1]) == str(run)


@pytest.mark.parametrize("left", ["previous.ckpt", None])
def test_a_run_resumes_without_its_last_checkpoint_and_starts_over_where_none_was_saved(tmp_path, left):
    run = made_run(tmp_path, "shapes_small", "a", "seed=3", checkpoints=[left] if left else [])
    assert complete_arguments([f"resume={run}"]) == ["seed=3", quoted("resume", run)]
    with pytest.raises(InstsegError, match=r"has neither checkpoints/last\.ckpt nor previous\.ckpt to resume from"):
        complete_arguments([f"resume={tmp_path}"])


def test_measuring_a_checkpoint_of_a_run_uses_the_data_of_that_run(tmp_path):
    run = made_run(tmp_path, "coco_r50fpn", "a", "dataset=coco", "dataset.root=here")
    for checkpoint in (run, run / "checkpoints" / "last.ckpt", "latest"):
        typed = ["stage=test", quoted("checkpoint", checkpoint), f"outputs={tmp_path}"]
        assert complete_arguments(typed) == ["dataset=coco", "dataset.root=here", *typed]


def test_a_training_is_not_resumed_from_the_best_checkpoint(tmp_path):
    run = made_run(tmp_path, "shapes_small", "a", checkpoints=("best.ckpt", "last.ckpt"))
    with pytest.raises(InstsegError, match=r"resumes from last\.ckpt.*model\.weights="):
        complete_arguments([f"resume={run}/checkpoints/best.ckpt"])


def test_the_one_before_the_last_is_said_to_be_used_by_itself(tmp_path):
    run = made_run(tmp_path, "my shapes_small", "a", checkpoints=("last.ckpt", "previous.ckpt"))
    with pytest.raises(InstsegError, match=r"previous\.ckpt by itself where .*: instseg train 'resume=/.*/a'$"):
        complete_arguments([f"resume={run}/checkpoints/previous.ckpt"])


def test_other_commands_are_left_as_typed():
    assert complete_arguments(["model=r50fpn", "resume=null"]) == ["model=r50fpn", "resume=null"]


@pytest.mark.parametrize("key", ["checkpoint", "resume"])
def test_the_home_of_nobody_is_a_path_that_is_not_there(key):
    with pytest.raises(InstsegError, match=rf"{key}=~nobody_at_all"):
        complete_arguments([f"{key}=~nobody_at_all", "stage=test" if key == "checkpoint" else "seed=0"])
