"""The kiosk listener's pages: the screen itself, `/health` and `/metrics`, and the demo's tap."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, abort, current_app, jsonify, render_template, request
from flask_babel import gettext

from firmware_bridge.probe.rhythm import too_short
from kiosk.store.schema import StoreError, open_reader
from kiosk.web.apps import request_language, services_of_app
from kiosk.web.board import BoardView, machine_name
from kiosk.web.feed import Feed
from kiosk.web.reading import Reading, disk_is_away
from kiosk.web.services import KioskStatus, ReaderStatus, Services, SourceStatus
from kiosk.words import clock_time, words

screen = Blueprint("screen", __name__)


@screen.get("/")
def show() -> Response:
    """The whole page, drawn as of now; the live stream carries it on from here."""
    services = services_of_app(current_app)
    board: BoardView = current_app.extensions["sheber"]["board"]
    demo = services.simulate_tap is not None
    try:
        with closing(open_reader(services.database)) as connection:
            reading = Reading(connection, services.lab)
            seq = str(reading.newest_seq())  # read first: what is committed meanwhile comes again by the stream
            payload = board.payload(reading)
            demo_people = reading.people_with_badges() if demo else None
    except (StoreError, sqlite3.Error) as error:
        if not disk_is_away(services, error):
            raise
        # What is to be said in red needs no disk; the stream brings the rest later.
        seq, payload, demo_people = "", board.blank(), [] if demo else None
    status = board.status_payload()
    html = render_template(
        "kiosk/screen.html",
        place=services.lab.name.in_language(board.languages[0].language) or services.lab.id,
        languages=board.languages,
        first=board.languages[0],
        demo=services.lab.demo,
        screen=request.args.get("screen", ""),
        seq=seq,
        board=payload["html"],
        latest=payload["latest"],
        warnings=payload["warnings"],
        now=clock_time(payload["now_ms"], ZoneInfo(services.lab.timezone)),
        now_ms=payload["now_ms"],
        offset_ms=payload["offset_ms"],
        marks=status["marks"],
        page=status["page"],
        recording=status["recording"],
        reason=status["reason"],
        demo_people=demo_people,
        demo_readers=_reader_names(services),
    )
    return Response(html, headers={"Cache-Control": "no-store"})


def _reader_names(services: Services) -> list[dict[str, str]]:
    language = words(request_language(services))
    return [
        {"id": each.id, "name": machine_name(services.lab, each.machine, language) or each.id}
        for each in services.lab.readers
    ]


@screen.post("/demo/tap")
def tap() -> tuple[str, int]:
    """A visitor's tap: the virtual reader puts real bytes on its line."""
    services = services_of_app(current_app)
    if services.simulate_tap is None:
        abort(404)
    asked = request.get_json(silent=True)
    reader, badge = (asked.get("reader"), asked.get("badge")) if isinstance(asked, dict) else (None, None)
    if not (isinstance(reader, str) and isinstance(badge, str)):
        return gettext("Send JSON with a reader and a badge."), 400
    try:
        services.simulate_tap(reader, badge)
    except (LookupError, ValueError):
        return gettext("There is no reader %(reader)s, or it cannot read such a card.", reader=reader), 400
    return "", 204


@screen.get("/health")
def health() -> tuple[Response, int]:
    """For systemd and scripts: 200 while taps are recorded, else 503."""
    services = services_of_app(current_app)
    status = services.status()
    numbers = _numbers(services)
    ok = status.recording and numbers is not None
    body = {
        "ok": ok,
        "recording": status.recording,
        "reason": status.reason,
        "readers": {name: _reader(each) for name, each in status.readers.items()},
        "sources": {name: _source(services, name, each) for name, each in status.sources.items()},
        "broker": status.broker,
        "broker_detail": status.broker_detail,
        "panel_detail": status.panel_detail,
        "clock_synced": status.clock_synced,
        "seq": numbers["seq"] if numbers else None,
        "undelivered": numbers["undelivered"] if numbers else None,
        "ledgers_damaged": status.counters.get("ledger_damaged_total", 0),
    }
    response = jsonify(body)
    response.headers["Cache-Control"] = "no-store"
    return response, 200 if ok else 503


def _reader(status: ReaderStatus) -> dict[str, Any]:
    return {
        "connected": status.connected,
        "detail": status.detail,
        "frames": status.frames,
        "rejected": dict(status.rejected),
    }


def _source(services: Services, machine: str, status: SourceStatus) -> dict[str, Any]:
    stale_after_ms = services.lab.machine(machine).rules.stale_after_ms
    return {
        "period_ms": status.period_ms,
        "stale_after_ms": stale_after_ms,
        "stale_after_too_short": too_short(stale_after_ms, status.period_ms),
        "messages": dict(status.outcomes),
    }


@screen.get("/metrics")
def metrics() -> Response:
    """Prometheus text: counts and conditions, nothing about a person."""
    services = services_of_app(current_app)
    status = services.status()
    feed: Feed | None = current_app.extensions["sheber"]["feed"]
    lines = [*_gauges(status, _numbers(services), feed.streams if feed else 0), ""]
    return Response("\n".join(lines), content_type="text/plain; version=0.0.4; charset=utf-8")


def _gauges(status: KioskStatus, numbers: dict[str, int] | None, streams: int) -> list[str]:
    lines = [
        _line("sheber_recording", status.recording),
        _line("sheber_clock_synced", status.clock_synced),
        _line("sheber_streams", streams),
    ]
    if status.broker is not None:
        lines.append(_line("sheber_broker_connected", status.broker))
    if numbers is not None:
        lines += [
            _line("sheber_ledger_entries", numbers["seq"] + 1),
            _line("sheber_undelivered", numbers["undelivered"]),
        ]
    lines += [_line("sheber_reader_connected", each.connected, reader=name) for name, each in status.readers.items()]
    for name, each in status.readers.items():
        lines.append(_line("sheber_reader_frames_total", each.frames, reader=name))
        lines += [
            _line("sheber_reader_rejected_total", count, reader=name, reason=reason)
            for reason, count in sorted(each.rejected.items())
        ]
    for machine, source in status.sources.items():
        if source.period_ms is not None:
            lines.append(_line("sheber_machine_period_ms", source.period_ms, machine=machine))
        lines += [
            _line("sheber_machine_messages_total", count, machine=machine, outcome=outcome)
            for outcome, count in sorted(source.outcomes.items())
        ]
    lines += [
        _line("sheber_machine_heard_ms", heard, machine=name)
        for name, heard in status.machines_heard.items()
        if heard is not None
    ]
    lines += [_line(f"sheber_{name}", count) for name, count in sorted(status.counters.items())]
    return lines


def _line(name: str, value: Any, **labels: str) -> str:
    escaped = ",".join(
        '{}="{}"'.format(key, text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n"))
        for key, text in labels.items()
    )
    return f"{name}{{{escaped}}} {int(value)}" if labels else f"{name} {int(value)}"


def _numbers(services: Services) -> dict[str, int] | None:
    """The newest entry and how many records wait; `None` where the database cannot be read."""
    try:
        with closing(open_reader(services.database)) as connection:
            reading = Reading(connection, services.lab)
            return {"seq": reading.newest_seq(), "undelivered": reading.undelivered()}
    except (StoreError, sqlite3.Error):
        return None
