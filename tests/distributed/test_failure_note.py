"""Why a command failed is noted for the process that started it, and read typed."""

from __future__ import annotations

import pytest
from mutating import read_damaged_files

from instseg.core.errors import InstsegError
from instseg.distributed.failure_note import NOTE_VARIABLE, note_failure, read_failure_note


@pytest.fixture
def note(tmp_path, monkeypatch):
    monkeypatch.setenv(NOTE_VARIABLE, str(tmp_path / "note.json"))
    return tmp_path / "note.json"


def test_a_failure_is_read_as_it_was_noted(note):
    note_failure("Pruned", "others are better", 0.25)
    read = read_failure_note(note)
    assert (read.kind, read.message, read.value) == ("Pruned", "others are better", 0.25)


def test_a_command_that_nobody_waits_for_leaves_no_note(note, monkeypatch):
    monkeypatch.delenv(NOTE_VARIABLE)
    note_failure("OutOfMemoryError", "too much")
    assert not note.exists()


def test_a_message_with_a_file_name_that_is_not_utf_8_is_noted(note):
    note_failure("InstsegError", "gr\udcfcn.jpg: no such file")  # as Python reads the byte FC
    assert read_failure_note(note).message == r"gr\udcfcn.jpg: no such file"


def test_a_kind_that_is_no_name_of_a_class_is_refused(note):
    note.write_text('{"kind": "os.system(1)", "message": ""}')
    with pytest.raises(InstsegError, match=r"note\.json: field kind: .*the log of the job says more"):
        read_failure_note(note)


def test_whatever_is_wrong_with_a_note_is_one_kind_of_error(note, tries):
    note_failure("OutOfMemoryError", "too much", 0.5)
    tried, refused = read_damaged_files(note, lambda: type(read_failure_note(note).kind, (RuntimeError,), {}), tries)
    assert tried > tries and refused > 0.5 * tried
