"""A rank that ends for a reason, or without a word, ends the others; one that is done does not."""

import queue
import socket
from types import SimpleNamespace

import pytest

from instseg.distributed import rank_failure as rank_watch
from instseg.distributed.interruption import InterruptedTogether, TerminatedTogether
from instseg.distributed.rank_failure import Hub, RankWatch, Spoke


class Group:
    """A first rank and two others in one process; what each of them is told lies in its queue."""

    def __init__(self) -> None:
        self.told = [queue.Queue() for _ in range(3)]
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        stranger = socket.create_connection(("127.0.0.1", port))
        stranger.sendall(b"GET / HTTP/1.1\n")
        self.spokes = [Spoke("127.0.0.1", port, "token", rank, self._die(rank)) for rank in (1, 2)]
        self.hub = Hub(listener, 3, "token", self._die(0))

    def _die(self, rank: int):
        return lambda message, is_said: self.told[rank].put((message, is_said))

    def hears(self, rank: int) -> tuple[str, bool]:
        return self.told[rank].get(timeout=10)


@pytest.fixture
def group():
    return Group()


def test_a_rank_that_fails_ends_all_others_with_its_reason(group):
    group.spokes[0].leave("NonFiniteLossError: the loss is not finite\nat step 3")
    for rank, is_said in ((0, False), (2, True)):  # the first rank says it
        message, was_said = group.hears(rank)
        assert "rank 1" in message and "NonFiniteLossError: the loss is not finite at step 3" in message
        assert was_said == is_said
    assert group.told[1].empty()


def test_a_rank_that_is_killed_is_named(group):
    group.spokes[1].connection.shutdown(socket.SHUT_RDWR)  # as the system does it
    assert "rank 2 (" in group.hears(0)[0]
    assert "killed" in group.hears(1)[0]


def test_the_death_of_the_first_rank_is_noticed_by_all(group, monkeypatch):
    monkeypatch.setattr(group.hub, "_tell", lambda message: None)  # the dead say nothing
    for connection in group.hub.names:
        connection.shutdown(socket.SHUT_RDWR)
    for rank in (1, 2):
        assert group.hears(rank) == ("rank 0 has ended: killed, or by an error of its own", False)


def test_the_reason_of_the_first_rank_reaches_all(group):
    group.hub.leave("ValueError: no")
    for rank in (1, 2):
        message, is_said = group.hears(rank)
        assert is_said and "rank 0" in message and "ValueError: no" in message


def test_ranks_that_are_done_may_go_one_by_one(group):
    group.spokes[0].leave(None)
    group.spokes[0].connection.close()
    group.spokes[1].leave("ValueError: late")  # heard after the good end of the other
    assert "rank 2" in group.hears(0)[0]
    assert group.told[1].empty()


@pytest.mark.parametrize(("exception", "reason"), [
    (KeyboardInterrupt(), "KeyboardInterrupt"), (SystemExit(143), "SystemExit: 143"),
    (InterruptedTogether(), None), (TerminatedTogether(), None), (None, None),
])  # fmt: skip
def test_a_rank_that_is_stopped_alone_does_not_leave_as_if_all_had_agreed(exception, reason):
    told = []
    watch = RankWatch()
    watch.member = SimpleNamespace(leave=told.append)
    watch.leave(exception)
    assert told == [reason]


def test_a_failure_is_noted_for_whoever_started_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv(rank_watch.NOTE, str(tmp_path / "note.json"))
    rank_watch.note_failure("OutOfMemoryError", "too much")
    assert "OutOfMemoryError" in (tmp_path / "note.json").read_text()
