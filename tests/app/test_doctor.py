"""``instseg doctor``: each check says what it found, and what to do where something is wrong."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from instseg.app import doctor_checks
from instseg.app.doctor import doctor, print_checks
from instseg.app.doctor_checks import Check, check_disk, check_folder, check_memory, check_weights


def test_this_machine_passes_and_every_row_fits_a_narrow_screen(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(doctor_checks, "WEIGHTS_URL", "http://127.0.0.1:9/none")
    with pytest.raises(SystemExit) as end:
        doctor([f"outputs={tmp_path}/outputs", f"cache_dir={tmp_path}/data"])
    printed = capsys.readouterr().out
    assert end.value.code == 0 and "Ready: instseg train trains on generated shapes" in printed
    assert all(word in printed for word in ("torchvision", "devices", "32-true", "free memory", "free disk"))
    assert max(map(len, printed.splitlines())) <= 80
    assert not list(tmp_path.iterdir()), "a check leaves nothing behind"


def test_what_prevents_a_training_is_named_and_ends_with_code_1(capsys):
    checks = [Check("free disk", "0.1 GiB", "free some space", True), Check("download", "offline", "copy the files")]
    assert print_checks(checks, Console(width=80)) == 1
    assert "Nothing can be trained here yet: free disk" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_into_is_said_with_the_setting_that_names_another(tmp_path):
    (tmp_path / "file").touch()
    check = check_folder("outputs", tmp_path / "file" / "outputs")
    assert check.prevents_training and "not writable" in check.found and check.remedy == "outputs=ANOTHER_FOLDER"
    assert check_folder("weights", tmp_path / "file").remedy.startswith("set the variable TORCH_HOME")
    assert check_folder("cache_dir", tmp_path / "new" / "data") == Check("cache_dir", f"{tmp_path}/new/data: writable")


def test_without_a_network_the_weights_that_are_here_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor_checks, "WEIGHTS_URL", "http://127.0.0.1:9/none")
    (tmp_path / "resnet18.pth").touch()
    check = check_weights(tmp_path)
    assert "no weights can be downloaded" in check.found and "1 file (resnet18.pth) in the cache" in check.found
    assert not check.prevents_training and "model.weights=none" in check.remedy


@pytest.mark.parametrize(("free_gib", "remedy", "prevents"), [(20, False, False), (3, True, False), (0.1, True, True)])
def test_little_space_has_a_remedy_and_none_prevents_a_training(free_gib, remedy, prevents, tmp_path, monkeypatch):
    usage = SimpleNamespace(free=int(free_gib * 2**30))
    monkeypatch.setattr(doctor_checks.shutil, "disk_usage", lambda place: usage)
    check = check_disk(tmp_path / "outputs")
    assert (bool(check.remedy), check.prevents_training) == (remedy, prevents)


def test_memory_is_free_or_not_known():
    assert "GiB" in check_memory().found or not Path("/proc/meminfo").exists()
