"""From stamps and anchors to dated moments (hours, section 8).

A *moment* is a boot and milliseconds within it; nothing else orders events. Two derived views of it:

- the *axis*: one line of milliseconds through all boots, on which durations are measured. Within a boot it is boot
  time; the gap between two boots is the difference of resolved UTC, at least 0.
- *UTC*: a label. It resolves by the last anchor at or before the moment in its boot; before the first, by the first;
  without any anchor, by the wall clock as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from operator import itemgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

from kiosk.domain.entries import At, Stamp

STEP_MS = 500
"""A synchronised clock that differs from the timeline by more than this is anchored again."""
MINUTE_MS = 60_000


class Moment(NamedTuple):
    """A place in history: the number of the boot, and milliseconds of boot time within it.

    A moment that a person stated, which no kiosk saw, lies in no boot: see `stated`.
    """

    boot: int
    ms: int


@dataclass(slots=True)
class Boot:
    """One run between power-on and power-off."""

    id: str
    first_ms: int
    last_ms: int
    """The last sign of life."""
    wall_offset_ms: int
    """Wall clock minus boot time, as the latest stamp showed it."""
    base_ms: int = 0
    """Axis minus boot time."""
    anchors: list[tuple[int, int]] = field(default_factory=list)
    """(boot time, UTC minus boot time), ascending."""

    def offset_ms(self, ms: int) -> int:
        """UTC minus boot time at `ms`."""
        if not self.anchors:
            return self.wall_offset_ms
        chosen = self.anchors[0][1]
        for at, offset in self.anchors:
            if at > ms:
                break
            chosen = offset
        return chosen


_moment = partial(tuple.__new__, Moment)
"""Of a pair; a million of them are made, and a named tuple's own constructor takes three times as long."""
_NO_BOOT = -1
_STATED = Boot("", 0, 0, 0, anchors=[(0, 0)])


def stated(utc_ms: int) -> Moment:
    """The moment that a person stated in UTC; no anchor ever moves it."""
    return Moment(_NO_BOOT, utc_ms)


class Timeline:
    """All boots of one log, in order."""

    def __init__(self, timezone: str = "UTC") -> None:
        self.boots: list[Boot] = []
        self.zone = ZoneInfo(timezone)
        self.version = 0
        """Counts what moves labels or places: boots, anchors, zones."""
        self._numbers: dict[str, int] = {}

    def hear(self, stamp: Stamp) -> Moment:
        """Note a sign of life; the first stamp of an unknown boot begins it."""
        name, boot_ms, wall_ms, _ = stamp
        number = self._numbers.get(name)
        if number is None:
            number = len(self.boots)
            self._numbers[name] = number
            self.boots.append(Boot(name, boot_ms, boot_ms, wall_ms - boot_ms))
            self._rebase(number)
        boot = self.boots[number]
        if boot_ms > boot.last_ms:  # noqa: PLR1730 - a call for each of a million stamps
            boot.last_ms = boot_ms
        return _moment((number, boot_ms))

    def steps(self, moment: Moment, wall_ms: int) -> bool:
        """Is the wall clock at a moment no longer the one that its boot goes by?

        Two clocks that are read one after the other differ by a millisecond now and then: that is no step.
        """
        number, ms = moment
        return not -STEP_MS <= wall_ms - ms - self.boots[number].wall_offset_ms <= STEP_MS

    def set_wall(self, moment: Moment, wall_ms: int) -> None:
        """The moment's boot goes by the wall clock as it is now, as far as nothing better is known."""
        boot = self.boots[moment.boot]
        boot.wall_offset_ms = wall_ms - moment.ms
        self.version += not boot.anchors

    def put_back(self, boots: list[Boot], version: int) -> None:
        """All boots as they once stood, with their places on the axis."""
        self.boots = boots
        self.version = version
        self._numbers = {boot.id: number for number, boot in enumerate(boots)}

    def dated(self, boot: str) -> bool:
        """Has that boot been anchored? `KeyError` for a boot that is not known."""
        return bool(self.boots[self._numbers[boot]].anchors)

    @property
    def boot_ids(self) -> frozenset[str]:
        """The boots that are known."""
        return frozenset(self._numbers)

    def set_zone(self, timezone: str) -> None:
        """The lab's zone, as configured; it moves no moment, only local dates."""
        self.zone = ZoneInfo(timezone)
        self.version += 1

    def anchor(self, at: At, utc_ms: int) -> None:
        """It was `utc_ms` at that moment; everything measured across boots follows."""
        number = self._numbers[at.boot]
        boot = self.boots[number]
        # Of two at one moment the later one holds from there on; what was before the first still goes by the first.
        boot.anchors = sorted([*boot.anchors, (at.boot_ms, utc_ms - at.boot_ms)], key=itemgetter(0))
        self._rebase(number)

    def alive_until(self, at: At) -> None:
        """The last sign of life of an earlier boot, heard of afterwards."""
        number = self._numbers[at.boot]
        self.boots[number].last_ms = max(self.boots[number].last_ms, at.boot_ms)

    def _rebase(self, first: int) -> None:
        self.version += 1
        for number in range(first, len(self.boots)):
            boot = self.boots[number]
            if number == 0:
                boot.base_ms = boot.offset_ms(boot.first_ms)
                continue
            before = self.boots[number - 1]
            gap = boot.first_ms + boot.offset_ms(boot.first_ms) - before.last_ms - before.offset_ms(before.last_ms)
            boot.base_ms = before.base_ms + before.last_ms + max(0, gap) - boot.first_ms

    def moment(self, at: At) -> Moment:
        """The moment of an entry's `at`."""
        name, ms = at
        return _moment((self._numbers[name], ms))

    def at(self, moment: Moment) -> At:
        """What an entry writes for a moment."""
        return At(self.boots[moment.boot].id, moment.ms)

    def _boot(self, moment: Moment) -> Boot:
        return _STATED if moment.boot == _NO_BOOT else self.boots[moment.boot]

    def axis(self, moment: Moment) -> int:
        """The moment's place on the axis, in milliseconds; later moments never lie before earlier ones."""
        number, ms = moment
        boot = _STATED if number == _NO_BOOT else self.boots[number]
        place = boot.base_ms + ms
        if ms <= boot.last_ms or not 0 <= number < len(self.boots) - 1:
            return place
        # In a gap that was measured again since: it may have become too short for the moment.
        after = self.boots[number + 1]
        return min(place, after.base_ms + after.first_ms)

    def base_ms(self, start: Moment, end: Moment) -> int | None:
        """Axis minus boot time for all moments from one to another; None unless one boot was alive all the while."""
        boot = self._boot(start)
        return boot.base_ms if start.boot == end.boot and end.ms <= boot.last_ms else None

    def on_axis(self, axis_ms: int) -> Moment:
        """The moment at a place of the axis; a place between two boots belongs to the earlier one."""
        for number in range(len(self.boots) - 1, -1, -1):
            boot = self.boots[number]
            if number == 0 or axis_ms >= boot.base_ms + boot.first_ms:
                return Moment(number, axis_ms - boot.base_ms)
        raise ValueError("no boot has begun")

    def utc_ms(self, moment: Moment) -> int:
        """The moment's UTC label."""
        return moment.ms + self._boot(moment).offset_ms(moment.ms)

    def follows(self, stamp: Stamp) -> bool:
        """Is there nothing to anchor: is the clock not synchronised, or does it show what the timeline says?"""
        now = self.moment(At(stamp.boot, stamp.boot_ms))
        return not stamp.synced or (self.certain(now) and abs(stamp.wall_ms - self.utc_ms(now)) <= STEP_MS)

    def certain(self, moment: Moment) -> bool:
        """Has the moment's boot ever been anchored?"""
        return bool(self._boot(moment).anchors)

    def fits(self, moment: Moment, utc_ms: int, now: Moment) -> bool:
        """May it have been `utc_ms` at a moment of a boot that no clock dated?

        Not before the end of an earlier dated boot, nor after the start of a later one, nor after a dated `now`; to the
        minute, as people tell the time.
        """
        shift_ms = utc_ms - moment.ms
        began_ms = self.boots[moment.boot].first_ms + shift_ms + MINUTE_MS
        ended_ms = self.boots[moment.boot].last_ms + shift_ms - MINUTE_MS
        before = [b.last_ms + b.offset_ms(b.last_ms) for b in self.boots[: moment.boot] if b.anchors]
        after = [b.first_ms + b.offset_ms(b.first_ms) for b in self.boots[moment.boot + 1 :] if b.anchors]
        if began_ms < max(before, default=began_ms) or ended_ms > min(after, default=ended_ms):
            return False
        return not self.certain(now) or utc_ms <= self.utc_ms(now)

    def local(self, moment: Moment) -> datetime:
        """The moment on the lab's clock on the wall."""
        return datetime.fromtimestamp(self.utc_ms(moment) / 1000, UTC).astimezone(self.zone)

    def local_date(self, moment: Moment) -> date:
        """The lab's calendar day of the moment."""
        return self.local(moment).date()

    def next_local_time(self, after: Moment, times: tuple[str, ...]) -> int | None:
        """UTC of the next of the local times `HH:MM` after a moment; a repeated hour has each of them twice."""
        start_ms = self.utc_ms(after)
        day = self.local_date(after)
        candidates = []
        for days in range(3):
            for text in times:
                hour, minute = text.split(":")
                naive = datetime.combine(day + timedelta(days=days), time(int(hour), int(minute)))
                for fold in (0, 1):
                    local = naive.replace(tzinfo=self.zone, fold=fold)
                    exists = local.astimezone(UTC).astimezone(self.zone).replace(tzinfo=None) == naive
                    # A time that a spring day skips is passed when the clock jumps over it: once, not twice.
                    if exists or fold == 0:
                        candidates.append(round(local.timestamp() * 1000))
        return min((c for c in candidates if c > start_ms), default=None)

    def when(self, utc_ms: int, after: Moment) -> int:
        """The first place on the axis, not before `after`, whose UTC label is at or past `utc_ms`."""
        for number in range(after.boot, len(self.boots)):
            boot = self.boots[number]
            last = number == len(self.boots) - 1
            end = None if last else self.boots[number + 1].base_ms + self.boots[number + 1].first_ms - boot.base_ms
            start = after.ms if number == after.boot else boot.first_ms
            stops = [a for a, _ in boot.anchors[1:] if a > start]
            for left, right in zip([start, *stops], [*stops, end], strict=True):
                place = max(left, utc_ms - boot.offset_ms(left))
                if right is None or place < right:
                    return boot.base_ms + place
        raise AssertionError("the last stretch has no end")
