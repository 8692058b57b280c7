"""The words for every code that history speaks in. English here is the message id; kiosk/locale has the rest."""

from __future__ import annotations

import re


def N_(message: str) -> str:  # noqa: N802 - the name that message extraction looks for
    """Marks `message` for extraction; it is translated when it is shown."""
    return message


STATES = {
    "running": N_("running"),
    "setup": N_("setup"),
    "idle": N_("idle"),
    "fault": N_("fault"),
    "estop": N_("emergency stop"),
    "maintenance": N_("maintenance"),
    "off": N_("off"),
    "unknown": N_("no data"),
}

REFUSALS = {
    "unknown_badge": N_("Unknown card"),
    "badge_blocked": N_("This card is blocked"),
    "person_inactive": N_("You are not on the active list"),
    "machine_locked": N_("The machine is withdrawn from use"),
    "not_qualified": N_("You may not work here yet"),
    "machine_full": N_("All places at this machine are taken"),
    "busy_elsewhere": N_("You are working at another machine"),
}
"""Why a tap was refused."""

REMEDIES = {
    "unknown_badge": N_("Show the card to the instructor."),
    "badge_blocked": N_("Ask the instructor for a new card."),
    "person_inactive": N_("Ask the instructor."),
    "machine_locked": N_("Choose another machine or ask the instructor."),
    "not_qualified": N_("Ask the instructor."),
    "machine_full": N_("Wait until a place is free or choose another machine."),
    "busy_elsewhere": N_("Finish there first: tap your card at that machine."),
}
"""What to do about it."""

QUALIFICATION_KINDS = {
    "briefing": N_("Safety briefing: %(what)s"),
    "qualification": N_("Qualification: %(what)s"),
}

CLOSINGS = {
    "tap_out": N_("tapped out"),
    "moved": N_("moved to another machine"),
    "handover": N_("another person took over"),
    "closed_by_instructor": N_("closed by the instructor"),
    "machine_off": N_("the machine was switched off"),
    "idle_timeout": N_("the machine stood idle too long"),
    "max_session": N_("longest session reached"),
    "day_end": N_("end of the lesson"),
    "outage": N_("the kiosk was down"),
}
"""Why a session closed."""

FLAGS = {
    "questioned": N_("questioned by the apprentice"),
    "clock_uncertain": N_("clock uncertain"),
    "overlap": N_("overlaps another session"),
    "status_lost": N_("machine signal lost"),
    "closed_by_system": N_("closed by the system"),
    "no_machine_time": N_("machine did not work"),
    "too_long": N_("very long"),
    "no_process": N_("no work process"),
    "corrected": N_("corrected"),
    "minor_limit": N_("limit for minors"),
    "same_time_pair": N_("two cards together again"),
    "two_places": N_("one card at two places at once"),
}
"""Worst first, as in hours.md section 6, between the two marks of `kiosk.domain.flags.LIVE`."""

FLAG_ICONS = {
    "questioned": "question",
    "clock_uncertain": "clock",
    "overlap": "overlap",
    "status_lost": "signal-lost",
    "closed_by_system": "closed",
    "no_machine_time": "idle",
    "too_long": "clock",
    "no_process": "question",
    "corrected": "pencil",
    "minor_limit": "alert",
    "same_time_pair": "pair",
    "two_places": "alert",
}

REVIEWS = {
    "pending": N_("waiting"),
    "approved": N_("approved"),
    "adjusted": N_("adjusted"),
    "rejected": N_("rejected"),
}

REVIEW_REASON_WORDS = {
    "equipment_fault": N_("The equipment had a fault"),
    "forgot_tap": N_("The card was not tapped in time"),
    "wrong_process": N_("It was another work process"),
    "not_present": N_("The person was not there"),
    "setup_counts": N_("It was setup work that counts"),
    "other": N_("Another reason"),
    "undone": N_("The decision was undone"),
}
"""By reason of a decision; the last one is of `kiosk.domain.entries.UNDONE`, which nobody chooses."""

MANUAL_REASON_WORDS = {
    "kiosk_down": N_("The kiosk did not work"),
    "work_elsewhere": N_("The work was elsewhere"),
    "forgot_card": N_("The card was left at home"),
    "other": N_("Another reason"),
}
"""Why hours were entered by hand."""

CHOICES = {
    "in": N_("free to start"),
    "observer": N_("watching only"),
    "out": N_("finish here"),
    "still_on": N_("you are on it"),
    "told": N_("another person took over"),
}
"""What a touch on a machine comes to, by `MachineChoice.outcome`; a refusal says why by `REFUSALS`."""

LEVELS = (N_("not shown yet"), N_("with help"), N_("alone"), N_("can teach it"))
NO_LEVEL = N_("not signed yet")

SIGNED_HOW = {
    "web": N_("in the office"),
    "panel_both_badges": N_("at the machine, with both cards"),
    "panel_badge": N_("at the machine, with the instructor's card"),
}
"""Where a level was signed, by `kiosk.domain.competence.HOW`."""

WRONG = (
    N_("The time is wrong"),
    N_("It was another machine"),
    N_("It was another work process"),
    N_("I forgot to tap"),
    N_("It was not me"),
    N_("Something else"),
)
"""What is wrong with a session: ready phrases, for gloves."""

EVIDENCE = {
    "badge+machine": N_("card and machine"),
    "badge": N_("card only"),
    "manual": N_("entered by hand"),
}

ROLES = {
    "instructor": N_("instructor"),
    "lead": N_("lead instructor"),
    "admin": N_("administrator"),
    "auditor": N_("auditor"),
}

SESSION_ROLES = {"operator": N_("operator"), "observer": N_("observer")}

COMMAND_REFUSALS = {
    "unknown_session": N_("There is no such session any more. Load the page again."),
    "session_open": N_("A session is still open. End it, or wait until it has ended."),
    "own_session": N_("Nobody decides on their own sessions. Ask another instructor."),
    "own_papers": N_("Nobody hands in qualifications of their own. Ask another instructor, or leave them out."),
    "not_clean": N_("One of the sessions is no longer clean or was already decided. Look at the list and try again."),
    "changed_meanwhile": N_("It has changed since you saw it. Look again, then decide."),
    "reason_missing": N_("Choose a reason."),
    "text_too_long": N_("The text is too long. Shorten it."),
    "unknown_process": N_("That work process is not in the plan. Choose one from the list."),
    "credited_out_of_range": N_("The credited time may not be longer than the presence."),
    "not_instructor": N_("Only instructors may do this."),
    "unknown_person": N_("That person is not on the list any more. Choose another one."),
    "unknown_machine": N_("That machine is not in the workshop any more. Choose another one."),
    "not_past": N_("The end must come after the beginning, and both must have passed."),
    "overlap": N_("The person has another session at that time. Nobody is credited twice."),
    "longer_than_allowed": N_("That is longer than a session may be. Look at both dates, or enter each day by itself."),
    "already_dated": N_("This session has a certain date already."),
    "out_of_order": N_(
        "That cannot be: the kiosk knows what happened before and after. Look at the date and the time."
    ),
    "no_open_session": N_("The session has ended already."),
    "not_waiting": N_("Too late. Tap your card again."),
    "unknown_reader": N_("Too late. Tap your card again."),
    "not_due": N_("There is time: nothing ends now."),
    "not_own_session": N_("That is not your session."),
    "already_questioned": N_("You have asked already. The instructor will look at it."),
    "not_decided": N_("One of the sessions was not decided yet. Load the page again."),
    "not_yours": N_("Another instructor has decided since. Only your own last decision can be undone."),
    "needs_lead": N_("Another instructor has decided this. Ask a lead instructor for a second decision."),
    "leads_only": N_("Only a lead instructor or an administrator may do this."),
    "needs_admin": N_("Only an administrator may do this."),
    "unknown_enterprise": N_("That enterprise is not in the workshop's list. Choose one from the list."),
    "bad_date": N_("That is no day. Write it as 01.09.2026."),
    "wrong_order": N_("The last day comes before the first. Exchange or correct them."),
    "person_exists": N_("Somebody with that number is on the list already. Open that person instead."),
    "merged_person": N_("That number was merged with another person. Use the person who was kept."),
    "same_person": N_("That is the same person. Choose two different rows."),
    "other_role": N_("One is an apprentice and the other an instructor. Correct the role first."),
    "has_account": N_("An account belongs to this person. Close it first, under Settings."),
    "unknown_badge": N_("That card is nobody's any more. Load the page again."),
    "badge_taken": N_("That card belongs to somebody already."),
    "random_badge": N_("That card changes its number each time. Take another one."),
    "cascade_badge": N_("The reader sees only a part of that card's number. Take another one."),
    "zero_badge": N_("That card has no number. Take another one."),
    "unknown_user": N_("There is no such account any more. Load the page again."),
    "user_exists": N_("An account of that name is there already. Choose another name."),
    "unknown_role": N_("That role does not exist. Choose one from the list."),
    "last_admin": N_("This is the last administrator without an end date. Make another one first."),
    "no_answer": N_("The kiosk is busy. Look whether the decision is there, and try again if not."),
    "not_recording": N_("The kiosk records nothing now. Once it does, look whether the decision is there."),
    "store": N_("The kiosk cannot record anything now. Nothing was changed."),
    "no_log": N_("The kiosk cannot record anything now. Nothing was changed."),
}
"""Why the clerk said no, by `CommandRefused.code`."""

COMMAND_REFUSED_OTHERWISE = N_("The kiosk refused this. Nothing was changed. Code: %(code)s")

NOT_RECORDING = {
    "clerk_stopped": N_("The recording has stopped. Call the instructor."),
    "disk_full": N_("The disk is full. Call the instructor."),
    "read_only": N_("The disk cannot be written. Call the instructor."),
    "disk_fault": N_("The disk has a fault. Call the instructor."),
    "history_damaged": N_("The disk has lost something that was recorded. Call the instructor."),
}
"""Why nothing is recorded, by `KioskStatus.reason`; a reason that is not here is shown as it stands."""

OUTCOMES = {
    "reported": N_("messages understood"),
    "unmapped": N_("values not explained"),
    "gone": N_("said goodbye"),
    "ignored": N_("messages about other things"),
    "rejected": N_("messages not understood"),
}
"""What became of a machine's messages."""

REJECTIONS = {
    "framing": N_("cut off"),
    "checksum": N_("wrong checksum"),
    "too_long": N_("too long"),
    "format": N_("wrong form"),
    "noise": N_("noise"),
}
"""Why a reader's bytes were no badge; a reason that is not here is shown as it stands."""

READER_TROUBLES = (
    (re.compile(r" is not there; "), N_("The port is not there. Plug the reader in.")),
    (re.compile(r" may not be opened; "), N_("The kiosk may not open the port. Tell the administrator.")),
    (re.compile(r" is held by another program; "), N_("Another program holds the port. Tell the administrator.")),
    (re.compile(r" went away; "), N_("The reader went away. Plug it in again.")),
    (re.compile(r" failed: "), N_("The port failed. Check the cable.")),
    (re.compile(r" cannot be a port: "), N_("This cannot be a port. Tell the administrator.")),
    (
        re.compile(r" more bytes than a reader can send; "),
        N_("More comes than a reader can send. Unplug it and check it."),
    ),
    (re.compile(r" the reader does not answer; "), N_("The reader does not answer. Check its power and its wires.")),
    (
        re.compile(r" seems to send at (?P<speed>\d+), "),
        N_("Nothing can be read: the reader seems to send at another speed, %(speed)s baud. Tell the administrator."),
    ),
    (
        re.compile(r" never a whole frame| arrive as UTF-8 text; "),
        N_("Bytes arrive, but nothing can be read. Check the protocol, the speed and the wires."),
    ),
)
"""What a reader's link says in `ReaderStatus.detail`, for people; what is not here is shown as it stands."""

LANGUAGE_NAMES = {"kk": "Қазақша", "ru": "Русский", "en": "English"}
"""Each in its own language, so never translated."""
