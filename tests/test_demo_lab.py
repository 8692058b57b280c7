"""The demo lab is a lab like any other: it loads, and it is large enough to show everything."""

from __future__ import annotations

import copy
import csv
import re
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_bridge import registry
from firmware_bridge.readers.transforms import transform
from firmware_bridge.simulator.active_frames import ACTIVE_FRAMES
from firmware_bridge.simulator.catalogue import virtual_machine
from firmware_bridge.simulator.frames import FRAMES
from kiosk.demo.office import of_this_year
from kiosk.imports.people import read_people
from lab_config.demo import FOLDER, PEOPLE, write_demo_lab
from lab_config.load import ConfigurationError, Problem, load
from lab_config.model import LANGUAGES, Lab, LocalText

COLUMNS = (
    "person_id,role,surname,given,patronymic,group,active,language,birth_date,programme,enterprise,personnel_number,"
    "contract,contract_from,contract_to,consent_until,badges,qualifications"
)
"""Contract, section 4, in its order."""
QUALIFICATION = re.compile(r"(?P<id>[a-z]+:[a-z_]+)(:(?P<until>\d{4}-\d{2}-\d{2}))?")


@pytest.fixture(scope="module")
def lab() -> Lab:
    return load(FOLDER)


@pytest.fixture(scope="module")
def people() -> list[dict[str, str]]:
    with PEOPLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_it_loads_without_a_problem_and_is_marked_as_invented(lab: Lab) -> None:
    assert lab.demo
    assert (lab.timezone, lab.languages) == ("Asia/Almaty", LANGUAGES)


def test_every_name_in_it_is_there_in_three_languages(lab: Lab) -> None:
    names: list[LocalText] = [lab.name, lab.organisation]
    names += [machine.name for machine in lab.machines] + [enterprise.name for enterprise in lab.enterprises]
    for programme in lab.programmes:
        names.append(programme.title)
        names += [process.title for process in programme.processes]
        names += [competency.title for competency in programme.competencies]
    assert all(set(name.by_language) == set(LANGUAGES) for name in names)


def test_every_machine_has_a_reader_and_belongs_to_a_process(lab: Lab) -> None:
    machines = {machine.id for machine in lab.machines}
    assert {reader.machine for reader in lab.readers} == machines
    named = {place for programme in lab.programmes for process in programme.processes for place in process.machines}
    assert all(machine.id in named or f"class:{machine.machine_class}" in named for machine in lab.machines)


def test_it_has_every_way_to_hear_a_machine_and_both_kinds_of_silence(lab: Lab) -> None:
    sources = {machine.id: machine.status for machine in lab.machines}
    dialects = {source.dialect for source in sources.values() if source}
    assert dialects == {"tasmota", "zigbee2mqtt", "mtconnect", "shelly2", "esphome", "sparkplug", "packml", "json"}
    assert sources["bench-1"] is None
    assert [machine.id for machine in lab.machines if machine.rules.stale_after_ms is None] == ["mecha-1", "elec-1"]
    mecha = lab.machine("mecha-1")
    assert (mecha.crew, mecha.rules.crew_credit, mecha.when_full) == (3, "split", "refuse")


def test_its_machines_speak_where_it_listens(lab: Lab) -> None:
    for machine in lab.machines:
        if machine.status is not None:
            virtual = virtual_machine(machine.id, machine.status.dialect, host="", port=0)
            assert virtual.status.keys() >= machine.status.options.keys() or machine.status.dialect == "json"
            told = {key: virtual.status[key] for key in machine.status.options if key in virtual.status}
            assert told | {"pointer": "/power_w"} == dict(machine.status.options) | {"pointer": "/power_w"}


def test_presence_counts_only_at_the_bench_which_nobody_hears(lab: Lab) -> None:
    of_presence = [
        process for programme in lab.programmes for process in programme.processes if process.presence_counts
    ]
    assert {place for process in of_presence for place in process.machines} == {"bench-1"}


def test_each_programme_asks_for_1080_hours(lab: Lab) -> None:
    for programme in lab.programmes:
        assert sum(process.required_ms or 0 for process in programme.processes) == 1_080 * 3_600_000


def test_one_enterprise_takes_no_time_that_only_a_badge_proves(lab: Lab) -> None:
    assert [one.accepts for one in lab.enterprises if "badge" not in one.accepts] == [("badge+machine", "manual")]
    assert all(one.deliver == "webhook" and one.local for one in lab.enterprises)


def test_its_people_have_the_columns_of_a_roster(people: list[dict[str, str]]) -> None:
    assert ",".join(people[0]) == COLUMNS
    assert [row["role"] for row in people].count("apprentice") == 12
    assert [row["person_id"] for row in people if row["role"] == "instructor"] == ["i1", "i2"]
    assert {row["language"] for row in people} == set(LANGUAGES)
    assert {row["group"] for row in people if row["role"] == "apprentice"} == {"ТМ-21", "СВ-22", "ЭЛ-23"}


def test_its_people_can_be_imported() -> None:
    rows, problems = read_people(PEOPLE)
    assert problems == ()
    first = rows[0]
    assert (first.person_id, first.badges) == ("p1", ("67003B51C6",))
    assert ("briefing:cnc", "2027-06-30") in first.qualifications
    assert ("qualification:cnc_mill", None) in first.qualifications


def test_its_people_have_programmes_and_enterprises_of_the_lab(lab: Lab, people: list[dict[str, str]]) -> None:
    apprentices = [row for row in people if row["role"] == "apprentice"]
    assert {row["programme"] for row in apprentices} == {programme.id for programme in lab.programmes}
    assert {row["enterprise"] for row in apprentices} == {enterprise.id for enterprise in lab.enterprises}
    for row in apprentices:
        assert 2006 <= date.fromisoformat(row["birth_date"]).year <= 2010
        assert (row["contract_from"], row["contract_to"]) == ("2026-09-01", "2027-06-30")


def test_every_kazakh_letter_is_in_a_name(people: list[dict[str, str]]) -> None:
    written = "".join(row["surname"] + row["given"] + row["patronymic"] for row in people).lower()
    assert set("әғқңөұүһі") <= set(written)


def test_a_badge_of_the_demo_is_one_persons_and_the_same_at_every_reader(
    lab: Lab, people: list[dict[str, str]]
) -> None:
    badges = [badge for row in people for badge in row["badges"].split()]
    assert len(set(badges)) == len(badges) == 15
    protocols = {reader.protocol: reader for reader in lab.readers}
    assert {"rdm6300", "line", "twn4"} <= protocols.keys()
    frames = FRAMES | {protocol: lambda uid, of=of: of([uid]) for protocol, of in ACTIVE_FRAMES.items()}
    for protocol, reader in protocols.items():
        decoder = registry.reader(protocol, reader.options)
        for badge in badges:
            heard = [getattr(event, "uid", None) for event in decoder.feed(frames[protocol](badge))]
            assert list(map(transform(reader.transform), filter(None, heard))) == [badge]


def test_somebody_lacks_the_briefing_the_consent_or_the_place(lab: Lab, people: list[dict[str, str]]) -> None:
    required = {name for machine in lab.machines for name in machine.requires}
    held: dict[str, set[str]] = {}
    for row in people:
        parts = [QUALIFICATION.fullmatch(part) for part in row["qualifications"].split()]
        assert all(parts)
        held[row["person_id"]] = {part["id"] for part in parts if part}
        assert held[row["person_id"]] <= required
    cnc = [row["person_id"] for row in people if row["programme"] == "cnc-operator"]
    assert [person for person in cnc if "briefing:cnc" not in held[person]] == ["p5"]
    assert [row["person_id"] for row in people if row["role"] == "apprentice" and not row["consent_until"]] == ["p6"]
    assert [row["person_id"] for row in people if row["active"] == "no"] == ["p11"]


# As the demo writes it


@pytest.fixture
def given_values(lab: Lab) -> dict[str, Any]:
    return {
        "kiosk_listen": "127.0.0.1:8080",
        "listen": "127.0.0.1:8081",
        "mqtt_port": 18_830,
        "ports": {reader.id: f"/dev/pts/{number}" for number, reader in enumerate(lab.readers)},
        "enterprise_urls": {one.id: f"http://127.0.0.1:9/{one.id}" for one in lab.enterprises},
        "secret_files": {one.id: f"/data/{one.id}.whsec" for one in lab.enterprises},
    }


def test_it_is_written_with_the_addresses_of_one_start(tmp_path: Path, lab: Lab, given_values: dict[str, Any]) -> None:
    folder = write_demo_lab(tmp_path / "data" / "lab", **given_values, token_files={"ent-tyre": "/data/t"})
    written = load(folder)
    assert {reader.id: reader.port for reader in written.readers} == given_values["ports"]
    assert {one.id: one.url for one in written.enterprises} == given_values["enterprise_urls"]
    assert {one.id: one.secret_file for one in written.enterprises} == given_values["secret_files"]
    assert [one.token_file for one in written.enterprises] == [None, "/data/t", None, None]
    assert (written.web.kiosk_listen, written.web.listen) == ("127.0.0.1:8080", "127.0.0.1:8081")
    assert written.mqtt is not None
    assert (written.mqtt.host, written.mqtt.port) == ("127.0.0.1", 18_830)
    assert (written.machines, written.programmes, written.rules) == (lab.machines, lab.programmes, lab.rules)
    assert [reader.options for reader in written.readers] == [reader.options for reader in lab.readers]


def test_it_is_not_written_with_an_address_missing(tmp_path: Path, given_values: dict[str, Any]) -> None:
    del given_values["ports"]["weld-2"]
    with pytest.raises(ValueError, match="weld-2"):
        write_demo_lab(tmp_path, **given_values)


# Whatever one changes in it


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["never", "3s", "mill-1", "unknown", "class:grinder", "", "23:00", "whsec_x", "0.0.0.0:1"]),
    st.lists(st.one_of(st.text(max_size=3), st.integers()), max_size=3),
    st.dictionaries(st.sampled_from(["id", "kk", "topic", "a.b", "token"]), st.text(max_size=3), max_size=2),
)


def _leaves(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(leaf for key, one in inner for leaf in _leaves(one, (*path, key)))]


WHOLE = {
    key: part
    for file in sorted(FOLDER.glob("*.toml"))
    for key, part in tomllib.loads(file.read_text(encoding="utf-8")).items()
}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([path for path in _leaves(WHOLE) if path]), ODD)
def test_any_odd_value_anywhere_is_taken_or_told_but_never_a_crash(
    tmp_path: Path, path: tuple[str | int, ...], odd: object
) -> None:
    whole = copy.deepcopy(WHOLE)
    place: Any = whole
    for key in path[:-1]:
        place = place[key]
    if odd is None:
        del place[path[-1]]
    else:
        place[path[-1]] = odd
    file = tmp_path / "lab.toml"
    file.write_text("\n".join(f"{_toml(key)} = {_toml(part)}" for key, part in whole.items()), encoding="utf-8")
    problems: tuple[Problem, ...] = ()
    try:
        load(file)
    except ConfigurationError as error:
        problems = error.problems
    assert all(one.what and one.remedy for one in problems)


def _toml(value: object) -> str:
    """Any value on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(letter):08X}" for letter in value) + '"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(one)}" for key, one in value.items()) + "}"
    return "[" + ", ".join(map(_toml, value)) + "]" if isinstance(value, list) else str(value)


@pytest.mark.parametrize(
    "today", [date(2026, 9, 1), date(2027, 2, 28), date(2027, 7, 15), date(2028, 2, 29), date(2031, 11, 22)]
)
def test_its_roster_is_of_this_school_year_whenever_it_starts(today: date) -> None:
    then, _ = read_people(PEOPLE)
    for row, old in zip(of_this_year(then, today), then, strict=True):
        if row.contract_from and row.contract_to:
            assert date.fromisoformat(row.contract_from) <= today < date.fromisoformat(row.contract_to)
        if old.consent_until:
            assert date.fromisoformat(row.consent_until or "") > today
        if row.birth_date:
            assert 15 <= today.year - date.fromisoformat(row.birth_date).year <= 21
