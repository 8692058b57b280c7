"""One rule of `load` a test: the slip, its place, and that a remedy is given."""

from __future__ import annotations

import struct
import tomllib
import zoneinfo
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab_config.load import ConfigurationError, Problem, load
from lab_config.model import Lab, PowerThresholds

HEAD = '[lab]\nid = "w3"\n'
MILL = '[[machine]]\nid = "mill-1"\nclass = "cnc_mill"\n'
READER = '[[reader]]\nid = "r1"\nport = "/dev/ttyUSB0"\nprotocol = "rdm6300"\nmachine = "mill-1"\n'
PLUG = 'status = {dialect = "tasmota", topic = "tele/mill-1/SENSOR", '
WEBHOOK = '[[enterprise]]\nid = "e1"\nurl = "https://e.example/hook"\nsecret_file = "e1.whsec"\n'
PROGRAMME = '[[programme]]\nid = "cnc"\n[[programme.process]]\nid = "CNC3"\n'

Loads = Callable[[str], Lab]
Slip = Callable[[str], Problem]


@pytest.fixture
def lab_of(tmp_path: Path) -> Loads:
    """`lab_of(toml)`: the lab that the text, below a head with an id, describes."""

    def read(text: str) -> Lab:
        file = tmp_path / "lab.toml"
        file.write_text(HEAD + text, encoding="utf-8")
        return load(file)

    return read


@pytest.fixture
def problems_of(lab_of: Loads) -> Callable[[str], tuple[Problem, ...]]:
    def read(text: str) -> tuple[Problem, ...]:
        with pytest.raises(ConfigurationError) as raised:
            lab_of(text)
        assert all(problem.what and problem.remedy for problem in raised.value.problems)
        return raised.value.problems

    return read


@pytest.fixture
def slip(problems_of: Callable[[str], tuple[Problem, ...]]) -> Slip:
    """`slip(toml)`: the one problem of the text."""

    def read(text: str) -> Problem:
        found = problems_of(text)
        assert len(found) == 1, [str(one) for one in found]
        return found[0]

    return read


# The file itself


def test_a_lab_needs_no_more_than_its_id(lab_of: Loads) -> None:
    lab = lab_of("")
    assert (lab.id, lab.timezone, lab.languages, lab.mqtt) == ("w3", "Asia/Almaty", ("kk", "ru", "en"), None)
    assert lab.name.in_language("kk") == "w3"


def test_every_problem_is_told_at_once_each_with_its_line(
    problems_of: Callable[[str], tuple[Problem, ...]],
) -> None:
    found = problems_of(
        'languages = ["fr"]\n[rules]\ndebounce = "3 parsecs"\n[[machine]]\nid = "Mill"\ncrew = 0\n[extra]\n'
    )
    assert [(one.line, one.where) for one in found] == [
        (3, "lab.languages"),
        (3, "lab.languages"),
        (5, "rules.debounce"),
        (7, "machine[0].id"),
        (8, "machine[0].crew"),
        (9, "extra"),
    ]


def test_wrong_syntax_is_a_problem_with_its_line(slip: Slip) -> None:
    problem = slip('name = "Workshop\n')
    assert problem.line == 3
    assert "not TOML" in problem.what


def test_a_quote_that_never_closes_is_a_problem_without_a_line(slip: Slip) -> None:
    assert slip('name = """Workshop\n').line is None


def test_a_text_that_is_not_utf8_is_a_problem_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_bytes(HEAD.encode() + 'name = "Цех"\n'.encode("cp1251"))
    with pytest.raises(ConfigurationError) as raised:
        load(file)
    assert raised.value.problems[0].line == 3


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_bytes(b"\xef\xbb\xbf" + HEAD.replace("\n", "\r\n").encode())
    assert load(file).id == "w3"


@pytest.mark.parametrize("text", ["x = " + "[" * 5_000 + "]" * 5_000, "x = " + "1" * 5_000])
def test_a_text_made_to_break_the_parser_is_only_a_problem(slip: Slip, text: str) -> None:
    assert "not TOML" in slip(text).what


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path / "none.toml")


def test_a_folder_without_toml_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no \*\.toml"):
        load(tmp_path)


def test_the_files_of_a_folder_are_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(HEAD + MILL + "[web]\npanel_pin = false\n")
    (tmp_path / "b.toml").write_text('[web]\nlisten = "127.0.0.1:9000"\n[[machine]]\nid = "mill-2"\n' + READER)
    (tmp_path / ".b.toml").write_text("what an editor left")
    lab = load(tmp_path)
    assert [machine.id for machine in lab.machines] == ["mill-1", "mill-2"]
    assert (lab.web.panel_pin, lab.web.listen) == (False, "127.0.0.1:9000")


def test_a_key_in_two_files_is_a_problem_naming_both(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(HEAD)
    (tmp_path / "b.toml").write_text('[lab]\nname = "W"\nid = "w4"\n')
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path)
    (problem,) = raised.value.problems
    assert (problem.file.name, problem.line, problem.where) == ("b.toml", 3, "lab.id")
    assert "a.toml:2" in problem.what


def test_a_lab_without_its_table_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(MILL)
    with pytest.raises(ConfigurationError, match=r"no \[lab\]"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("text", "where", "meant"),
    [
        ("[[machines]]\nid = 'a'\n", "machines", "machine"),
        ("[rules]\ndebouce = '3s'\n", "rules.debouce", "debounce"),
        (MILL + "idle_grase = '3s'\n", "machine[0].idle_grase", "idle_grace"),
        (MILL + READER + "baut = 9600\n", "reader[0].baut", ""),
        (MILL + PLUG + "topik = 'x', running_above_w = 5}\n", "machine[0].status.topik", "topic"),
        (WEBHOOK + "relase = 'approved'\n", "enterprise[0].relase", "release"),
    ],
)
def test_an_unknown_key_is_a_problem_that_names_the_nearest(slip: Slip, text: str, where: str, meant: str) -> None:
    problem = slip(text)
    assert problem.where == where
    assert meant in problem.remedy


def test_a_value_of_the_wrong_kind_is_a_problem(problems_of: Callable[[str], tuple[Problem, ...]]) -> None:
    found = problems_of("name = 3\n[web]\nlisten = 8443\npanel_pin = 'yes'\n[mqtt]\nport = true\n[[machine]]\nid = 1\n")
    assert [one.where for one in found] == ["lab.name", "web.listen", "web.panel_pin", "mqtt.port", "machine[0].id"]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[mqtt]\nusername = "sheber"\npassword = "hunter2"\n', "mqtt.password"),
        (WEBHOOK + 'secret = "hunter2"\n', "enterprise[0].secret"),
        (WEBHOOK.replace("e1.whsec", "whsec_hunter2"), "enterprise[0].secret_file"),
        (WEBHOOK.replace("https://", "https://me:hunter2@"), "enterprise[0].url"),
        (MILL + READER + 'token = "hunter2"\n', "reader[0].token"),
    ],
)
def test_a_secret_in_the_configuration_is_a_problem_that_does_not_repeat_it(slip: Slip, text: str, where: str) -> None:
    problem = slip(text)
    assert problem.where == where
    assert "hunter2" not in str(problem)


# Names and ids


@pytest.mark.parametrize("name", ["Mill", "mill 1", "mill_1", "-mill", "станок"])
def test_an_id_has_small_letters_digits_and_dashes_only(slip: Slip, name: str) -> None:
    assert slip(f"[[machine]]\nid = '{name}'\n").where == "machine[0].id"


def test_an_id_is_there(slip: Slip) -> None:
    assert slip("[[machine]]\nname = 'Mill'\n").what == "It is missing."


def test_two_of_a_kind_with_one_id_are_a_problem_naming_the_other_place(slip: Slip) -> None:
    problem = slip(MILL + MILL)
    assert (problem.where, problem.line) == ("machine[1].id", 7)
    assert "lab.toml:3" in problem.what


def test_processes_may_have_upper_case_and_are_unique_in_their_programme_only(lab_of: Loads, slip: Slip) -> None:
    other = PROGRAMME.replace('"cnc"', '"cnc2"')
    assert len(lab_of(PROGRAMME + other).programmes) == 2
    assert slip(PROGRAMME + '[[programme.process]]\nid = "CNC3"\n').where == "programme[0].process[1].id"


def test_a_name_is_one_text_or_one_for_each_language(lab_of: Loads) -> None:
    lab = lab_of('name = {kk = "Шеберхана", en = "Workshop"}\norganisation = "College"\n')
    assert lab.name.in_language("ru") == "Шеберхана"
    assert [lab.organisation.in_language(language) for language in ("kk", "ru", "en")] == ["College"] * 3


@pytest.mark.parametrize("name", ['{kz = "Цех"}', '{rus = "Цех"}', '{ru = ""}', "{ru = 3}", "{}", "[]"])
def test_a_name_in_no_language_is_a_problem(slip: Slip, name: str) -> None:
    assert slip(f"name = {name}\n").where == "lab.name"


# [lab]


def test_languages_are_some_of_three(slip: Slip, lab_of: Loads) -> None:
    assert lab_of('languages = ["ru", "kk"]\n').languages == ("ru", "kk")
    assert "twice" in slip('languages = ["ru", "ru"]\n').what
    assert "no language" in slip("languages = []\n").what


@pytest.mark.parametrize("zone", ["Asia/Karaganda", "../etc/passwd", "Asia", "/etc/localtime"])
def test_a_time_zone_must_exist(slip: Slip, zone: str) -> None:
    assert slip(f'timezone = "{zone}"\n').where == "lab.timezone"


@pytest.fixture
def zones_of_2023(tmp_path: Path) -> Iterator[None]:
    """A zone database in which Almaty is still at UTC+6 (RFC 8536, version 1, one type)."""
    folder = tmp_path / "zoneinfo" / "Asia"
    folder.mkdir(parents=True)
    header = b"TZif\0" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    (folder / "Almaty").write_bytes(header + struct.pack(">lBB", 6 * 3600, 0, 0) + b"+06\0")
    zoneinfo.reset_tzpath([str(folder.parent)])
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()


@pytest.mark.usefixtures("zones_of_2023")
def test_a_zone_database_older_than_2024a_is_a_problem_with_the_remedy(slip: Slip) -> None:
    problem = slip("")
    assert "older than 2024a" in problem.what
    assert "tzdata" in problem.remedy


def test_a_demo_lab_says_so(lab_of: Loads) -> None:
    assert lab_of("demo = true\n").demo
    assert not lab_of("").demo


# [rules], and machines that override them


def test_every_rule_can_be_written_and_a_machine_may_override_any(lab_of: Loads) -> None:
    rules = (
        'debounce = "1s"\nno_toggle = "2s"\nchoice_timeout = "3s"\nstale_after = "4s"\nidle_grace = "5s"\n'
        'off_grace = "6s"\nidle_timeout = "never"\nmax_session = "8s"\nday_end = ["18:00", "13:00"]\n'
        'resume_within = "9s"\nlong_session = "10s"\ncounts = ["fault"]\ncrew_credit = "split"\n'
        'minor_week_16 = "11h"\nminor_week_14 = 12.5\nminor_night = ["21:00", "05:00"]\n'
    )
    ruled = lab_of("[rules]\n" + rules).rules
    assert (ruled.debounce_ms, ruled.no_toggle_ms, ruled.choice_timeout_ms, ruled.stale_after_ms) == (
        1e3,
        2e3,
        3e3,
        4e3,
    )
    assert (ruled.idle_grace_ms, ruled.off_grace_ms, ruled.idle_timeout_ms, ruled.max_session_ms) == (
        5e3,
        6e3,
        None,
        8e3,
    )
    assert (ruled.day_end, ruled.resume_within_ms, ruled.long_session_ms) == (("13:00", "18:00"), 9e3, 10e3)
    assert (ruled.counts, ruled.crew_credit, ruled.minor_night) == (("fault",), "split", ("21:00", "05:00"))
    assert (ruled.minor_week_ms_16, ruled.minor_week_ms_14) == (11 * 3_600_000, 12_500)
    assert lab_of(MILL + rules).machine("mill-1").rules == ruled


def test_a_machine_takes_the_rules_it_does_not_override(lab_of: Loads) -> None:
    machine = lab_of('[rules]\nidle_grace = "7min"\noff_grace = "1min"\n' + MILL + 'idle_grace = "0s"\n').machine(
        "mill-1"
    )
    assert (machine.rules.idle_grace_ms, machine.rules.off_grace_ms) == (0, 60_000)


@pytest.mark.parametrize("key", ["idle_timeout", "stale_after", "day_end"])
def test_never_is_allowed_where_it_has_a_meaning(lab_of: Loads, key: str) -> None:
    lab_of(f'[rules]\n{key} = "never"\n')


@pytest.mark.parametrize("key", ["debounce", "max_session", "resume_within", "idle_grace"])
def test_never_is_a_problem_elsewhere(slip: Slip, key: str) -> None:
    assert "“never” has no meaning here" in slip(f'[rules]\n{key} = "never"\n').what


@pytest.mark.parametrize("key", ["idle_timeout", "stale_after", "max_session"])
def test_a_deadline_after_no_time_at_all_is_a_problem(slip: Slip, key: str) -> None:
    assert slip(f"[rules]\n{key} = 0\n").what == "It is no time at all."


@pytest.mark.parametrize("value", ['"25:00"', '"1:00"', '["13:00", "18.00"]', "23", "13:00:00"])
def test_a_day_ends_at_a_time_of_day(slip: Slip, value: str) -> None:
    assert slip(f"[rules]\nday_end = {value}\n").where == "rules.day_end"


def test_a_night_has_a_beginning_and_an_end(slip: Slip) -> None:
    assert slip('[rules]\nminor_night = ["22:00"]\n').where == "rules.minor_night"


def test_only_known_states_count(slip: Slip, lab_of: Loads) -> None:
    assert "runing" in slip('[rules]\ncounts = ["runing"]\n').what
    assert "not known then" in slip('[rules]\ncounts = ["running", "unknown"]\n').what
    assert slip(PROGRAMME + 'counts = ["unknown"]\n').where == "programme[0].process[0].counts"
    process = lab_of(PROGRAMME + 'counts = ["maintenance", "off"]\n').programmes[0].processes[0]
    assert process.counts == ("maintenance", "off")


def test_a_process_that_lists_no_states_leaves_it_to_the_rules(lab_of: Loads) -> None:
    assert lab_of(PROGRAMME).programmes[0].processes[0].counts is None


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


def test_every_slip_of_a_dialects_options_is_told(problems_of: Callable[[str], tuple[Problem, ...]]) -> None:
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


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (("rdm6300", "rdm63000"), "protocol"),
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


def test_two_screens_say_which_readers_they_answer_to(problems_of: Callable[[str], tuple[Problem, ...]]) -> None:
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


def test_a_problem_reads_as_one_line(slip: Slip, tmp_path: Path) -> None:
    problem = slip("[rules]\ndebouce = 3\n")
    assert str(problem) == (
        f"{tmp_path / 'lab.toml'}:4: rules.debouce: There is no key “debouce” here. Did you mean “debounce”?"
    )


def test_the_example_of_the_contract_loads(tmp_path: Path) -> None:
    capture = Path(__file__).parent / "captures" / "contract_section_4.toml"
    assert tomllib.loads(capture.read_text(encoding="utf-8"))
    lab = load(capture)
    assert [machine.id for machine in lab.machines] == ["mill-1", "lathe-1"]
