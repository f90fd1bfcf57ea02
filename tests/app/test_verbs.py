"""The command ``instseg``: what it lists, how it completes and corrects, and that a verb is a stage of ``train.py``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typed_commands import QUICK, Command

from instseg.app.stage_names import STAGE_NAMES
from instseg.app.verbs import VERBS, run_verb
from instseg.core.command_line import CHECKOUT, typed_command
from instseg.core.errors import InstsegError

INSTSEG = "src/instseg/__main__.py"


def typed(*arguments: str, cwd: Path = CHECKOUT, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "instseg", *arguments]
    variables = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src"), **environment}
    return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_alone_it_lists_its_verbs_with_a_line_each_on_a_narrow_screen(arguments, capsys):
    run_verb(arguments)
    lines = capsys.readouterr().out.splitlines()
    assert all(any(line.startswith(f"  {verb} ") for line in lines) for verb in VERBS)
    assert max(map(len, lines)) <= 80 and len(lines) <= 24


def test_every_stage_but_fit_is_a_verb():
    assert {stage.replace("_", "-") for stage in STAGE_NAMES} - {"fit"} <= set(VERBS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tain"], "Did you mean instseg train?"),
        (["show_augmentation"], "Did you mean instseg show-augmentation?"),
        (["fit"], "Did you mean instseg train?"),
        (["model=r50fpn"], "a command comes first, as in: instseg train model=r50fpn"),
        (["test", "stage=validate"], "stage=validate: instseg test is stage=test"),
    ],
)
def test_a_mistyped_verb_is_answered_with_the_one_that_was_meant(arguments, message):
    with pytest.raises(InstsegError) as caught:
        run_verb(arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "5", "--batch", "4", "dataset=auto"], "equals sign: trainer.max_epochs=5 batch_size=4"),
        (["--epochs=5"], "--epochs=5: there is no such flag. A setting has no dashes and an equals sign: trainer.max_"),
        (["--verbose"], "--verbose: there is no such flag"),
        (["-m", "--cfg", "job", "seed=1,2"], "--cfg shows the config of a single run: leave -m out"),
    ],
)
def test_a_setting_written_as_a_flag_is_answered_with_the_override(arguments, message):
    done = Command(["train", *arguments], script=INSTSEG).wait()
    assert done.code == 1 and message in " ".join(done.output.split())


def test_flags_and_overrides_come_in_any_order(tmp_path):
    order = ["trainer=cpu", "--config-dir", str(tmp_path), "seed=3", "--cfg", "job", "batch_size=7"]
    done = Command(["train", *order], script=INSTSEG).wait()
    assert done.code == 0 and "seed: 3" in done.output and "batch_size: 7" in done.output


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("instseg ", " ".join(VERBS)),
        ("instseg pre", "predict"),
        ("instseg test model=r50fpn_", "model=r50fpn_v2"),
        ("instseg predict sou", "source="),
        ("instseg compare out", ""),
    ],
)
def test_the_shell_completes_verbs_and_then_their_settings(line, expected):
    arguments = ["-sc", "query=bash"]
    assert Command(arguments, {"COMP_LINE": line}, script=INSTSEG).wait().output.strip() == expected


def test_in_any_folder_it_has_its_configs_and_names_itself_as_it_was_typed(tmp_path):
    (tmp_path / "random.py").write_text("raise RuntimeError('not ours')")
    done = typed("test", "--help", cwd=tmp_path, PYTHONSAFEPATH="1")
    assert "instseg test: measure a checkpoint on the test images" in done.stdout
    assert "r18fpn, r50fpn, r50fpn_v2, small" in done.stdout
    assert "python -m instseg audit dataset=auto dataset.root=DIR" in done.stdout


@pytest.mark.parametrize(
    ("program", "verb", "expected"),
    [
        (str(CHECKOUT / "train.py"), "predict", f"python {CHECKOUT}/predict.py"),
        (str(CHECKOUT / "predict.py"), "show-augmentation", f"python {CHECKOUT}/train.py stage=show_augmentation"),
        ("/usr/bin/instseg", "test", "instseg test"),
        ("/lib/instseg/__main__.py", "test", "python -m instseg test"),
        ("/elsewhere/train.py", "predict", "instseg predict"),
    ],
)
def test_a_command_is_printed_in_the_form_that_was_typed(program, verb, expected, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [program])
    assert typed_command(verb) == expected


@pytest.mark.parametrize("flag", [["--config-dir", "my conf"], ["-cd", "my conf"], ["--config-dir=my conf"]])
def test_a_printed_command_that_composes_a_config_has_the_folder_of_own_configs(flag, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/instseg", "train", *flag, "experiment=first"])
    assert typed_command("train") == "instseg train --config-dir 'my conf'"
    assert typed_command("predict") == "instseg predict --config-dir 'my conf'"
    assert typed_command("compare") == "instseg compare"


def test_what_is_trained_is_reported_on_and_compared_by_verbs(tmp_path):
    places = (f"outputs={tmp_path}/outputs", f"cache_dir={tmp_path}/data")
    small = (*QUICK, "trainer=cpu", "trainer.max_epochs=1", "dataset.num_images={train: 8, val: 2, test: 2}")
    trained = Command(["train", *places, *small], script=INSTSEG).wait()
    assert trained.code == 0, trained.output[-3000:]
    assert f"predict:         python -m instseg predict checkpoint={trained.last_line}" in trained.output
    tested = Command(["report", "checkpoint=latest", *places], script=INSTSEG).wait()
    assert tested.code == 0 and "Average precision on test" in tested.output, tested.output[-3000:]
    assert "2 test images" in (tested.last_line / "report.html").read_text()
    judged = Command(["label-errors", f"checkpoint={trained.last_line}", *places], script=INSTSEG).wait()
    assert judged.code == 0 and "Not judged: the 8 images of train" in judged.output, judged.output[-3000:]
    assert "Judged: the 4 images of val and test." in (judged.last_line / "label_errors.html").read_text()
    compared = Command(["compare", "latest", str(tested.last_line), places[0]], script=INSTSEG).wait()
    assert "2 test images: too few for a comparison" in compared.output
