"""The panel's first page, to which every finished errand comes back."""

from __future__ import annotations

from kiosk.store import views
from kiosk.web.own_record import unknown_seen
from kiosk.web.panel_floor import undated
from kiosk.web.panel_frame import Inside, Note, reading, services, sheet
from kiosk.web.panel_learner import last_learner


def home(at: Inside, note: Note | None = None) -> str:
    """What can be done here, what is at hand first."""
    with reading() as store:
        learner = last_learner(store, at.visit)
        name = store.short_name(learner) if learner else ""
        card = unknown_seen(store, at.visit.reader, services().wall_ms())
        values = {
            "learner": name,
            "card": card,
            "sessions": len(views.open_sessions(store.connection)),
            "undated": undated(store, at) is not None,
        }
    return sheet("home", at.visit, note, **values)
