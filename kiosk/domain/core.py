"""`decide` and `evolve` in step: what live recording and `replay` both run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kiosk.domain.decide import decide
from kiosk.domain.entries import Entry, Stamp
from kiosk.domain.observations import Observation
from kiosk.domain.sessions import evolve
from kiosk.domain.state import State
from kiosk.domain.watch import Watch


class Core:
    """A ledger's state and the memory of what was last heard.

    `nonce` gives each entry its random salt; it is handed in because the domain knows no randomness.
    """

    def __init__(self, nonce: Callable[[], str]) -> None:
        self.state = State()
        self.watch = Watch()
        self._nonce = nonce

    def hear(self, stamp: Stamp, heard: Observation) -> Iterator[Entry]:
        """The entries an observation makes, each already folded into the state when it is handed out."""
        for body in decide(self.state, self.watch, stamp, heard):
            entry = Entry(self.state.size, stamp, self._nonce(), body)
            evolve(self.state, entry)
            yield entry
