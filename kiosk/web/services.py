"""What the web is given: everything it may know and do, so that it reaches for nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kiosk.commands import Command, Done
from kiosk.roll_call import RollCalls
from kiosk.web.certificates import Certificate
from kiosk.web.pairings import Pairings
from kiosk.web.visits import Visits
from lab_config.model import Lab


@dataclass(frozen=True)
class ReaderStatus:
    """One badge reader as its link sees it."""

    connected: bool
    """Is the port open and read right now?"""
    detail: str = ""
    """Why not, or what seems wrong with its line, in words for the log and `/health`."""
    frames: int = 0
    """Whole, checked frames with a badge in them, since the start."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """What was rejected since the start, by reason."""


@dataclass(frozen=True)
class SourceStatus:
    """One machine's source of states as the link to the broker sees it."""

    period_ms: int | None = None
    """The longest silence that is usual for it, measured; `None` until it was."""
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """Messages since the start: `reported`, `gone`, `ignored`, `rejected`, `unmapped`."""
    unmapped: str = ""
    """The last value that no table lists."""


@dataclass(frozen=True)
class KioskStatus:
    """How the kiosk itself is doing: no history, no people."""

    recording: bool
    reason: str = ""
    """Why nothing is recorded: a code of `phrases.NOT_RECORDING` or a sentence; empty while recording."""
    broker: bool | None = None
    """Is the MQTT broker connected? `None` where the lab has none."""
    broker_detail: str = ""
    """What is wrong with that link, in words for `/health`."""
    panel_detail: str = ""
    """Why lamps or relays do nothing, in words for `/health`."""
    readers: Mapping[str, ReaderStatus] = field(default_factory=dict)
    machines_heard: Mapping[str, int | None] = field(default_factory=dict)
    """When each machine was last heard, UTC ms of the domain's clock."""
    sources: Mapping[str, SourceStatus] = field(default_factory=dict)
    """By machine; a machine without a source is not in it."""
    counters: Mapping[str, int] = field(default_factory=dict)
    """Counts for `/metrics`, by name (`taps_total`, `frames_rejected_total`); never anything about a person."""
    clock_synced: bool = True


@dataclass(frozen=True)
class Services:
    """Handed to both apps and to the feed by whoever assembles the kiosk."""

    lab: Lab
    database: Path
    """Each request opens its own read-only connection to it."""
    submit: Callable[[Command], Done]
    """The clerk's answer; raises `kiosk.commands.CommandRefused`."""
    wall_ms: Callable[[], int]
    """The domain's clock (scaled in the demo), for times that are shown."""
    status: Callable[[], KioskStatus]
    secret_key: bytes = field(repr=False)
    simulate_tap: Callable[[str, str], None] | None = None
    """(reader, badge): puts a badge on a virtual reader's line; `LookupError` for an unknown reader. Only the demo."""
    visits: Visits = field(default_factory=Visits, repr=False)
    """Who stands at which reader: begun by the feed, used by the kiosk's pages."""
    pairings: Pairings = field(default_factory=Pairings, repr=False)
    """Screens that wait to be let in: they ask on the kiosk's listener, an instructor confirms on the staff side."""
    roll_calls: RollCalls = field(default_factory=RollCalls, repr=False)
    """Which readers a briefing is being held at."""
    certificate: Certificate | None = None
    """What the staff side shows to browsers; `None` where it listens without TLS."""
