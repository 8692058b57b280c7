"""Files that were made to do harm: they end in words, soon, and cost no more memory than a large honest one."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workbooks import MAIN, SHEET, XML, rewritten, with_part, with_rows, workbook

from kiosk.imports.people import MAX_PEOPLE, read_people
from kiosk.imports.problems import FileProblem
from kiosk.imports.sheets import MAX_BYTES, read_rows
from kiosk.imports.tables import MAX_PROBLEMS
from kiosk.imports.xlsx import MAX_ELEMENTS, MAX_STRINGS

SECONDS = 20
"""Of the processor, far more than any of these takes."""
MEGABYTES = 50
ROW = "p{0},apprentice,Сериков,Әлихан\n"
HEADING = "person_id,role,surname,given\n"
MILLION = 1_000_000


def refused(data: bytes) -> str:
    """What is said of the file, within the time."""
    before = thread_time()
    with pytest.raises(FileProblem) as caught:
        for _ in read_rows(data):
            pass
    assert thread_time() - before < SECONDS
    return str(caught.value.problem)


READER = """
import resource, sys
from pathlib import Path
from kiosk.imports.people import read_people
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows, problems = read_people(Path(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, len(rows), *problems)
"""


def read_alone(path: Path, data: bytes) -> tuple[int, int, str]:
    """A process of its own reads the file: (kB of memory that took, people, what it says)."""
    path.write_bytes(data)
    done = subprocess.run([sys.executable, "-c", READER, path], capture_output=True, text=True, check=True, timeout=280)
    more_kb, rows, said = done.stdout.split(" ", 2)
    return int(more_kb), int(rows), said


def test_a_workbook_that_unpacks_to_a_hundred_times_the_memory_is_not_unpacked() -> None:
    bomb = with_part(SHEET, b" " * (300 * MILLION))
    assert len(bomb) < MILLION
    assert refused(bomb).startswith("the file: unpacked the workbook would be 300 MB large; split it")


def test_a_small_part_that_is_packed_beyond_reason_is_not_unpacked() -> None:
    assert "unpacked the workbook would be 12 MB large" in refused(with_rows(b"<a>" * (4 * MILLION)))


def test_a_header_that_tells_a_smaller_size_gains_nothing() -> None:
    bomb = bytearray(with_part(SHEET, XML + b" " * (30 * MILLION)))
    packed = bytes(bomb).replace((30 * MILLION + len(XML)).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert "it is no workbook that can be read" in refused(packed)


def test_elements_within_elements_without_end_are_refused() -> None:
    assert "it is no workbook that can be read" in refused(with_rows(b"<a>" * 100_000))


@pytest.mark.parametrize(
    "declaration",
    [
        b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>',
        b'<!DOCTYPE l SYSTEM "file:///etc/passwd">',
        b'<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        b"<!DOCTYPE l>",
    ],
    ids=["laughs", "external", "entity", "bare"],
)
@pytest.mark.parametrize("part", [SHEET, "xl/workbook.xml", "xl/styles.xml", "_rels/.rels"])
def test_no_part_may_declare_a_document_type(part: str, declaration: bytes) -> None:
    text = XML + declaration + f'<worksheet xmlns="{MAIN}">&c;</worksheet>'.encode()
    assert "it is no workbook that can be read" in refused(with_part(part, text))


def varied(text: str, count: int) -> bytes:
    """So many elements that pack badly enough to be let in."""
    return "".join(text.format(number * 7919 % MILLION) for number in range(count)).encode()


@pytest.mark.parametrize(
    "body",
    [b"<row>" + varied('<c s="{}"/>', MAX_ELEMENTS) + b"</row>", varied('<row r="{}"/>', MAX_ELEMENTS)],
    ids=["cells", "rows"],
)
def test_a_sheet_of_empty_cells_ends_early(body: bytes) -> None:
    assert "the workbook holds more than a list of people or programmes does" in refused(with_rows(body))


def test_a_table_of_strings_that_nobody_uses_ends_early() -> None:
    strings = XML + b"<sst>" + varied("<si><t>{}</t></si>", MAX_STRINGS + 1) + b"</sst>"
    assert "the workbook holds more than a list" in refused(with_part("xl/sharedStrings.xml", strings))


def test_number_formats_of_brackets_take_no_time() -> None:
    code = b"[" * 30_000
    styles = b'<styleSheet><numFmts><numFmt numFmtId="200" formatCode="' + code + b'"/></numFmts><cellXfs>'
    data = with_part("xl/styles.xml", styles + b'<xf numFmtId="200"/>' * 60_000 + b"</cellXfs></styleSheet>")
    before = thread_time()
    assert len(list(read_rows(data))) == 2
    assert thread_time() - before < SECONDS


def test_a_cell_at_the_end_of_the_sheet_costs_nothing() -> None:
    far = b'<row r="1048576"><c r="XFD1048576" t="str"><v>x</v></c></row>'
    assert "line 1048576: there is something to the right of column 64" in refused(with_rows(far))
    low = b'<row r="9999999"><c r="A9999999" t="str"><v>x</v></c></row>'
    assert [row.line for row in read_rows(with_rows(low))] == [9_999_999]


def test_a_cell_longer_than_any_program_writes_is_refused() -> None:
    body = b'<row><c t="inlineStr"><is><t>' + varied("{}", 10_000) + b"</t></is></c></row>"
    assert "a cell holds more text than a spreadsheet program allows" in refused(with_rows(body))


def test_an_archive_of_more_parts_than_a_workbook_has_is_not_listed() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(5_000):
            archive.writestr(f"{number}", b"")
    assert "the workbook has more parts than any that a person made" in refused(out.getvalue())


def test_a_part_outside_of_the_archive_is_never_opened() -> None:
    rels = rewritten(
        workbook([["a"]]),
        lambda name, data: data.replace(b"/xl/worksheets/sheet1.xml", b"../../../../etc/passwd"),
    )
    assert "it is no workbook that can be read" in refused(rels)


def test_20_mb_of_good_lines_end_in_words_without_being_held_in_memory(tmp_path: Path) -> None:
    text = (HEADING + "".join(ROW.format(number) for number in range(420_000))).encode()
    assert 19 * MILLION < len(text) < MAX_BYTES
    more_kb, rows, said = read_alone(tmp_path / "people.csv", text)
    assert (rows, more_kb < MEGABYTES * 1000) == (MAX_PEOPLE, True)
    assert f"line {MAX_PEOPLE + 2}: there are more than {MAX_PEOPLE} people" in said


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("xl/sharedStrings.xml", "<sst>" + "<si><t/></si>" * 2_000_000 + "</sst>"),
        ("xl/styles.xml", "<styleSheet><cellXfs>" + '<xf numFmtId="14"/>' * 2_000_000 + "</cellXfs></styleSheet>"),
        (SHEET, "<worksheet><sheetData>" + '<row><c r="A1"/></row>' * 1_500_000 + "</sheetData></worksheet>"),
    ],
    ids=["strings", "styles", "cells"],
)
def test_a_part_of_millions_of_elements_is_not_held_in_memory(tmp_path: Path, part: str, text: str) -> None:
    noise = XML + f"<!--{''.join(map(str, range(200_000)))}-->".encode()  # packs badly, so that it is let in
    more_kb, rows, said = read_alone(tmp_path / "people.xlsx", with_part(part, noise + text.encode()))
    assert (rows, more_kb < MEGABYTES * 1000) == (0, True)
    assert "the workbook holds more than a list of people or programmes does" in said


def test_a_file_where_every_line_is_bad_stops_at_some_hundreds() -> None:
    _, problems = read_people((HEADING + "p1,x,,\n" * 20_000).encode())
    assert len(problems) <= MAX_PROBLEMS + 4
    assert str(problems[0]) == "the file: there are more problems than these; mend these first, then try again"


GOOD = workbook([["person_id", "role", "surname"], ["p1", "apprentice", "Сериков"]])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_workbook_never_makes_it_stumble(data: st.DataObject) -> None:
    bad = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 5))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    read_people(bytes(bad[: data.draw(st.integers(1, len(bad)))] if data.draw(st.booleans()) else bad))


ALPHABET = [
    '<row r="2">', "</row>", "<c", ' r="B2"', ' t="s"', ' t="d"', ' s="1"', ">", "<v>", "9", "-", "1e400", "</v>",
    "<f/>", "</c>", "<is>", "<t>", "</t>", "&#1;", "_x0000_", "<mergeCell ref='A1:B2'/>",
    "<col min='1' max='x' hidden='1'/>",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(ALPHABET), max_size=30), st.sampled_from([SHEET, "xl/styles.xml", "xl/workbook.xml"]))
def test_no_words_of_a_sheet_in_any_order_make_it_stumble(words: list[str], part: str) -> None:
    read_people(with_part(part, XML + f'<worksheet xmlns="{MAIN}">{"".join(words)}</worksheet>'.encode(), GOOD))


@given(st.binary(max_size=300).map(lambda tail: b"PK\x03\x04" + tail) | st.binary(max_size=300))
def test_no_bytes_whatever_make_it_stumble(data: bytes) -> None:
    rows, problems = read_people(data)
    assert problems or all(row.person_id and row.surname for row in rows)
