"""A backup takes the place of the ledger, as a new log: verified before anything is replaced, and nothing is deleted.

A log whose end may be lost is never written on: whoever saw that end would hold two histories of one name. So the hours
up to the backup stay, with their proofs, in `.restored-<time>`, what it replaces in `.replaced-<time>`, and a new log
begins that names both (contract, section 5).
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kiosk.audit import audit
from kiosk.clock import Clock, SystemClock
from kiosk.desk import Desk
from kiosk.office import DATABASE
from kiosk.proofs import encode_base64
from kiosk.store import outbox
from kiosk.store.heritage import inherit_backup, last_head
from kiosk.store.ledger import Ledger
from kiosk.store.quarantine import MARK, finish_putting_aside, is_damage, what_is_damaged
from kiosk.store.schema import StoreError, hold, is_sheber_database, open_older_reader, open_writer
from kiosk.store.succession import NEXT, REPLACED, RESTORED, finish, later_stamp, named, synchronise
from kiosk.store.verify import Progress

WORK = ".restoring"
"""A folder in the data folder that holds what is not finished; it is thrown away at any time nobody restores."""


@dataclass(frozen=True)
class Replaced:
    """The ledger that was in use, as far as it can be read."""

    file: str
    """Its new name in the data folder."""
    log: str | None
    size: int | None
    """Its entries, or where it is damaged those that were signed; None where nothing can be read."""
    root: str | None
    damage: str | None
    follows: bool
    """Is the backup an earlier state of it?"""


@dataclass(frozen=True)
class RestoreReport:
    """What was restored, and what a person must know of it."""

    log: str
    """The new log."""
    predecessor: Mapping[str, object]
    restored_log: str
    entries: int
    root: bytes
    """Of the backup."""
    restored: str
    """The name of the backup's copy in the data folder."""
    replaced: Replaced | None
    """None where there was nothing."""
    recorded_since: int | None
    """Entries after the backup that only the replaced ledger has; None where that cannot be known."""
    carried: Mapping[str, int]
    consents_left: int
    sessions_pending: int
    records_pending: int
    """What the backup has that nobody decided yet, and that no enterprise receipted: both stay in it."""


@dataclass(frozen=True)
class _Backup:
    log: str
    size: int
    root: bytes
    sessions_pending: int
    records_pending: int


def restore(file: Path, data: Path, clock: Clock | None = None, progress: Progress | None = None) -> RestoreReport:
    """Verify `file`, put the database of `data` aside and begin a new log that continues the backup's.

    Raises StoreError, with the database as it was, where a kiosk runs on the folder, where the file is no backup or
    does not verify, and where the disk takes no copy. A power cut leaves the old database or the new one.
    """
    clock = clock or SystemClock()
    database = data / DATABASE
    _require_backup(file, database)
    _require_own(data)
    with closing(hold(database)):
        try:
            finish_putting_aside(database)
            with _work(data) as work:
                return _restore(file, database, work, clock, progress or (lambda _count: None))
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"{file} cannot be restored into {data}: {error}; nothing was replaced, check the room on that disk"
            ) from error


def _restore(file: Path, database: Path, work: Path, clock: Clock, progress: Progress) -> RestoreReport:
    copy, new = work / "backup.db", work / DATABASE
    backup = _verified_copy(file, copy, progress)
    stamp = later_stamp(database, clock.wall_ms(), REPLACED, RESTORED, MARK)
    kept = named(database, RESTORED, stamp)
    replaced = _look_at(database, named(database, REPLACED, stamp).name, backup)
    predecessor = _predecessor(backup, kept.name, replaced)
    in_use = database if replaced is not None and is_sheber_database(database) else None
    with closing(Desk(new, clock, None)) as desk:
        heritage = desk.succeed(
            backup.log.rpartition("/")[0], lambda connection: inherit_backup(copy, in_use, predecessor, connection)
        )
        log = str(desk.core.state.log)
    _seal(new)
    if replaced is not None and replaced.damage is None:
        _gather(database)
    _put_in_place(database, copy, kept, new, named(database, NEXT, stamp))
    return RestoreReport(
        log=log,
        predecessor=predecessor,
        restored_log=backup.log,
        entries=backup.size,
        root=backup.root,
        restored=kept.name,
        replaced=replaced,
        recorded_since=_recorded_since(backup, replaced),
        carried=heritage.carried,
        consents_left=heritage.consents_left,
        sessions_pending=backup.sessions_pending,
        records_pending=backup.records_pending,
    )


def _put_in_place(database: Path, copy: Path, kept: Path, new: Path, following: Path) -> None:
    """The copy gets its name first; with the second name the restore is done, whoever finishes it."""
    copy.rename(kept)
    synchronise(database.parent)
    new.rename(following)
    synchronise(database.parent)
    try:
        finish(database)
    except OSError as error:
        raise StoreError(
            f"all is restored, but the disk does not let the old {database} step aside: {error.strerror}; "
            "start sheber run, which finishes it"
        ) from error


def _gather(database: Path) -> None:
    """Bring the write-ahead log home, as SQLite does at any time: whoever carries that one file away has all of it."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _seal(path: Path) -> None:
    """Make it one file, without a write-ahead log beside it, that is on the disk."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    if mode != "delete":
        raise StoreError(f"{path} cannot be made one file: something else reads it; nothing was replaced, try again")
    synchronise(path)


# --- before anything is touched ---------------------------------------------------------------------------------------


def _require_backup(file: Path, database: Path) -> None:
    try:
        file.open("rb").close()
    except OSError as error:
        raise StoreError(f"cannot read {file}: {error.strerror}; give the file that sheber backup wrote") from error
    if database.exists() and file.samefile(database):
        raise StoreError(f"{file} is the database itself: give the file that sheber backup wrote")
    if not is_sheber_database(file):
        raise StoreError(f"{file} is no Sheber backup, or not whole: give the file that sheber backup wrote")
    try:
        open_older_reader(file).close()
    except StoreError as error:
        if error.__cause__ is not None and is_damage(error.__cause__):
            raise _damaged(file, str(error.__cause__)) from error
        raise


def _require_own(data: Path) -> None:
    """A file of another owner than the kiosk's could not be opened by it."""
    try:
        owner = data.stat().st_uid
    except OSError:
        return  # a new folder is made
    if owner != os.geteuid():
        raise StoreError(f"{data} belongs to another user: run sheber restore as that user (sudo -u)")


@contextmanager
def _work(data: Path) -> Iterator[Path]:
    """An empty folder beside the database; what a restore that was cut off left in it goes."""
    work = data / WORK
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _verified_copy(file: Path, copy: Path, progress: Progress) -> _Backup:
    """Copied first and checked then: what was read from a failing medium once may be read otherwise again."""
    try:
        with closing(open_older_reader(file)) as source, closing(sqlite3.connect(copy)) as target:
            copy.chmod(0o600)
            source.backup(target)
        with closing(open_writer(copy)) as connection:
            backup = _verify(file, connection, progress)
        _seal(copy)
    except sqlite3.Error as error:
        if is_damage(error):
            raise _damaged(file, str(error)) from error
        raise
    return backup


def _verify(file: Path, connection: sqlite3.Connection, progress: Progress) -> _Backup:
    (health,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if health != "ok":
        raise _damaged(file, health)
    found = audit(connection, None, progress)
    if found.findings or found.root is None:
        raise _damaged(file, found.findings[0].message)
    log = Ledger(connection).log_id
    if log is None or not found.entries:
        raise StoreError(f"{file} holds no log: it was written before a kiosk first ran; give another backup")
    (pending,) = connection.execute("SELECT count(*) FROM sessions WHERE review = 'pending'").fetchone()
    owed = sum(count.pending for count in outbox.counts(connection))
    return _Backup(log, found.entries, found.root, pending, owed)


def _damaged(file: Path, what: str) -> StoreError:
    return StoreError(f"the backup {file} does not verify, so nothing was replaced: {what}; give another backup")


# --- what it replaces -------------------------------------------------------------------------------------------------


def _look_at(database: Path, file: str, backup: _Backup) -> Replaced | None:
    if not database.exists():
        return None
    damage = what_is_damaged(database) if is_sheber_database(database) else "it is no Sheber database"
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        if damage is not None:
            head = last_head(connection)
            size = head["size"] if isinstance(head["size"], int) else None
            name, root = (None if value is None else str(value) for value in (head["log"], head["root"]))
            return Replaced(file, name, size, root, damage, name == backup.log and (size or 0) >= backup.size)
        log = Ledger(connection)
        follows = log.log_id == backup.log and log.size >= backup.size and log.root(backup.size) == backup.root
        return Replaced(file, log.log_id, log.size, encode_base64(log.root()), None, follows)


def _predecessor(backup: _Backup, kept: str, replaced: Replaced | None) -> dict[str, object]:
    """The last known head of the backup's log, in which file it is; the backup's own head, and what was replaced."""
    restored: dict[str, object] = {"size": backup.size, "root": encode_base64(backup.root), "file": kept}
    head = dict(restored)
    gone: dict[str, object] | None = None
    if replaced is not None:
        gone = {"log": replaced.log, "size": replaced.size, "root": replaced.root, "file": replaced.file}
        if replaced.follows:
            head = {name: gone[name] for name in ("size", "root", "file")}
    return {"log": backup.log} | head | {"restored": restored, "replaced": gone}


def _recorded_since(backup: _Backup, replaced: Replaced | None) -> int | None:
    if replaced is None or replaced.damage is not None or not replaced.follows or replaced.size is None:
        return None
    return replaced.size - backup.size
