"""What waits for a receipt is what was released and has none, in whatever order both come."""

from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiosk.store import outbox
from kiosk.store.schema import open_writer, write

STEP = st.tuples(st.sampled_from(["released", "receipted", "forgotten"]), st.sampled_from("ab"), st.integers(0, 5))


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=25))
def test_what_waits_is_what_was_released_and_has_no_receipt(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int]]
) -> None:
    with closing(open_writer(tmp_path_factory.mktemp("waiting") / "kiosk.db")) as connection:
        released: dict[int, str] = {}
        receipted: set[tuple[str, int]] = set()
        for what, enterprise, seq in steps:
            with write(connection):
                if what == "released":
                    outbox.put(connection, seq, enterprise, "p", None)
                    released[seq] = enterprise
                elif what == "receipted":
                    outbox.receipt(connection, enterprise, [seq], "msg", 1)
                    receipted.add((enterprise, seq))
                else:  # as a rebuild does
                    connection.execute("DELETE FROM outbox")
                    released = {}
            wanted = sorted((each, seq) for seq, each in released.items() if (each, seq) not in receipted)
            for name in "ab":
                mine = [seq for each, seq in wanted if each == name]
                assert [row.seq for row in outbox.pending(connection, name, 99, 99)] == mine
                assert outbox.oldest_waiting(connection, name) == (mine[0] if mine else None)
            told = {each.enterprise: each for each in outbox.counts(connection)}
            assert sorted(told) == sorted(set(released.values()))
            for name, count in told.items():
                mine = [seq for each, seq in wanted if each == name]
                assert (count.pending, count.oldest_pending) == (len(mine), mine[0] if mine else None)
                assert count.released == list(released.values()).count(name)
