"""A report as a file: which forms there are, and how each is made."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

from kiosk.reports.csv_file import write_csv
from kiosk.reports.pdf_file import write_pdf
from kiosk.reports.table import LongReport, whole
from kiosk.reports.ticks import Tick, untold
from kiosk.reports.xlsx_file import write_xlsx

MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
}
"""Form to media type, in the order in which they are offered."""


def write(report: LongReport, form: str, out: BinaryIO, folder: Path | None = None, tick: Tick = untold) -> None:
    """Write `report` in a form of `MEDIA`; `folder` takes what a workbook keeps on disk while it is made.

    Only what takes long, a PDF, tells how far it is.

    Raises `KeyError` for another form.
    """
    if form == "csv":
        write_csv(report, out)
    elif form == "xlsx":
        write_xlsx(report, out, folder)
    elif form == "pdf":
        write_pdf(whole(report), out, tick)  # which pages there are shows only at the end
    else:
        raise KeyError(form)


def content(report: LongReport, form: str) -> bytes:
    """The whole file in memory, for a report of a page or a few."""
    out = io.BytesIO()
    write(report, form, out)
    return out.getvalue()
