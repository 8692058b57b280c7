"""`/reports`: chosen, read on screen, taken as a file; long ones are made beside the kiosk, for their owner alone."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from test_reports_builders import College, at
from test_web_staff import sign_in, token
from web_fixtures import HOUR, World, a_world, ref
from werkzeug.test import TestResponse

from kiosk.commands import Command, CommandRefused, Done, NoteAct, PersonRow
from kiosk.store import people
from kiosk.store.schema import write
from kiosk.web import job_pages
from kiosk.web import reports as pages
from kiosk.web.apps import create_staff_app
from kiosk.web.jobs import LONGEST_QUEUE, Jobs

OCTOBER = {"group": "МС-21", "month": "2026-10"}
Wait = Callable[..., object]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield made


@pytest.fixture
def college(world: World) -> College:
    made = College(world)
    for person, day in (("a", 5), ("a", 6), ("b", 6), ("c", 7)):
        made.worked(person, at(day, 8), at(day, 10))
    return made


@pytest.fixture
def app(world: World, college: College) -> Iterator[Flask]:
    made = create_staff_app(world.services())
    yield made
    job_pages.jobs_of_app(made).close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return signed_in(app, "bauyrzhan")


def signed_in(app: Flask, name: str) -> FlaskClient:
    client = app.test_client()
    sign_in(client, name)
    client.get("/language/en")
    return client


def take(client: FlaskClient, kind: str, form: str, **asked: str) -> TestResponse:
    fields = {"csrf_token": token(client.get("/reports/jobs")) or csrf(client), "form": form, **asked}
    return client.post(f"/reports/{kind}/file", data=fields)


def fetch(client: FlaskClient, path: str) -> TestResponse:
    """A file, wholly read, as a server does."""
    answer = client.get(path, buffered=True)
    answer.close()
    return answer


def csrf(client: FlaskClient) -> str:
    return token(client.get("/reports/journal"))


def rows_of(answer: TestResponse) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"), newline=""), delimiter=";"))


def test_every_report_is_offered(client: FlaskClient) -> None:
    page = client.get("/reports").text
    assert [f'href="/reports/{kind}"' in page for kind in pages.TITLES] == [True] * 5


@pytest.mark.parametrize("kind", list(pages.TITLES))
def test_every_report_opens_with_its_form_and_this_month(client: FlaskClient, kind: str) -> None:
    page = client.get(f"/reports/{kind}")
    assert page.status_code == 200
    assert 'value="2026-10" selected' in page.text


def test_a_report_that_is_none_is_not_found(client: FlaskClient) -> None:
    assert client.get("/reports/salaries").status_code == 404


def test_a_months_journal_of_a_group_is_on_screen_with_its_sums_and_its_chart(client: FlaskClient) -> None:
    page = client.get("/reports/journal", query_string=OCTOBER).text
    assert "Әлиев Дана" in page
    assert "Эм Дана" not in page
    assert "4:00" in page
    assert "5,3" in page
    assert '<svg role="img"' in page


def test_a_journal_can_be_in_another_language_than_the_page(client: FlaskClient) -> None:
    page = client.get("/reports/journal", query_string={**OCTOBER, "language": "kk"}).text
    assert '<html lang="en">' in page
    assert '<article class="paper" lang="kk"' in page
    assert "Өндірістік оқыту журналы" in page


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("journal", {"group": "*", "month": "2026-10"}),
        ("journal", {"group": "МС-21", "first": "2026-09-15", "last": "2026-10-15"}),
        ("attendance", {"group": "*", "first": "2026-01-01", "last": "2026-10-31"}),
        ("briefings", {"group": "*", "first": "2026-01-01", "last": "2026-10-31"}),
    ],
)
def test_what_is_too_long_for_a_page_is_only_offered_as_a_file(
    client: FlaskClient, kind: str, asked: dict[str, str]
) -> None:
    page = client.get(f"/reports/{kind}", query_string=asked).text
    assert "too long for a page" in page
    assert '<article class="paper"' not in page


@pytest.mark.parametrize(
    "asked", [{"month": "2026-13"}, {"first": "2026-10-05", "last": "2026-10-01"}, {"first": "yesterday"}]
)
def test_a_period_that_is_none_is_said_and_what_was_typed_stays(client: FlaskClient, asked: dict[str, str]) -> None:
    page = client.get("/reports/journal", query_string=asked).text
    assert 'role="alert"' in page
    assert '<article class="paper"' not in page
    if "first" in asked:
        assert f'value="{asked["first"]}"' in page


def test_a_group_that_is_no_more_is_said_and_never_taken_for_all(client: FlaskClient) -> None:
    page = client.get("/reports/journal", query_string={**OCTOBER, "group": "МС-20"}).text
    assert "There is no such group" in page
    assert '<article class="paper"' not in page
    answer = take(client, "journal", "csv", **{**OCTOBER, "group": "МС-20"})
    assert "/reports/journal" in answer.location


def test_a_diary_wants_a_person(client: FlaskClient) -> None:
    assert "Choose a person" in client.get("/reports/diary").text
    page = client.get("/reports/diary", query_string={"person": ref("a"), "month": "2026-10"}).text
    assert "08:00–10:00" in page


@pytest.mark.parametrize("form", ["csv", "xlsx", "pdf"])
def test_a_small_file_comes_at_once_with_a_good_name_and_is_kept_by_no_cache(client: FlaskClient, form: str) -> None:
    answer = take(client, "journal", form, **OCTOBER)
    assert answer.status_code == 303
    file = fetch(client, answer.location)
    assert file.status_code == 200
    kind, _, names = file.headers["Content-Disposition"].partition("; ")
    assert (kind, names.split("; ")[0]) == ("attachment", f'filename="journal_2026-10.{form}"')
    assert unquote(names.split("UTF-8''")[1]) == f"Training journal МС-21 2026-10.{form}"
    assert file.headers["Cache-Control"] == "no-store"
    assert file.headers["X-Content-Type-Options"] == "nosniff"
    assert {"csv": b"\xef\xbb\xbf", "xlsx": b"PK", "pdf": b"%PDF"}[form] == file.data[
        : {"csv": 3, "xlsx": 2}.get(form, 4)
    ]


def test_the_file_has_what_the_screen_has(client: FlaskClient) -> None:
    rows = rows_of(fetch(client, take(client, "journal", "csv", **OCTOBER).location))
    assert [row[1] for row in rows[1:3]] == ["Әлиев Дана", "Қасымов Дана"]
    assert rows[3][1:2] + rows[3][-3:] == ["In all", "6:00", "8,0", "0:00"]


def test_an_export_is_noted_without_a_name(client: FlaskClient, world: World) -> None:
    take(client, "diary", "csv", person=ref("a"), month="2026-10")
    noted = [each for each in world.noted if each.kind == "exported"]
    assert [(each.by, each.subject) for each in noted] == [(ref("bauyrzhan"), "diary:csv:2026-10-01:2026-10-31")]


def test_what_cannot_be_noted_is_not_exported(world: World, college: College) -> None:
    def refuse(command: Command) -> Done:
        if isinstance(command, NoteAct) and command.kind == "exported":
            raise CommandRefused("not_recording")
        return world.submit(command)

    client = signed_in(create_staff_app(replace(world.services(), submit=refuse)), "bauyrzhan")
    answer = take(client, "journal", "csv", **OCTOBER)
    assert "/reports/journal" in answer.location
    assert "Nothing is being made" in client.get("/reports/jobs").text


def test_an_auditor_takes_files_too(app: Flask) -> None:
    auditor = signed_in(app, "auditor")
    assert fetch(auditor, take(auditor, "journal", "csv", **OCTOBER).location).status_code == 200


def test_a_file_wants_a_known_form_and_a_token(client: FlaskClient) -> None:
    assert take(client, "journal", "exe", **OCTOBER).status_code == 400
    assert client.post("/reports/journal/file", data={"form": "csv", **OCTOBER}).status_code == 400


def test_nobody_else_sees_fetches_or_ends_what_somebody_had_made(app: Flask, client: FlaskClient) -> None:
    path = take(client, "journal", "csv", **OCTOBER).location
    other = signed_in(app, "lead")
    assert [other.get(each).status_code for each in (path, path[: -len("/file")], path.replace("/file", "/state"))] == [
        404,
        404,
        404,
    ]
    assert other.post(path.replace("/file", "/cancel"), data={"csrf_token": csrf(other)}).status_code == 404
    assert "2026-10.csv" not in other.get("/reports/jobs").text
    assert fetch(client, path).status_code == 200


def test_a_finished_file_is_listed_and_can_be_thrown_away(client: FlaskClient) -> None:
    path = take(client, "journal", "csv", **OCTOBER).location
    assert "Training journal МС-21 2026-10.csv" in client.get("/reports/jobs").text
    client.post(path.replace("/file", "/cancel"), data={"csrf_token": csrf(client)})
    assert client.get(path).status_code == 404


def test_a_long_one_shows_its_progress_can_be_left_and_come_back_to(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, wait_until: Wait
) -> None:
    monkeypatch.setattr(pages, "PATIENCE_S", 0.0)
    path = take(client, "journal", "xlsx", group="*", first="2026-01-01", last="2026-12-31").location
    page = client.get(path).text
    if "<progress" in page:
        assert '<noscript><meta http-equiv="refresh"' in page
    assert path in client.get("/reports/jobs").text
    wait_until(lambda: client.get(f"{path}/state").json["over"], what="the file to be made")  # type: ignore[index]
    page = client.get(path).text
    assert "Download" in page
    assert 'http-equiv="refresh"' not in page
    assert fetch(client, f"{path}/file").data.startswith(b"PK")


def test_when_too_much_waits_it_is_said(app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PATIENCE_S", 0.0)
    jobs: Jobs = job_pages.jobs_of_app(app)
    for _ in range(LONGEST_QUEUE):
        jobs.start("x", "somebody", pages.make_file, (), filename="x")
    for _ in range(3):  # the first ones may be over already
        answer = take(client, "journal", "csv", **OCTOBER)
    page = client.get(answer.location, follow_redirects=True).text
    assert "Too much is being made" in page or "2026-10.csv" in page


def test_a_failed_one_says_so_in_words(app: Flask, client: FlaskClient) -> None:
    jobs = job_pages.jobs_of_app(app)
    job = jobs.start("Training journal", ref("bauyrzhan"), pages.make_file, ("not", "enough"), filename="x.pdf")
    jobs.wait(job, 20)
    page = client.get(f"/reports/jobs/{job}").text
    assert "Something went wrong while it was made" in page
    assert "Traceback" not in page


HOSTILE = ("<script>alert(1)</script>", "'; DROP TABLE people;--", "\u202egnp.exe", "=1+1", "😀", "Ұ" * 200)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_does_no_harm_on_screen_and_in_files(client: FlaskClient, college: College, name: str) -> None:
    with write(college.world.connection):
        row = PersonRow("h", "apprentice", name, "Х", group="МС-21", programme="cnc-operator")
        people.insert_person(college.world.connection, ref("h"), row)
    college.worked("h", at(8, 8), at(8, 8) + HOUR)
    page = client.get("/reports/journal", query_string=OCTOBER).text
    assert "<script>alert" not in page
    found = {
        row[1] for row in rows_of(fetch(client, take(client, "journal", "csv", **OCTOBER).location)) if len(row) > 2
    }
    assert (f"'{name} Х" if name.startswith("=") else f"{name} Х") in found


def test_no_person_stands_in_the_name_of_a_file_or_in_an_address(client: FlaskClient) -> None:
    answer = take(client, "diary", "csv", person=ref("a"), month="2026-10")
    file = fetch(client, answer.location)
    assert "diary_2026-10.csv" in file.headers["Content-Disposition"]
    assert re.fullmatch(r"/reports/jobs/[\w-]+/file", answer.location)
