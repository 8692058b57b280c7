"""What the data folder knows of its workshop without `lab.toml`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from web_fixtures import invented_lab

from kiosk.clock import SystemClock
from kiosk.desk import Desk
from kiosk.store.schema import open_reader, open_writer, write
from kiosk.store.workshop import Known, known
from lab_config.model import Lab, LocalText


def started(database: Path, lab: Lab) -> Known | None:
    """After a kiosk has run on it."""
    with closing(Desk(database, SystemClock(), lab)) as desk:
        desk.start()
    with closing(open_reader(database)) as connection:
        return known(connection)


def without_names(database: Path) -> Known | None:
    """As a kiosk left it that did not keep them yet."""
    with closing(open_writer(database)) as connection:
        with write(connection):
            connection.execute("DELETE FROM meta WHERE key = 'workshop'")
        return known(connection)


def test_everything_that_paper_shows_of_a_workshop_comes_back(tmp_path: Path) -> None:
    plan = invented_lab()
    machines = tuple(replace(each, place="enterprise") for each in plan.machines[:1]) + plan.machines[1:]
    lab = replace(
        plan,
        machines=machines,
        organisation=LocalText({"kk": "Колледж", "ru": "Колледж № 3"}),
        timezone="Asia/Aqtau",
        academic_hour_ms=40 * 60_000,
        enterprise_share=50,
    )
    found = started(tmp_path / "kiosk.db", lab)
    assert found is not None
    assert found.named
    for name in ("id", "name", "organisation", "timezone", "academic_hour_ms", "place", "enterprise_share"):
        assert getattr(found.lab, name) == getattr(lab, name)
    assert [(m.id, m.name, m.place) for m in found.lab.machines] == [(m.id, m.name, m.place) for m in lab.machines]
    assert [(e.id, e.name) for e in found.lab.enterprises] == [(e.id, e.name) for e in lab.enterprises]
    told, given = (
        [(p.id, p.code, p.title, [(q.id, q.title) for q in p.processes]) for p in each.programmes]
        for each in (found.lab, lab)
    )
    assert told == given


def test_the_newest_configuration_is_the_one_that_is_known(tmp_path: Path) -> None:
    lab = replace(invented_lab(), timezone="America/Lima")
    started(tmp_path / "kiosk.db", replace(lab, timezone="Asia/Almaty", name=LocalText({"en": "Old"})))
    found = started(tmp_path / "kiosk.db", lab)
    assert found is not None
    assert (found.lab.timezone, found.lab.name) == ("America/Lima", lab.name)


def test_before_names_were_kept_the_ledger_tells_the_zone_and_the_ids(tmp_path: Path) -> None:
    lab = replace(invented_lab(), timezone="America/Lima")
    started(tmp_path / "kiosk.db", replace(lab, timezone="Asia/Almaty"))
    started(tmp_path / "kiosk.db", lab)
    found = without_names(tmp_path / "kiosk.db")
    assert found is not None
    assert not found.named
    assert (found.lab.id, found.lab.timezone) == (lab.id, "America/Lima")
    assert [each.id for each in found.lab.machines] == [each.id for each in lab.machines]
    told, given = ({(p.id, q.id) for p in each.programmes for q in p.processes} for each in (found.lab, lab))
    assert told == given


def test_of_data_that_no_kiosk_has_run_on_nothing_is_known(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "kiosk.db")) as connection:
        assert known(connection) is None
