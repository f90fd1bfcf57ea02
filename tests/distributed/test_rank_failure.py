"""A rank that ends for a reason, or without a word, ends the others; one that is done does not."""

import queue
import socket
from types import SimpleNamespace

import pytest

from instseg.distributed.interruption import InterruptedTogether, TerminatedTogether
from instseg.distributed.rank_failure import FirstRank, OtherRank, RankWatch


class Group:
    """A first rank and two others in one process; the messages that end each of them lie in its queue."""

    def __init__(self) -> None:
        self.ended_by = [queue.Queue() for _ in range(3)]
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        stranger = socket.create_connection(("127.0.0.1", port))
        stranger.sendall(b"GET / HTTP/1.1\n")
        self.others = [OtherRank("127.0.0.1", port, "token", rank, self._end(rank)) for rank in (1, 2)]
        self.first = FirstRank(listener, 3, "token", self._end(0))

    def _end(self, rank: int):
        return lambda message, is_reported: self.ended_by[rank].put((message, is_reported))

    def hears(self, rank: int) -> tuple[str, bool]:
        return self.ended_by[rank].get(timeout=120)


@pytest.fixture
def group():
    return Group()


def test_a_rank_that_fails_ends_all_others_with_its_reason(group):
    group.others[0].leave("NonFiniteLossError: the loss is not finite\nat step 3")
    for rank, is_reported in ((0, False), (2, True)):  # the first rank reports it
        message, was_reported = group.hears(rank)
        assert "rank 1" in message and "NonFiniteLossError: the loss is not finite at step 3" in message
        assert was_reported == is_reported
    assert group.ended_by[1].empty()


def test_a_rank_that_is_killed_is_named(group):
    group.others[1].connection.shutdown(socket.SHUT_RDWR)  # as the system does it
    assert "rank 2 (" in group.hears(0)[0]
    assert "killed" in group.hears(1)[0]


def test_the_death_of_the_first_rank_is_noticed_by_all(group, monkeypatch):
    monkeypatch.setattr(group.first, "_announce", lambda message: None)  # the dead say nothing
    for connection in group.first.names:
        connection.shutdown(socket.SHUT_RDWR)
    for rank in (1, 2):
        assert group.hears(rank) == ("rank 0 has ended: killed, or by an error of its own", False)


def test_the_reason_of_the_first_rank_reaches_all(group):
    group.first.leave("ValueError: no")
    for rank in (1, 2):
        message, is_reported = group.hears(rank)
        assert is_reported and "rank 0" in message and "ValueError: no" in message


def test_ranks_that_are_done_may_go_one_by_one(group):
    group.others[0].leave(None)
    group.others[0].connection.close()
    group.others[1].leave("ValueError: late")  # heard after the good end of the other
    assert "rank 2" in group.hears(0)[0]
    assert group.ended_by[1].empty()


@pytest.mark.parametrize(("exception", "reason"), [
    (KeyboardInterrupt(), "KeyboardInterrupt"), (SystemExit(143), "SystemExit: 143"),
    (InterruptedTogether(), None), (TerminatedTogether(), None), (None, None),
])  # fmt: skip
def test_a_rank_that_is_stopped_alone_does_not_leave_as_if_all_had_agreed(exception, reason):
    reasons = []
    watch = RankWatch()
    watch.member = SimpleNamespace(leave=reasons.append)
    watch.leave(exception)
    assert reasons == [reason]
