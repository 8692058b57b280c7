"""Files to begin with: the columns, an example that is refused if it is left in, and what each column means."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV = "text/csv; charset=utf-8"


def csv_template(columns: Sequence[str], example: Sequence[str]) -> bytes:
    """As spreadsheet programs here write it: UTF-8 with BOM, `;`."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=";").writerows((columns, example))
    return text.getvalue().encode("utf-8-sig")


def workbook(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    title: str,
    help_title: str,
    meanings: Sequence[Sequence[str]],
    choices: Mapping[str, Sequence[str]],
) -> bytes:
    """An XLSX whose cells are all texts, so that no number loses its zeros; `meanings` stand on a second sheet."""
    from xlsxwriter import Workbook  # noqa: PLC0415 - costs memory that a kiosk rarely needs

    out = io.BytesIO()
    with Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}) as book:
        text, bold = book.add_format({"num_format": "@"}), book.add_format({"bold": True, "num_format": "@"})
        wrapped = book.add_format({"text_wrap": True, "valign": "top"})
        sheet = book.add_worksheet(title[:31])
        for index, column in enumerate(columns):
            sheet.set_column(index, index, max(12, len(column) + 3), text)
            sheet.write_string(0, index, column, bold)
            if column in choices:
                sheet.data_validation(1, index, 2_000, index, {"validate": "list", "source": list(choices[column])})
        for line, row in enumerate(rows, 1):
            for index, cell in enumerate(row):
                if cell:
                    sheet.write_string(line, index, cell, text)
        sheet.freeze_panes(1, 0)
        helping = book.add_worksheet(help_title[:31])
        helping.set_column(0, 0, 22)
        helping.set_column(1, len(meanings[0]) - 1 if meanings else 1, 60, wrapped)
        for line, row in enumerate(meanings):
            for index, cell in enumerate(row):
                helping.write_string(line, index, cell, bold if line == 0 else wrapped)
    return out.getvalue()
