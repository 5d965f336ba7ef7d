"""The ladder is drawn in straight columns, whoever speaks to whom."""

import pytest

from ops.demo.ladder import GAP, Ladder, arrow, rails


@pytest.mark.parametrize(("source", "destination"), [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)])
def test_an_arrow_keeps_every_other_column_in_place(source: int, destination: int) -> None:
    line = arrow(source, destination, 3, "INVITE")
    assert len(line) == len(rails(3))
    assert "INVITE" in line
    left, right = sorted((source, destination))
    for column in range(3):
        if not left <= column <= right:
            assert line[column * GAP] == "│"
    assert ("►" in line) == (destination > source)
    assert ("◄" in line) == (destination < source)


def test_a_long_label_is_cut() -> None:
    assert len(arrow(0, 1, 2, "x" * 100)) == len(rails(2))


def test_lines_carry_the_time_since_the_beginning() -> None:
    now = 100.0
    lines: list[str] = []
    ladder = Ladder(("alice", "node", "bob"), lines.append, lambda: now)
    ladder.begin("A call.")
    now += 0.0123
    ladder.arrow("alice", "node", "INVITE")
    ladder.note("bob", "gone")
    ladder.note("alice", "calls")
    title, _, heads = lines[0].strip("\n").split("\n")
    assert (title, heads.split()) == ("A call.", ["alice", "node", "bob"])
    assert lines[1].startswith("   12.3 ms  ├──")
    assert lines[2].endswith("gone ×")
    assert lines[3].startswith("   12.3 ms  × calls")
