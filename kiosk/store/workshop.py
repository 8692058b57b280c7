"""What the database knows of its workshop, so that who has the data folder alone can read it: zone, names, places.

Kept in `meta` at every start of a kiosk, and only there: the ledger has what hours depend on, and `lab.toml` the rest.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kiosk.store.meta import get_meta, put_meta
from lab_config.model import Enterprise, Lab, LocalText, Machine, Process, Programme

_KEY = "workshop"


@dataclass(frozen=True)
class Known:
    """A workshop as the data tells it."""

    lab: Lab
    """Of everything else than `remember` names, nothing is known."""
    named: bool
    """Are there names, places and the academic hour? Else only ids and the zone."""


def remember(connection: sqlite3.Connection, lab: Lab) -> None:
    """Keep what paper shows of a lab. The caller commits."""
    put_meta(connection, _KEY, json.dumps(_told(lab), ensure_ascii=False))


def known(connection: sqlite3.Connection) -> Known | None:
    """The workshop of this data; of a file that no kiosk has started on since names are kept, as its ledger tells it.

    None where no kiosk has started on it at all.
    """
    kept = get_meta(connection, _KEY)
    if kept is not None:
        return Known(_lab(json.loads(kept)), named=True)
    row = connection.execute(
        "SELECT bytes FROM ledger WHERE type = 'config_adopted' ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    return None if row is None else Known(_adopted(json.loads(row[0])["config"]), named=False)


def _told(lab: Lab) -> dict[str, Any]:
    return {
        "id": lab.id,
        "name": _text(lab.name),
        "organisation": _text(lab.organisation),
        "timezone": lab.timezone,
        "academic_hour_ms": lab.academic_hour_ms,
        "place": lab.place,
        "enterprise_share": lab.enterprise_share,
        "machines": [{"id": each.id, "name": _text(each.name), "place": each.place} for each in lab.machines],
        "programmes": [
            {
                "id": each.id,
                "code": each.code,
                "title": _text(each.title),
                "processes": [{"id": process.id, "title": _text(process.title)} for process in each.processes],
            }
            for each in lab.programmes
        ],
        "enterprises": [{"id": each.id, "name": _text(each.name)} for each in lab.enterprises],
    }


def _text(text: LocalText) -> dict[str, str]:
    return dict(text.by_language)


def _lab(told: Mapping[str, Any]) -> Lab:
    return Lab(
        id=told["id"],
        name=LocalText(told["name"]),
        organisation=LocalText(told["organisation"]),
        timezone=told["timezone"],
        academic_hour_ms=told["academic_hour_ms"],
        place=told["place"],
        enterprise_share=told["enterprise_share"],
        machines=tuple(Machine(each["id"], LocalText(each["name"]), place=each["place"]) for each in told["machines"]),
        programmes=tuple(
            Programme(
                each["id"],
                LocalText(each["title"]),
                each["code"],
                processes=tuple(Process(process["id"], LocalText(process["title"])) for process in each["processes"]),
            )
            for each in told["programmes"]
        ),
        enterprises=tuple(Enterprise(each["id"], LocalText(each["name"])) for each in told["enterprises"]),
    )


def _adopted(config: Mapping[str, Any]) -> Lab:
    """Out of a `config_adopted` entry, which holds ids alone."""
    nameless = LocalText({})
    programmes: dict[str, list[Process]] = {}
    for each in config["processes"]:
        programmes.setdefault(each["programme"], []).append(Process(each["id"], nameless))
    return Lab(
        id=config["lab"],
        name=LocalText({"en": config["lab"]}),
        timezone=config["timezone"],
        machines=tuple(Machine(each["id"], nameless) for each in config["machines"]),
        programmes=tuple(Programme(name, nameless, processes=tuple(found)) for name, found in programmes.items()),
        enterprises=tuple(Enterprise(each["id"], nameless) for each in config["enterprises"]),
    )
