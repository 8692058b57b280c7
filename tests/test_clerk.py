"""The clerk's desk: one transaction a batch, answers after the disk, nothing lost and nothing half."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from firmware_bridge.observations import BadgeSeen, BrokerChanged, MachineReported
from kiosk import office
from kiosk.commands import (
    AddUser,
    ApproveSessions,
    AssignBadge,
    Command,
    CommandRefused,
    DecideSession,
    Done,
    ImportPeople,
)
from kiosk.desk import Desk
from kiosk.inbox import CAPACITY, Asked, Heard, Inbox
from kiosk.store import people, views
from kiosk.store.schema import StoreError
from tests.kiosk_fixtures import AIGERIM, PEOPLE, PYOTR, HandClock, ledger, of_type, small_lab

MINUTE_MS = 60_000


class Workshop:
    """A desk, a clock moved by hand, and short words for what happens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.clock = HandClock()
        self.desk = self._open()
        self.ask(ImportPeople(PEOPLE))

    def _open(self) -> Desk:
        desk = Desk(self.data / "kiosk.db", self.clock, small_lab(self.folder / "lab"))
        desk.start()
        return desk

    def restart(self, boot: str, after_ms: int, *, synced: bool = True) -> None:
        """The process ends and comes back in another boot, perhaps with a clock that nobody set."""
        self.desk.close()
        self.clock = HandClock(self.clock.wall_ms() + after_ms, boot)
        self.clock.synced = synced
        self.desk = self._open()

    def tap(self, row: object, reader: str = "mill-1") -> None:
        """A badge at a reader."""
        uid = row if isinstance(row, str) else row.badges[0]  # type: ignore[attr-defined]
        self.desk.handle([Heard(self.clock.stamp(), BadgeSeen(reader, uid))])

    def report(self, state: str) -> None:
        """The mill says what it does."""
        self.desk.handle([Heard(self.clock.stamp(), MachineReported("mill-1", state))])

    def ask(self, command: Command) -> Done:
        """A command and its answer."""
        answer: Future[Done] = Future()
        _, answers = self.desk.handle([Asked(self.clock.stamp(), command, answer)])
        for given in answers:
            given.give()
        return answer.result(0)

    def work(self, minutes: int, state: str = "running") -> None:
        """The mill runs and says so every minute."""
        for _ in range(minutes):
            self.report(state)
            self.clock.move(MINUTE_MS)

    def lesson(self, row: object = AIGERIM, minutes: int = 60) -> views.SessionView:
        """Tap in, work, tap out."""
        self.report("running")
        self.tap(row)
        self.work(minutes)
        self.tap(row)
        return views.sessions_of_dates(self.desk.connection, "0000", "9999")[-1]


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    yield made
    made.desk.close()


def test_a_lesson_at_a_running_machine_is_credited_in_full_and_clean(workshop: Workshop) -> None:
    session = workshop.lesson(minutes=60)
    assert (session.presence_ms, session.credited_ms) == (60 * MINUTE_MS, 60 * MINUTE_MS)
    assert (session.by_state, session.flags, session.review) == ({"running": 60 * MINUTE_MS}, (), "pending")


def test_an_entry_its_view_and_its_tree_node_are_in_one_transaction(workshop: Workshop) -> None:
    other = sqlite3.connect(workshop.data / "kiosk.db")
    workshop.tap(AIGERIM)
    seen = other.execute("SELECT (SELECT count(*) FROM ledger), (SELECT count(*) FROM sessions)").fetchone()
    other.close()
    assert seen == (len(ledger(workshop.data)), 1)


def test_an_open_session_survives_a_restart(workshop: Workshop) -> None:
    workshop.tap(AIGERIM)
    workshop.clock.move(20 * MINUTE_MS)
    workshop.desk.pass_time(heartbeat=True)
    workshop.restart("boot-2", after_ms=5 * MINUTE_MS)
    workshop.tap(AIGERIM)
    (session,) = views.sessions_of_dates(workshop.desk.connection, "0000", "9999")
    assert (session.reason, session.presence_ms) == ("tap_out", 25 * MINUTE_MS)


def test_a_long_outage_ends_the_session_at_the_last_sign_of_life(workshop: Workshop) -> None:
    workshop.tap(AIGERIM)
    workshop.clock.move(20 * MINUTE_MS)
    workshop.desk.pass_time(heartbeat=True)
    workshop.restart("boot-2", after_ms=90 * MINUTE_MS)
    (session,) = views.sessions_of_dates(workshop.desk.connection, "0000", "9999")
    assert (session.reason, session.presence_ms, session.closed_by) == ("outage", 20 * MINUTE_MS, "system")


def test_a_restart_folds_to_the_state_that_was_left(workshop: Workshop) -> None:
    workshop.lesson()
    before = views.sessions_of_dates(workshop.desk.connection, "0000", "9999")
    workshop.restart("boot-2", after_ms=MINUTE_MS)
    assert views.sessions_of_dates(workshop.desk.connection, "0000", "9999") == before
    assert len(workshop.desk.core.state.sessions) == 1


def test_rebuild_ends_with_the_same_rows(workshop: Workshop) -> None:
    session = workshop.lesson()
    workshop.ask(DecideSession(session.session, "approved", "u1"))
    workshop.desk.close()
    report = office.rebuild(workshop.data)
    assert (report.same, report.sessions, report.entries) == (True, 1, len(ledger(workshop.data)))
    workshop.desk = Desk(workshop.data / "kiosk.db", workshop.clock, None)


def test_rebuild_says_so_when_a_row_was_not_what_the_ledger_tells(workshop: Workshop) -> None:
    workshop.lesson()
    workshop.desk.connection.execute("UPDATE sessions SET credited_ms = credited_ms + 1")
    workshop.desk.close()
    assert not office.rebuild(workshop.data).same
    assert office.rebuild(workshop.data).same
    workshop.desk = Desk(workshop.data / "kiosk.db", workshop.clock, None)


def test_names_badges_and_texts_stay_out_of_the_ledger(workshop: Workshop) -> None:
    session = workshop.lesson()
    workshop.tap("AABBCCDDEE")
    workshop.ask(DecideSession(session.session, "rejected", "u1", "other", "He was seen at the canteen"))
    written = "\n".join(str(entry) for entry in ledger(workshop.data))
    secrets = [
        "AABBCCDDEE",
        "canteen",
        *(row.surname for row in PEOPLE),
        *(uid for row in PEOPLE for uid in row.badges),
    ]
    assert [secret for secret in secrets if secret in written] == []


def test_the_text_of_a_decision_is_kept_beside_the_ledger_under_its_salted_hash(workshop: Workshop) -> None:
    session = workshop.lesson()
    workshop.ask(DecideSession(session.session, "rejected", "u1", "other", "He was seen at the canteen"))
    (entry,) = of_type(workshop.data, "session_reviewed")
    assert people.text_by_hash(workshop.desk.connection, entry["text_hash"]) == "He was seen at the canteen"


def test_an_approved_hour_of_an_apprentice_with_contract_and_consent_is_released(workshop: Workshop) -> None:
    session = workshop.lesson(AIGERIM)
    workshop.ask(DecideSession(session.session, "approved", "u1"))
    (entry,) = of_type(workshop.data, "record_released")
    assert entry["enterprise"] == "ent-steel"
    assert entry["record"]["credited_ms"] == 60 * MINUTE_MS
    assert (entry["record"]["person_seq"], entry["record"]["revision"]) == (1, 1)


def test_an_approved_hour_of_an_apprentice_without_a_contract_stays(workshop: Workshop) -> None:
    session = workshop.lesson(PYOTR)
    workshop.ask(DecideSession(session.session, "approved", "u1"))
    assert of_type(workshop.data, "record_released") == []


def test_consent_given_later_releases_what_was_decided_before(workshop: Workshop) -> None:
    workshop.ask(ImportPeople((replace(AIGERIM, person_id="p9", badges=("0F00448FB9",), consent_until=None),)))
    session = workshop.lesson("0F00448FB9")
    workshop.ask(DecideSession(session.session, "approved", "u1"))
    assert of_type(workshop.data, "record_released") == []
    workshop.ask(ImportPeople((replace(AIGERIM, person_id="p9", badges=("0F00448FB9",)),)))
    assert len(of_type(workshop.data, "record_released")) == 1


def test_a_later_decision_supersedes_and_releases_the_next_revision(workshop: Workshop) -> None:
    session = workshop.lesson(AIGERIM)
    workshop.ask(DecideSession(session.session, "approved", "u1"))
    workshop.ask(DecideSession(session.session, "adjusted", "u1", "not_present", credited_ms=30 * MINUTE_MS))
    first, second = of_type(workshop.data, "record_released")
    assert (second["record"]["id"], second["record"]["revision"]) == (first["record"]["id"], 2)
    assert (second["record"]["supersedes"], second["record"]["credited_ms"]) == (1, 30 * MINUTE_MS)
    assert (
        of_type(workshop.data, "session_reviewed")[1]["supersedes"]
        == of_type(workshop.data, "session_reviewed")[0]["seq"]
    )


def test_clean_sessions_are_approved_together_and_say_how_many(workshop: Workshop) -> None:
    first, second = workshop.lesson(AIGERIM), workshop.lesson(PYOTR)
    workshop.ask(ApproveSessions((first.session, second.session), "u1"))
    assert [entry["batch"] for entry in of_type(workshop.data, "session_reviewed")] == [2, 2]


def test_a_flagged_session_is_not_approved_in_a_batch(workshop: Workshop) -> None:
    clean = workshop.lesson(AIGERIM)
    workshop.tap(PYOTR)
    workshop.work(40, "idle")
    workshop.tap(PYOTR)
    flagged = views.sessions_of_dates(workshop.desk.connection, "0000", "9999")[-1]
    assert flagged.flags == ("no_machine_time",)
    with pytest.raises(CommandRefused, match="not_clean"):
        workshop.ask(ApproveSessions((clean.session, flagged.session), "u1"))
    assert of_type(workshop.data, "session_reviewed") == []


def test_nobody_decides_on_their_own_session(workshop: Workshop) -> None:
    session = workshop.lesson(AIGERIM)
    user = workshop.ask(AddUser("aigerim", "instructor", "hash", "p1")).value
    with pytest.raises(CommandRefused, match="own_session"):
        workshop.ask(DecideSession(session.session, "approved", str(user)))


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (DecideSession(10_000, "approved", "u1"), "unknown_session"),
        (DecideSession(0, "rejected", "u1"), "reason_missing"),
        (ImportPeople((replace(PYOTR, person_id="p7", badges=AIGERIM.badges),)), "badge_taken"),
        (ImportPeople((replace(PYOTR, person_id="p7", badges=("08123456",)),)), "random_badge"),
        (AssignBadge("88045A11", "p1"), "cascade_badge"),
        (AssignBadge("0000000000", "p1"), "zero_badge"),
        (AddUser("x", "owner", "hash"), "unknown_role"),
        (AddUser("x", "lead", "hash", "nobody"), "unknown_person"),
    ],
)
def test_what_cannot_be_is_refused_by_its_code_and_changes_nothing(
    workshop: Workshop, command: Command, code: str
) -> None:
    before = ledger(workshop.data)
    with pytest.raises(CommandRefused) as refused:
        workshop.ask(command)
    assert refused.value.code == code
    assert ledger(workshop.data) == before


def test_an_import_is_all_or_nothing(workshop: Workshop) -> None:
    good = replace(PYOTR, person_id="p8", badges=("0011223344",))
    bad = replace(PYOTR, person_id="p9", badges=AIGERIM.badges)
    with pytest.raises(CommandRefused):
        workshop.ask(ImportPeople((good, bad)))
    assert people.person_by_id(workshop.desk.connection, "p8") is None


def test_the_same_import_again_enters_nothing(workshop: Workshop) -> None:
    before = len(ledger(workshop.data))
    workshop.ask(ImportPeople(PEOPLE))
    assert len(ledger(workshop.data)) == before


def test_an_unknown_badge_is_refused_and_remembered_for_enrolment(workshop: Workshop) -> None:
    workshop.tap("AABBCCDDEE")
    (refused,) = of_type(workshop.data, "tap_refused")
    badge = people.badge_by_uid(workshop.desk.connection, "AABBCCDDEE")
    assert badge is not None
    assert (refused["reason"], refused["badge_ref"]) == ("unknown_badge", badge.badge_ref)


def test_from_the_eleventh_unknown_badge_in_a_minute_on_they_are_only_counted(workshop: Workshop) -> None:
    for number in range(14):
        workshop.tap(f"AABBCCDD{number:02X}")
        workshop.clock.move(1_000)
    workshop.clock.move(MINUTE_MS)
    workshop.desk.pass_time(heartbeat=False)
    assert [entry["count"] for entry in of_type(workshop.data, "tap_refused")] == [1] * 10 + [4]


def test_a_badge_number_of_zeros_is_noise(workshop: Workshop) -> None:
    before = len(ledger(workshop.data))
    workshop.tap("0000000000")
    assert len(ledger(workshop.data)) == before


def test_a_report_of_a_machine_nobody_configured_changes_nothing(workshop: Workshop) -> None:
    before = len(ledger(workshop.data))
    workshop.desk.handle([Heard(workshop.clock.stamp(), MachineReported("ghost", "running"))])
    assert len(ledger(workshop.data)) == before


def test_telemetry_that_changes_nothing_is_no_entry(workshop: Workshop) -> None:
    workshop.report("running")
    before = len(ledger(workshop.data))
    workshop.work(10, "running")
    assert len(ledger(workshop.data)) == before


def test_losing_the_broker_is_silence_for_a_source_that_repeats_itself(workshop: Workshop) -> None:
    workshop.report("running")
    workshop.desk.handle([Heard(workshop.clock.stamp(), BrokerChanged(False))])
    workshop.clock.move(2 * MINUTE_MS)
    workshop.desk.pass_time(heartbeat=False)
    changes = of_type(workshop.data, "state_changed")
    assert [(entry["state"], entry["cause"]) for entry in changes] == [("running", "report"), ("unknown", "silence")]


def test_a_stepped_clock_is_anchored_and_changes_no_duration(workshop: Workshop) -> None:
    workshop.report("running")
    workshop.tap(AIGERIM)
    workshop.work(30)
    workshop.clock.step_wall(-2 * 3_600_000)
    workshop.work(30)
    workshop.tap(AIGERIM)
    (session,) = views.sessions_of_dates(workshop.desk.connection, "0000", "9999")
    assert session.presence_ms == 60 * MINUTE_MS
    assert [entry["source"] for entry in of_type(workshop.data, "clock_anchored")] == ["ntp", "step"]


def test_an_hour_of_a_boot_that_was_never_synchronised_is_flagged_and_not_released(tmp_path: Path) -> None:
    made = Workshop(tmp_path)
    made.desk.close()
    made.clock = HandClock(made.clock.wall_ms() + MINUTE_MS, "boot-2")
    made.clock.synced = False
    made.desk = made._open()
    session = made.lesson(AIGERIM)
    made.ask(DecideSession(session.session, "approved", "u1"))
    assert session.flags == ("clock_uncertain",)
    assert of_type(made.data, "record_released") == []
    made.desk.close()


def test_overflow_of_the_inbox_is_counted_and_entered(workshop: Workshop) -> None:
    inbox = Inbox(workshop.clock)
    stored: list[int] = []
    for number in range(CAPACITY + 3):
        inbox.deliver(BadgeSeen("mill-1", "0F00448FB0"), lambda number=number: stored.append(number))  # type: ignore[misc]
    assert stored == [CAPACITY, CAPACITY + 1, CAPACITY + 2]
    workshop.desk.handle(inbox.take(CAPACITY, 0), inbox.take_lost())
    (lost,) = of_type(workshop.data, "observations_lost")
    assert (lost["count"], lost["reason"]) == (3, "queue_full")


def test_a_second_writer_of_the_same_data_is_refused_in_words(workshop: Workshop) -> None:
    with pytest.raises(StoreError, match="another process writes"):
        Desk(workshop.data / "kiosk.db", workshop.clock, None)


def test_the_configuration_is_entered_once_and_again_only_when_it_changes(workshop: Workshop) -> None:
    workshop.restart("boot-2", after_ms=MINUTE_MS)
    assert len(of_type(workshop.data, "config_adopted")) == 1
    assert len(of_type(workshop.data, "rules_adopted")) == 1


def test_every_log_begins_by_naming_itself(workshop: Workshop) -> None:
    first = ledger(workshop.data)[0]
    assert first["type"] == "log_started"
    assert first["log"].startswith("test-w1/")
