"""How often one reader may say the same, so that none can fill the inbox that all of them share."""

from __future__ import annotations

BADGE_EVERY_S, BADGE_AT_ONCE = 0.1, 20
"""A tap, even one of a second, passes whole; of a card that stays, ten sights a second. That is enough for every rule
of hours.md, section 3: two equal frames within 500 ms, and a last sight that is at most 0.1 s of 3 s too old."""
READER_EVERY_S, READER_AT_ONCE = 0.02, 100
"""Fifty sights a second of all badges together: more than people can cause, a twentieth of what the inbox holds."""
KEPT = 256


class Thinning:
    """Two buckets that refill with time, one a badge and one for the reader. Times are seconds of any one clock."""

    def __init__(self) -> None:
        self._badges_full_at_s: dict[str, float] = {}
        self._reader_full_at_s = float("-inf")

    def passes(self, uid: str, now_s: float) -> bool:
        """Is this sight to be delivered? Those that are not leave no trace."""
        badge_s = max(self._badges_full_at_s.get(uid, now_s), now_s)
        reader_s = max(self._reader_full_at_s, now_s)
        if badge_s - now_s > BADGE_EVERY_S * (BADGE_AT_ONCE - 1):
            return False
        if reader_s - now_s > READER_EVERY_S * (READER_AT_ONCE - 1):
            return False
        if len(self._badges_full_at_s) >= KEPT:
            # A bucket that is full again is as good as none; the reader's own bucket keeps the others few.
            self._badges_full_at_s = {each: at_s for each, at_s in self._badges_full_at_s.items() if at_s > now_s}
        self._badges_full_at_s[uid] = badge_s + BADGE_EVERY_S
        self._reader_full_at_s = reader_s + READER_EVERY_S
        return True
