"""The whole way of a touch: a badge's bytes, a real clerk, a real browser, and the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from firmware_bridge.simulator.virtual_reader import VirtualReader
from kiosk.assembly import Kiosk
from kiosk.clock import ScaledClock
from kiosk.commands import CloseSession, ImportPeople
from lab_config.load import load
from tests.kiosk_fixtures import AIGERIM, PEOPLE, of_type, write_lab

pytestmark = pytest.mark.browser
SHARED = """
[[reader]]
id = "door"
port = "{port}"
protocol = "rdm6300"
[[programme.process]]
id = "CNC4"
title = "Setup"
required = "50h"
machines = ["mill-1"]
"""
Wait = Callable[..., object]


@contextmanager
def a_shared_kiosk(folder: Path) -> Iterator[tuple[Kiosk, VirtualReader, VirtualReader]]:
    """A whole kiosk with a reader at a machine and one beside the screen."""
    mill, door = VirtualReader("rdm6300"), VirtualReader("rdm6300")
    path = write_lab(folder / "lab", {"mill-1": mill.port})
    text = path.read_text(encoding="utf-8")
    reader, process = SHARED.format(port=door.port).split("[[programme.process]]")
    text = text.replace("[[enterprise]]", f"[[programme.process]]{process}[[enterprise]]") + reader
    path.write_text(text, encoding="utf-8")
    kiosk = Kiosk(load(path), folder / "data", ScaledClock())
    kiosk.start()
    try:
        kiosk.submit(ImportPeople(PEOPLE))
        yield kiosk, mill, door
    finally:
        kiosk.stop()
        mill.close()
        door.close()


@contextmanager
def at_the_screen(chromium: Browser, kiosk: Kiosk) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1024, "height": 600})
    page = context.new_page()
    page.goto(kiosk.addresses[0])
    page.wait_for_function("document.getElementById('lost').hidden")
    yield page
    context.close()


def test_a_machine_and_a_process_are_chosen_by_touch_at_a_shared_reader(
    tmp_path: Path, chromium: Browser, wait_until: Wait
) -> None:
    with a_shared_kiosk(tmp_path) as (kiosk, _, door), at_the_screen(chromium, kiosk) as page:
        door.tap(AIGERIM.badges[0])
        page.click(".choosing .tile:has-text('Mill')")
        page.click(".wide .tile:has-text('Setup')")
        page.wait_for_selector(".answer.in :text('Mill')")
        assert not page.is_visible("#visit")
        (opened,) = of_type(tmp_path / "data", "session_opened")
        assert (opened["machine"], opened["process"], opened["reader"]) == ("mill-1", "CNC4", "door")


def test_another_process_is_chosen_after_an_opening(tmp_path: Path, chromium: Browser, wait_until: Wait) -> None:
    with a_shared_kiosk(tmp_path) as (kiosk, mill, _), at_the_screen(chromium, kiosk) as page:
        mill.tap(AIGERIM.badges[0])
        page.click(".answer.in .touch >> nth=0")
        page.click(".choosing .tile:has-text('Setup')")
        page.wait_for_selector(".sheet.said.yes :text('Setup')")
        (chosen,) = of_type(tmp_path / "data", "process_chosen")
        assert chosen["process"] == "CNC4"


def test_a_session_is_questioned_with_two_touches(tmp_path: Path, chromium: Browser, wait_until: Wait) -> None:
    with a_shared_kiosk(tmp_path) as (kiosk, mill, door), at_the_screen(chromium, kiosk) as page:
        mill.tap(AIGERIM.badges[0])
        page.wait_for_selector(".answer.in")
        wait_until(lambda: of_type(tmp_path / "data", "session_opened"), what="the session")
        kiosk.submit(CloseSession(of_type(tmp_path / "data", "session_opened")[0]["seq"], "console"))
        door.tap(AIGERIM.badges[0])
        page.wait_for_selector(".choosing .tile")
        page.click(".sheet-head .touch:has(.icon-bars)")
        page.click(".tabs .touch:has(.icon-flag)")
        page.click(".row:not([disabled])")
        page.click(".wrong .tile >> nth=0")
        page.wait_for_selector(".sheet.said.yes")
        assert len(of_type(tmp_path / "data", "session_questioned")) == 1


def test_the_answer_is_on_the_screen_within_a_tenth_of_a_second(
    tmp_path: Path, chromium: Browser, wait_until: Wait
) -> None:
    """From the entry's stamp, set by the inbox when the frame is whole, to the painted answer; the best of three."""
    with a_shared_kiosk(tmp_path) as (kiosk, mill, _), at_the_screen(chromium, kiosk) as page:
        page.evaluate("""() => {
          window.seen = [];
          new MutationObserver(() => {
            if (!document.getElementById('answer').hidden) requestAnimationFrame(() => window.seen.push(Date.now()));
          }).observe(document.getElementById('answer'), { attributes: true, attributeFilter: ['hidden'] });
        }""")
        waits = []
        for person in PEOPLE:
            before = len(page.evaluate("window.seen"))
            mill.tap(person.badges[0])
            wait_until(lambda before=before: len(page.evaluate("window.seen")) > before, what="the answer")
            taps = [*of_type(tmp_path / "data", "session_opened"), *of_type(tmp_path / "data", "tap_read")]
            newest = max(entry["stamp"]["wall_ms"] for entry in taps)
            waits.append(page.evaluate("window.seen")[-1] - newest)
            page.evaluate("window.sheberVisit.leave()")
        assert min(waits) < 100, waits
