"""Checkpoint files are whole or absent, verified when they are read, and say what is wrong with them."""

from __future__ import annotations

import contextlib
import pickle
import random
import resource
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from reading import mutated_bytes

from instseg.checkpoints.description import FORMAT
from instseg.checkpoints.files import (
    AtomicCheckpointIO,
    DamagedCheckpointError,
    DiskFullError,
    load_checkpoint,
)
from instseg.core.errors import InstsegError


def checkpoint(value: float = 1.0, size: int = 40_000) -> dict:
    return {"instseg": {"format": FORMAT, "version": "0.1.0"}, "state_dict": {"weight": torch.full((size,), value)}}


def value_of(path: Path) -> float:
    return load_checkpoint(path)["state_dict"]["weight"][0].item()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextlib.contextmanager
def files_limited_to(num_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    AtomicCheckpointIO().save_checkpoint(checkpoint(3.0), tmp_path / "best.ckpt")
    assert value_of(tmp_path / "best.ckpt") == 3.0
    assert names(tmp_path) == ["best.ckpt"]


def test_of_the_last_checkpoint_the_one_before_is_kept(tmp_path):
    io = AtomicCheckpointIO()
    for value in (1.0, 2.0, 3.0):
        io.save_checkpoint(checkpoint(value), tmp_path / "last.ckpt")
        io.save_checkpoint(checkpoint(value), tmp_path / "best.ckpt")
    assert names(tmp_path) == ["best.ckpt", "last.ckpt", "previous.ckpt"]
    assert (value_of(tmp_path / "last.ckpt"), value_of(tmp_path / "previous.ckpt")) == (3.0, 2.0)


def test_a_damaged_last_checkpoint_never_takes_the_place_of_the_good_one_before_it(tmp_path):
    io = AtomicCheckpointIO()
    for value in (1.0, 2.0):
        io.save_checkpoint(checkpoint(value), tmp_path / "last.ckpt")
    (tmp_path / "last.ckpt").write_bytes(b"damaged")
    after_restart = AtomicCheckpointIO()
    after_restart.load_checkpoint(tmp_path / "previous.ckpt")
    after_restart.save_checkpoint(checkpoint(3.0), tmp_path / "last.ckpt")
    assert (value_of(tmp_path / "last.ckpt"), value_of(tmp_path / "previous.ckpt")) == (3.0, 1.0)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_cut_off_checkpoint_is_named_with_what_was_expected_and_found(tmp_path, share):
    path = tmp_path / "cut.ckpt"
    AtomicCheckpointIO().save_checkpoint(checkpoint(), path)
    size = int(path.stat().st_size * share)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DamagedCheckpointError, match=rf"cut\.ckpt is damaged: expected .*, got {size} bytes"):
        load_checkpoint(path)


def test_one_flipped_bit_of_a_weight_is_found_though_torch_reads_it_without_a_word(tmp_path):
    path = tmp_path / "flipped.ckpt"
    AtomicCheckpointIO().save_checkpoint(checkpoint(), path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert not torch.equal(torch.load(path, weights_only=True)["state_dict"]["weight"], torch.ones(40_000))
    with pytest.raises(
        DamagedCheckpointError, match=r"record \S+data/0: expected checksum [0-9a-f]{8}, got [0-9a-f]{8}"
    ):
        load_checkpoint(path)


def test_any_zip_tool_can_verify_a_checkpoint(tmp_path):
    AtomicCheckpointIO().save_checkpoint(checkpoint(), tmp_path / "best.ckpt")
    with zipfile.ZipFile(tmp_path / "best.ckpt") as archive:
        assert archive.testzip() is None


def test_a_disk_that_is_too_full_is_noticed_before_anything_is_written(tmp_path, monkeypatch):
    path, io = tmp_path / "run/checkpoints/last.ckpt", AtomicCheckpointIO()
    io.save_checkpoint(checkpoint(1.0), path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    monkeypatch.setattr(torch, "save", lambda *_: pytest.fail("it was written to"))
    with pytest.raises(DiskFullError, match=r"disk is full: 17 MB are needed, 0 MB are free.*resume=\S+/run"):
        io.save_checkpoint(checkpoint(2.0), path)
    assert value_of(path) == 1.0


def test_a_disk_that_fills_up_while_a_checkpoint_is_written_harms_nothing(tmp_path):
    path, io = tmp_path / "run/checkpoints/last.ckpt", AtomicCheckpointIO()
    io.save_checkpoint(checkpoint(1.0), path)
    with files_limited_to(100_000), pytest.raises(DiskFullError, match=r"make room, then type resume=\S+/run$"):
        io.save_checkpoint(checkpoint(2.0), path)
    assert value_of(path) == 1.0
    assert names(path.parent) == ["last.ckpt"]
    io.save_checkpoint(checkpoint(3.0), path)
    assert value_of(path) == 3.0


def test_what_is_no_checkpoint_of_ours_is_refused_with_the_way_out(tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "plain.pth")
    with pytest.raises(InstsegError, match=r"no checkpoint of instseg.*model\.weights="):
        load_checkpoint(tmp_path / "plain.pth")
    with pytest.raises(InstsegError, match="no such file"):
        load_checkpoint(tmp_path / "nothing.ckpt")


def test_a_checkpoint_of_a_later_version_asks_for_an_update(tmp_path):
    torch.save({"instseg": {"format": FORMAT + 1, "version": "99.0"}}, tmp_path / "later.ckpt")
    with pytest.raises(InstsegError, match=rf"written by instseg 99\.0 in format {FORMAT + 1}.*please update"):
        load_checkpoint(tmp_path / "later.ckpt")


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")  # a tensor in the place of a mapping
@pytest.mark.parametrize("entry", [None, 7, [], {}, {"format": "two"}, {"format": 1, "version": 2}, torch.ones(2)])
def test_an_entry_that_is_not_what_every_version_writes_is_refused(tmp_path, entry):
    torch.save({"instseg": entry}, tmp_path / "odd.ckpt")
    with pytest.raises(InstsegError, match=r"odd\.ckpt, entry instseg: .*expected .*; use another"):
        load_checkpoint(tmp_path / "odd.ckpt")


def test_whatever_is_wrong_with_the_bytes_of_a_checkpoint_is_one_kind_of_error(tmp_path, tries):
    path, rng, refused = tmp_path / "small.ckpt", random.Random(0), 0
    AtomicCheckpointIO().save_checkpoint(checkpoint(size=4), path)
    good = path.read_bytes()
    for _ in range(tries // 2):
        path.write_bytes(mutated_bytes(good, rng))
        try:
            load_checkpoint(path, mmap=True)
        except InstsegError:
            refused += 1
    assert refused > 0.25 * tries  # the rest changed what fills the gaps between the records


def test_pickled_code_is_not_run(tmp_path):
    class Code:
        def __reduce__(self):
            return (pytest.fail, ("it was run",))

    torch.save({"instseg": {"format": FORMAT}, "code": Code()}, tmp_path / "code.ckpt")
    with pytest.raises(InstsegError, match=r"refused, as it holds code, _pytest\.\S+, which is never run"):
        load_checkpoint(tmp_path / "code.ckpt")


def test_a_bare_pickle_is_called_so_and_neither_run_nor_called_damaged(tmp_path):
    (tmp_path / "x.ckpt").write_bytes(pickle.dumps({"state_dict": Path}))
    with pytest.raises(InstsegError, match=r"x\.ckpt: expected a checkpoint of instseg, found a pickle, .* never run"):
        load_checkpoint(tmp_path / "x.ckpt")


@pytest.mark.parametrize(
    "pickled",
    [b".", b"\x80\x02R.", b"\x80\x02}]K\x01s.", b"\x80\x02K\x01Q.", b"\x80\x02ccollections\nOrderedDict\n)RK\x01b."],
    ids=["nothing", "a call of nothing", "a list as a key", "no storage", "a state that is a number"],
)
def test_a_pickle_of_another_hand_with_right_checksums_is_one_kind_of_error(tmp_path, pickled):
    path, changed = tmp_path / "whole.ckpt", tmp_path / "changed.ckpt"
    torch.save({"instseg": {"format": FORMAT}}, path)
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(changed, "w") as archive:
        for name in whole.namelist():
            archive.writestr(name, pickled if name.endswith("data.pkl") else whole.read(name))
    with pytest.raises(DamagedCheckpointError, match=r"changed\.ckpt .* cannot be read"):
        load_checkpoint(changed)
