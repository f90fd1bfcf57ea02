"""What is said while libraries are loaded."""

import io

import pytest

from instseg.app.commands import saying_that_it_loads


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_says_that_libraries_are_loaded_until_they_are_or_fail_to(monkeypatch):
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with pytest.raises(KeyboardInterrupt), saying_that_it_loads():
        assert terminal.getvalue() == "loading …"
        raise KeyboardInterrupt
    assert terminal.getvalue().endswith("\r\x1b[K")  # the line is empty again


def test_a_file_of_messages_does_not_say_it(capsys):
    with saying_that_it_loads():
        pass
    assert capsys.readouterr().err == ""
