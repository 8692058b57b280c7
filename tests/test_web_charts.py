"""Charts of the staff side: their geometry, and that every figure in them can also be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask, render_template_string
from hypothesis import given
from hypothesis import strategies as st
from web_fixtures import HOUR, MINUTE, a_world

from kiosk import phrases
from kiosk.web import charts
from kiosk.web.apps import create_staff_app
from kiosk.web.charts import Column, Row
from lab_config.model import STATES

ACADEMIC = 45 * MINUTE
times = st.integers(0, 10_000 * HOUR)


def share(percent: str) -> float:
    return float(percent.removesuffix("%"))


@given(times, times, st.one_of(st.none(), times), st.one_of(st.none(), times))
def test_a_bar_never_leaves_its_drawing_and_its_stretches_never_overlap(
    approved: int, waiting: int, needed: int | None, minimum: int | None
) -> None:
    bar = charts.progress(approved, waiting, needed, academic_hour_ms=ACADEMIC, minimum_ms=minimum)
    assert share(bar.waiting_x) == pytest.approx(share(bar.approved_width), abs=0.01)
    assert share(bar.waiting_x) + share(bar.waiting_width) <= 100.01
    assert all(share(mark) <= 100 for mark in (bar.minimum_x, bar.needed_x) if mark)
    assert 0 <= bar.percent <= 100


def test_a_plan_that_was_passed_is_a_mark_inside_the_bar() -> None:
    bar = charts.progress(15 * HOUR, 5 * HOUR, 10 * HOUR, academic_hour_ms=ACADEMIC)
    assert (bar.approved_width, bar.waiting_width, bar.needed_x, bar.percent) == ("75%", "25%", "50%", 100)


def test_waiting_hours_bring_nobody_nearer_to_the_plan() -> None:
    assert charts.progress(HOUR, 9 * HOUR, 10 * HOUR, academic_hour_ms=ACADEMIC).percent == 10


@given(st.lists(st.tuples(times, times), max_size=60))
def test_columns_stand_on_the_base_and_under_the_top_whatever_they_hold(given_times: list[tuple[int, int]]) -> None:
    chart = charts.columns([Column("", *each) for each in given_times], academic_hour_ms=ACADEMIC)
    for each in chart.columns:
        assert each.approved_y + each.approved_height == pytest.approx(chart.base, abs=0.02)
        assert each.waiting_y + each.waiting_height == pytest.approx(each.approved_y, abs=0.02)
        assert each.waiting_y >= charts.HEADROOM_PX - 0.02
        assert share(each.x) + share(each.width) <= 100
    assert 2 <= len(chart.ticks) <= 6


def test_of_many_columns_only_so_many_are_labelled_as_have_room() -> None:
    chart = charts.columns([Column(str(week), HOUR) for week in range(53)], academic_hour_ms=ACADEMIC)
    assert sum(each.labelled for each in chart.columns) <= charts.MOST_LABELS


def test_stacked_rows_share_one_scale_and_keep_the_order_of_the_keys() -> None:
    rows = [Row("mill", [("idle", HOUR), ("running", 3 * HOUR)]), Row("lathe", [("running", HOUR), ("fault", HOUR)])]
    chart = charts.stacked(rows, STATES, academic_hour_ms=ACADEMIC)
    assert chart.keys == ("running", "idle", "fault")
    assert [[(part.key, part.x, part.width) for part in row.parts] for row in chart.rows] == [
        [("running", "0%", "75%"), ("idle", "75%", "25%")],
        [("running", "0%", "25%"), ("fault", "25%", "25%")],
    ]


PAGE = """{% from "staff/charts.html" import progress, columns, stacked with context %}
{{ progress(bar, "b", label) }}{{ columns(cols, "c", label, label) }}
{{ stacked(rows, "s", label, label, phrases.STATES) }}"""


def drawn(app: Flask, label: str) -> str:
    with app.test_request_context("/"):
        return render_template_string(
            PAGE,
            label=label,
            bar=charts.progress(41 * HOUR, HOUR, 168 * HOUR, academic_hour_ms=ACADEMIC, minimum_ms=100 * HOUR),
            cols=charts.columns([Column(label, 2 * HOUR, HOUR)], academic_hour_ms=ACADEMIC),
            rows=charts.stacked([Row(label, [(each, HOUR) for each in STATES])], STATES, academic_hour_ms=ACADEMIC),
        )


def test_a_chart_says_all_its_figures_in_words_has_no_inline_style_and_escapes_its_labels(tmp_path: Path) -> None:
    with a_world(tmp_path) as world:
        page = drawn(create_staff_app(world.services()), "<script>'; DROP")
    assert "style=" not in page
    assert "<script>" not in page
    assert "41:00" in page
    assert "54,7" in page  # academic
    assert page.count("<title") >= 1
    for state in STATES:
        assert page.count(f'id="s-{state}"') == 1  # every pattern once
        assert phrases.STATES[state]
    used = set(re.findall(r"url\(#([\w-]+)\)", page))
    assert used <= set(re.findall(r'id="([\w-]+)"', page))
