"""One rule of `load` a test: machines, readers, screens, programmes, the network and the enterprises."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab_fixtures import MILL, PLUG, PROGRAMME, READER, WEBHOOK, LabTexts, Loads, Problems, Slip

from firmware_bridge import registry
from kiosk.domain.rulebook import adopted
from lab_config.model import PowerThresholds


@pytest.fixture
def lab_of(tmp_path: Path) -> Loads:
    return LabTexts(tmp_path).lab


@pytest.fixture
def problems_of(tmp_path: Path) -> Problems:
    return LabTexts(tmp_path).problems


@pytest.fixture
def slip(tmp_path: Path) -> Slip:
    return LabTexts(tmp_path).slip


# Machines


@pytest.mark.parametrize(("crew", "when_full"), [(1, "handover"), (3, "refuse")])
def test_a_full_machine_hands_over_when_one_works_at_it_and_refuses_when_several_do(
    lab_of: Loads, crew: int, when_full: str
) -> None:
    assert lab_of(MILL + f"crew = {crew}\n").machine("mill-1").when_full == when_full


def test_who_comes_to_a_full_machine_can_observe_only_where_observers_may_be(slip: Slip, lab_of: Loads) -> None:
    assert slip(MILL + 'when_full = "observe"\n').where == "machine[0].when_full"
    assert lab_of(MILL + 'when_full = "observe"\nobservers = true\n').machine("mill-1").when_full == "observe"


def test_a_requirement_never_ends_with_a_date(slip: Slip, lab_of: Loads) -> None:
    assert lab_of(MILL + 'requires = ["briefing:cnc"]\n').machine("mill-1").requires == ("briefing:cnc",)
    assert "date" in slip(MILL + 'requires = ["briefing:cnc:2027-06-30"]\n').what
    assert "not an id" in slip(MILL + 'requires = ["briefing cnc"]\n').what


def test_a_qualification_can_have_a_name_in_each_language(lab_of: Loads) -> None:
    (named,) = lab_of('[[qualification]]\nid = "briefing:cnc"\nname = {ru = "станки с ЧПУ"}\n').qualifications
    assert (named.id, named.name.in_language("kk")) == ("briefing:cnc", "станки с ЧПУ")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('id = "briefing: cnc"\nname = "CNC"', "qualification[0].id"),
        ('id = "briefing:cnc"\ntitle = "CNC"', "qualification[0].title"),
        ('name = "CNC"', "qualification[0].id"),
    ],
)
def test_every_slip_of_a_qualifications_name_is_told(slip: Slip, text: str, where: str) -> None:
    assert slip(f"[[qualification]]\n{text}\n").where == where


def test_what_a_qualification_is_called_is_no_part_of_what_the_ledger_adopts(lab_of: Loads) -> None:
    assert adopted(lab_of('[[qualification]]\nid = "briefing:cnc"\nname = "CNC"\n')) == adopted(lab_of(""))


def test_each_part_of_a_panel_has_a_pin_of_its_own(slip: Slip) -> None:
    assert "Pin 17" in slip(MILL + "panel = {green = 17, red = 17}\n").what


# Status sources


def test_watts_are_idle_below_what_runs_unless_another_threshold_is_given(lab_of: Loads) -> None:
    status = lab_of(MILL + PLUG + 'running_above_w = 350, on_delay = "5s"}\n').machine("mill-1").status
    assert status is not None
    assert status.power == PowerThresholds(350, 350, None, 5_000, 0)
    assert status.options == {"topic": "tele/mill-1/SENSOR"}


@pytest.mark.parametrize(
    ("thresholds", "key"),
    [
        ("running_above_w = 100, idle_below_w = 120", "idle_below_w"),
        ("running_above_w = 100, idle_below_w = 50, off_below_w = 60", "off_below_w"),
        ("running_above_w = 100, off_below_w = 101", "off_below_w"),
        ("idle_below_w = 50", "idle_below_w"),
        ("off_delay = '3s'", "off_delay"),
        ("running_above_w = -3", "running_above_w"),
        ("running_above_w = nan", "running_above_w"),
        ("running_above_w = 0", "running_above_w"),
    ],
)
def test_thresholds_do_not_cross(slip: Slip, thresholds: str, key: str) -> None:
    problem = slip(MILL + PLUG + thresholds + "}\n")
    assert (problem.where, problem.line) == (f"machine[0].status.{key}", 6)


@pytest.mark.parametrize(
    ("rules", "own", "status", "stale_after_ms"),
    [
        ("", "", "", 13 * 60_000),
        ("[rules]\nstale_after = '1min'\n", "", "", 60_000),
        ("[rules]\nstale_after = '1min'\n", "stale_after = '30s'\n", "", 30_000),
        ("[rules]\nstale_after = '1min'\n", "", ", stale_after = '20s'", 20_000),
        ("", "stale_after = 'never'\n", "", None),
        ("[rules]\nstale_after = 'never'\n", "", "", None),
    ],
)
def test_silence_is_the_machines_word_then_the_labs_then_the_dialects(
    lab_of: Loads, rules: str, own: str, status: str, stale_after_ms: int | None
) -> None:
    lab = lab_of(rules + MILL + own + PLUG + "running_above_w = 350" + status + "}\n")
    assert lab.machine("mill-1").rules.stale_after_ms == stale_after_ms


def test_a_source_with_a_last_will_is_never_stale(lab_of: Loads) -> None:
    text = 'status = {dialect = "text", topic = "a", states = {RUN = "running"}, will_topic = "b"}\n'
    assert lab_of(MILL + text).machine("mill-1").rules.stale_after_ms is None


def test_silence_is_said_once(slip: Slip) -> None:
    text = "stale_after = '1min'\n" + PLUG + "running_above_w = 350, stale_after = '2min'}\n"
    assert slip(MILL + text).where == "machine[0].status.stale_after"


def test_a_dialect_that_is_not_there_is_a_problem_naming_those_that_are(slip: Slip) -> None:
    assert "tasmota" in slip(MILL + 'status = {dialect = "tasmotta", topic = "a"}\n').remedy


def test_every_slip_of_a_dialects_options_is_told(problems_of: Problems) -> None:
    text = '[machine.status]\ndialect = "json"\ntopic = "lab/#"\npointer = "state"\n'
    states = '[machine.status.states]\nRUN = "runs"\nIDLE = "idle"\nOFF = "aus"\n'
    places = {(one.where.removeprefix("machine[0].status."), one.line) for one in problems_of(MILL + text + states)}
    assert places == {("topic", 8), ("pointer", 9), ("states.RUN", 11), ("states.OFF", 13)}


def test_a_described_source_says_what_its_values_mean_in_one_way(slip: Slip) -> None:
    source = 'status = {dialect = "text", topic = "a"'
    assert "Nothing says" in slip(MILL + source + "}\n").what
    both = ', states = {RUN = "running"}, running_above_w = 300}\n'
    assert slip(MILL + source + both).where == "machine[0].status.running_above_w"


def test_without_a_broker_named_machines_are_heard_over_the_one_on_this_computer(lab_of: Loads) -> None:
    mqtt = lab_of(MILL + PLUG + "running_above_w = 350}\n").mqtt
    assert mqtt is not None
    assert (mqtt.host, mqtt.port) == ("127.0.0.1", 1883)


def test_the_version_of_mqtt_is_3_1_1_unless_5_is_asked_for_and_no_other(lab_of: Loads, slip: Slip) -> None:
    for text, version in (("", "3.1.1"), ('version = "5"\n', "5")):
        mqtt = lab_of(f"[mqtt]\n{text}").mqtt
        assert mqtt is not None
        assert mqtt.version == version
    assert slip('[mqtt]\nversion = "3.1"\n').where == "mqtt.version"


def test_a_production_enable_is_published_over_the_broker_on_this_computer_where_none_is_named(lab_of: Loads) -> None:
    assert lab_of(MILL + "production_enable = true\n").mqtt is not None
    assert lab_of(MILL).mqtt is None


# Readers and screens


def test_what_the_model_has_no_word_for_is_the_protocols_option(lab_of: Loads) -> None:
    text = READER.replace("rdm6300", "line") + 'format = "decimal"\nconfirm = 2\nbaud = 19200\ntransform = "low32"\n'
    (reader,) = lab_of(MILL + text).readers
    assert (reader.options, reader.confirm, reader.baud, reader.transform) == (
        {"format": "decimal"},
        2,
        19_200,
        "low32",
    )


@pytest.mark.parametrize("protocol", registry.READERS)
def test_every_protocol_is_known_and_brings_its_own_speed(lab_of: Loads, protocol: str) -> None:
    (reader,) = lab_of(MILL + READER.replace("rdm6300", protocol)).readers
    assert (reader.protocol, reader.baud) == (protocol, None)


def test_transforms_can_be_joined(lab_of: Loads) -> None:
    (reader,) = lab_of(MILL + READER + 'transform = "reverse+low32"\n').readers
    assert reader.transform == "reverse+low32"


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (("rdm6300", "rdm63000"), "protocol"),
        (("id =", 'transform = "low32+mirror"\nid ='), "transform"),
        (('"mill-1"\n', '"mill-2"\n'), "machine"),
        (("id =", 'transform = "mirror"\nid ='), "transform"),
        (("id =", 'format = "octal"\nid ='), "format"),
        (("id =", "confirm = 3\nid ="), "confirm"),
        (("id =", "baud = 0\nid ="), "baud"),
        (('port = "/dev/ttyUSB0"\n', ""), "port"),
    ],
)
def test_a_reader_names_what_there_is(slip: Slip, change: tuple[str, str], key: str) -> None:
    text = READER.replace("rdm6300", "line") if key == "format" else READER
    assert slip(MILL + text.replace(*change)).where == f"reader[0].{key}"


def test_two_readers_on_one_port_are_a_problem(slip: Slip) -> None:
    problem = slip(MILL + READER + READER.replace('"r1"', '"r2"'))
    assert problem.where == "reader[1].port"
    assert "lab.toml:6" in problem.what


def test_a_screen_answers_to_readers_that_exist(slip: Slip) -> None:
    assert slip(MILL + READER + '[[screen]]\nid = "door"\nreaders = ["r2"]\n').remedy == "There is: r1."


def test_two_screens_say_which_readers_they_answer_to(problems_of: Problems) -> None:
    found = problems_of('[[screen]]\nid = "a"\n[[screen]]\nid = "b"\n')
    assert [one.where for one in found] == ["screen[0].readers", "screen[1].readers"]


def test_one_screen_answers_to_all(lab_of: Loads) -> None:
    assert lab_of('[[screen]]\nid = "a"\n').screens[0].readers == ()


# Programmes


def test_a_process_is_done_at_machines_or_classes_that_exist(lab_of: Loads, slip: Slip) -> None:
    process = lab_of(MILL + PROGRAMME + 'machines = ["mill-1", "class:cnc_mill"]\nrequired = "168h45min"\n')
    assert process.programmes[0].processes[0].required_ms == 607_500_000
    assert "Did you mean “mill-1”?" in slip(MILL + PROGRAMME + 'machines = ["mill-2"]\n').remedy
    assert "Did you mean “class:cnc_mill”?" in slip(MILL + PROGRAMME + 'machines = ["class:mill"]\n').remedy


def test_presence_may_count_also_where_a_machine_has_a_status_source(lab_of: Loads) -> None:
    text = MILL + PLUG + "running_above_w = 350}\n" + PROGRAMME + 'machines = ["mill-1"]\npresence_counts = true\n'
    assert lab_of(text).programmes[0].processes[0].presence_counts


@pytest.mark.parametrize("key", ["required", "minimum"])
def test_no_more_is_required_than_counts(slip: Slip, key: str) -> None:
    assert slip(PROGRAMME + f'{key} = "11h"\nmaximum = "10h"\n').where == f"programme[0].process[0].{key}"


def test_a_competency_belongs_to_a_process_of_its_programme(slip: Slip) -> None:
    text = PROGRAMME + '[[programme.competency]]\nid = "CNC-c"\nprocess = "CNC4"\n'
    assert "Did you mean “CNC3”?" in slip(text).remedy


@pytest.mark.parametrize("level", ["0", "4"])
def test_a_level_that_can_be_required_is_one_to_three(slip: Slip, level: str) -> None:
    text = PROGRAMME + f'[[programme.competency]]\nid = "CNC-c"\nprocess = "CNC3"\nlevel = {level}\n'
    assert slip(text).where == "programme[0].competency[0].level"


# The network and the enterprises


@pytest.mark.parametrize("address", ["8443", ":8443", "0.0.0.0", "0.0.0.0:70000", "::1:80", "http://a:80", "a b:80"])
def test_a_listener_has_an_address_and_a_port(slip: Slip, address: str) -> None:
    assert slip(f'[web]\nlisten = "{address}"\n').where == "web.listen"


def test_a_listener_may_be_ipv6_or_a_name(lab_of: Loads) -> None:
    web = lab_of('[web]\nlisten = "[::]:8443"\nkiosk_listen = "localhost:8081"\n').web
    assert (web.listen, web.kiosk_listen) == ("[::]:8443", "localhost:8081")


def test_the_two_listeners_differ(slip: Slip) -> None:
    assert slip('[web]\nlisten = "127.0.0.1:8081"\n').where == "web.kiosk_listen"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[web]\ntls_key = "a.key"\n', "web.tls_key"),
        ('[mqtt]\nca_file = "ca.crt"\nkey_file = "a.key"\n', "mqtt.key_file"),
    ],
)
def test_a_key_stands_with_its_certificate(slip: Slip, text: str, where: str) -> None:
    assert slip(text).where == where


def test_a_certificates_file_is_also_its_key_where_none_is_named(lab_of: Loads, tmp_path: Path) -> None:
    web = lab_of('[web]\ntls_cert = "both.pem"\n').web
    assert web.tls_cert == web.tls_key == str(tmp_path / "both.pem")


def test_named_files_are_beside_the_configuration_file(lab_of: Loads, tmp_path: Path) -> None:
    lab = lab_of('[mqtt]\nusername = "a"\npassword_file = "mqtt.pass"\nca_file = ""\n' + WEBHOOK)
    assert lab.mqtt is not None
    assert (lab.mqtt.password_file, lab.mqtt.ca_file) == (str(tmp_path / "mqtt.pass"), None)
    assert lab.enterprises[0].secret_file == str(tmp_path / "e1.whsec")
    absolute = lab_of(WEBHOOK.replace("e1.whsec", "/etc/sheber/e1.whsec"))
    assert absolute.enterprises[0].secret_file == "/etc/sheber/e1.whsec"


@pytest.mark.parametrize("key", ["url", "secret_file"])
def test_a_webhook_has_an_address_and_a_secret(slip: Slip, key: str) -> None:
    text = "\n".join(line for line in WEBHOOK.splitlines() if not line.startswith(key)) + "\n"
    assert key in slip(text).what


def test_who_pulls_has_a_token(slip: Slip) -> None:
    assert "token_file" in slip('[[enterprise]]\nid = "e1"\ndeliver = "pull"\n').what


def test_a_file_needs_neither(lab_of: Loads) -> None:
    assert lab_of('[[enterprise]]\nid = "e1"\ndeliver = "file"\n').enterprises[0].deliver == "file"


@pytest.mark.parametrize(
    ("key", "value"),
    [("deliver", '"mail"'), ("release", '"all"'), ("accepts", '["badge", "word"]'), ("accepts", "[]")],
)
def test_an_enterprise_chooses_among_what_there_is(slip: Slip, key: str, value: str) -> None:
    assert slip(WEBHOOK + f"{key} = {value}\n").where == f"enterprise[0].{key}"


@pytest.mark.parametrize(
    "url",
    ["http://e.example/", "https://127.0.0.1/", "https://192.168.1.4/", "https://[fe80::1]/", "https://localhost/"],
)
def test_records_leave_encrypted_and_for_the_outside_unless_the_enterprise_is_local(
    slip: Slip, lab_of: Loads, url: str
) -> None:
    text = WEBHOOK.replace("https://e.example/hook", url)
    assert slip(text).where == "enterprise[0].url"
    assert lab_of(text + "local = true\n").enterprises[0].url == url


@pytest.mark.parametrize("url", ["e.example", "ftp://e.example", "https://", "https://[::1", "https://e.example:99999"])
def test_an_address_is_one_of_the_web(slip: Slip, url: str) -> None:
    assert slip(WEBHOOK.replace("https://e.example/hook", url)).where == "enterprise[0].url"


# Where practice is done


def test_a_machine_stands_where_the_lab_does_unless_it_says_otherwise(lab_of: Loads) -> None:
    at_home = lab_of(MILL)
    assert (at_home.place, at_home.machine("mill-1").place) == ("college", "college")
    assert lab_of('place = "enterprise"\n' + MILL).machine("mill-1").place == "enterprise"
    assert lab_of('place = "enterprise"\n' + MILL + 'place = "college"\n').machine("mill-1").place == "college"
    assert lab_of(MILL + 'place = "enterprise"\n').place == "college"


def test_a_place_is_the_college_or_the_enterprise(slip: Slip) -> None:
    assert slip('place = "factory"\n').where == "lab.place"
    assert slip(MILL + 'place = "colledge"\n').remedy == "Did you mean “college”?"


def test_the_share_at_the_enterprise_is_60_per_cent_unless_it_is_set(lab_of: Loads, slip: Slip) -> None:
    assert lab_of("").enterprise_share == 60
    assert lab_of("enterprise_share = 0\n").enterprise_share == 0
    assert slip("enterprise_share = 101\n").where == "lab.enterprise_share"


def test_where_a_machine_stands_is_no_part_of_what_the_ledger_adopts(lab_of: Loads) -> None:
    assert adopted(lab_of(MILL + 'place = "enterprise"\n')) == adopted(lab_of(MILL))
