"""The review as an instructor works through it: proposals, gaps, filters, history, undo, and long backlogs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from staff_fixtures import Staff, lab_with_briefings, send, text
from test_web_staff import post, review, sign_in
from web_fixtures import HOUR, MINUTE, NOON, World, a_review_day, a_world, at, ref

from kiosk.commands import DecideSession, EnterManual, QuestionSession, UndoReview
from kiosk.store import people, views, waiting
from kiosk.store.waiting import Only
from kiosk.web.apps import create_staff_app
from kiosk.web.review import SHOWN_CLEAN, SHOWN_EXCEPTIONS
from kiosk.web.strip import evidence
from tests.kiosk_fixtures import AIGERIM, PYOTR

ENGLISH = {"Accept-Language": "en"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield made


@pytest.fixture
def client(world: World) -> FlaskClient:
    return create_staff_app(world.services()).test_client()


@pytest.fixture
def staff(tmp_path: Path) -> Iterator[Staff]:
    made = Staff(tmp_path, lab_with_briefings(tmp_path / "lab"))
    yield made
    made.close()


def card(page: str, session: int) -> str:
    """The part of the page about one session."""
    found = re.search(rf'<article[^>]*id="s{session}".*?</article>', page, re.DOTALL)
    assert found is not None
    return found.group()


def a_lost_signal(world: World) -> int:
    """Two hours with twenty-five minutes of silence between two stretches of work."""
    world.state("mill-1", "running", NOON)
    world.tap_in("p1", "mill-1", NOON)
    world.state("mill-1", "unknown", NOON + 60 * MINUTE)
    world.state("mill-1", "running", NOON + 85 * MINUTE)
    return world.tap_out(
        "p1",
        NOON + 2 * HOUR,
        flags=("status_lost",),
        by_state={"running": 95 * MINUTE, "unknown": 25 * MINUTE},
        credited_ms=95 * MINUTE,
        unverified_ms=25 * MINUTE,
    )


# --- proposals --------------------------------------------------------------------------------------------------------


def test_a_proposal_says_why_and_one_touch_takes_it_exactly(client: FlaskClient, world: World) -> None:
    session = a_lost_signal(world)
    sign_in(client)
    shown = card(review(client).text, session)
    assert "Proposed: adjust to 2:00." in shown
    assert "The machine signal was lost from 13:00 to 13:25, but the machine worked before and after." in text(shown)
    fields = dict(
        re.findall(r'<input type="hidden" name="(decision|reason|credited_ms|process|text)" value="([^"]*)"', shown)
    )
    post(client, f"/review/{session}", **fields)
    (decided,) = world.commands
    assert isinstance(decided, DecideSession)
    assert (decided.decision, decided.credited_ms, decided.reason) == ("adjusted", 2 * HOUR, "equipment_fault")
    assert decided.process == "CNC3"


def test_nothing_is_decided_by_a_proposal_that_nobody_takes(client: FlaskClient, world: World) -> None:
    session = a_lost_signal(world)
    sign_in(client)
    review(client)
    row = views.session(world.connection, session)
    assert row is not None
    assert (row.review, world.commands) == ("pending", [])


def test_after_a_decision_the_next_exception_is_where_the_work_goes_on(client: FlaskClient, world: World) -> None:
    a_review_day(world)
    sign_in(client)
    page = review(client).text
    order = [int(each) for each in re.findall(r'<article[^>]*id="s(\d+)"', page)]
    nexts = [re.search(r'name="next" value="([^"]+)"', card(page, each)) for each in order]
    assert [each.group(1) for each in nexts if each] == [f"s{each}" for each in [*order[1:], order[0]]]
    form = {"csrf_token": re.search(r'csrf_token" value="([^"]+)"', page).group(1)}  # type: ignore[union-attr]
    answer = client.post(f"/review/{order[0]}?group=a", data={**form, "decision": "approved", "next": f"s{order[1]}"})
    assert answer.headers["Location"] == f"/review?group=a#s{order[1]}"
    answer = client.post(f"/review/{order[0]}", data={**form, "decision": "approved", "next": "//evil.example"})
    assert answer.headers["Location"] == "/review"


def test_what_was_typed_stays_on_a_decision_that_is_refused(client: FlaskClient, world: World) -> None:
    session = a_lost_signal(world)
    sign_in(client)
    world.refuse = "credited_out_of_range"
    fields = {"credited": "9:00", "reason": "other", "text": "a long story"}
    answer = post(client, f"/review/{session}", decision="adjusted", **fields)
    assert answer.status_code == 422
    assert "The credited time may not be longer than the presence." in answer.text
    for kept in ('value="9:00"', 'value="a long story"', 'value="other" selected', '<details class="adjust" open>'):
        assert kept in answer.text


# --- the strip --------------------------------------------------------------------------------------------------------


def test_a_kiosk_that_was_down_shows_as_another_gap_than_a_machine_that_was_silent(world: World) -> None:
    world.state("mill-1", "running", NOON)
    session = world.tap_in("p1", "mill-1", NOON)
    world.state("mill-1", "unknown", NOON + 10 * MINUTE)
    world.state("mill-1", "running", NOON + 20 * MINUTE)
    world.now_ms = NOON + 40 * MINUTE
    world.happens("boot_started", last_alive=at(NOON + 30 * MINUTE))
    world.state("mill-1", "running", NOON + 45 * MINUTE)
    world.now_ms = NOON + 50 * MINUTE
    world.happens("still_here", session=session, person_ref=ref("p1"), at=at(NOON + 50 * MINUTE))
    world.tap_out("p1", NOON + HOUR)
    row = views.session(world.connection, session)
    assert row is not None
    found = evidence(world.connection, row)
    minutes = [(each.gap or each.state, (each.start_ms - NOON) // MINUTE) for each in found.segments]
    assert minutes == [("running", 0), ("silent", 10), ("running", 20), ("down", 30), ("silent", 40), ("running", 45)]
    assert found.still_here == (NOON + 50 * MINUTE,)


def test_others_at_the_machine_are_a_count_and_never_a_name(client: FlaskClient, world: World) -> None:
    world.tap_in("p1", "mill-1", NOON)
    world.tap_in("p2", "mill-1", NOON + 30 * MINUTE)
    session = world.tap_out("p1", NOON + HOUR, flags=("too_long",))
    world.tap_out("p2", NOON + 2 * HOUR)
    sign_in(client)
    shown = card(review(client).text, session)
    assert "Beside others for 0:30: at most 1 at once" in shown
    assert "Ким" not in shown


def test_the_strip_reads_no_further_than_its_own_session(world: World) -> None:
    session = a_lost_signal(world)
    row = views.session(world.connection, session)
    assert row is not None
    before = evidence(world.connection, row)
    for minute in range(40):
        world.state("mill-1", "idle" if minute % 2 else "running", NOON + 3 * HOUR + minute * MINUTE)
    steps = 0

    def counted() -> int:
        nonlocal steps
        steps += 1
        return 0

    assert evidence(world.connection, row) == before
    world.connection.set_progress_handler(counted, 1000)
    evidence(world.connection, row)
    world.connection.set_progress_handler(None, 0)
    assert steps < 50


# --- filters and long lists -------------------------------------------------------------------------------------------


def test_the_list_is_narrowed_by_group_and_by_day(client: FlaskClient, world: World) -> None:
    world.connection.execute("UPDATE people SET grp = 'CNC-21' WHERE person_id = 'p1'")
    mine = world.worked("p1", "mill-1", NOON, NOON + HOUR)
    other = world.worked("p2", "mill-2", NOON, NOON + HOUR)
    old = world.worked("p1", "mill-1", NOON - 72 * HOUR, NOON - 71 * HOUR, local_date="2026-10-26")
    sign_in(client)

    def shown(query: str) -> set[int]:
        page = client.get(f"/review?{query}", headers=ENGLISH).text
        return {each for each in (mine, other, old) if f'id="s{each}"' in page}

    assert shown("") == {mine, other, old}
    assert shown("group=CNC-21") == {mine, old}
    assert shown("day=2026-10-26") == {old}
    assert shown("group=CNC-21&day=2026-10-29") == {mine}
    assert shown("group=nobody") == set()
    assert shown("day=yesterday&programme=none") == {mine, other, old}


def test_a_long_backlog_is_shown_by_the_page_with_how_much_more_there_is(client: FlaskClient, world: World) -> None:
    flagged = [_short(world, number, ("too_long",)) for number in range(SHOWN_EXCEPTIONS + 3)]
    clean = [_short(world, number, ()) for number in range(SHOWN_CLEAN + 2)]
    sign_in(client)
    page = review(client).text
    assert page.count('<article class="session flagged stop"') == SHOWN_EXCEPTIONS
    assert page.count('name="session"') == SHOWN_CLEAN
    assert f"Shown are {SHOWN_EXCEPTIONS} of {len(flagged)}." in page
    assert f"Approve all {SHOWN_CLEAN}" in page
    assert f'id="s{flagged[-1]}"' in page
    assert f'id="s{flagged[0]}"' not in page
    oldest = client.get("/review?order=oldest", headers=ENGLISH).text
    assert f'id="s{flagged[0]}"' in oldest
    assert f'id="s{clean[0]}"' in oldest


def _short(world: World, number: int, flags: tuple[str, ...]) -> int:
    start = NOON - 200 * HOUR + number * 10 * MINUTE
    return world.worked(
        f"p{number % 5 + 1}", "bench-1", start, start + 5 * MINUTE, flags=flags, local_date="2026-10-21"
    )


def test_a_backlog_is_counted_no_further_than_anybody_reads(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        _short(world, number, ())
    monkeypatch.setattr(waiting, "COUNTED", 3)
    found = waiting.clean(world.connection, Only(), 2)
    assert (len(found.rows), found.count) == (2, 3)


def test_hours_by_hand_are_for_people_of_groups_in_the_alphabets_order(client: FlaskClient, world: World) -> None:
    for person, group in (("p1", "Ә-2"), ("p2", "Б-1"), ("p4", "Ә-2")):
        world.connection.execute("UPDATE people SET grp = ? WHERE person_id = ?", (group, person))
    sign_in(client)
    page = review(client).text
    found = page.split('name="person"')[1].split("</select>")[0]
    labels = re.findall(r'optgroup label="([^"]+)"|<option value="(p\d)"', found)
    assert [group or person for group, person in labels] == ["p5", "p3", "Ә-2", "p4", "p1", "Б-1", "p2"]


# --- undo, history, second decisions, over a real desk ----------------------------------------------------------------


def decide(staff: Staff, client: FlaskClient, session: int, **fields: str) -> str:
    return send(client, f"/review/{session}", "/review", **fields).headers["Location"]


def row_of(staff: Staff, session: int) -> views.SessionView:
    row = views.session(staff.desk.connection, session)
    assert row is not None
    return row


def test_approving_all_can_be_undone_and_they_wait_as_before(staff: Staff) -> None:
    sessions = [staff.lesson(person.badges[0]) for person in (AIGERIM, PYOTR)]
    client = staff.client()
    send(client, "/review/approve", "/review", session=sessions)
    assert {row_of(staff, each).review for each in sessions} == {"approved"}
    page = client.get("/review")
    assert "2 sessions approved." in page.text
    (bar,) = re.findall(r'id="undo".*?</form>', page.text, re.DOTALL)
    send(client, "/review/undo", "/review", session=re.findall(r'name="session" value="(\d+)"', bar))
    assert {row_of(staff, each).review for each in sessions} == {"pending"}
    page = client.get("/review")
    assert "Taken back: 2 decisions." in text(page)
    assert "Undo" not in text(page)
    assert page.text.count('name="session"') == 2
    assert "taken back" in text(page)


@pytest.mark.parametrize("number", ["9" * 19, "9" * 30])
def test_a_number_that_no_session_can_have_is_no_page(staff: Staff, number: str) -> None:
    client = staff.client()
    assert client.get(f"/review/{number}").status_code == 404
    assert send(client, f"/review/{number}", "/review", decision="approved").status_code == 404


def test_an_adjustment_that_leaves_the_time_as_shown_changes_no_millisecond_of_it(staff: Staff) -> None:
    now = staff.clock.wall_ms()
    stated = EnterManual("p1", "lathe-1", "CNC3", now - 30 * MINUTE, now - 10 * MINUTE + 47_123, staff.by(), "other")
    (session,) = staff.submit(stated).seqs
    client = staff.client()
    shown = client.get(f"/review/{session}").text
    as_shown, exactly = (re.search(rf'name="{name}"[^>]* value="([^"]+)"', shown) for name in ("credited", "exactly"))
    assert as_shown is not None
    assert exactly is not None
    assert as_shown[1] == "0:20"
    fields = {"decision": "adjusted", "process": "CNC3", "reason": "other", "exactly": exactly[1]}
    decide(staff, client, session, credited=as_shown[1], **fields)
    assert row_of(staff, session).decided_credited_ms == row_of(staff, session).credited_ms == 20 * MINUTE + 47_123
    decide(staff, client, session, credited="0:19", **fields)
    assert row_of(staff, session).decided_credited_ms == 19 * MINUTE


def test_what_was_taken_back_is_no_rejection_to_who_reads_what_was_done(staff: Staff) -> None:
    session = staff.lesson(AIGERIM.badges[0])
    staff.submit(DecideSession(session, "approved", staff.by()))
    staff.submit(UndoReview((session,), staff.by()))
    shown = text(staff.client("auditor").get("/audit?kind=session_reviewed"))
    assert "taken back" in shown
    assert "rejected" not in shown
    assert "taken back" in staff.client("auditor").get("/audit/acts.csv").text


def test_what_somebody_saw_is_bound_into_every_form(staff: Staff) -> None:
    sessions = [staff.lesson(person.badges[0]) for person in (AIGERIM, PYOTR)]
    client = staff.client()
    page = client.get("/review").text
    drawn = dict(re.findall(r'name="(seen\d+)" value="(\w+)"', page))
    assert set(drawn) == {f"seen{each}" for each in sessions}
    staff.submit(DecideSession(sessions[0], "approved", staff.by("lead")))
    staff.submit(UndoReview((sessions[0],), staff.by("lead")))
    answer = client.post(
        "/review/approve",
        data={"csrf_token": _token(client), "session": sessions, **drawn},
        follow_redirects=True,
    )
    assert "It has changed since you saw it." in answer.text
    assert {row_of(staff, each).review for each in sessions} == {"pending"}
    shown = client.get(f"/review/{sessions[0]}").text
    forms = re.findall(r'<form[^>]*action="/review/\d+[^"]*".*?</form>', shown, re.DOTALL)
    assert len(forms) == 3
    assert all('name="seen"' in form for form in forms)
    stale = send(client, f"/review/{sessions[0]}", "/review", decision="approved", seen=drawn[f"seen{sessions[0]}"])
    assert stale.status_code == 422
    assert "It has changed since you saw it." in stale.text


def test_a_double_click_on_undo_takes_back_once_and_says_so(staff: Staff) -> None:
    session = staff.lesson(AIGERIM.badges[0])
    client = staff.client()
    decide(staff, client, session, decision="rejected", reason="not_present")
    bar = re.search(r'id="undo".*?</form>', client.get("/review").text, re.DOTALL)
    assert bar is not None
    fields = dict(re.findall(r'name="((?:session|decided)\d*)" value="(\d+)"', bar.group()))
    assert set(fields) == {"session", f"decided{session}"}
    for _ in range(2):
        answer = client.post("/review/undo", data={"csrf_token": _token(client), **fields}, follow_redirects=True)
        assert "Taken back: 1 decision." in answer.text
    assert row_of(staff, session).review == "pending"


def test_an_undone_adjustment_leaves_what_stood_before_it(staff: Staff) -> None:
    session = staff.lesson(AIGERIM.badges[0])
    client = staff.client()
    decide(staff, client, session, decision="approved")
    decide(staff, client, session, decision="adjusted", credited="0:10", reason="forgot_tap", text="asked her")
    assert row_of(staff, session).decided_credited_ms == 10 * MINUTE
    send(client, "/review/undo", "/review", session=[session])
    assert row_of(staff, session).review == "approved"
    assert row_of(staff, session).decided_credited_ms == row_of(staff, session).credited_ms


def test_the_history_tells_who_decided_what_when_how_many_at_once_and_how_late(staff: Staff) -> None:
    sessions = [staff.lesson(person.badges[0]) for person in (AIGERIM, PYOTR)]
    staff.clock.move(14 * HOUR)
    client = staff.client()
    send(client, "/review/approve", "/review", session=sessions)
    assert "15 h later · one of 2 at once" in text(client.get("/review"))
    staff.clock.move(72 * HOUR)
    decide(staff, client, sessions[0], decision="rejected", reason="not_present", text="seen elsewhere")
    shown = text(client.get(f"/review/{sessions[0]}"))
    history = shown[shown.index("What was decided so far") :]
    assert history.index("rejected") < history.index("approved")
    for words in ("bauyrzhan", "one of 2 at once", "15 h later", "3 days later", "replaces the decision before it"):
        assert words in history
    assert "The person was not there" in history
    assert "seen elsewhere" in history


def test_another_instructors_decision_is_closed_to_all_but_a_lead_and_says_so(staff: Staff) -> None:
    session = staff.lesson(AIGERIM.badges[0])
    first = staff.client("lead")
    decide(staff, first, session, decision="rejected", reason="not_present")
    second = staff.client("bauyrzhan")
    page = second.get(f"/review/{session}").text
    assert "Only a lead instructor may decide anew." in page
    assert 'name="decision"' not in page
    refused = send(second, f"/review/{session}", "/review", decision="approved")
    assert refused.status_code == 422
    assert "Ask a lead instructor" in refused.text
    assert 'name="decision"' in first.get(f"/review/{session}").text


def test_an_apprentices_question_is_shown_with_its_words_and_day_and_opens_the_session_to_everybody(
    staff: Staff,
) -> None:
    session = staff.lesson(AIGERIM.badges[0])
    decide(staff, staff.client("lead"), session, decision="rejected", reason="not_present")
    staff.submit(QuestionSession(session, staff.ref("p1"), "I was there <b>all</b> morning"))
    client = staff.client("bauyrzhan")
    page = client.get("/review").text
    shown = card(page, session)
    assert "I was there &lt;b&gt;all&lt;/b&gt; morning" in shown
    assert re.search(r"On \d\d\.\d\d\.\d{4}, \d\d:\d\d the apprentice said", text(shown))
    assert "You have to look." in shown
    decide(staff, client, session, decision="approved")
    assert row_of(staff, session).review == "approved"
    assert f'<article class="session flagged stop" id="s{session}"' not in client.get("/review").text


def test_only_ones_own_last_decision_is_undone(staff: Staff) -> None:
    session = staff.lesson(AIGERIM.badges[0])
    decide(staff, staff.client("lead"), session, decision="approved")
    client = staff.client("bauyrzhan")
    answer = client.post(
        "/review/undo",
        data={"csrf_token": _token(client), "session": [session]},
        follow_redirects=True,
    )
    assert "Only your own last decision can be undone." in answer.text
    assert row_of(staff, session).review == "approved"


def test_an_undo_names_the_account_and_each_session_once(client: FlaskClient, world: World) -> None:
    session = a_lost_signal(world)
    sign_in(client)
    post(client, "/review/undo", session=[session, session, "x"])
    assert world.commands == [UndoReview((session,), ref("bauyrzhan"))]


def test_who_decided_at_the_panel_with_a_badge_alone_is_marked(staff: Staff) -> None:
    session = staff.lesson(AIGERIM.badges[0])
    staff.submit(DecideSession(session, "approved", staff.ref("i1"), mark="badge"))
    person = people.person_by_ref(staff.desk.connection, staff.ref("i1"))
    assert person is not None
    shown = text(staff.client().get(f"/review/{session}"))
    assert person.surname in shown
    assert "by the card alone, without a PIN" in shown


def _token(client: FlaskClient) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/review").text)
    assert found is not None
    return found.group(1)
