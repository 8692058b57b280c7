"""Builds, starts, watches and stops everything of one kiosk. The only place where the parts meet."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from firmware_bridge import registry
from firmware_bridge.mqtt_client import Broker, Presence
from firmware_bridge.mqtt_link import MqttLink
from firmware_bridge.observations import BadgeSeen, Observation, ReaderChanged
from firmware_bridge.probe.rhythm import Rhythms
from firmware_bridge.serial_link import SerialLink
from kiosk.clerk import Clerk
from kiosk.clock import Clock, SystemClock
from kiosk.commands import Command, Done
from kiosk.control import ControlServer
from kiosk.disclosure import Disclosure
from kiosk.domain.entries import Entry
from kiosk.inbox import Inbox
from kiosk.inspector import Inspector
from kiosk.office import CONTROL_SOCKET, DATABASE
from kiosk.refs import new_token
from kiosk.roll_call import RollCalls
from kiosk.store.faults import disk_fault
from kiosk.store.files import keep_file
from kiosk.store.quarantine import put_aside
from kiosk.voice import Voice
from lab_config.model import Lab, Mqtt

if TYPE_CHECKING:
    from kiosk.web.certificates import Certificate
    from kiosk.web.feed import Feed
    from kiosk.web.jobs import Jobs
    from kiosk.web.server import Server
    from kiosk.web.services import KioskStatus, SourceStatus

log = logging.getLogger(__name__)

START_TIMEOUT_S = 900.0
"""Years of history without a snapshot (after an update, or after damage) take minutes to follow on a small machine."""
STOP_TIMEOUT_S = 60.0
WATCH_EVERY_S = 1.0
EXIT_CRASHED = 70

SimulateTap = Callable[[str, str], None]


@dataclass
class Kiosk:
    """A running kiosk. `start` returns once both listeners answer and taps are accepted, or the screen says why not."""

    lab: Lab
    data: Path
    clock: Clock = field(default_factory=SystemClock)
    simulate_tap: SimulateTap | None = None
    """Only the demo: puts a badge on a virtual reader's line."""

    def start(self) -> None:
        """Capture first, screens after: a tap must not wait for a web framework to be imported."""
        end_the_process_with_any_thread()
        self._inbox = Inbox(self.clock)
        self._reader_words: dict[str, ReaderChanged] = {}
        self._rhythms = Rhythms()
        self._roll_calls = RollCalls.of(self.lab, self.data / DATABASE)
        self._feed: Feed | None = None
        self._servers: list[Server] = []
        self._jobs: Jobs | None = None
        self._clerk = Clerk(self.data / DATABASE, self.lab, self.clock, self._inbox, self._committed)
        self._voice = Voice(self.lab, lambda: self._clerk.notices, self._is_recording)
        self._clerk.start()
        self._clerk.wait_ready(START_TIMEOUT_S)
        self._serial = self._start_readers()
        self._mqtt = self._start_mqtt()
        if self._mqtt is not None:
            self._voice.speak_over(self._mqtt)
        self._voice.start()
        self._disclosure = Disclosure(self.data / DATABASE, self.submit)
        self._control = self._start_control()
        self._inspector = Inspector(self.data / DATABASE, crash)
        self._start_web()
        self._inspector.start()

    def stop(self) -> None:
        """Stop hearing, write what was heard, stop answering. Nothing that was acknowledged is lost."""
        for link in self._serial:
            link.stop()
        self._voice.stop()
        if self._mqtt is not None:
            self._mqtt.stop()
        if self._control is not None:
            self._control.stop()
        self._inspector.stop()
        self._inspector.join(1.0)  # it may be in the middle of one long statement, which reads only
        self._inbox.close()
        self._clerk.join(STOP_TIMEOUT_S)
        if self._feed is not None:
            self._feed.stop()
        for server in self._servers:
            server.stop()
        if self._jobs is not None:
            self._jobs.close()

    @property
    def addresses(self) -> tuple[str, str]:
        """Of the kiosk screen and of the staff side."""
        screen, staff = self._servers
        return screen.address, staff.address

    def submit(self, command: Command) -> Done:
        """Ask the clerk; raises `CommandRefused`."""
        return self._clerk.submit(command)

    def watch(self, stopping: threading.Event) -> None:
        """Until `stopping` is set; ends the process if a part died quietly."""
        while not stopping.wait(WATCH_EVERY_S):
            dead = [link for link in self._serial if not link.is_alive()]
            deaf = self._mqtt is not None and self._mqtt.is_deaf()
            if dead or deaf or not self._clerk.is_alive():
                log.critical("a part of the kiosk died (clerk, a reader or the broker's link): starting again")
                crash()
            if self._control is None:
                self._control = self._start_control()

    def _start_readers(self) -> list[SerialLink]:
        links = [
            SerialLink(
                reader.id,
                reader.port,
                registry.reader(reader.protocol, reader.options),
                self._deliver,
                baud=reader.baud,
                transform=reader.transform,
            )
            for reader in self.lab.readers
        ]
        for link in links:
            link.start()
        return links

    def _start_mqtt(self) -> MqttLink | None:
        if self.lab.mqtt is None:
            return None
        machines = [
            (machine.id, registry.machine(machine.status.dialect, machine.status.options))
            for machine in self.lab.machines
            if machine.status is not None
        ]
        presence = Presence(f"sheber/{self.lab.id}/kiosk/status")
        link = MqttLink(broker(self.lab.mqtt), machines, self._deliver, _crashed, presence=presence)
        link.start()
        return link

    def _start_control(self) -> ControlServer | None:
        """None where the disk takes no socket while nothing is recorded either; `watch` tries again."""
        try:
            control = ControlServer(self.data / CONTROL_SOCKET, self._disclosure.handlers())
        except OSError:
            if not self._clerk.trouble:
                raise
            return None
        control.start()
        return control

    def _start_web(self) -> None:
        # Imported now, after the capture runs: they cost a third of a second on a small machine.
        from kiosk.web.apps import create_kiosk_app, create_staff_app  # noqa: PLC0415
        from kiosk.web.feed import Feed  # noqa: PLC0415
        from kiosk.web.job_pages import jobs_of_app  # noqa: PLC0415
        from kiosk.web.server import Server  # noqa: PLC0415
        from kiosk.web.services import Services  # noqa: PLC0415
        from kiosk.web.staff_door import StaffDoor  # noqa: PLC0415

        certificate = self._certificate()
        services = Services(
            lab=self.lab,
            database=self.data / DATABASE,
            submit=self.submit,
            wall_ms=self.clock.wall_ms,
            status=self._status,
            secret_key=_secret_key(self.data),
            simulate_tap=self.simulate_tap,
            roll_calls=self._roll_calls,
            certificate=certificate,
        )
        self._feed = Feed(services)
        self._feed.start()
        web = self.lab.web
        tls = None if certificate is None else (certificate.certificate, certificate.key)
        staff = create_staff_app(services)
        self._jobs = jobs_of_app(staff)
        self._servers = [
            Server(web.kiosk_listen, create_kiosk_app(services, self._feed), self._feed),
            Server(web.listen, staff, self._feed, tls, StaffDoor(staff).admit),
        ]
        for server in self._servers:
            server.start()

    def _certificate(self) -> Certificate | None:
        """Of the staff side: the given one, its own where others than this machine may ask, or none."""
        from kiosk.web.certificates import given_certificate, names_of, self_made_certificate  # noqa: PLC0415
        from kiosk.web.server import is_loopback  # noqa: PLC0415 - see _start_web

        web = self.lab.web
        if web.tls_cert and web.tls_key:
            return given_certificate(Path(web.tls_cert), Path(web.tls_key))
        if is_loopback(web.listen):
            return None
        made = self_made_certificate(self.data, self.clock.wall_ms(), names_of(web.listen, web.public_url))
        log.warning("the staff side uses a certificate of its own; its SHA-256 fingerprint is %s", made.fingerprint)
        return made

    def _deliver(self, observation: Observation, on_stored: Callable[[], None] | None = None) -> None:
        if isinstance(observation, ReaderChanged):
            self._reader_words[observation.reader] = observation
        elif isinstance(observation, BadgeSeen) and self._roll_calls.takes(observation.reader, observation.uid):
            if on_stored is not None:
                on_stored()  # it says who is present, and makes no history
        else:
            self._inbox.deliver(observation, on_stored)
            self._rhythms.take(observation, self.clock.stamp().boot_ms)

    def _committed(self, entries: Sequence[Entry]) -> None:
        """In the clerk's thread, after each commit: wake the streams, answer at the panels, tell the broker."""
        self._voice.committed(entries)
        if self._feed is not None:
            self._feed.wake()

    def _is_recording(self) -> bool:
        return self._clerk.is_alive() and not self._clerk.trouble

    def _status(self) -> KioskStatus:
        from kiosk.web.services import KioskStatus, ReaderStatus  # noqa: PLC0415 - see _start_web

        readers: dict[str, ReaderStatus] = {}
        counters: Counter[str] = Counter({f"entries_{name}_total": n for name, n in dict(self._clerk.counters).items()})
        with suppress(OSError):  # the red screen needs no disk
            counters["ledger_damaged_total"] = len(put_aside(self.data / DATABASE))
        counters["ledger_inspections_total"] = self._inspector.inspections
        counters["ledger_inspected_entries"] = self._inspector.looked_at
        for reader, link in zip(self.lab.readers, self._serial, strict=True):
            word = self._reader_words.get(reader.id)
            detail, counts = word.detail if word is not None else "", link.counts()
            readers[reader.id] = ReaderStatus(link.connected, detail, counts["frames"], link.rejected())
            counters.update({f"serial_{name}_total": count for name, count in counts.items()})
        if self._mqtt is not None:
            counters.update({f"mqtt_{name}_total": count for name, count in self._mqtt.totals().items()})
            for outcomes in self._mqtt.counts().values():
                counters.update({f"mqtt_{name}_total": count for name, count in outcomes.items()})
        return KioskStatus(
            recording=self._is_recording(),
            reason=self._clerk.trouble if self._clerk.is_alive() else "clerk_stopped",
            broker=self._mqtt.connected if self._mqtt is not None else None,
            broker_detail=self._mqtt.problem if self._mqtt is not None else "",
            panel_detail=self._voice.problem,
            readers=readers,
            machines_heard=dict(self._clerk.heard_utc_ms),
            sources=self._sources(),
            counters=counters,
            clock_synced=self.clock.stamp().synced,
        )

    def _sources(self) -> dict[str, SourceStatus]:
        from kiosk.web.services import SourceStatus  # noqa: PLC0415 - see _start_web

        if self._mqtt is None:
            return {}
        counts, unmapped = self._mqtt.counts(), self._mqtt.unmapped()
        return {
            machine: SourceStatus(self._rhythms.period_ms(machine), outcomes, unmapped.get(machine, ""))
            for machine, outcomes in counts.items()
        }


def broker(mqtt: Mqtt) -> Broker:
    """The link's words for the broker of a lab."""
    return Broker(
        host=mqtt.host,
        port=mqtt.port,
        username=mqtt.username,
        password_file=mqtt.password_file,
        ca_file=mqtt.ca_file,
        cert_file=mqtt.cert_file,
        key_file=mqtt.key_file,
        version=mqtt.version,
    )


def end_the_process_with_any_thread() -> None:
    """An uncaught exception in any thread ends the process: half a kiosk must not look like a whole one."""

    def ended(arguments: threading.ExceptHookArgs) -> None:
        name = arguments.thread.name if arguments.thread is not None else "?"
        _die(name, arguments.exc_type, arguments.exc_value, arguments.exc_traceback)

    threading.excepthook = ended


def crash() -> None:
    """End at once with a non-zero status; what was acknowledged is on disk, and systemd starts the kiosk again."""
    logging.shutdown()
    os._exit(EXIT_CRASHED)


def _crashed(error: BaseException) -> None:
    _die("mqtt", type(error), error, error.__traceback__)


def _die(
    thread: str,
    kind: type[BaseException],
    error: BaseException | None,
    traceback: TracebackType | None,
) -> None:
    trace = (kind, error if error is not None else kind(), traceback)
    log.critical("the thread %s died, so the kiosk ends and is to be started again", thread, exc_info=trace)
    crash()


def _secret_key(data: Path) -> bytes:
    """What session cookies are signed with; made once, readable by the kiosk's user alone.

    Where the disk takes nothing it is made for this run only: whoever signs in now, signs in again after a restart.
    """
    path = data / "web.secret"
    try:
        if path.exists() and path.stat().st_size > 0:
            return path.read_bytes()
        secret = new_token().encode("ascii")
        keep_file(path, secret)
    except OSError as error:
        if disk_fault(error, data) is None:
            raise
        log.warning("%s could not be kept: %s; it is made anew at the next start", path, error.strerror)
    return secret
