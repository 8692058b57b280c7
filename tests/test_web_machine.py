"""One machine's page: its weeks, who is and was on it, its rules in words, and how everything is connected."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from firmware_bridge import registry
from firmware_bridge.machines.base import Reported
from kiosk.web.header_pins import GROUNDS, PINS, nearest_ground, pin_of
from kiosk.web.services import KioskStatus, ReaderStatus, SourceStatus
from kiosk.web.wiring import panel_wires, reader_wires, source_wires
from kiosk.words import words
from lab_config.demo import FOLDER
from lab_config.load import load
from lab_config.model import LANGUAGES, Lab, Mqtt, Panel, PowerThresholds, Reader, StatusSource
from tests.kiosk_fixtures import AIGERIM, MASTER, PYOTR
from tests.staff_fixtures import HOUR_MS, Staff, lab_with_briefings, send, text

DEMO = load(FOLDER)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = lab_with_briefings(tmp_path / "lab")
    mill, lathe = made.machines
    lathe = replace(lathe, panel=Panel(17, 27, None, 5), production_enable=True, crew=2)
    secret = Mqtt("broker.example", 1884, "sheber", "/etc/sheber/mqtt pass", "/etc/sheber/ca.crt")
    return replace(made, machines=(mill, lathe), mqtt=secret)


@pytest.fixture
def staff(tmp_path: Path, lab: Lab) -> Iterator[Staff]:
    with closing(Staff(tmp_path, lab, (AIGERIM, PYOTR, MASTER))) as made:
        yield made


@pytest.fixture
def client(staff: Staff) -> FlaskClient:
    return staff.client()


def test_a_machine_shows_who_is_on_it_and_who_was(staff: Staff, client: FlaskClient) -> None:
    staff.lesson(AIGERIM.badges[0])
    staff.clock.move(HOUR_MS)
    staff.tap("lathe-1", PYOTR.badges[0])
    page = text(client.get("/machines/lathe-1"))
    assert "Иванов Пётр since" in page.partition("The last four weeks")[0]
    assert re.search(r"Ахметова Айгерім \d\d\.\d\d\.2026 \d\d:\d\d–\d\d:\d\d 0:30 waiting", page.partition("Latest")[2])


def test_its_days_are_drawn_from_the_sums_and_the_week_stands_on_the_overview(
    staff: Staff, client: FlaskClient
) -> None:
    staff.lesson(AIGERIM.badges[0], ms=2 * HOUR_MS)
    staff.clock.move(8 * 24 * HOUR_MS)
    staff.lesson(AIGERIM.badges[0], ms=HOUR_MS)
    page = client.get("/machines/lathe-1").text
    assert page.count('class="row"') == 2
    assert "2:00" in text(page)
    overview = text(client.get("/machines"))
    this, last = overview.split("Last week", 1)
    assert "Lathe" in this
    assert "1:00" in this
    assert "2:00" in last


def test_an_empty_machine_says_so(client: FlaskClient) -> None:
    page = text(client.get("/machines/mill-1"))
    assert "Nobody is on it." in page
    assert "nobody was on a machine" in page
    assert "No sessions yet." in page


def test_an_instructor_withdraws_a_machine_and_gives_it_back(staff: Staff, client: FlaskClient) -> None:
    send(client, "/machines/lathe-1/lock", "/machines/lathe-1", locked=1)
    assert staff.desk.core.state.machines["lathe-1"].locked
    page = text(client.get("/machines/lathe-1"))
    assert "Withdrawn from use." in page
    assert "withdrawn" in page
    staff.tap("lathe-1", AIGERIM.badges[0])
    assert not staff.desk.core.state.sessions
    send(client, "/machines/lathe-1/lock", "/machines/lathe-1", locked=0)
    staff.clock.move(10_000)
    staff.tap("lathe-1", AIGERIM.badges[0])
    assert len(staff.desk.core.state.sessions) == 1


@pytest.mark.parametrize(("name", "may"), [("lead", True), ("admin", False), ("auditor", False)])
def test_only_those_who_teach_withdraw_machines(staff: Staff, name: str, may: bool) -> None:
    client = staff.client(name)
    assert ("Withdraw it" in text(client.get("/machines/lathe-1"))) is may
    answer = send(client, "/machines/lathe-1/lock", "/briefings", locked=1)
    assert (answer.status_code == 303) is may or answer.status_code == 400
    if not may:
        assert "lathe-1" not in staff.desk.core.state.machines or not staff.desk.core.state.machines["lathe-1"].locked


def test_what_is_not_in_the_workshop_is_not_found(client: FlaskClient) -> None:
    assert client.get("/machines/nothing").status_code == 404
    assert client.get("/machines/readers/nothing").status_code == 404
    assert send(client, "/machines/nothing/lock", "/machines/lathe-1", locked=1).status_code == 404


def test_its_rules_are_said_in_words(client: FlaskClient) -> None:
    page = text(client.get("/machines/mill-1"))
    assert "Required to work here Safety briefing: cnc Qualification: mill" in page
    assert "When all places are taken the next one takes over" in page
    assert "Longest session 10 h" in page
    assert "Work processes done here CNC: Operating" in page
    assert "The machine's time credited to each in full" in text(client.get("/machines/lathe-1"))


def test_wires_of_a_panel_are_named_by_pin_and_drawn(client: FlaskClient) -> None:
    page = client.get("/machines/lathe-1")
    said = text(page)
    assert "green lamp 17 11 9" in said
    assert "red lamp 27 13 14" in said
    assert "relay 5 29 30" in said
    assert page.text.count('class="pin used"') == 3
    assert "pull-down at its pin" in said
    assert "sheber/test-w1/machine/lathe-1/enable" in said


def test_lines_to_try_it_name_the_files_of_secrets_and_never_open_them(client: FlaskClient, lab: Lab) -> None:
    source = source_wires(lab.machine("mill-1"), lab.mqtt)
    assert source is not None
    assert shlex.split(source.listen) == [
        "sheber", "listen", "mqtt", "--host", "broker.example", "--port", "1884", "--topic", "lab/mill-1",
        "--username", "sheber", "--password-file", "/etc/sheber/mqtt pass", "--ca-file", "/etc/sheber/ca.crt",
        "--for", "5min",
    ]  # fmt: skip
    assert source.subscribe.endswith("""-u sheber -P "$(cat '/etc/sheber/mqtt pass')\"""")
    shown = text(client.get("/machines/mill-1"))
    assert source.listen in shown
    assert source.subscribe in shown


def test_a_name_that_is_code_stays_one_word_of_the_line(lab: Lab) -> None:
    odd = "lab/$(reboot); '\"x"
    machine = replace(lab.machines[0], status=StatusSource("text", {"topic": odd, "states": {"RUN": "running"}}))
    source = source_wires(machine, lab.mqtt)
    assert source is not None
    assert odd in shlex.split(source.listen)
    reader = reader_wires(Reader("r", "/dev/$(reboot)", "line", options={"format": "hex; ls"}))
    assert shlex.split(reader.listen)[3:] == [
        "/dev/$(reboot)", "--protocol", "line", "--option", "format=hex; ls", "--for", "1min",
    ]  # fmt: skip


@pytest.mark.parametrize("machine", [each.id for each in DEMO.machines if each.status is not None])
def test_an_example_is_shown_only_if_the_machines_own_dialect_understands_it(machine: str) -> None:
    configured = DEMO.machine(machine)
    assert configured.status is not None
    source = source_wires(configured, DEMO.mqtt)
    assert source is not None
    if configured.status.dialect == "sparkplug":
        assert source.example is None
        return
    assert source.example is not None
    dialect = registry.machine(configured.status.dialect, configured.status.options)
    told = dialect.translate(source.example.topic, source.example.payload.encode(), retained=False)
    reported = next(each for each in told if isinstance(each, Reported))
    assert (reported.state or "", reported.power_w) == (source.example.state, source.example.watts)


@pytest.mark.parametrize(
    ("pointer", "states"),
    [("/machine/state", {"ACTIVE": "running"}), ("", {"true": "running"}), ("/a~1b/2/c", {"7": "idle"}), ("/x", {})],
)
def test_a_described_topic_has_an_example_by_its_own_table(lab: Lab, pointer: str, states: dict[str, str]) -> None:
    options: dict[str, object] = {"topic": "lab/x", "pointer": pointer} | ({"states": states} if states else {})
    power = None if states else PowerThresholds(300, 100)
    source = source_wires(replace(lab.machines[0], status=StatusSource("json", options, power)), None)
    assert source is not None
    assert source.example is not None
    assert source.example.state == next(iter(states.values()), "")
    assert (source.listen, source.subscribe) == ("", "")


def test_a_dialect_or_protocol_that_is_not_installed_leaves_the_rest_of_the_page(staff: Staff, lab: Lab) -> None:
    gone = replace(lab.machines[0], status=StatusSource("of-a-package", {"topic": "x"}))
    assert source_wires(gone, lab.mqtt) is None
    assert reader_wires(Reader("r", "/dev/ttyUSB0", "of-a-package")).baud == 9600


@pytest.mark.parametrize(
    ("port", "way"),
    [
        ("/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0", "usb"),
        ("/dev/ttyACM1", "usb"),
        ("/dev/ttyAMA0", "board"),
        ("/dev/serial0", "board"),
        ("rfc2217://10.0.0.7:4000", "network"),
        ("/dev/pts/3", "serial"),
    ],
)
def test_how_a_reader_is_wired_follows_from_its_port(port: str, way: str) -> None:
    assert reader_wires(Reader("r", port, "rdm6300")).way == way


def test_a_reader_that_must_be_asked_needs_both_wires(staff: Staff) -> None:
    assert reader_wires(Reader("r", "/dev/x", "pn532")).asked
    assert reader_wires(Reader("r", "/dev/x", "pn532")).baud == 115_200
    assert not reader_wires(Reader("r", "/dev/x", "rdm6300")).asked


def test_a_readers_page_says_what_is_wrong_and_what_to_try(staff: Staff, client: FlaskClient) -> None:
    dead = ReaderStatus(False, "/dev/mill-1 is not there; plug the reader in", 3)
    staff.status = KioskStatus(recording=True, readers={"mill-1": dead}, sources={"mill-1": SourceStatus()})
    page = text(client.get("/machines/readers/mill-1"))
    assert "not connected" in page
    assert "The port is not there. Plug the reader in." in page
    assert "sheber listen reader /dev/mill-1 --protocol rdm6300 --for 1min" in page
    assert "The port is not there." in text(client.get("/machines/mill-1"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_speak_the_instructors_language(client: FlaskClient, language: str) -> None:
    client.get(f"/language/{language}")
    for path in ("/machines/lathe-1", "/machines/readers/mill-1"):
        page = client.get(path).text
        assert f'<html lang="{language}">' in page
        assert words(language).gettext("When it is silent") in page


def test_the_header_has_forty_pins_each_gpio_once_and_eight_grounds() -> None:
    assert [pin.number for pin in PINS] == list(range(1, 41))
    assert sorted(pin.gpio for pin in PINS if pin.gpio is not None) == list(range(28))
    assert GROUNDS == (6, 9, 14, 20, 25, 30, 34, 39)
    assert [pin_of(gpio).number for gpio in (2, 14, 17, 18, 21, 26)] == [3, 8, 11, 12, 40, 37]  # type: ignore[union-attr]
    assert (pin_of(40), nearest_ground(1), nearest_ground(40)) == (None, 6, 39)


def test_a_number_that_no_header_has_is_still_told() -> None:
    (wire,) = panel_wires(Panel(green=44))
    assert (wire.gpio, wire.pin, wire.ground) == (44, None, None)
