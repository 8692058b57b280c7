"""`/settings`: one's own password, PIN, language and signed-in devices; and what this kiosk is."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import version
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from kiosk import passwords, phrases
from kiosk.commands import CommandRefused, SetPin
from kiosk.phrases import N_
from kiosk.store import people
from kiosk.store.schema import open_reader
from kiosk.web.accounts import SignIn, device_name
from kiosk.web.apps import account, services_of_app
from kiosk.web.login import note, sign_ins
from kiosk.web.own_password import refusal, wrong_password
from kiosk.web.panel_frame import VOUCHING
from kiosk.web.reading import Reading
from kiosk.web.services import Services
from kiosk.words import clock_time, day, decimal_comma, local

settings = Blueprint("settings", __name__, url_prefix="/settings")
GIGABYTE = 1000**3
PIN_WEAKNESSES = {
    passwords.TOO_SHORT: N_("A PIN has four to eight digits."),
    passwords.TOO_LONG: N_("A PIN has four to eight digits."),
    passwords.COMMON: N_("A PIN has four to eight digits, and not all the same."),
    passwords.WALK: N_("Others would guess this PIN: its digits stand in a row."),
}


@dataclass(frozen=True)
class Device:
    """One sign-in, in words."""

    id: str
    name: str
    source: str
    since: str
    here: bool


@dataclass(frozen=True)
class About:
    """This kiosk, for whoever compares fingerprints or asks for help."""

    version: str
    free: str
    """Room left on the disk, in gigabytes; empty where the disk does not say."""
    fingerprint: str
    certificate_until: str
    self_made: bool
    languages: Sequence[str]


@settings.get("")
def show() -> str:
    """Everything on one page."""
    return _page()


@settings.post("/pin")
def pin() -> BaseResponse | tuple[str, int]:
    """Another PIN for the panel at the kiosk, for those who have a badge to lay beside it."""
    if account().role not in VOUCHING:
        abort(403)
    digits = request.form.get("pin", "").strip()
    why = passwords.pin_weakness(digits)
    fault = gettext(PIN_WEAKNESSES[why]) if why else wrong_password(request.form.get("current", ""))
    if fault is None:
        try:
            services_of_app(current_app).submit(
                SetPin(account().name, passwords.hash_password(digits), by=account().user_ref)
            )
        except CommandRefused as error:
            fault = refusal(error)
    if fault is not None:
        return _page(fault), 400
    flash(gettext("The PIN is changed."), "done")
    return redirect(url_for("settings.show"), 303)


@settings.post("/devices")
def end() -> BaseResponse:
    """One other device is signed out, or all of them."""
    chosen = request.form.get("device", "")
    if chosen:
        ended = sign_ins().end_one(account().name, chosen) if chosen != sign_ins().id_of(account().token) else False
    else:
        ended = sign_ins().end_others(account().name, but=account().token) > 0
    if ended:
        note("signed_out", account().user_ref, request.remote_addr or "")
    flash(gettext("Signed out there.") if ended else gettext("Nobody is signed in there any more."), "done")
    return redirect(url_for("settings.show"), 303)


def devices(services: Services, found: Sequence[SignIn], here: str | None) -> list[Device]:
    """Sign-ins in words, the latest first."""
    zone = ZoneInfo(services.lab.timezone)
    return [
        Device(
            each.id,
            device_name(each.device) or gettext("unknown device"),
            each.source,
            moment(each.since_ms, zone),
            each.id == here,
        )
        for each in found
    ]


def moment(utc_ms: int, zone: ZoneInfo) -> str:
    """`29.10.2026, 14:30`, local."""
    return f"{day(local(utc_ms, zone).date())}, {clock_time(utc_ms, zone)}"


def gigabytes(size: int) -> str:
    """`12,4`."""
    return decimal_comma(Decimal(size) / GIGABYTE)


def _page(fault: str = "") -> str:
    services = services_of_app(current_app)
    with closing(open_reader(services.database)) as connection:
        user = people.user_by_name(connection, account().name)
        person_ref = account().person_ref
        owner = Reading(connection, services.lab).full_name(person_ref) if person_ref else ""
    if user is None:
        abort(403)
    return render_template(
        "staff/settings.html",
        user=user,
        owner=owner,
        until=day(user.until) if user.until else "",
        has_panel=user.role in VOUCHING,
        devices=devices(services, sign_ins().of(user.name), sign_ins().id_of(account().token)),
        about=_about(services),
        fault=fault,
    )


def _about(services: Services) -> About:
    made = services.certificate
    free = ""
    with suppress(OSError):
        free = gigabytes(shutil.disk_usage(services.database.parent).free)
    zone = ZoneInfo(services.lab.timezone)
    return About(
        version=version("sheber"),
        free=free,
        fingerprint=made.fingerprint if made else "",
        certificate_until=day(local(made.not_after_ms, zone).date()) if made else "",
        self_made=made is not None and made.self_made,
        languages=[phrases.LANGUAGE_NAMES[each] for each in services.lab.languages],
    )
