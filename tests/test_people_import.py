"""A roster file: read whole, or every bad row named with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.commands import PersonRow
from kiosk.imports.people import read_people
from kiosk.imports.sheets import MAX_BYTES

HEADING = "person_id,role,surname,given,badges"
FULL = (
    "person_id,role,surname,given,patronymic,group,active,language,birth_date,programme,enterprise,personnel_number,"
    "contract,contract_from,contract_to,consent_until,badges,qualifications\n"
    "p1,apprentice,Сериков,Әлібек,Нұрланұлы,CNC-24,yes,kk,2008-03-01,cnc-operator,ent-steel,4711,"
    "12/2026,2026-09-01,2027-06-30,2027-06-30,0f00448fb0 67003B51C6,briefing:cnc:2026-12-31 qualification:cnc_mill\n"
)


def rows_of(text: str) -> tuple[PersonRow, ...]:
    rows, problems = read_people(text.encode())
    assert problems == ()
    return rows


def problems_of(text: str | bytes) -> list[str]:
    return [str(problem) for problem in read_people(text.encode() if isinstance(text, str) else text)[1]]


def with_column(column: str, value: str) -> str:
    return f"person_id,role,surname,{column}\np1,apprentice,Сериков,{value}\n"


def test_a_full_row_is_read_as_it_stands() -> None:
    assert rows_of(FULL) == (
        PersonRow(
            "p1",
            "apprentice",
            "Сериков",
            "Әлібек",
            "Нұрланұлы",
            "CNC-24",
            True,
            "kk",
            "2008-03-01",
            "cnc-operator",
            "ent-steel",
            "4711",
            "12/2026",
            "2026-09-01",
            "2027-06-30",
            "2027-06-30",
            ("0F00448FB0", "67003B51C6"),
            (("briefing:cnc", "2026-12-31"), ("qualification:cnc_mill", None)),
        ),
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace(",", ";"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("\n", ",,\n"),
        lambda text: text + "\n,,,\n\n",
        lambda text: text.replace("person_id", " Person_ID "),
        lambda text: text.replace("Сериков", '"Сериков"'),
        lambda text: text.replace("2026-09-01", "01.09.2026"),
    ],
    ids=[
        "bom",
        "semicolons",
        "crlf",
        "no_last_newline",
        "empty_columns",
        "empty_rows",
        "heading",
        "quotes",
        "dotted_day",
    ],
)
def test_what_spreadsheets_do_to_a_file_changes_nothing(change: object) -> None:
    assert callable(change)
    assert rows_of(change(FULL)) == rows_of(FULL)


def test_columns_that_are_left_out_are_empty_and_a_person_is_active() -> None:
    assert rows_of("surname,role,person_id\nСериков,instructor,i1") == (PersonRow("i1", "instructor", "Сериков", ""),)


def test_a_name_typed_in_pieces_is_joined() -> None:
    (row,) = rows_of("person_id,role,surname\np1,apprentice,Йи\u0306\n".replace("Й", "И\u0306"))
    assert row.surname == "Йй"


def test_a_person_can_be_inactive() -> None:
    assert not rows_of(with_column("active", "No"))[0].active


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            with_column("role", "x").replace("role,surname,role", "surname,role").replace("apprentice,", ""),
            "line 2, column role: 'x'",
        ),
        (
            "person_id,role,surname\np1,,Сериков",
            "line 2, column role: it is empty; write one of: apprentice, instructor",
        ),
        ("person_id,role,surname\np1,apprentice,", "line 2, column surname: it is empty; fill it in"),
        ("person_id,role,surname\n,apprentice,Сериков", "line 2, column person_id: it is empty"),
        ("person_id,role,surname\np 1,apprentice,Сериков", "line 2, column person_id: there is a space"),
        (with_column("birth_date", "2026-02-30"), "line 2, column birth_date: '2026-02-30' is no day; write a day as"),
        (with_column("birth_date", "1/9/2026"), "line 2, column birth_date: '1/9/2026' is no day"),
        (with_column("birth_date", "0001-01-01"), "line 2, column birth_date: '0001-01-01' is no day"),
        (
            with_column("active", "perhaps"),
            "line 2, column active: 'perhaps' is none of its values; write one of: yes, no",
        ),
        (
            with_column("language", "de"),
            "line 2, column language: 'de' is none of its values; write one of: kk, ru, en",
        ),
        (with_column("given", "Ә\u0007"), "line 2, column given: there is a control character"),
        (with_column("given", "Ә" * 201), "line 2, column given: the text is longer than 200 letters"),
        (with_column("contract_from,contract_to", "2026-09-02,2026-09-01"), "the contract ends before it begins"),
        (with_column("badges", "XYZ"), "line 2, column badges: XYZ is no badge number; give 2 to 40"),
        (with_column("badges", "0F00448FB"), "0F00448FB is no badge number"),
        (with_column("badges", "0F004"), "0F004 is no badge number"),
        (with_column("badges", "0F" * 21), "is no badge number"),
        (with_column("badges", "0008123456"), "0008123456 is a number printed on a card"),
        (with_column("badges", '"123,45678"'), "tap the card at a reader"),
        (with_column("badges", "0F00448FB0 0f00448fb0"), "0F00448FB0 is twice in this line"),
        (with_column("qualifications", ":cnc"), "':cnc' is no qualification; write briefing:cnc"),
        (
            with_column("qualifications", "briefing:cnc:2026-13-01"),
            "'2026-13-01' in 'briefing:cnc:2026-13-01' is no day",
        ),
        (with_column("qualifications", "cnc_mill:2027/03/01"), "'2027/03/01' in 'cnc_mill:2027/03/01' is no day"),
        (with_column("qualifications", "cnc_mill:20270301"), "'20270301' in 'cnc_mill:20270301' is no day"),
        (with_column("qualifications", "mill:31.02.2027"), "'31.02.2027' in 'mill:31.02.2027' is no day"),
        (with_column("qualifications", "a:b:2026-01-01 a:b"), "'a:b' stands there twice; take one out"),
        (with_column("qualifications", "briefing:cnc:soon"), "'briefing:cnc:soon' is no qualification"),
        (with_column("given", "Ә,more"), "line 2: it has 5 cells under 4 columns; put a text with commas in quotes"),
    ],
)
def test_a_bad_cell_is_named_with_its_place_and_the_remedy(text: str, sentence: str) -> None:
    (problem,) = problems_of(text)
    assert sentence in problem


def test_the_last_day_of_a_qualification_may_be_written_as_any_other_day() -> None:
    (row,) = rows_of(with_column("qualifications", "briefing:cnc:1.09.2026 mill:2027-02-03 lathe briefing:1019"))
    assert row.qualifications == (
        ("briefing:cnc", "2026-09-01"),
        ("mill", "2027-02-03"),
        ("lathe", None),
        ("briefing:1019", None),
    )


@pytest.mark.parametrize("hidden", ["\u200b", "\ufeff", "\u00ad", "\u2060", "\u200e"])
@pytest.mark.parametrize(
    "column", ["person_id", "group", "programme", "personnel_number", "contract", "qualifications"]
)
def test_a_sign_that_nobody_sees_makes_no_second_person_and_no_second_group(column: str, hidden: str) -> None:
    values = {"person_id": "p1", "role": "apprentice", "surname": "Се\u200bриков", column: f"p1{hidden}7"}
    (problem,) = problems_of(f"{','.join(values)}\n{','.join(values.values())}\n")
    assert problem == (
        f"line 2, column {column}: there is a sign in 'p1\N{REPLACEMENT CHARACTER}7' that nobody sees; type it anew"
    )


def test_a_person_and_a_badge_in_two_rows_are_named_in_the_second() -> None:
    text = f"{HEADING}\np1,apprentice,А,Б,0F00448FB0\n\np1,apprentice,В,Г,0F00448FB0\n"
    assert problems_of(text) == [
        "line 4, column person_id: 'p1' is in line 2 already; keep one line a person",
        "line 4, column badges: 0F00448FB0 is in line 2 already; a badge belongs to one person: keep one of them",
    ]


def test_every_problem_is_reported_at_once_in_the_order_of_the_file() -> None:
    text = f"{HEADING}\n,boss,,,XYZ\np2,apprentice,А,Б,0F00448FB0\np2,apprentice,А,Б,\n"
    assert [problem.split(":")[0] for problem in problems_of(text)] == [
        "line 2, column person_id",
        "line 2, column role",
        "line 2, column surname",
        "line 2, column badges",
        "line 4, column person_id",
    ]


def test_lines_are_counted_as_the_spreadsheet_program_does_that_the_file_is_opened_in() -> None:
    text = f'{HEADING}\np1,apprentice,"А\nА",Б,\n\np2,boss,А,Б,\n'
    for told in (text, f"sep=,\n{text}", text.replace("\n", "\r\n"), text.replace("\n", "\r")):
        places = [problem.split(":")[0] for problem in problems_of(told)]
        assert places == ["line 2, column surname", "line 4, column role"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1, column person_id: the column is missing"),
        ("person_id,role,surnam\n", "line 1, column 'surnam': there is no such column; did you mean surname?"),
        ("person_id,role,surname,xyz\n", "known columns: person_id, role"),
        ("person_id,role,surname,role\n", "line 1, column role: the column is there twice"),
        (f'{HEADING}\np1,apprentice,"А,Б\n', "line 2: it is not CSV from here on"),
        (
            FULL.encode("cp1251", "replace"),
            "line 2: this file is not UTF-8 but, it seems, Windows-1251, which has no Kazakh",
        ),
        (FULL.encode("utf-16"), "the file: it is Unicode text (UTF-16), not UTF-8; save it as XLSX, or as CSV UTF-8"),
        (b"PK\x03\x04" + bytes(30), "the file: it is no workbook that can be read; open it in a spreadsheet program"),
        (b"x" * (MAX_BYTES + 1), "the file: it is larger than 20 MB"),
    ],
    ids=["empty", "misspelt", "unknown", "twice", "open_quote", "cp1251", "utf16", "xlsx", "large"],
)
def test_a_file_that_is_no_roster_is_refused_in_words(text: str | bytes, sentence: str) -> None:
    assert any(sentence in problem for problem in problems_of(text if isinstance(text, bytes) else text.encode()))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    assert "cannot be read" in str(read_people(tmp_path / "nothing.csv")[1][0])


def test_a_file_is_read_as_its_bytes_are(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(FULL, encoding="utf-8-sig")
    assert read_people(path) == read_people(FULL.encode())


@given(st.binary() | st.text().map(str.encode) | st.text(',;"\n\rp1 ').map(lambda text: f"{HEADING}\n{text}".encode()))
def test_no_bytes_whatever_make_it_stumble(data: bytes) -> None:
    rows, problems = read_people(data)
    assert problems or all(row.person_id and row.surname for row in rows)
