"""``instseg init``: what it writes composes, trains and explains itself."""

import pytest
import yaml
from factories import write_coco_folder
from typed_commands import QUICK, Command

from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.init import FORMATS, init
from instseg.core.errors import InstsegError
from instseg.data.formats import auto

INSTSEG = "src/instseg/__main__.py"


def test_a_new_project_trains_with_the_command_that_its_readme_names(tmp_path):
    labels = tmp_path / "my labels"
    write_coco_folder(labels, {"train": 8, "val": 2})
    project = tmp_path / "project"
    init([str(project), f"root={labels}"])
    assert "instseg train --config-dir conf experiment=first" in (project / "README.md").read_text()
    places = (f"outputs={project}/outputs", f"cache_dir={project}/data")
    quick = [setting for setting in QUICK if not setting.startswith("dataset.")]
    small = (*quick, "model=small", "trainer=cpu", "trainer.max_epochs=1", "audit.accept=[leak_identical]")
    chosen = ("--config-dir", f"{project}/conf", "experiment=first")
    done = Command(["train", *chosen, *places, *small], script=INSTSEG).wait()
    assert done.code == 0, done.output[-3000:]
    assert done.last_line.parent == project / "outputs" / "my_data_small"


def test_without_a_root_the_first_training_asks_for_it(tmp_path):
    init([str(tmp_path / "project"), "format=yolo"])
    done = Command(["train", "--config-dir", f"{tmp_path}/project/conf", "dataset=my_data"], script=INSTSEG).wait()
    assert done.code == 1 and "a value is needed for dataset.root" in done.output


def test_a_root_is_written_as_a_path_whatever_its_name(tmp_path):
    odd = tmp_path / '{my} "data": #1'
    odd.mkdir()
    init([str(tmp_path / "project"), f"root={odd}"])
    assert yaml.safe_load((tmp_path / "project/conf/dataset/my_data.yaml").read_text())["root"] == str(odd)


def test_a_root_that_a_config_would_take_for_a_reference_is_refused(tmp_path):
    (tmp_path / "a${b}").mkdir()
    with pytest.raises(InstsegError, match="no name may hold it: rename it"):
        init([str(tmp_path / "project"), f"root={tmp_path}/a${{b}}"])
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize(("arguments", "message"), [
    (["."], "expected a new or an empty folder"),
    (["new", "root=nowhere"], "root=nowhere: no such folder"),
    (["mine.txt/new"], "mine.txt/new: the project cannot be written there: Not a directory"),
])  # fmt: skip
def test_a_folder_with_files_and_a_root_that_is_not_there_are_refused(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").touch()
    with pytest.raises(InstsegError, match=message):
        init(arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_every_format_that_is_recognised_can_be_chosen():
    assert sorted(FORMATS) == sorted(["auto", *auto.FORMATS])


def test_every_format_is_a_data_set_of_the_configs():
    assert {f"{name}.yaml" for name in FORMATS} <= {path.name for path in (CONFIG_DIR / "dataset").iterdir()}
