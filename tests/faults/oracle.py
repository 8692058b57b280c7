"""The judge of a storm: what was shown is kept, what is kept was tapped, and nothing twice.

A tap is known by its reader and the stretch of time from the moment its last byte was written to the moment when its
answer had come or the process was dead; a reader has one tap at a time. An entry carries the moment of its arrival.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kiosk import office
from kiosk.office import DATABASE
from kiosk.store.schema import open_reader
from kiosk.store.verify import verify


@dataclass
class Tap:
    """One badge at one reader."""

    reader: str
    uid: str
    sent_ms: int
    over_ms: int = -1
    """When its answer had been shown, or the process was dead."""
    answered: bool | None = None
    """None: the process was killed while some taps were in flight; the stream says which of them were answered."""
    entry: int | None = None


@dataclass
class LifeStory:
    """What was done to one process and what it showed."""

    taps: list[Tap] = field(default_factory=list)
    shown: Sequence[int] = ()
    seen: dict[int, bytes] = field(default_factory=dict)
    """Entries that another connection read while the process lived."""


def is_answer(entry: Mapping[str, Any]) -> bool:
    """Is it the entry by which a tap is answered? Each tap of the storm has exactly one such."""
    if entry["type"] == "session_closed":
        return bool(entry["reason"] == "tap_out")
    if entry["type"] == "tap_refused":
        return bool(entry["count"] == 1)
    return entry["type"] in ("session_opened", "tap_read")


def judge(data: Path, lives: Sequence[LifeStory]) -> list[str]:
    """Every broken promise in a sentence; empty where all were kept. The kiosk must not run."""
    faults: list[str] = []
    with closing(open_reader(data / DATABASE)) as connection:
        faults += [f"verify: {finding.message}" for finding in verify(connection)]
        stored = [bytes(row[0]) for row in connection.execute("SELECT bytes FROM ledger ORDER BY seq")]
        of_badge = dict(connection.execute("SELECT badge_ref, uid FROM badges"))
        of_person = dict(connection.execute("SELECT person_ref, uid FROM badges"))
    entries = [json.loads(each) for each in stored]
    taps = sorted((tap for life in lives for tap in life.taps), key=lambda tap: tap.sent_ms)
    for entry in entries:
        if is_answer(entry):
            uid = of_badge[entry["badge_ref"]] if "badge_ref" in entry else of_person[entry["person_ref"]]
            faults += _assign(entry, uid, taps)
    for number, life in enumerate(lives):
        faults += [f"life {number}: {fault}" for fault in _kept(life, stored)]
    if not office.rebuild(data).same:
        faults.append("rebuild: the rows of the screens are not what the ledger says")
    return faults


def _assign(entry: Mapping[str, Any], uid: str, taps: Sequence[Tap]) -> list[str]:
    at_ms = entry["stamp"]["boot_ms"]
    what = f"entry {entry['seq']} ({entry['type']}) of {entry['reader']} at {at_ms}"
    mine = [tap for tap in taps if tap.reader == entry["reader"] and tap.sent_ms <= at_ms <= tap.over_ms]
    if not mine:
        return [f"invented: {what} answers no tap that was made"]
    if mine[0].uid != uid:
        return [f"wrong person: {what} is about {uid}, but {mine[0].uid} was tapped"]
    if mine[0].entry is not None:
        return [f"doubled: {what} answers the tap that entry {mine[0].entry} answers"]
    mine[0].entry = entry["seq"]
    return []


def _kept(life: LifeStory, stored: Sequence[bytes]) -> list[str]:
    faults = []
    of_taps = {tap.entry for tap in life.taps if tap.entry is not None}
    for seq in life.shown:
        if seq not in of_taps:
            faults.append(
                f"lost or changed: the answer of entry {seq} was shown, but no tap of this life is entered so"
            )
    if len(set(life.shown)) != len(life.shown):
        faults.append("an answer was shown twice")
    for tap in life.taps:
        if tap.answered and tap.entry is None:
            faults.append(f"lost: the tap of {tap.uid} at {tap.reader}, {tap.sent_ms}, was answered and is not entered")
    for seq, data in life.seen.items():
        if seq >= len(stored) or stored[seq] != data:
            faults.append(f"lost or changed: another connection had read entry {seq}")
    return faults
