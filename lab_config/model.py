"""The words a workshop is described in: frozen, pure, with every duration already in milliseconds.

`load.py` makes these out of `lab.toml` (contract, section 4); everything else only reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

STATES = ("running", "setup", "idle", "fault", "estop", "maintenance", "off", "unknown")
"""Every machine state there is (hours, section 2)."""

LANGUAGES = ("kk", "ru", "en")

PLACES = ("college", "enterprise")
"""Where practice is done: rules of dual training ask for a share of it at the enterprise."""


@dataclass(frozen=True)
class LocalText:
    """A name shown to people, in the languages it was given in.

    A missing language falls back ru, kk, en, then to any (contract, section 4).
    """

    by_language: Mapping[str, str]

    def in_language(self, language: str) -> str:
        """The text in `language`, or the nearest one there is; empty only where none was given."""
        for candidate in (language, "ru", "kk", "en", *self.by_language):
            if candidate in self.by_language:
                return self.by_language[candidate]
        return ""


@dataclass(frozen=True)
class Rules:
    """The numbers of hours.md; `None` means "never". A machine holds its own resolved copy."""

    debounce_ms: int = 3_000
    no_toggle_ms: int = 10_000
    choice_timeout_ms: int = 15_000
    stale_after_ms: int | None = 120_000
    idle_grace_ms: int = 300_000
    off_grace_ms: int = 120_000
    idle_timeout_ms: int | None = 3_600_000
    max_session_ms: int = 36_000_000
    day_end: tuple[str, ...] = ("23:00",)
    """Local times `HH:MM`; empty means never."""
    resume_within_ms: int = 600_000
    long_session_ms: int = 21_600_000
    counts: tuple[str, ...] = ("running", "setup")
    crew_credit: str = "full"
    """`full` or `split`."""
    minor_week_ms_16: int = 36 * 3_600_000
    """Weekly presence above which a person of 16 or 17 is flagged."""
    minor_week_ms_14: int = 24 * 3_600_000
    minor_night: tuple[str, str] = ("22:00", "06:00")


@dataclass(frozen=True)
class PowerThresholds:
    """How watts become states (hours, section 2, power-derived states)."""

    running_above_w: float
    idle_below_w: float
    off_below_w: float | None = None
    on_delay_ms: int = 0
    off_delay_ms: int = 0


@dataclass(frozen=True)
class StatusSource:
    """Where a machine's state is heard. `options` are the dialect's own, already checked by it."""

    dialect: str
    options: Mapping[str, object]
    """Everything written in `status = {...}` but `dialect`, the thresholds and delays; raw TOML values."""
    power: PowerThresholds | None = None


@dataclass(frozen=True)
class Panel:
    """gpiozero pin numbers, each optional."""

    green: int | None = None
    red: int | None = None
    buzzer: int | None = None
    relay: int | None = None


@dataclass(frozen=True)
class Machine:
    """A machine an apprentice works at, and who may, and how many at once."""

    id: str
    name: LocalText
    machine_class: str | None = None
    crew: int = 1
    when_full: str = "handover"
    """`handover`, `observe` or `refuse`."""
    observers: bool = False
    requires: tuple[str, ...] = ()
    """Qualifications, as `briefing:cnc` or `qualification:cnc_mill`."""
    status: StatusSource | None = None
    rules: Rules = field(default_factory=Rules)
    panel: Panel | None = None
    production_enable: bool = False
    place: str = PLACES[0]
    """One of `PLACES`; the lab's where it says nothing of its own."""


@dataclass(frozen=True)
class Reader:
    """A badge reader on a port; without a machine it is a shared kiosk reader."""

    id: str
    port: str
    protocol: str
    machine: str | None = None
    confirm: int = 1
    transform: str | None = None
    baud: int | None = None
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Screen:
    """A screen and the readers it answers to; empty means all."""

    id: str
    readers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Process:
    """A work process of a programme: where it is done and how much of it is required."""

    id: str
    title: LocalText
    required_ms: int | None = None
    minimum_ms: int | None = None
    maximum_ms: int | None = None
    machines: tuple[str, ...] = ()
    """Machine ids, or `class:<machine class>`."""
    counts: tuple[str, ...] | None = None
    """States that count; `None` takes the rules'."""
    presence_counts: bool = False


@dataclass(frozen=True)
class Qualification:
    """What a machine can require, as people call it: `briefing:cnc` is “CNC machines”."""

    id: str
    name: LocalText


@dataclass(frozen=True)
class Competency:
    """Something an instructor can judge; belongs to a process."""

    id: str
    process: str
    title: LocalText
    level: int = 2
    alignment: str | None = None


@dataclass(frozen=True)
class Programme:
    """What an apprentice is trained for."""

    id: str
    title: LocalText
    code: str | None = None
    classifier: str | None = None
    processes: tuple[Process, ...] = ()
    competencies: tuple[Competency, ...] = ()


@dataclass(frozen=True)
class Enterprise:
    """Who receives records, how, and what evidence it takes."""

    id: str
    name: LocalText
    deliver: str = "webhook"
    """`webhook`, `pull` or `file`."""
    url: str | None = None
    secret_file: str | None = None
    token_file: str | None = None
    release: str = "approved"
    """`approved` or `with-pending`."""
    accepts: tuple[str, ...] = ("badge+machine", "badge", "manual")
    local: bool = False
    """May its address be private, loopback or link-local?"""


@dataclass(frozen=True)
class Web:
    """The two listeners."""

    listen: str = "127.0.0.1:8443"
    kiosk_listen: str = "127.0.0.1:8081"
    public_url: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    panel_pin: bool = True


@dataclass(frozen=True)
class Mqtt:
    """The broker. Secrets are file names."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    version: str = "3.1.1"
    """Of MQTT: `3.1.1` or `5`."""


@dataclass(frozen=True)
class Lab:
    """One workshop, one kiosk, one log."""

    id: str
    name: LocalText
    organisation: LocalText = field(default_factory=lambda: LocalText({}))
    timezone: str = "Asia/Almaty"
    languages: tuple[str, ...] = LANGUAGES
    academic_hour_ms: int = 45 * 60_000
    place: str = PLACES[0]
    """One of `PLACES`: whose workshop this is."""
    enterprise_share: int = 60
    """Per cent of the hours that should be at the enterprise; reports warn of less and stop nobody."""
    demo: bool = False
    """Everything in it is invented, and every page says so."""
    web: Web = field(default_factory=Web)
    mqtt: Mqtt | None = None
    rules: Rules = field(default_factory=Rules)
    screens: tuple[Screen, ...] = ()
    readers: tuple[Reader, ...] = ()
    machines: tuple[Machine, ...] = ()
    qualifications: tuple[Qualification, ...] = ()
    """Those that have a name; any other is shown by its id."""
    programmes: tuple[Programme, ...] = ()
    enterprises: tuple[Enterprise, ...] = ()

    def machine(self, machine_id: str) -> Machine:
        """The machine of that id; `KeyError` where there is none."""
        return {m.id: m for m in self.machines}[machine_id]
