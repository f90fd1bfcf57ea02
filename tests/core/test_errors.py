"""Messages that nobody could read to their end."""

import pickle

from instseg.core.errors import MAX_LINE, InstsegError


def test_of_a_long_line_the_middle_is_left_out_and_the_other_lines_stay():
    said = str(InstsegError(f"labels.json: {'9' * 20_000}: expected a number\nfound {'many words ' * 9}"))
    first, second = said.split("\n")
    assert first.startswith("labels.json: 999") and first.endswith("999: expected a number") and " … " in first
    assert len(first) <= MAX_LINE + 3 and second == f"found {'many words ' * 9}"


def test_a_message_of_another_process_is_the_same():
    error = InstsegError(f"{'9' * 20_000}.zip: damaged")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
