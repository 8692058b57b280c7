"""A file of people and a file of programmes on the staff side: checked, shown, taken whole or not at all."""

from __future__ import annotations

import http.client
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import openpyxl
import pytest
from flask.testing import FlaskClient
from staff_fixtures import Staff, text
from test_web_staff import token
from werkzeug.test import TestResponse

from kiosk.store import acts, people
from kiosk.web.server import BODY_LIMIT, LARGE_BODIES, Server
from kiosk.web.uploads import LIFETIME_S, MOST, Uploads
from lab_config.load import load_programmes
from tests.kiosk_fixtures import small_lab

HEADING = "person_id;role;surname;given;group;programme;enterprise;badges\n"
TWO = (
    f"{HEADING}p1;apprentice;Ахметова;Айгерім;CNC-1;cnc;ent-steel;0F00448FB0\n"
    "n1;apprentice;Сериков;Әлихан;CNC-1;cnc;;AABBCCDD01\n"
)


@pytest.fixture
def staff(tmp_path: Path) -> Iterator[Staff]:
    made = Staff(tmp_path, small_lab(tmp_path))
    yield made
    made.close()


def hand_in(client: FlaskClient, content: str | bytes, path: str = "/people/import", **more: object) -> TestResponse:
    data = content.encode() if isinstance(content, str) else content
    form = {"csrf_token": token(client.get(path)), "file": (io.BytesIO(data), "group.csv"), **more}
    return client.post(path, data=form, content_type="multipart/form-data")


def accept(client: FlaskClient, answer: TestResponse) -> TestResponse:
    """What the preview's only button does."""
    where = answer.headers["Location"]
    return client.post(where, data=asked(client.get(where)), follow_redirects=True)


def asked(preview: TestResponse) -> dict[str, str]:
    """What the form of the preview's button holds."""
    (form,) = re.findall(r'<form method="post" action="/people/import/.*?</form>', preview.text, re.S) or [""]
    held = dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', form))
    return held or {"csrf_token": token(preview)}


def rows(answer: TestResponse) -> list[list[str]]:
    """The cells of the table of what is to mend."""
    (table,) = re.findall(r'<table class="problems">.*?</table>', answer.text, re.S)
    return [
        [text(cell) for cell in re.findall(r"<td.*?</td>", row, re.S)]
        for row in re.findall(r"<tr>.*?</tr>", table, re.S)[1:]
    ]


# --- people ----------------------------------------------------------------------------------------------------------


def test_every_bad_line_is_shown_in_the_readers_language_and_nothing_is_written(staff: Staff) -> None:
    client = staff.client()
    bad = HEADING + "n 1;apprentice;Сериков;;;;;\nn2;boss;;;;;;\n"
    answer = hand_in(client, bad)
    assert answer.status_code == 422
    assert rows(answer) == [
        ["2", "person_id", "There is a space in 'n 1'.", "Write the id without spaces."],
        ["3", "role", "'boss' is none of its values.", "Write one of: apprentice, instructor."],
        ["3", "surname", "It is empty.", "Fill it in."],
    ]
    client.get("/language/ru")
    assert "В «n 1» есть пробел." in hand_in(client, bad).text
    assert people.person_by_id(staff.desk.connection, "n2") is None


def test_a_good_file_is_shown_first_and_then_taken_whole(staff: Staff) -> None:
    client = staff.client()
    answer = hand_in(client, TWO)
    assert answer.status_code == 303
    page = text(client.get(answer.headers["Location"]))
    assert "People in the file 2 New 1 Changed 1 As they are 0" in page
    assert people.person_by_id(staff.desk.connection, "n1") is None
    assert "2 people imported." in accept(client, answer).text
    found = people.person_by_id(staff.desk.connection, "n1")
    assert found is not None
    assert (found.surname, found.group) == ("Сериков", "CNC-1")
    (act,) = acts.acts(staff.desk.connection, limit=1, kinds=("imported",), by=staff.by())
    assert act.subject == "2"


def test_what_an_import_would_empty_is_said_before(staff: Staff) -> None:
    client = staff.client()
    page = text(client.get(hand_in(client, TWO).headers["Location"]))
    assert "The file has no column contract: 1 person would lose what stands there." in page
    assert "consent_until" in page


def test_a_slip_in_a_programme_and_a_second_person_of_the_same_name_are_pointed_out(staff: Staff) -> None:
    client = staff.client()
    content = HEADING + "n1;apprentice;Ахметова;Айгерім;;cnk;ent-stee;\n"
    page = text(client.get(hand_in(client, content).headers["Location"]))
    assert "In the column programme, for 1 person, stands something that the kiosk does not know: cnk" in page
    assert "In the column enterprise, for 1 person, stands something that the kiosk does not know: ent-stee" in page
    assert "Of this name there is somebody already, under another id. Is it the same person?" in page


def test_a_badge_of_somebody_else_is_told_with_its_owner_and_its_line(staff: Staff) -> None:
    answer = hand_in(staff.client(), HEADING + "n1;apprentice;Сериков;;;;;0F00448FB0\n")
    assert answer.status_code == 422
    assert rows(answer) == [
        ["2", "badges", "The badge 0F00448FB0 of n1 belongs to p1 already.", "Give n1 another badge."]
    ]


def test_what_happened_between_the_preview_and_the_yes_is_noticed(staff: Staff) -> None:
    client = staff.client()
    answer = hand_in(client, TWO)
    other = staff.client("lead")
    accept(other, hand_in(other, HEADING + "n2;apprentice;Ким;;;;;AABBCCDD01\n"))
    page = text(accept(client, answer))
    assert "belongs to n2 already" in page
    assert people.person_by_id(staff.desk.connection, "n1") is None


def test_a_yes_to_what_a_preview_showed_is_none_to_what_was_changed_since(staff: Staff) -> None:
    client = staff.client()
    where = hand_in(client, HEADING + "p1;apprentice;Серіков;;;;;\n").headers["Location"]
    seen = asked(client.get(where))
    other = staff.client("lead")
    accept(other, hand_in(other, HEADING + "p1;apprentice;Сериков;Әли;CNC-25;;;\n"))
    page = text(client.post(where, data=seen, follow_redirects=True))
    assert "The roster was changed since this page was shown." in page
    person = people.person_by_id(staff.desk.connection, "p1")
    assert person is not None
    assert (person.surname, person.group) == ("Сериков", "CNC-25")
    assert "1 person imported." in text(client.post(where, data=asked(client.get(where)), follow_redirects=True))


def test_a_file_from_before_a_briefing_says_that_it_would_end_it_earlier(staff: Staff) -> None:
    client, heading = staff.client(), "person_id;role;surname;qualifications\n"
    accept(client, hand_in(client, heading + "n1;apprentice;Ким;briefing:cnc:2027-09-01 mill\n"))
    for older in ("briefing:cnc:2026-12-31", "mill:2027-01-01"):
        page = text(client.get(hand_in(client, heading + f"n1;apprentice;Ким;{older}\n").headers["Location"]))
        assert "1 person has a qualification that would end earlier than it does now" in page
    page = text(
        client.get(hand_in(client, heading + "n1;apprentice;Ким;briefing:cnc:2027-09-02\n").headers["Location"])
    )
    assert "would end earlier" not in page


def test_no_file_and_an_empty_one_are_answered_in_words(staff: Staff) -> None:
    client = staff.client()
    assert "Choose a file." in hand_in(client, "", file=(io.BytesIO(b""), "")).text
    assert "There is nobody in this file." in hand_in(client, HEADING).text


def test_names_made_to_do_harm_are_text_on_the_page(staff: Staff) -> None:
    client = staff.client()
    evil = '"<script>alert(1)</script>","\'; DROP TABLE people; --"'
    page = client.get(hand_in(client, f"person_id,role,surname,given\nn1,apprentice,{evil}\n").headers["Location"])
    assert "<script>alert" not in page.text
    assert "<script>alert(1)</script> '; DROP TABLE people; --" in text(page)
    bad = hand_in(
        client, f"person_id,role,surname,<b>\nn1,apprentice,{evil}\n", file=(io.BytesIO(b"<i>,\n"), "<u>.csv")
    )
    assert "<b>" not in bad.text.partition("<main")[2].replace("<b class", "")
    assert "<u>" not in bad.text


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("path", ["/people/import", "/programmes/import"])
def test_the_template_is_refused_with_its_example_alone(staff: Staff, form: str, path: str) -> None:
    client = staff.client("lead")
    template = client.get(f"{path}/template.{form}").data
    (row,) = rows(hand_in(client, template, path))
    assert row[2:] == ["This line is the example of the template.", "Delete the line."]


def test_the_example_of_the_template_is_good_but_for_its_mark(staff: Staff) -> None:
    client = staff.client("lead")
    for path in ("/people/import", "/programmes/import"):
        content = client.get(f"{path}/template.csv").data.replace(b"# ", b"").replace(b"class:cnc_lathe", b"lathe-1")
        content = content.replace(b"0F00448FB0", b"AABBCCDD01")  # the card of somebody in this workshop
        answer = hand_in(client, content, path)
        assert answer.status_code == 303, rows(answer)


def test_the_template_says_what_its_columns_mean_and_keeps_zeros(staff: Staff) -> None:
    book = openpyxl.load_workbook(io.BytesIO(staff.client().get("/people/import/template.xlsx").data))
    first, second = book.worksheets
    assert [first["A1"].value, first["B1"].value] == ["person_id", "role"]
    assert first["L2"].value == "004711"
    assert first.column_dimensions["Q"].width
    assert [cell.value for cell in second[4]] == ["surname", "The surname. Needed."]


# --- who may, and for how long ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "people_page", "programmes_page", "import_page"),
    [("bauyrzhan", 200, 200, 403), ("lead", 200, 200, 200), ("admin", 200, 200, 200), ("auditor", 403, 200, 403)],
)
def test_each_role_opens_what_is_its_own(
    staff: Staff, name: str, people_page: int, programmes_page: int, import_page: int
) -> None:
    client = staff.client(name)
    found = [client.get(path).status_code for path in ("/people/import", "/programmes", "/programmes/import")]
    assert found == [people_page, programmes_page, import_page]


def test_what_somebody_handed_in_is_nobody_elses(staff: Staff) -> None:
    where = hand_in(staff.client(), TWO).headers["Location"]
    other = staff.client("lead")
    assert "handed in too long ago, or by somebody else" in other.get(where, follow_redirects=True).text
    other.post(where, data={"csrf_token": token(other.get("/people/import"))})
    assert people.person_by_id(staff.desk.connection, "n1") is None


def test_a_file_waits_a_quarter_of_an_hour_one_for_each_and_a_few_in_all() -> None:
    now = [0.0]
    uploads = Uploads(lambda: now[0])
    first = uploads.keep("a", "old")
    second = uploads.keep("a", "new")
    number = uploads.keep("a", 7)
    assert [uploads.get(each, "a", str) for each in (first, second, number)] == [None, "new", None]
    assert uploads.get(number, "a", int) == 7
    assert uploads.get(second, "b", str) is None
    now[0] = LIFETIME_S - 1
    tokens = [uploads.keep(f"o{index}", "x") for index in range(MOST)]
    assert uploads.get(second, "a", str) is None
    assert all(uploads.get(each, f"o{index}", str) for index, each in enumerate(tokens))
    now[0] += LIFETIME_S
    assert uploads.get(tokens[-1], f"o{MOST - 1}", str) is None


def test_a_stranger_is_sent_away_before_a_large_body_is_looked_at(staff: Staff) -> None:
    client = staff.app.test_client()
    answer = client.post("/people/import", data=b"x" * 5_000_000, content_type="multipart/form-data; boundary=b")
    assert answer.status_code == 401


def sent(address: str, path: str, size: int) -> int:
    """The status that a POST of so many bytes gets from a listener."""
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=40)
    try:
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", str(size))
        connection.putheader("Content-Type", "application/x-www-form-urlencoded")
        connection.endheaders()
        if size <= LARGE_BODIES.get(path.encode(), BODY_LIMIT):
            for _ in range(size // 100_000):
                connection.send(b"x" * 100_000)
            connection.send(b"x" * (size % 100_000))
        return connection.getresponse().status
    finally:
        connection.close()


def test_only_where_a_file_is_handed_in_may_a_request_be_large(staff: Staff) -> None:
    server = Server("127.0.0.1:0", staff.app)
    server.start()
    try:
        large = LARGE_BODIES[b"/people/import"]
        assert sent(server.address, "/login", BODY_LIMIT + 1) == 413
        assert sent(server.address, "/people/import", large + 1) == 413
        assert sent(server.address, "/programmes/import/", BODY_LIMIT + 1) == 413
        assert sent(server.address, "/people/import", large) == 401
    finally:
        server.stop()


# --- programmes ------------------------------------------------------------------------------------------------------


def test_the_programmes_are_shown_with_hours_machines_people_and_what_does_not_fit(tmp_path: Path) -> None:
    lab = small_lab(tmp_path)
    (cnc,) = lab.programmes
    (process,) = cnc.processes
    lonely = replace(process, id="CNC9", machines=(), required_ms=None)
    cnc = replace(cnc, classifier="kz-tvet-2018", processes=(replace(process, machines=("mill-1",)), lonely))
    staff = Staff(tmp_path, replace(lab, programmes=(cnc,)))
    try:
        client = staff.client()
        accept(client, hand_in(client, HEADING + "n1;apprentice;Ким;;;old;;\nn2;apprentice;Ли;;;;;\n"))
        page = text(client.get("/programmes"))
    finally:
        staff.close()
    assert "100:00 133,3 ac. h · 5,6 credits" in page
    assert "Apprentices: 2" in page
    assert "The required hours, 100:00, are not a whole number of credits; the nearest are 90:00 and 108:00." in page
    assert "No machine serves it: nobody can tap in to it." in page
    assert "It has neither hours nor competencies: there is nothing to reach in it." in page
    assert "These machines serve no work process; hours on them belong to none: Lathe" in page
    assert "1 apprentice has a programme that is not in the configuration: old" in page
    assert "1 apprentice has no programme: their hours count for no plan." in page


def test_a_work_process_whose_id_two_programmes_have_is_pointed_out_in_both(tmp_path: Path) -> None:
    lab = small_lab(tmp_path)
    (cnc,) = lab.programmes
    staff = Staff(tmp_path, replace(lab, programmes=(cnc, replace(cnc, id="other"))))
    try:
        page = text(staff.client().get("/programmes"))
    finally:
        staff.close()
    assert page.count("Another programme has a work process with this id") == 2


def test_programmes_become_a_file_for_the_labs_folder_and_nothing_else_changes(staff: Staff) -> None:
    client = staff.client("lead")
    content = "programme,process,required,machines\ncnc,CNC3,120:00,mill-1\nweld,W1,50,lathe-1\n"
    answer = hand_in(client, content, "/programmes/import")
    page = text(client.get(answer.headers["Location"]))
    assert "changed cnc Work process CNC3 CNC3 title, required hours, machines" in page
    assert "new weld Programme weld weld" in page
    assert "a programme in two files stops the start. cnc" in page
    file = accept(client, answer)
    assert file.headers["Content-Disposition"] == 'attachment; filename="programmes-test-w1.toml"'
    (cnc, weld) = load_programmes(file.text, Path("p.toml"), staff.lab.machines)
    assert (cnc.processes[0].required_ms, weld.processes[0].machines) == (120 * 3_600_000, ("lathe-1",))
    (act,) = acts.acts(staff.desk.connection, kinds=("programmes_imported",))
    assert (act.by, act.subject) == (staff.by("lead"), "cnc weld")


def test_the_running_programmes_go_out_and_come_back_the_same(staff: Staff) -> None:
    client = staff.client("admin")
    book = client.get("/programmes/programmes.xlsx").data
    page = text(client.get(hand_in(client, book, "/programmes/import").headers["Location"]))
    assert "The file says what runs already." in page


def test_a_bad_line_of_a_programme_is_shown_in_the_readers_language(staff: Staff) -> None:
    client = staff.client("lead")
    client.get("/language/kk")
    answer = hand_in(client, "programme,process,required\ncnc,P1,он сағат\n", "/programmes/import")
    assert rows(answer) == [
        [
            "2",
            "required",
            "«он сағат» — секундқа дейін дәл сағат саны емес.",
            "Сағатты 168:45 немесе 168,75 түрінде жазыңыз.",
        ]
    ]
