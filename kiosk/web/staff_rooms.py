"""The rooms of the staff side, a blueprint each: `access.py` tells who may enter, and shuts what it does not name."""

from __future__ import annotations

from kiosk.web.account_pages import accounts
from kiosk.web.audit import audit
from kiosk.web.backups import backups
from kiosk.web.briefing_hold import briefing
from kiosk.web.briefings import briefings
from kiosk.web.by_hand import by_hand
from kiosk.web.delivery import delivery
from kiosk.web.imports import imports
from kiosk.web.job_pages import jobs
from kiosk.web.live_board import board
from kiosk.web.login import login
from kiosk.web.machine_page import machines
from kiosk.web.own_password import password
from kiosk.web.pair import screens
from kiosk.web.people import people as people_pages
from kiosk.web.programme_import import programme_import
from kiosk.web.programmes import programmes
from kiosk.web.reports import reports
from kiosk.web.review import review
from kiosk.web.settings import settings

STAFF_ROOMS = (
    login,
    settings,
    password,
    backups,
    audit,
    accounts,
    screens,
    review,
    by_hand,
    board,
    people_pages,
    imports,
    programmes,
    programme_import,
    machines,
    briefings,
    briefing,
    delivery,
    reports,
    jobs,
)
