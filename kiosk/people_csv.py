"""The roster's file, under the name it had before workbooks were read: see `kiosk.imports.people`."""

from kiosk.imports.people import COLUMNS, REQUIRED, iso_day, read_people

__all__ = ["COLUMNS", "REQUIRED", "iso_day", "read_people"]
