"""Unknown badges that were refused at the readers lately, so that one can be enrolled by a touch.

In memory only, and by reference: a badge's number stays beside the ledger, in the clerk's hands.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from kiosk.domain.entries import At, Entry, TapRefused

SEEN_MS = 10 * 60_000
"""How long after its last tap a badge can be enrolled at that reader, within the boot that saw it."""
BADGES_MAX = 64
TAPS_MAX = 64


@dataclass(frozen=True)
class RefusedTap:
    """A refused tap of an unknown badge."""

    seq: int
    reader: str
    machine: str | None
    at: At


@dataclass
class SeenBadges:
    """What was refused since the start: the last unknown badge of each reader, and the refused taps of each badge."""

    _last: dict[str, tuple[str, At]] = field(default_factory=dict)
    _taps: OrderedDict[str, list[RefusedTap]] = field(default_factory=OrderedDict)

    def note(self, entry: Entry) -> None:
        """Look at an entry that was just made."""
        body = entry.body
        if not isinstance(body, TapRefused) or body.reason != "unknown_badge" or body.badge_ref is None:
            return
        self._last[body.reader] = (body.badge_ref, body.at)
        taps = self._taps.setdefault(body.badge_ref, [])
        taps.append(RefusedTap(entry.seq, body.reader, body.machine, body.at))
        del taps[:-TAPS_MAX]
        self._taps.move_to_end(body.badge_ref)
        while len(self._taps) > BADGES_MAX:
            self._taps.popitem(last=False)

    def at(self, reader: str, now: At) -> str | None:
        """The reference of the badge seen last at a reader, if that was within `SEEN_MS`."""
        badge_ref, seen = self._last.get(reader, ("", now))
        fresh = seen.boot == now.boot and now.boot_ms - seen.boot_ms < SEEN_MS
        return badge_ref if badge_ref and fresh else None

    def forget(self, badge_ref: str) -> tuple[RefusedTap, ...]:
        """The badge is somebody's now: its refused taps, oldest first, for the last time."""
        for reader in [reader for reader, (seen, _) in self._last.items() if seen == badge_ref]:
            del self._last[reader]
        return tuple(self._taps.pop(badge_ref, ()))
