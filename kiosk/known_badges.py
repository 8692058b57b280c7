"""Which badge number has which reference: what the people tables say, and numbers of unknown badges, in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from kiosk import refs
from kiosk.domain.entries import Entry, TapRefused
from kiosk.store import people


class KnownBadges:
    """Answers for the clerk, on its writing connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._refs = {badge.uid: badge.badge_ref for badge in people.badges(connection)}
        self._strangers: dict[str, str] = {}

    def ref(self, uid: str) -> str:
        """The reference of a badge number; an unknown badge keeps the one it is given first."""
        known = self._refs.get(uid) or self._strangers.get(uid)
        if known is not None:
            return known
        found = people.badge_by_uid(self._connection, uid)
        if found is not None:
            self._refs[uid] = found.badge_ref
            return found.badge_ref
        self._strangers[uid] = refs.new_ref()
        return self._strangers[uid]

    def remember_strangers(self, entries: Iterable[Entry]) -> None:
        """An unknown badge that was refused can be enrolled later: its number is kept beside the ledger."""
        for entry in entries:
            if isinstance(entry.body, TapRefused) and entry.body.reason == "unknown_badge" and entry.body.badge_ref:
                for uid, badge_ref in list(self._strangers.items()):
                    if badge_ref == entry.body.badge_ref:
                        people.insert_badge(self._connection, badge_ref, uid, None)
                        self._refs[uid] = badge_ref
                self._strangers.clear()

    def forget(self, uids: Iterable[str]) -> None:
        """Nobody is to know any more whose these numbers were: the next tap is an unknown badge's."""
        for uid in uids:
            self._refs.pop(uid, None)
