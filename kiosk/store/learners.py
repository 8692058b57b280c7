"""What the fold keeps of people beside their hours: qualifications, sign-offs, open questions. Derived, like views."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass, fields


@dataclass(frozen=True)
class SignOffRow:
    """An instructor's judgement on a competency (hours, section 9)."""

    seq: int
    person_ref: str
    programme: str
    process: str
    competency: str
    level: int
    by: str
    """The account's `user_ref`, or the instructor's `person_ref` where they have none."""
    at_ms: int
    how: str
    """One of `kiosk.domain.competence.HOW`."""
    text_hash: str | None
    mark: str | None
    """`badge` where the instructor's badge alone said who signed."""


@dataclass(frozen=True)
class QuestionRow:
    """A person says that a session of theirs is wrong, and nobody has decided on it since."""

    seq: int
    session: int
    person_ref: str
    at_ms: int
    text_hash: str | None


@dataclass(frozen=True)
class PersonRecord:
    """All of it about one person."""

    person_ref: str
    qualifications: tuple[tuple[str, str | None], ...]
    """(id, last valid day or None for ever)."""
    sign_offs: tuple[SignOffRow, ...]
    """In the order of signing."""
    questions: tuple[QuestionRow, ...]


def _columns(row: type[SignOffRow | QuestionRow]) -> tuple[str, str]:
    names = [f'"{field.name}"' for field in fields(row)]
    return ", ".join(names), ", ".join("?" * len(names))


# The names are those of the dataclasses above, never input.
_SIGN_OFF, _SIGN_OFF_MARKS = _columns(SignOffRow)
_QUESTION, _QUESTION_MARKS = _columns(QuestionRow)


def put_person(connection: sqlite3.Connection, record: PersonRecord) -> None:
    """Write the rows about one person, in place of those there were."""
    ref = record.person_ref
    for table in ("qualifications", "sign_offs", "questions"):
        connection.execute(f"DELETE FROM {table} WHERE person_ref = ?", (ref,))  # noqa: S608
    connection.executemany(
        "INSERT INTO qualifications (person_ref, qualification, until) VALUES (?, ?, ?)",
        ((ref, name, until) for name, until in record.qualifications),
    )
    connection.executemany(
        f"INSERT INTO sign_offs ({_SIGN_OFF}) VALUES ({_SIGN_OFF_MARKS})",  # noqa: S608
        map(astuple, record.sign_offs),
    )
    connection.executemany(
        f"INSERT INTO questions ({_QUESTION}) VALUES ({_QUESTION_MARKS})",  # noqa: S608
        map(astuple, record.questions),
    )


def of_person(connection: sqlite3.Connection, person_ref: str) -> PersonRecord:
    """All about one person; empty where nothing is known."""
    held = connection.execute(
        "SELECT qualification, until FROM qualifications WHERE person_ref = ? ORDER BY qualification", (person_ref,)
    ).fetchall()
    signed = connection.execute(
        f"SELECT {_SIGN_OFF} FROM sign_offs WHERE person_ref = ? ORDER BY seq",  # noqa: S608
        (person_ref,),
    )
    asked = connection.execute(
        f"SELECT {_QUESTION} FROM questions WHERE person_ref = ? ORDER BY seq",  # noqa: S608
        (person_ref,),
    )
    return PersonRecord(
        person_ref, tuple(held), tuple(SignOffRow(*row) for row in signed), tuple(QuestionRow(*row) for row in asked)
    )


def held_by_all(connection: sqlite3.Connection, prefix: str) -> list[tuple[str, str, str | None]]:
    """(person_ref, id, last valid day) of every qualification whose id begins so, whoever has it."""
    rows = connection.execute(
        "SELECT person_ref, qualification, until FROM qualifications"
        " WHERE substr(qualification, 1, :length) = :prefix ORDER BY person_ref, qualification",
        {"length": len(prefix), "prefix": prefix},
    )
    return [(ref, name, until) for ref, name, until in rows]
