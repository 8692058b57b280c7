"""How delivery stands, as `sync` tells it to whoever shows it: one small file, replaced whole, that holds no names.

`sync` keeps its tries in a database of its own, which nobody else opens; a page can only say what stands here. Who
reads it believes nothing: a file that is missing, torn, huge or strange is a file that says less.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from kiosk.records import strict_json

STATUS_FILE = Path("sync", "status.json")
"""In the data folder."""
FILE_BYTES_MAX = 262_144
ENTERPRISES_MAX = 1_000
MOMENT_MAX_MS = 253_402_300_800_000
"""Beyond it no calendar shows a date."""
_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")

PROBLEMS = (
    "address",
    "private",
    "name",
    "connection",
    "certificate",
    "late",
    "broken",
    "answer",
    "rewritten",
    "kiosk",
)
"""Why a try failed: `answer` is one that was no receipt (its number is in `http`), `rewritten` a log that does not
extend what was signed, `kiosk` a refusal of our own side; the others are about the way there."""


@dataclass(frozen=True)
class DeliveryStatus:
    """One enterprise. Times are UTC milliseconds of the machine's own clock."""

    last_try_ms: int | None = None
    last_answer_ms: int | None = None
    """Of any answer, a receipt or not."""
    last_ok_ms: int | None = None
    next_try_ms: int | None = None
    """None where nothing waits for a try."""
    problem: str = ""
    """One of `PROBLEMS`; empty while all is well."""
    http: int | None = None
    """The answer's status, where there was an answer."""
    reason: str = ""
    """The word that the enterprise gave for it (`log_parked`, ...), where it was one."""
    stopped: bool = False
    """It answered 410 and wants nothing more at this address."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Tries that failed since the last receipt, by problem."""


@dataclass(frozen=True)
class SyncStatus:
    """All of it, and when `sync` was last alive."""

    heard_ms: int
    enterprises: Mapping[str, DeliveryStatus]


def write_status(path: Path, enterprises: Mapping[str, DeliveryStatus]) -> None:
    """Replace the file; its group may read it, and nobody else. Raises OSError."""
    draft = path.with_name(f"{path.name}.new")
    text = json.dumps({"v": 1, "enterprises": {name: asdict(each) for name, each in enterprises.items()}})
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o640)
        file.write(text)
    draft.replace(path)


def still_alive(path: Path) -> None:
    """Nothing has changed, and `sync` runs: only the file's own time says so."""
    with suppress(OSError):
        os.utime(path)


def read_status(path: Path) -> SyncStatus | None:
    """What stands there; None where there is nothing that could be read. Never raises."""
    try:
        # Without waiting, and never through a link: the folder is another program's.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode) or about.st_size > FILE_BYTES_MAX:
                return None
            value = strict_json(file.read(FILE_BYTES_MAX))
    except (OSError, ValueError, RecursionError):
        return None
    listed = value.get("enterprises") if isinstance(value, dict) else None
    if not isinstance(listed, dict) or len(listed) > ENTERPRISES_MAX:
        return None
    heard_ms = about.st_mtime_ns // 1_000_000
    return SyncStatus(heard_ms, {name: _one(each) for name, each in listed.items() if isinstance(each, dict)})


def _one(told: Mapping[str, object]) -> DeliveryStatus:
    found = DeliveryStatus(
        last_try_ms=_number(told.get("last_try_ms")),
        last_answer_ms=_number(told.get("last_answer_ms")),
        last_ok_ms=_number(told.get("last_ok_ms")),
        next_try_ms=_number(told.get("next_try_ms")),
        problem=code_of(told.get("problem")),
        http=_number(told.get("http"), 999),
        reason=code_of(told.get("reason")),
        stopped=told.get("stopped") is True,
    )
    counted = told.get("failures")
    if not isinstance(counted, dict):
        return found
    failures = {code_of(name): _number(count) or 0 for name, count in counted.items()}
    return replace(found, failures={name: failures[name] for name in PROBLEMS if failures.get(name)})


def _number(value: object, most: int = MOMENT_MAX_MS) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most else None


def code_of(value: object) -> str:
    """`value` where it is a short word of the kind that programs give, else nothing: it comes from elsewhere."""
    return value if isinstance(value, str) and _CODE.match(value) else ""
