"""Sessions as the review pages show them: every number and name already in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kiosk import phrases
from kiosk.domain.entries import UNDONE
from kiosk.domain.flags import QUESTIONED
from kiosk.domain.manual import MANUAL_REASONS
from kiosk.proofs import read
from kiosk.store import learners, people, waiting
from kiosk.store.unchanged import look
from kiosk.store.views import SessionView
from kiosk.web.accounts import Account
from kiosk.web.board import machine_name
from kiosk.web.picture import Picture, picture
from kiosk.web.proposals import WHY, propose
from kiosk.web.reading import NAMELESS, Reading
from kiosk.web.review_words import by_account, how_late, kinds_in_words
from kiosk.web.strip import NOTHING, Evidence, beside, evidence
from kiosk.words import Words, academic_hours, clock_time, day, hours_minutes, local_field, weekday_time, words
from lab_config.model import STATES, Programme, Rules


@dataclass(frozen=True)
class Proposed:
    """A proposal in words, and what taking it sends."""

    kind: str
    why: str
    credited: str
    """What would count."""
    credited_ms: int | None
    reason: str | None


@dataclass(frozen=True)
class Decided:
    """The decision that stands."""

    by: str
    at: str
    reason: str
    text: str
    batch: int
    late: str
    """How long after the session's end."""
    mark: str
    counted: str
    counted_academic: str
    process_title: str


@dataclass(frozen=True)
class Item:
    """One session on the page."""

    session: int
    name: str
    own: bool
    """Is it the signed-in person's own? Then nobody here decides on it."""
    closed_to: str
    """Why this account may not decide: `own`, `lead` (another has decided), or empty."""
    machine: str
    process: str | None
    process_title: str
    processes: Sequence[dict[str, str]]
    role: str
    date: str
    start: str
    end: str
    """Empty while open."""
    start_ms: int
    reason: str | None
    evidence: str
    flags: tuple[str, ...]
    review: str
    seen: str
    """What is shown, as a form says that it was seen (`kiosk.store.unchanged`)."""
    waits: bool
    undone: bool
    presence: str
    credited: str
    credited_ms: int
    credited_academic: str
    unverified: str
    """Empty where there is none."""
    by_state: Sequence[tuple[str, str]]
    picture: Picture | None
    others: str
    """How long others were on the machine; empty where nobody was."""
    proposed: Proposed | None
    decided: Decided | None
    entered: str
    """Of hours by hand: by whom and why; else empty."""
    began_field: str
    """Its beginning as a form's date and time, where nobody had set the clock."""
    began_at: str
    """The same with the weekday."""
    question: str
    """What the person wrote when they said that it is wrong; else empty."""
    questioned_at: str
    moments: Mapping[int, str]
    """Each moment of the picture on the clock on the wall."""
    kinds: Mapping[str, str]
    """What each kind of block and pin of a picture is called."""


@dataclass(frozen=True)
class Choices:
    """What the form for hours by hand offers."""

    people: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    """By group."""
    machines: Sequence[tuple[str, str]]
    programmes: Sequence[tuple[str, Sequence[dict[str, str]]]]
    reasons: Sequence[tuple[str, str]]


def choices(reading: Reading, language: str, own_ref: str | None) -> Choices:
    """Every active apprentice but oneself, every machine, every programme's processes, every reason."""
    said = words(language)
    by_group: dict[str, list[tuple[str, str]]] = {}
    for each in reading.everybody():
        if each.role == "apprentice" and each.active and each.person_ref != own_ref:
            by_group.setdefault(each.group or "", []).append((each.person_id, reading.full_name(each.person_ref)))
    return Choices(
        people=sorted(by_group.items(), key=lambda group: people.kazakh_key(group[0])),
        machines=[(each.id, machine_name(reading.lab, each.id, said)) for each in reading.lab.machines],
        programmes=[
            (each.title.in_language(language) or each.id, _processes(each, None, said))
            for each in reading.lab.programmes
        ],
        reasons=[(code, said.gettext(phrases.MANUAL_REASON_WORDS[code])) for code in MANUAL_REASONS],
    )


def worst_first(item: Item) -> tuple[int, int]:
    """The order of the exceptions: by the worst flag as hours.md ranks them, then by time."""
    order = list(phrases.FLAGS)
    ranks = [order.index(flag) if flag in order else len(order) for flag in item.flags]
    return min(ranks, default=len(order)), item.start_ms


def items(
    reading: Reading, rows: Iterable[SessionView], language: str, who: Account, *, closely: bool = False
) -> list[Item]:
    """The rows in words; `closely` adds what a card has more than a line: the strip, the states, the proposal."""
    said = words(language)
    kinds = kinds_in_words(said) if closely else {}
    return [_item(reading, row, said, who, kinds if closely else None) for row in rows]


def counted_states(reading: Reading, row: SessionView) -> tuple[str, ...]:
    """The states that count for the session's process, as the workshop is configured now."""
    programme = next((each for each in reading.lab.programmes if each.id == row.programme), None)
    for process in programme.processes if programme else ():
        if process.id == row.process and process.counts is not None:
            return process.counts
    return _rules(reading, row.machine).counts


def closed_to(row: SessionView, who: Account, *, questioned: bool) -> str:
    """Why this account may not decide on it: `own`, or `lead` where another has and nobody asked since; else empty."""
    if who.person_ref is not None and who.person_ref == row.person_ref:
        return "own"
    fresh = row.review == "pending" or row.decided_by in {who.user_ref, who.person_ref} or questioned
    return "" if fresh or who.role == "lead" else "lead"


def _item(reading: Reading, row: SessionView, said: Words, who: Account, kinds: Mapping[str, str] | None) -> Item:
    closely = kinds is not None
    lab, zone = reading.lab, reading.zone
    programme = next((each for each in lab.programmes if each.id == row.programme), None)
    by_hand = row.evidence == "manual"
    questioned, undated = QUESTIONED in row.flags, "clock_uncertain" in row.flags
    waits = waiting.waits(reading.connection, row)
    asked, asked_at = _question(reading, row) if questioned else ("", "")
    # Of hours by hand the machine's states are no evidence.
    found = evidence(reading.connection, row) if closely and not by_hand else NOTHING
    seen = _picture(reading, row, found)
    return Item(
        session=row.session,
        name=reading.full_name(row.person_ref),
        own=who.person_ref is not None and who.person_ref == row.person_ref,
        closed_to=closed_to(row, who, questioned=questioned),
        machine=machine_name(lab, row.machine, said),
        process=row.process,
        process_title=_title(programme, row.process, said),
        processes=_processes(programme, row.process, said) if closely else (),
        role=row.role,
        date=day(row.local_date),
        start=clock_time(row.start_ms, zone),
        end=clock_time(row.end_ms, zone) if row.end_ms is not None else "",
        start_ms=row.start_ms,
        reason=row.reason,
        evidence=row.evidence,
        flags=tuple(row.flags),
        review=row.review,
        seen=look(row),
        waits=waits,
        undone=row.decided_reason == UNDONE,
        presence=hours_minutes(row.presence_ms),
        credited=hours_minutes(row.credited_ms),
        credited_ms=row.credited_ms,
        credited_academic=academic_hours(row.credited_ms, lab.academic_hour_ms),
        unverified=hours_minutes(row.unverified_ms) if row.unverified_ms >= 60_000 else "",
        by_state=[
            (state, hours_minutes(row.by_state[state]))
            for state in (STATES if closely and not by_hand else ())
            if row.by_state.get(state)
        ],
        picture=seen,
        others=hours_minutes(seen.others_ms) if seen is not None and seen.others_ms else "",
        proposed=_proposed(reading, row, found, said) if closely and waits else None,
        decided=_decided(reading, row, programme, said),
        entered=_entered(reading, row.session, said) if by_hand else "",
        began_field=local_field(row.start_ms, zone) if undated else "",
        began_at=weekday_time(row.start_ms, zone, said.language) if undated else "",
        question=asked,
        questioned_at=asked_at,
        moments=_moments(reading, seen),
        kinds=kinds or {},
    )


def _moments(reading: Reading, seen: Picture | None) -> dict[int, str]:
    if seen is None:
        return {}
    blocks = (*seen.badge, *seen.states, *seen.others)
    moments = {each.start_ms for each in blocks} | {each.end_ms for each in blocks}
    moments |= {each.at_ms for each in (*seen.pins, *seen.ticks)}
    return {at_ms: clock_time(at_ms, reading.zone) for at_ms in moments}


def _proposed(reading: Reading, row: SessionView, seen: Evidence, said: Words) -> Proposed:
    has_source = _has_source(reading, row.machine)
    found = propose(row, seen.segments, counted_states(reading, row), has_source=has_source)
    credited_ms = row.credited_ms if found.credited_ms is None else found.credited_ms
    values = {
        "since": clock_time(found.since_ms, reading.zone) if found.since_ms is not None else "",
        "until": clock_time(found.until_ms, reading.zone) if found.until_ms is not None else "",
        "time": hours_minutes(found.time_ms) if found.time_ms is not None else "",
    }
    return Proposed(
        kind=found.kind,
        why=said.gettext(WHY[found.why], **values),
        credited=hours_minutes(credited_ms),
        credited_ms=found.credited_ms,
        reason=found.reason,
    )


def _decided(reading: Reading, row: SessionView, programme: Programme | None, said: Words) -> Decided | None:
    if row.decided_at_ms is None or row.decided_reason == UNDONE:
        return None
    reason = phrases.REVIEW_REASON_WORDS.get(row.decided_reason or "")
    counted_ms = reading.counted_ms(row)
    lag_ms = row.decided_at_ms - (row.end_ms if row.end_ms is not None else row.start_ms)
    return Decided(
        by=by_account(reading, row.decided_by),
        at=f"{day(reading.local_date(row.decided_at_ms))}, {clock_time(row.decided_at_ms, reading.zone)}",
        reason=said.gettext(reason) if reason else row.decided_reason or "",
        text=reading.text(row.decided_text_hash) or "",
        batch=row.batch or 1,
        late=how_late(lag_ms, said),
        mark=row.decided_mark or "",
        counted=hours_minutes(counted_ms),
        counted_academic=academic_hours(counted_ms, reading.lab.academic_hour_ms),
        process_title=_title(programme, row.decided_process or row.process, said),
    )


def _entered(reading: Reading, session: int, said: Words) -> str:
    """`aigul. The kiosk did not work: power cut`."""
    (data,) = reading.connection.execute("SELECT bytes FROM ledger WHERE seq = ?", (session,)).fetchone()
    body = read(data)
    user = people.user_by_ref(reading.connection, body["by"])
    reason = phrases.MANUAL_REASON_WORDS.get(body["reason"])
    why = [said.gettext(reason) if reason else body["reason"], reading.text(body["text_hash"])]
    return f"{user.name if user else NAMELESS}. {': '.join(each for each in why if each)}"


def _question(reading: Reading, row: SessionView) -> tuple[str, str]:
    """What the person wrote, and when."""
    asked = learners.of_person(reading.connection, row.person_ref).questions
    for each in asked:
        if each.session == row.session:
            moment = f"{day(reading.local_date(each.at_ms))}, {clock_time(each.at_ms, reading.zone)}"
            return reading.text(each.text_hash) or "", moment
    return "", ""


def _picture(reading: Reading, row: SessionView, seen: Evidence) -> Picture | None:
    if not seen.segments:
        return None
    return picture(
        row,
        seen,
        beside(reading.connection, row, row.local_date),
        reading.zone,
        has_source=_has_source(reading, row.machine),
        long_session_ms=_rules(reading, row.machine).long_session_ms,
    )


def _has_source(reading: Reading, machine_id: str) -> bool:
    return any(each.id == machine_id and each.status is not None for each in reading.lab.machines)


def _rules(reading: Reading, machine_id: str) -> Rules:
    return next((each.rules for each in reading.lab.machines if each.id == machine_id), Rules())


def _title(programme: Programme | None, process_id: str | None, said: Words) -> str:
    if process_id is None:
        return said.gettext("none")
    for each in programme.processes if programme else ():
        if each.id == process_id:
            return _titled(each.id, each.title.in_language(said.language))
    return process_id


def _titled(process_id: str, title: str) -> str:
    return f"{process_id} · {title}" if title else process_id


def _processes(programme: Programme | None, current: str | None, said: Words) -> list[dict[str, str]]:
    """What an adjustment may choose: the programme's processes, and the session's own where the plan has dropped it."""
    ids = [each.id for each in programme.processes] if programme else []
    if current is not None and current not in ids:
        ids.insert(0, current)
    return [{"id": each, "title": _title(programme, each, said)} for each in ids]
