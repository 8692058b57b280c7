"""What could be decided on a session, and why: from its flags and numbers, for an instructor to take or to leave.

Pure, and never applied by itself. It proposes no minute that hours.md would not allow: unknown time is credited only
where the machine was heard working before and after it, and nobody's hours are made from presence alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from kiosk.phrases import N_
from kiosk.store.views import SessionView
from kiosk.web.strip import Segment

BRIDGE_MS = 60 * 60_000
"""The longest silence that two stretches of work speak for."""
APPROVE, ADJUST, REJECT, LOOK = "approve", "adjust", "reject", "look"

WHY = {
    "fits": N_("Nothing speaks against it."),
    "questioned": N_("The apprentice says that this is wrong. Read what they wrote, and decide yourself."),
    "clock_uncertain": N_("Nobody had set the clock. Say first when it was."),
    "overlap": N_("The person has another session at this time. Nobody is credited twice: ask where they were."),
    "two_places": N_("The card was read at two places at once. Ask who held it."),
    "same_time_pair": N_("Two cards were tapped together again. Ask whether both people were there."),
    "no_process": N_("No work process of the plan fits this machine. Choose one under “Adjust”."),
    "nothing_known": N_("The machine was silent all the time: nothing confirms the work. Ask what was done."),
    "bridged": N_(
        "The machine signal was lost from %(since)s to %(until)s, but the machine worked before and after. "
        "%(time)s of it can be credited."
    ),
    "bridged_often": N_(
        "The machine signal was lost again and again between %(since)s and %(until)s, but the machine worked before "
        "and after each time. %(time)s of it can be credited."
    ),
    "status_lost": N_("The machine signal was lost from %(since)s. What the machine confirmed is credited, no more."),
    "did_not_work": N_("The machine did not work while the card was on it."),
    "faulty": N_("The machine could not work: it stood with a fault."),
    "machine_off": N_("It ended when the machine was switched off. What the machine did until then is credited."),
    "idle_timeout": N_("Nobody tapped out and the machine stood idle. Idle time is not credited, the work before is."),
    "day_end": N_("Nobody tapped out; the end of the lesson closed it. What the machine did is credited."),
    "outage": N_("The kiosk went down at %(until)s. What was recorded until then is credited."),
    "max_session": N_("Nobody tapped out until the longest time was over. Ask when the work ended, and adjust."),
    "bench": N_("Nobody tapped out, and no machine tells when the work ended. Ask, and adjust."),
    "long": N_("Longer than usual, but the machine worked for %(time)s of it."),
    "long_look": N_("Longer than usual, and the machine worked for only %(time)s of it. Ask what was done."),
    "minor_limit": N_("A warning only: the person is under 18. The hours count; plan fewer, and none at night."),
    "observer": N_("Watching only: nothing is credited."),
}
"""In words, by `Proposal.why`."""


@dataclass(frozen=True)
class Proposal:
    """`kind` is `approve`, `adjust` or `reject`, or `look` where only a person can know."""

    kind: str
    why: str
    """A code of `WHY`."""
    credited_ms: int | None = None
    """Of an adjustment."""
    reason: str | None = None
    """A code of REVIEW_REASONS, of an adjustment or a rejection."""
    since_ms: int | None = None
    until_ms: int | None = None
    time_ms: int | None = None


def propose(row: SessionView, segments: Sequence[Segment], counts: Collection[str], *, has_source: bool) -> Proposal:
    """What to do about a closed session; `counts` are the states that count for its process."""
    flags = {flag for flag in row.flags if flag != "corrected"}
    for flag in ("questioned", "clock_uncertain", "overlap", "two_places", "same_time_pair"):
        if flag in flags:
            return Proposal(LOOK, flag)
    if row.role == "observer":
        return Proposal(APPROVE, "observer")
    if "no_process" in flags:
        return Proposal(LOOK, "no_process")
    if "status_lost" in flags:
        return _signal_lost(row, segments, counts)
    if "no_machine_time" in flags:
        return _nothing_done(row)
    worked_ms = sum(row.by_state.get(state, 0) for state in counts)
    if "closed_by_system" in flags:
        return _ended_by_itself(row, has_source=has_source)
    if "too_long" in flags:
        well = worked_ms * 2 >= row.presence_ms
        return Proposal(APPROVE if well else LOOK, "long" if well else "long_look", time_ms=worked_ms)
    return Proposal(APPROVE, "minor_limit" if "minor_limit" in flags else "fits")


def _signal_lost(row: SessionView, segments: Sequence[Segment], counts: Collection[str]) -> Proposal:
    gaps = [each for each in segments if each.gap]
    bridged = [
        gap
        for before, gap, after in zip(segments, segments[1:], segments[2:], strict=False)
        if gap.gap and {before.state, after.state} <= {*counts} and gap.end_ms - gap.start_ms <= BRIDGE_MS
    ]
    silent_ms = sum(each.end_ms - each.start_ms for each in bridged)
    more_ms = min(silent_ms, row.unverified_ms, row.presence_ms - row.credited_ms)
    # Work speaks for no more silence than itself, and shared time is not one's own to add to.
    worked_ms = sum(row.by_state.get(state, 0) for state in counts)
    if 0 < more_ms <= worked_ms and not row.uncredited.get("shared"):
        return Proposal(
            ADJUST,
            "bridged" if len(bridged) == 1 else "bridged_often",
            credited_ms=row.credited_ms + more_ms,
            reason="equipment_fault",
            since_ms=bridged[0].start_ms,
            until_ms=bridged[-1].end_ms,
            time_ms=more_ms,
        )
    if row.credited_ms == 0:
        return Proposal(LOOK, "nothing_known")
    return Proposal(APPROVE, "status_lost", since_ms=gaps[0].start_ms if gaps else row.start_ms)


def _nothing_done(row: SessionView) -> Proposal:
    faulty_ms = row.by_state.get("fault", 0) + row.by_state.get("estop", 0)
    if faulty_ms * 2 > row.presence_ms:
        return Proposal(REJECT, "faulty", reason="equipment_fault")
    return Proposal(REJECT, "did_not_work", reason="other")


def _ended_by_itself(row: SessionView, *, has_source: bool) -> Proposal:
    if row.reason == "max_session":
        return Proposal(LOOK, "max_session")
    if not has_source or row.evidence == "badge":
        return Proposal(LOOK, "bench")
    why = row.reason if row.reason in {"machine_off", "idle_timeout", "day_end", "outage"} else "fits"
    return Proposal(APPROVE, why, until_ms=row.end_ms)
