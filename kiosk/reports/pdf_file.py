"""A report as PDF: A4, every Kazakh letter, headings on each page, "1 / 3", lines to sign on."""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from kiosk.reports.cells import NUMERIC, shown_row
from kiosk.reports.paper import Layout, laid_out, wrapped
from kiosk.reports.table import Report, Table
from kiosk.reports.ticks import Tick, untold

if TYPE_CHECKING:
    from fpdf import FPDF

FONTS = Path(__file__).parent / "fonts"
FAMILY = "PTSans"
MARGIN_MM = 8.0
FOOT_MM = 12.0
PAD_MM = 0.7
BELOW_MM = 2.0
"""Between a table and what stands below it."""
SIGNATURE_MM = 10.0
NOTE_POINTS = 8.0
ROOM_TO_BEGIN_MM = 30.0
"""With less left on the page, a table that follows another begins on the next one."""
LEADING = 0.43
"""Millimetres of line height for a point of type."""
NO_GLYPH = "?"
"""Stands for a letter that the font has not: an emoji, say."""


def write_pdf(report: Report, out: BinaryIO, tick: Tick = untold) -> None:
    """One document; where there are several tables each begins a page, but in a flowing report."""
    from fpdf import FPDF  # noqa: PLC0415 - only who makes a file pays for it

    class Paper(FPDF):
        def footer(self) -> None:
            self.set_y(-FOOT_MM + 2)
            self.set_font(FAMILY, size=8)
            self.cell(0, 5, f"{self.page_no()} / {{nb}}", align="C")

    paper = Paper(orientation="landscape" if report.landscape else "portrait", format="A4")
    try:
        for style, file in (("", "PTSans-Regular.ttf"), ("B", "PTSans-Bold.ttf")):
            paper.add_font(FAMILY, style, FONTS / file)
        _write(paper, report, tick)
        out.write(paper.output())
    finally:
        for font in paper.fonts.values():
            font.close()  # type: ignore[union-attr]


def _write(paper: FPDF, report: Report, tick: Tick) -> None:
    paper.set_margins(MARGIN_MM, MARGIN_MM, MARGIN_MM)
    paper.set_auto_page_break(False, FOOT_MM)
    paper.c_margin = 0.0  # the padding is the layout's
    paper.set_title(report.title)
    writer = _Writer(paper, report)
    for number, table in enumerate(report.tables, start=1):
        signed = not report.flowing or number == len(report.tables)  # each sheet by itself, what flows at its end
        writer.head(table, first=number == 1)
        writer.table(table, signed=signed)
        if signed:
            writer.below()
        tick(number, len(report.tables))
    if not report.tables:
        paper.add_page()
        writer.lines(14, "B", (report.title,))
        writer.lines(9, "", report.subtitle)
        writer.below()


class _Writer:
    """Puts a report on paper, from the top of a page to its bottom."""

    def __init__(self, paper: FPDF, report: Report) -> None:
        self.paper = paper
        self.report = report
        self.known = frozenset(paper.fonts[FAMILY.lower()].cmap)  # type: ignore[union-attr]
        self.bottom = paper.h - FOOT_MM
        self.room = paper.w - 2 * MARGIN_MM
        self.width = cache(self._width)

    def _width(self, text: str, points: float, bold: bool) -> float:
        self.paper.set_font(FAMILY, "B" if bold else "", points)
        return float(self.paper.get_string_width(text))

    def legible(self, text: str) -> str:
        """What the font can show: marks of direction and controls are gone, letters that it has not are marked."""
        return "".join(
            " " if unicodedata.category(letter) == "Zs" else letter if ord(letter) in self.known else NO_GLYPH
            for letter in unicodedata.normalize("NFC", text).replace("\t", " ").replace("\n", " ")
            if unicodedata.category(letter) not in {"Cf", "Cc", "Mn"}
        )

    def lines(self, points: float, style: str, texts: tuple[str, ...]) -> None:
        """Whole lines of text, wrapped to the page."""
        for text in texts:
            self.paper.set_font(FAMILY, style, points)
            high = points * LEADING
            for line in wrapped(self.legible(text), self.room, lambda t: self.width(t, points, style == "B")):
                if self.paper.get_y() + high > self.bottom:
                    self.next_page()
                self.paper.set_font(FAMILY, style, points)
                self.paper.cell(self.room, high, line, new_x="LMARGIN", new_y="NEXT")

    def next_page(self, *more: str) -> None:
        """A page that goes on with the one before says whose it is: sheets of paper part from one another."""
        self.paper.add_page()
        self.lines(7, "", (" · ".join(filter(None, (self.report.title, *self.report.subtitle, *more))),))
        self.paper.ln(1)

    def head(self, table: Table, *, first: bool) -> None:
        """The head of a page that a table begins on; in a flowing report, of the table alone."""
        if first or not self.report.flowing:
            self.paper.add_page()
            self.lines(14, "B", (self.report.title,))
            self.lines(9, "", self.report.subtitle)
        elif self.paper.get_y() + ROOM_TO_BEGIN_MM > self.bottom:
            self.next_page()
        if table.title:
            self.paper.ln(1)
            self.lines(11, "B", (table.title,))
        self.paper.ln(2)

    def table(self, table: Table, *, signed: bool) -> None:
        """The table, its headings again on every page."""
        report = self.report
        texts = [tuple(map(self.legible, shown_row(row, table, report))) for row in table.rows]
        totals = tuple(map(self.legible, shown_row(table.totals, table, report))) if table.totals else ()
        headings = tuple(self.legible(column.title) for column in table.columns)
        measured = [*texts, totals] if totals else texts
        layout = laid_out(table.columns, headings, measured, self.room, 2 * PAD_MM, self.width)
        self.row(headings, table, layout, head=True)
        tail = BELOW_MM + self.height_below() if signed else 0.0
        ending = tail + (self.height(totals, layout, bold=True) if totals else 0.0)
        for number, row in enumerate(texts, start=1):
            self.kept_row(row, headings, table, layout, ending if number == len(texts) else 0.0)
        if totals:
            self.kept_row(totals, headings, table, layout, tail, bold=True)
        self.paper.ln(BELOW_MM)

    def kept_row(
        self,
        row: tuple[str, ...],
        headings: tuple[str, ...],
        table: Table,
        layout: Layout,
        with_mm: float,
        *,
        bold: bool = False,
    ) -> None:
        """A row that is neither torn nor parted from so much below it: without room it begins the next page."""
        needed = self.height(row, layout, bold) + min(with_mm, self.bottom / 2)
        if self.paper.get_y() + needed > self.bottom:
            self.next_page(table.title)
            self.row(headings, table, layout, head=True)
        self.row(row, table, layout, bold=bold)

    def split(self, row: tuple[str, ...], layout: Layout, bold: bool) -> list[list[str]]:
        """The lines of each cell."""
        return [
            wrapped(text, width - 2 * PAD_MM, lambda t: self.width(t, layout.points, bold)) if text else []
            for text, width in zip(row, layout.widths_mm, strict=True)
        ]

    def height(self, row: tuple[str, ...], layout: Layout, bold: bool) -> float:
        """As high as its fullest cell."""
        high = max([1, *(len(lines) for lines in self.split(row, layout, bold))]) * layout.points * LEADING
        return max(high + 2 * PAD_MM, 9.0 if layout.signed else 0.0)

    def row(
        self, row: tuple[str, ...], table: Table, layout: Layout, *, head: bool = False, bold: bool = False
    ) -> None:
        """One row with its lines around."""
        paper, strong = self.paper, head or bold
        high = self.height(row, layout, strong)
        top, left = paper.get_y(), MARGIN_MM
        paper.set_draw_color(90)
        paper.set_line_width(0.15)
        paper.set_fill_color(232, 236, 240)
        for lines, column, width in zip(self.split(row, layout, strong), table.columns, layout.widths_mm, strict=True):
            paper.rect(left, top, width, high, style="DF" if strong else "D")
            paper.set_font(FAMILY, "B" if strong else "", layout.points)
            paper.set_xy(left, top + PAD_MM)
            align = "C" if head else "R" if column.kind in NUMERIC else "L"
            for line in lines:
                paper.set_x(left + PAD_MM)
                paper.cell(width - 2 * PAD_MM, layout.points * LEADING, line, align=align, new_x="LEFT", new_y="NEXT")
            left += width
        paper.set_xy(MARGIN_MM, top + high)

    def height_below(self) -> float:
        """What notes and signatures take."""
        notes = (
            len(wrapped(self.legible(text), self.room, lambda t: self.width(t, NOTE_POINTS, False)))
            for text in self.report.notes
        )
        return sum(notes) * NOTE_POINTS * LEADING + SIGNATURE_MM * len(self.report.signatures)

    def below(self) -> None:
        """Notes, and a line for each who signs."""
        self.lines(NOTE_POINTS, "", self.report.notes)
        needed = SIGNATURE_MM * len(self.report.signatures)
        if needed and self.paper.get_y() + needed > self.bottom:
            self.next_page()
        for post in self.report.signatures:
            self.paper.ln(SIGNATURE_MM / 2)
            self.paper.set_font(FAMILY, "", 9)
            top = self.paper.get_y()
            self.paper.cell(70, 5, self.legible(post))
            for start, end in ((80, 125), (130, 185)):
                self.paper.line(MARGIN_MM + start, top + 4.5, MARGIN_MM + end, top + 4.5)
            self.paper.set_xy(MARGIN_MM, top + SIGNATURE_MM / 2)
