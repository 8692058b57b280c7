"""What a person sees in a spreadsheet is what is read; what the program made of it is told."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner
from openpyxl.worksheet.worksheet import Worksheet
from workbooks import MAIN, rewritten, saved, with_rows, workbook
from xlsxwriter import Workbook

from kiosk.cli import main
from kiosk.imports.people import read_people
from kiosk.imports.problems import NOT_A_WORKBOOK, FileProblem, Row
from kiosk.imports.sheets import read_rows


def rows_of(data: bytes) -> list[Row]:
    return list(read_rows(data))


def said(data: bytes) -> list[str]:
    """Each line's flaws, as line, cell and words."""
    return [
        f"{row.line}/{flaw.index}: {flaw.what}; {flaw.remedy}" % flaw.values
        for row in rows_of(data)
        for flaw in row.flaws
    ]


def refusal(data: bytes) -> str:
    with pytest.raises(FileProblem) as caught:
        rows_of(data)
    return str(caught.value.problem)


# --- cells -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "format_code", "seen"),
    [
        ("Әлихан", None, "Әлихан"),
        ("  spaces stay here ", None, "  spaces stay here "),
        ("=1+1 as text", "@", None),
        (17, None, "17"),
        (17.0, None, "17"),
        (168.75, None, "168.75"),
        (0.1 + 0.2, None, "0.3"),
        (-0.5, None, "-0.5"),
        (123456789012, None, "123456789012"),
        (0.0000001, None, "0.0000001"),
        (True, None, "TRUE"),
        (False, None, "FALSE"),
        (17, "000000", "000017"),
        (date(2026, 9, 1), None, "2026-09-01"),
        (date(2026, 9, 1), "dd.mm.yyyy", "2026-09-01"),
        (date(2008, 2, 29), '[$-43F]d mmmm yyyy" ж.";@', "2008-02-29"),
        (datetime(2026, 9, 1, 8, 30), None, "2026-09-01 8:30"),
        (time(8, 30), "h:mm", "8:30"),
        (timedelta(hours=168, minutes=45), "[h]:mm", "168:45"),
        (timedelta(hours=192, minutes=51, seconds=36), "[h]:mm:ss", "192:51:36"),
        (5, '0" сағат"', "5"),
        (5, '#,##0.00\\ "тг";[Red]-#,##0.00', "5"),
    ],
)
def test_a_cell_is_what_a_person_sees_in_it(value: Any, format_code: str | None, seen: str | None) -> None:
    def written(sheet: Worksheet) -> None:
        sheet["A2"] = value
        if value == "=1+1 as text":
            sheet["A2"].data_type = "s"
        if format_code:
            sheet["A2"].number_format = format_code

    (_, row) = rows_of(workbook([["heading"]], written))
    assert (row.line, row.cells, row.flaws) == (2, (value if seen is None else seen,), ())


@pytest.mark.parametrize("index", ["-1", "9", "1_0", "x", "1.0"])
def test_a_text_that_its_workbook_does_not_have_is_never_another_one(index: str) -> None:
    row = f'<row r="1"><c r="A1" t="s"><v>{index}</v></c></row>'
    assert NOT_A_WORKBOOK in refusal(with_rows(row.encode()))


def test_a_date_counts_from_1904_where_the_workbook_does() -> None:
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    assert book.active is not None
    book.active["A1"] = date(2026, 9, 1)
    assert rows_of(saved(book))[0].cells == ("2026-09-01",)


def test_a_text_in_several_styles_is_one_text_and_how_it_is_read_aloud_is_none() -> None:
    runs = "<r><t>Әли</t></r><r><t>хан</t></r><rPh><t>no</t></rPh>"
    body = f'<row r="1"><c r="A1" t="inlineStr"><is>{runs}</is></c></row>'.encode()
    assert rows_of(with_rows(body))[0].cells == ("Әлихан",)


def test_another_writer_gives_the_same_rows_and_formulas_are_their_values() -> None:
    out = io.BytesIO()
    with Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["a", "b", "c"])
        sheet.write_formula(1, 0, "=1+1", None, 2)
        sheet.write_formula(1, 1, '="Ә"&"л"', None, "Әл")
        sheet.write_rich_string(1, 2, "Сер", book.add_format({"bold": True}), "иков")
    assert rows_of(out.getvalue())[1].cells == ("2", "Әл", "Сериков")


def test_a_strict_workbook_is_read_as_any() -> None:
    strict = rewritten(
        workbook([["a", "b"], [1, "x"]]),
        lambda name, data: data.replace(MAIN.encode(), b"http://purl.oclc.org/ooxml/spreadsheetml/main"),
    )
    assert [row.cells for row in rows_of(strict)] == [("a", "b"), ("1", "x")]


def test_the_first_sheet_that_can_be_seen_is_meant_and_empty_lines_are_none() -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active["A1"] = "hidden"
    book.active.sheet_state = "hidden"
    meant = book.create_sheet("Топ")
    meant["B2"], meant["A5"] = "b", "a"
    book.create_sheet("Other")["A1"] = "other"
    assert [(row.line, row.cells) for row in rows_of(saved(book))] == [(2, ("", "b")), (5, ("a",))]


def test_which_cells_the_program_holds_as_numbers_is_known() -> None:
    (row,) = rows_of(workbook([["0012", 12, date(2026, 9, 1), True]]))
    assert row.numbers == {1, 2}


# --- what is told, never guessed -------------------------------------------------------------------------------------


def hide_row(sheet: Worksheet) -> None:
    sheet.row_dimensions[2].hidden = True


def hide_column(sheet: Worksheet) -> None:
    sheet.column_dimensions["B"].hidden = True


def merge(sheet: Worksheet) -> None:
    sheet.merge_cells("A2:A3")


def put(value: object, format_code: str = "General") -> Callable[[Worksheet], None]:
    def change(sheet: Worksheet) -> None:
        sheet["B2"] = value  # type: ignore[assignment]
        sheet["B2"].number_format = format_code

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (hide_row, "2/-1: the line is hidden, by a filter or by hand; show it, or delete it"),
        (hide_column, "2/1: the column is hidden; show it, or delete it"),
        (merge, "2/-1: the cells A2:A3 are merged; unmerge them and fill in each cell"),
        (put("=A1"), "2/1: the cell holds a formula that was never computed; open the file in a spreadsheet program"),
        (put("#N/A"), "2/1: the cell shows an error: #N/A; type the value"),
        (put(12345678901234567890), "2/1: the number has more than 15 digits, of which spreadsheet programs keep only"),
        (put(0.5, "yyyy-mm-dd"), "2/1: the cell holds a date that is none: 0.5; write a day as 2026-09-01"),
        (put(1.5, "h:mm"), "2/1: the cell holds a time that cannot be shown as one: 1.5; format the column as [h]:mm"),
    ],
)
def test_what_cannot_be_read_for_sure_is_told_with_its_line_and_its_cell(
    change: Callable[[Worksheet], None], words: str
) -> None:
    found = said(workbook([["a", "b"], ["x", "y"], ["x", "y"]], change))
    assert any(each.startswith(words) for each in found), found


def test_a_flaw_in_a_workbook_of_people_has_the_name_of_its_column() -> None:
    rows = [["person_id", "role", "surname"], ["p1", "apprentice", "=B2"]]
    (_, problems) = read_people(workbook(rows))
    assert str(problems[0]).startswith("line 2, column surname: the cell holds a formula that was never computed")


@pytest.mark.parametrize("badge", [1234567890, 12, "1.23E+09", "1,23457E+11", "6.7003E+55"])
def test_a_badge_that_became_a_number_is_never_guessed(badge: object) -> None:
    (_, problems) = read_people(
        workbook([["person_id", "role", "surname", "badges"], ["p1", "apprentice", "Ә", badge]])
    )
    (problem,) = problems
    assert "has made a number of the badge" in str(problem)
    assert "format the column as text" in str(problem)


def test_people_come_from_a_workbook_as_from_csv() -> None:
    cells = ["p1", "apprentice", "Сериков", date(2008, 3, 14), "0F00448FB0", 4711]
    names = ["person_id", "role", "surname", "birth_date", "badges", "personnel_number"]
    csv = ";".join(names) + "\np1;apprentice;Сериков;14.03.2008;0F00448FB0;4711\n"
    assert read_people(workbook([names, cells])) == read_people(csv.encode())
    assert read_people(csv.encode())[0][0].birth_date == "2008-03-14"


def test_a_name_that_lost_its_kazakh_letters_is_told() -> None:
    (_, (problem,)) = read_people("person_id,role,surname,given\np1,apprentice,Сериков,?лихан\n".encode())
    assert "letters were lost when the file was saved; type the name anew" in str(problem)


def test_a_text_that_turns_the_reading_direction_is_refused() -> None:
    (_, (problem,)) = read_people("person_id,role,surname\np1,apprentice,\u202eвокиреС\n".encode())
    assert "column surname: there is a control character" in str(problem)


def test_the_example_of_the_template_is_refused_if_it_is_left_in() -> None:
    (_, (problem,)) = read_people("person_id,role,surname\n# p17,apprentice,Сериков\n".encode())
    assert str(problem) == "line 2, column person_id: this line is the example of the template; delete the line"


def test_the_command_takes_a_workbook_and_names_each_bad_line(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.xlsx", tmp_path / "bad.xlsx"
    names = ["person_id", "role", "surname", "badges"]
    good.write_bytes(workbook([names, ["p1", "apprentice", "Сериков", "0F00448FB0"]]))
    bad.write_bytes(workbook([names, ["p1", "apprentice", "Сериков", 1234567890], ["p 2", "apprentice", "Ким", ""]]))
    command = ["people", "import", "--dry-run", "--data", str(tmp_path)]
    assert CliRunner().invoke(main, [*command, str(good)]).output == "1 people would be imported\n"
    answer = CliRunner().invoke(main, [*command, str(bad)])
    assert answer.exit_code == 1
    assert f"{bad}: line 2, column badges: the spreadsheet program has made a number of the badge" in answer.output
    assert f"{bad}: line 3, column person_id: there is a space in 'p 2'; write the id without spaces" in answer.output


# --- files that are something else -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xd0\xcf\x11\xe0" + bytes(600), "the file: it is an old workbook (XLS), or one that a password protects;"),
        ("Сериков;Әлихан".encode("utf-16"), "the file: it is Unicode text (UTF-16), not UTF-8; save it as XLSX"),
        ("Сериков;Алихан".encode("utf-16-le"), "the file: it is Unicode text (UTF-16), not UTF-8; save it as XLSX"),
        ("a;b\nСериков;Иван".encode("cp1251"), "line 2: this file is not UTF-8 but, it seems, Windows-1251, which has"),
        (b"a;b\n\xff\x80\x81;", "line 2: this file is not UTF-8; save it as XLSX"),
        (b"<html><table>", "the file: it is a page or a document, not a table, whatever its name says; open it in"),
        (b"%PDF-1.7", "the file: it is a page or a document, not a table"),
        (b"PK\x05\x06" + bytes(18), "the file: it is no workbook that can be read; open it in a spreadsheet program"),
        (b"sep=|\na|b", "line 1: its first line names a separator that is not known"),
        (b'a,b\n"x', "line 2: it is not CSV from here on (unexpected end of data); close every quotation mark"),
    ],
    ids=["xls", "utf16", "utf16_bare", "cp1251", "bytes", "html", "pdf", "empty_zip", "separator", "quote"],
)
def test_another_kind_of_file_is_named_with_what_to_do(data: bytes, words: str) -> None:
    assert refusal(data).startswith(words)


@pytest.mark.parametrize(("part", "kind"), [("content.xml", "ODS"), ("xl/workbook.bin", "XLSB")])
def test_another_kind_of_workbook_is_named(part: str, kind: str) -> None:
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(part, "")
    assert f"it is a workbook of another kind ({kind}); save it as XLSX or as CSV UTF-8" in refusal(out.getvalue())


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_is_read_with_each_separator_and_with_excels_own_word_for_it(delimiter: str) -> None:
    text = f"a{delimiter}b\n1{delimiter}Ә\n"
    for bom in ("", "\ufeff"):
        assert [row.cells for row in rows_of((bom + text).encode())] == [("a", "b"), ("1", "Ә")]
    told = rows_of(f"sep={delimiter}\n{text}".encode())
    assert [(row.line, row.cells) for row in told] == [(1, ("a", "b")), (2, ("1", "Ә"))]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="it cannot be read"):
        list(read_rows(tmp_path / "nothing.xlsx"))
