"""One rule of `load` a test: the slip, its place, and that a remedy is given."""

from __future__ import annotations

import struct
import tomllib
import zoneinfo
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_fixtures import HEAD, MILL, PLUG, PROGRAMME, READER, WEBHOOK, LabTexts, Loads, Problems, Slip

from lab_config.load import ConfigurationError, load


@pytest.fixture
def lab_of(tmp_path: Path) -> Loads:
    return LabTexts(tmp_path).lab


@pytest.fixture
def problems_of(tmp_path: Path) -> Problems:
    return LabTexts(tmp_path).problems


@pytest.fixture
def slip(tmp_path: Path) -> Slip:
    return LabTexts(tmp_path).slip


# The file itself


def test_a_lab_needs_no_more_than_its_id(lab_of: Loads) -> None:
    lab = lab_of("")
    assert (lab.id, lab.timezone, lab.languages, lab.mqtt) == ("w3", "Asia/Almaty", ("kk", "ru", "en"), None)
    assert lab.name.in_language("kk") == "w3"


def test_every_problem_is_told_at_once_each_with_its_line(
    problems_of: Problems,
) -> None:
    found = problems_of(
        'languages = ["fr"]\n[rules]\ndebounce = "3 parsecs"\n[[machine]]\nid = "Mill 1"\ncrew = 0\n[extra]\n'
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


def test_a_value_of_the_wrong_kind_is_a_problem(problems_of: Problems) -> None:
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


@pytest.mark.parametrize("name", ["mill 1", "mill/1", "mill+", "-mill", "станок"])
def test_an_id_has_latin_letters_digits_and_dashes_only(slip: Slip, name: str) -> None:
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
