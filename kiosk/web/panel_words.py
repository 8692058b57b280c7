"""Words that only the instructor's panel says. English here is the message id, as in `phrases`."""

from __future__ import annotations

from kiosk.phrases import N_

NO_SIGNER = {
    "no_pin": N_("No PIN is set for your card. Ask the administrator for one."),
    "account_ended": N_("Your account has ended. Ask the administrator."),
    "not_instructor": N_("Only instructors may do this."),
}
"""Why a badge opens no panel."""

REFUSALS = {
    "nothing_seen": N_("The new card was not seen here in the last ten minutes. Hold it to the reader again."),
    "badge_taken": N_("That card belongs to somebody already."),
    "random_badge": N_("That card changes its number each time. Take another one."),
    "cascade_badge": N_("The reader sees only a part of that card's number. Take another one."),
    "zero_badge": N_("That card has no number. Take another one."),
    "unknown_competency": N_("That skill is not in the person's plan."),
    "own_session": N_("Nobody decides on what is their own. Ask another instructor."),
    "nobody": N_("Nobody has tapped yet."),
    "unknown_briefing": N_("No machine requires that briefing any more."),
    "past_date": N_("That day has passed."),
}
"""Why the clerk said no, where the staff side has no words for it or other ones."""

NOTES = (
    N_("Measured the part"),
    N_("Explained each step"),
    N_("Worked safely"),
    N_("Once more, please"),
)
"""What may stand beside a sign-off: ready phrases, for gloves."""

VALIDITY = ((365, N_("One year")), (182, N_("Half a year")), (91, N_("Three months")))
"""How long a briefing holds, in days."""
FOR_EVER = N_("No end")

NOT_PRESENT = {
    "unknown": N_("Unknown card"),
    "blocked": N_("This card is blocked"),
    "inactive": N_("Not on the active list"),
    "instructor": N_("An instructor's card"),
    "trouble": N_("The list of people cannot be read now"),
    "already": N_("Already on the list"),
}
"""What a tap came to that put nobody on the list."""
