"""Languages outside a request: catalogues loaded once, and numbers and times as people here write them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from babel.support import NullTranslations, Translations

from kiosk import phrases
from lab_config.model import LANGUAGES, Lab

LOCALE_FOLDER = Path(__file__).parent / "locale"
FALLBACK = "kk"


@dataclass(frozen=True)
class Words:
    """One language's gettext."""

    language: str
    catalogue: NullTranslations

    def gettext(self, message: str, **values: object) -> str:
        """`message` in this language, its `%(name)s` filled in."""
        text = str(self.catalogue.ugettext(message))
        return text % values if values else text

    def ngettext(self, one: str, many: str, number: int, **values: object) -> str:
        """The form that goes with `number`, filled in with `num` and `values`."""
        return str(self.catalogue.ungettext(one, many, number)) % {"num": number, **values}


@cache
def words(language: str | None) -> Words:
    """The words of `language`; Kazakh where it is not one of ours."""
    known = language if language in LANGUAGES else FALLBACK
    return Words(known, Translations.load(LOCALE_FOLDER, [known]))


def clock_time(utc_ms: int, zone: ZoneInfo) -> str:
    """`10:42`, local."""
    return local(utc_ms, zone).strftime("%H:%M")


def local(utc_ms: int, zone: ZoneInfo) -> datetime:
    """The local moment of UTC milliseconds."""
    return datetime.fromtimestamp(utc_ms / 1000, UTC).astimezone(zone)


def day(value: str | date) -> str:
    """`29.10.2026`, from an ISO date or a date."""
    return (date.fromisoformat(value) if isinstance(value, str) else value).strftime("%d.%m.%Y")


def weekday_time(utc_ms: int, zone: ZoneInfo, language: str) -> str:
    """`вторник, 27.10.2026, 08:05`, local."""
    return str(format_datetime(local(utc_ms, zone), "EEEE, dd.MM.yyyy, HH:mm", locale=language))


def parse_local(text: str, zone: ZoneInfo) -> int | None:
    """UTC milliseconds of `2026-10-27T08:05` on the lab's clock, as browsers send it; `None` for anything else."""
    try:
        naive = datetime.strptime(text.strip(), "%Y-%m-%dT%H:%M")
        moment = naive.replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    skipped = moment.astimezone(zone).replace(tzinfo=None) != naive
    return None if skipped else round(moment.timestamp() * 1000)


def local_field(utc_ms: int, zone: ZoneInfo) -> str:
    """The same the other way: what a form's date and time are filled with."""
    return local(utc_ms, zone).strftime("%Y-%m-%dT%H:%M")


def hours_minutes(duration_ms: int) -> str:
    """`41:20`: hours and whole minutes, never more than was there."""
    minutes = max(0, duration_ms) // 60_000
    return f"{minutes // 60}:{minutes % 60:02}"


def minutes_seconds(duration_ms: int) -> str:
    """`4:09`: minutes and whole seconds that are left."""
    seconds = max(0, duration_ms) // 1000
    return f"{seconds // 60}:{seconds % 60:02}"


def academic_hours(duration_ms: int, academic_hour_ms: int) -> str:
    """`3,0`: academic hours to a tenth, with a decimal comma."""
    return decimal_comma(Decimal(duration_ms) / Decimal(academic_hour_ms))


def decimal_comma(value: Decimal) -> str:
    """A tenth, half up as spreadsheets do it, with the comma that all three languages' readers here expect."""
    return str(value.quantize(Decimal("0.1"), rounding=ROUND_HALF_UP)).replace(".", ",")


def parse_hours_minutes(text: str) -> int | None:
    """Milliseconds of `2:05` or `2`; `None` for anything else."""
    hours, _, minutes = text.strip().partition(":")
    if not (hours.isdecimal() and hours.isascii() and len(hours) <= 3):
        return None
    if ":" in text and not (minutes.isdecimal() and minutes.isascii() and len(minutes) == 2 and int(minutes) < 60):
        return None
    return (int(hours) * 60 + int(minutes or 0)) * 60_000


def qualification_name(lab: Lab, item: str, language: Words) -> str:
    """`briefing:cnc` as `Safety briefing: CNC machines`; by its id where the lab names it nothing."""
    kind, _, what = item.partition(":")
    known = phrases.QUALIFICATION_KINDS.get(kind)
    named = next((each.name.in_language(language.language) for each in lab.qualifications if each.id == item), "")
    return language.gettext(known, what=named or what) if known else named or item
