"""Programmes from a spreadsheet: what stands in it, what is wrong with it, and the lab's own file that it becomes."""

from __future__ import annotations

import csv
import io
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workbooks import workbook

from kiosk.imports.comparison import compare_programmes
from kiosk.imports.programmes import (
    COLUMNS,
    EXAMPLE,
    ProgrammeFile,
    columns_for,
    hours_text,
    parse_hours,
    read_programmes,
    spreadsheet,
)
from lab_config.classifiers import CLASSIFIERS
from lab_config.load import ConfigurationError, load, load_programmes
from lab_config.model import Competency, Lab, LocalText, Machine, Process, Programme
from lab_config.writing import programmes_toml

DEMO = Path(__file__).parent.parent / "lab_config" / "demo"
HOUR = 3_600_000
LAB = Lab(
    "w1",
    LocalText({"und": "W"}),
    machines=(
        Machine("mill-1", LocalText({"und": "Mill"}), machine_class="cnc_mill"),
        Machine("bench", LocalText({"und": "B"})),
    ),
)
HEADING = "programme,process,required,machines,competency,level"


def read(text: str, lab: Lab = LAB) -> ProgrammeFile:
    return read_programmes(text.encode(), lab)


def problems(text: str) -> list[str]:
    return [str(problem) for problem in read(text).problems]


def as_csv(lab: Lab) -> bytes:
    text = io.StringIO(newline="")
    columns = columns_for(lab)
    csv.writer(text, delimiter=";").writerows([columns, *spreadsheet(lab.programmes, columns)])
    return text.getvalue().encode("utf-8-sig")


@pytest.fixture(scope="module")
def demo() -> Lab:
    return load(DEMO)


# --- there and back --------------------------------------------------------------------------------------------------


def test_the_running_programmes_come_back_from_csv_as_they_were(demo: Lab) -> None:
    assert read_programmes(as_csv(demo), demo).programmes == demo.programmes


def test_the_running_programmes_come_back_from_a_workbook_as_they_were(demo: Lab) -> None:
    columns = columns_for(demo)
    rows = [list(columns), *spreadsheet(demo.programmes, columns)]
    assert read_programmes(workbook(rows), demo).programmes == demo.programmes


def test_what_is_downloaded_is_what_the_loader_reads_with_the_rest_of_the_lab(demo: Lab, tmp_path: Path) -> None:
    for name in ("lab.toml", "connections.toml", "machines.toml"):
        (tmp_path / name).write_bytes((DEMO / name).read_bytes())
    (tmp_path / "programmes-demo.toml").write_text(read_programmes(as_csv(demo), demo).toml, encoding="utf-8")
    assert load(tmp_path).programmes == demo.programmes


TITLES = st.one_of(
    st.builds(lambda text: LocalText({"und": text}), st.sampled_from(["Title", "А; \"б\" 'в' = \\ #", "=1+1", "-2+3"])),
    st.dictionaries(st.sampled_from(["kk", "ru", "en", "de"]), st.sampled_from(["Ә", "Б, в", '"c"']), min_size=1).map(
        LocalText
    ),
)
MS = st.one_of(st.none(), st.integers(0, 2_000 * HOUR))


@st.composite
def programmes(draw: st.DrawFn) -> Programme:
    known = [f"P{number}" for number in range(draw(st.integers(0, 3)))]
    processes = []
    for name in known:
        least, most = sorted((draw(st.integers(0, 100 * HOUR)), draw(st.integers(0, 100 * HOUR))))
        processes.append(
            Process(
                name,
                draw(TITLES),
                required_ms=draw(st.sampled_from([None, least])),
                minimum_ms=draw(st.sampled_from([None, 0, least])),
                maximum_ms=draw(st.sampled_from([None, most])),
                machines=draw(st.sampled_from([(), ("mill-1",), ("class:cnc_mill", "bench")])),
                counts=draw(st.sampled_from([None, (), ("running",), ("fault", "running")])),
                presence_counts=draw(st.booleans()),
            )
        )
    competencies = [
        Competency(
            f"C{number}",
            draw(st.sampled_from(known)),
            draw(TITLES),
            draw(st.integers(1, 3)),
            draw(st.sampled_from([None, "https://x.example/1"])),
        )
        for number in range(draw(st.integers(0, 3)) if known else 0)
    ]
    texts = st.sampled_from([None, "07150100"])
    return Programme(
        draw(st.sampled_from(["a", "b-1"])),
        draw(TITLES),
        draw(texts),
        draw(texts),
        tuple(processes),
        tuple(competencies),
    )


@given(programmes())
def test_any_programme_comes_back_from_its_file_and_from_its_spreadsheet(programme: Programme) -> None:
    lab = replace(LAB, programmes=(programme,))
    assert load_programmes(programmes_toml([programme]), Path("p.toml"), LAB.machines) == (programme,)
    file = read_programmes(as_csv(lab), lab)
    assert file.problems == ()
    assert file.programmes == (programme,)


@given(st.text())
def test_any_text_stands_in_toml_as_it_is(text: str) -> None:
    title = LocalText({"kk": text})
    written = programmes_toml([Programme("a", title)])
    assert tomllib.loads(written)["programme"][0]["title"] == {"kk": text}


# --- hours -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("168:45", 607_500_000),
        ("168,75", 607_500_000),
        ("168.75", 607_500_000),
        ("192:51:36", 694_296_000),
        ("192.86", 694_296_000),
        ("270", 270 * HOUR),
        ("0:00", 0),
        ("1:00:00,5", 3_600_500),
        ("33.33333333", None),
        ("168:60", None),
        ("1:2", None),
        ("-1", None),
        ("270h", None),
        ("1e3", None),
        ("٣", None),
        ("", None),
    ],
)
def test_hours_are_read_as_they_are_written_here_and_never_rounded(text: str, ms: int | None) -> None:
    assert parse_hours(text) == ms


@given(st.integers(0, 100_000 * HOUR))
def test_hours_come_back_to_the_millisecond(ms: int) -> None:
    assert parse_hours(hours_text(ms)) == ms


def test_a_credit_is_24_academic_hours_of_the_lab() -> None:
    found = CLASSIFIERS["kz-tvet-2018"]
    assert found.credits(1_080 * HOUR, 45 * 60_000) == 60
    assert found.credits(18 * HOUR + 1, 45 * 60_000).denominator != 1


# --- lines -----------------------------------------------------------------------------------------------------------


def test_a_line_may_tell_of_a_process_and_of_a_competency_at_once_or_of_one_of_them() -> None:
    file = read(f"{HEADING}\ncnc,P1,10:00,mill-1,C1,3\ncnc,P1,,,C2,\ncnc,P2,,class:cnc_mill,,\n")
    (programme,) = file.programmes
    assert [(each.id, each.required_ms, each.machines) for each in programme.processes] == [
        ("P1", 10 * HOUR, ("mill-1",)),
        ("P2", None, ("class:cnc_mill",)),
    ]
    assert [(each.id, each.process, each.level) for each in programme.competencies] == [
        ("C1", "P1", 3),
        ("C2", "P1", 2),
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (",P1,,,,", "line 2, column programme: it is empty; fill it in"),
        ("c nc,P1,,,,", "line 2, column programme: 'c nc' has letters that an id cannot have; use a-z, A-Z, 0-9, - _"),
        ("cnc,,10:00,,,", "line 2, column required: there is something in it, but no id in the column process"),
        ("cnc,P1,,,,3", "line 2, column level: there is something in it, but no id in the column competency"),
        ("cnc,,,,C1,", "line 2, column process: a competency belongs to a work process, and none is named"),
        ("cnc,P1,10 h,,,", "line 2, column required: '10 h' is no number of hours that is exact to a second;"),
        ("cnc,P1,,mill-7,,", "line 2, column machines: 'mill-7' is none of its values; write one of: bench, class"),
        ("cnc,P1,,bench bench,,", "line 2, column machines: 'bench' stands there twice; take one out"),
        ("cnc,P1,,,C1,4", "line 2, column level: '4' is none of its values; write one of: 1, 2, 3"),
        ("# cnc,P1,,,,", "line 2, column programme: this line is the example of the template"),
    ],
)
def test_a_bad_cell_is_named_with_its_place_and_the_remedy(line: str, sentence: str) -> None:
    (problem,) = problems(f"{HEADING}\n{line}\n")
    assert problem.startswith(sentence)


def test_what_is_told_twice_must_be_the_same_twice() -> None:
    assert problems(f"{HEADING}\ncnc,P1,10:00,,,\ncnc,P1,20:00,,,\n") == [
        "line 3, column required: '20:00' here, but '10:00' in line 2; write it once, or the same each time"
    ]
    assert problems(f"{HEADING}\ncnc,P1,,,C1,\ncnc,P2,,,C1,\n") == [
        "line 3, column competency: 'C1' belongs to P1 in line 2; write it for one work process, or give it another id"
    ]
    assert problems(f"{HEADING}\ncnc,P1,10:00,,,\ncnc,P1,10:00,,C1,\n") == []


def test_a_minimum_above_the_maximum_is_told_at_its_line() -> None:
    found = problems("programme,process,required,minimum,maximum\na,P1,,,\na,P2,30,20,10\n")
    assert found == [
        "line 3, column minimum: it is more than the maximum; lower it, or raise the maximum",
        "line 3, column required: it is more than the maximum; lower it, or raise the maximum",
    ]


def test_every_bad_line_is_told_at_once_in_the_order_of_the_file() -> None:
    text = f"{HEADING}\n,P1,x,,,\ncnc,P1,x,zzz,,\ncnc,P 2,,,,\n"
    assert [each.partition(":")[0] for each in problems(text)] == [
        "line 2, column programme",
        "line 3, column required",
        "line 3, column machines",
        "line 4, column process",
    ]


def test_a_file_without_a_programme_says_so() -> None:
    assert problems(HEADING) == ["the file: there is no programme in it; fill in a line for each work process"]


def test_the_template_explains_each_column_and_its_example_is_refused() -> None:
    assert set(EXAMPLE) <= set(COLUMNS)
    row = [EXAMPLE.get(column, "") for column in COLUMNS]
    (problem,) = read_programmes(workbook([COLUMNS, row]), LAB).problems
    assert "this line is the example of the template" in str(problem)


@given(st.text(alphabet=",;\n\"'cnc P1#=:0", max_size=80))
def test_no_text_whatever_makes_it_stumble(text: str) -> None:
    file = read(f"{HEADING}\n{text}")
    assert file.problems or file.programmes


def test_a_toml_with_something_else_in_it_is_no_file_of_programmes() -> None:
    with pytest.raises(ConfigurationError, match="machine"):
        load_programmes('[[machine]]\nid = "m"\n', Path("p.toml"), ())


# --- against what runs -----------------------------------------------------------------------------------------------


def test_the_comparison_names_what_is_new_changed_and_missing(demo: Lab) -> None:
    cnc, welder, _ = demo.programmes
    first, *others = cnc.processes
    new = (
        replace(cnc, code="1", processes=(replace(first, required_ms=1), *others[:-1]), competencies=cnc.competencies),
        welder,
        Programme("new", LocalText({"und": "N"})),
    )
    found = [
        (each.kind, each.programme, each.thing.id, each.changed) for each in compare_programmes(new, demo.programmes)
    ]
    assert found == [
        ("changed", "cnc-operator", "cnc-operator", ("code",)),
        ("changed", "cnc-operator", "CNC1", ("required_ms",)),
        ("missing", "cnc-operator", "CNC6", ()),
        ("added", "new", "new", ()),
        ("missing", "electrical-maintenance", "electrical-maintenance", ()),
    ]


def test_the_same_programmes_are_no_difference(demo: Lab) -> None:
    assert compare_programmes(demo.programmes, demo.programmes) == ()
