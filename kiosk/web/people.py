"""`/people`: the roster, a person's page, and what staff change there. No JavaScript is needed; the clerk changes.

Names, numbers and birth dates stand on pages and in forms, never in an address, a log or an act.
"""

from __future__ import annotations

from kiosk.web import people_changes, people_form, people_list, people_one, people_parting, people_take_along
from kiosk.web.people_frame import people

__all__ = [
    "people",
    "people_changes",
    "people_form",
    "people_list",
    "people_one",
    "people_parting",
    "people_take_along",
]
