"""A whole kiosk and readers that must be asked, fail or stay: what reaches the ledger, `/health` and `/metrics`."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from firmware_bridge.simulator.active_readers import ActiveReader
from firmware_bridge.simulator.misheard import misheard
from firmware_bridge.simulator.virtual_port import VirtualPort
from firmware_bridge.simulator.virtual_reader import VirtualReader
from kiosk.assembly import Kiosk
from kiosk.clock import SystemClock
from kiosk.commands import ImportPeople
from lab_config.load import load
from tests.kiosk_fixtures import AIGERIM, PEOPLE, ledger, of_type, write_lab

Wait = Callable[..., Any]


@contextmanager
def kiosk_with(folder: Path, protocol: str, reader: VirtualPort, **changes: Any) -> Iterator[Kiosk]:
    """A kiosk whose `mill-1` has this reader, and its people."""
    lab = load(write_lab(folder / "lab", {"mill-1": reader.port}))
    lab = replace(lab, readers=(replace(lab.readers[0], protocol=protocol, baud=None, **changes),))
    kiosk = Kiosk(lab, folder / "data", SystemClock())
    kiosk.start()
    try:
        kiosk.submit(ImportPeople(PEOPLE))
        yield kiosk
    finally:
        kiosk.stop()
        reader.close()


def asked(kiosk: Kiosk, path: str) -> str:
    with closing(urllib.request.urlopen(f"{kiosk.addresses[0]}{path}", timeout=40)) as answer:
        text: str = answer.read().decode()
        return text


def health(kiosk: Kiosk) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(asked(kiosk, "/health"))["readers"]["mill-1"]
    return told


def thinned(kiosk: Kiosk) -> int:
    name = "sheber_serial_thinned_total "
    return next(int(line.removeprefix(name)) for line in asked(kiosk, "/metrics").splitlines() if line.startswith(name))


def test_a_card_left_on_a_reader_opens_one_session_and_makes_no_other_entry(tmp_path: Path, wait_until: Wait) -> None:
    reader = ActiveReader("twn4")
    with kiosk_with(tmp_path, "twn4", reader) as kiosk:
        reader.lay(AIGERIM.badges[0])
        wait_until(lambda: of_type(tmp_path / "data", "session_opened"), what="the session")
        after = len(ledger(tmp_path / "data"))
        frames = health(kiosk)["frames"]
        # More than the three seconds of the de-bounce, counted in the reader's own answers.
        wait_until(lambda: health(kiosk)["frames"] > frames + 16, what="sights for longer than the de-bounce")
        assert len(ledger(tmp_path / "data")) == after


def test_two_equal_frames_confirm_a_read_also_of_a_card_that_stays(tmp_path: Path, wait_until: Wait) -> None:
    reader = VirtualReader("rdm6300")
    with kiosk_with(tmp_path, "rdm6300", reader, confirm=2) as kiosk:
        wait_until(lambda: health(kiosk)["connected"], what="the port")
        reader.tap(AIGERIM.badges[0], times=200)
        wait_until(lambda: of_type(tmp_path / "data", "session_opened"), what="the session")
        wait_until(lambda: health(kiosk)["frames"] == 200, what="every frame")
        assert len(of_type(tmp_path / "data", "session_opened")) == 1
        assert thinned(kiosk) > 100


def test_a_reader_that_hangs_is_told_by_health_and_metrics_and_so_is_its_return(
    tmp_path: Path, wait_until: Wait
) -> None:
    reader = ActiveReader("pn532")
    with kiosk_with(tmp_path, "pn532", reader) as kiosk:
        wait_until(lambda: "serial_bytes_total 0\n" not in asked(kiosk, "/metrics"), what="the conversation")
        reader.fault = "silence"
        wait_until(lambda: not health(kiosk)["connected"], what="the silence")
        assert "does not answer" in health(kiosk)["detail"]
        assert 'sheber_reader_connected{reader="mill-1"} 0' in asked(kiosk, "/metrics")
        reader.fault = "error"
        wait_until(lambda: health(kiosk)["rejected"].get("reader_error"), what="the error")
        assert 'sheber_reader_rejected_total{reader="mill-1",reason="reader_error"}' in asked(kiosk, "/metrics")
        reader.fault = ""
        wait_until(lambda: health(kiosk)["connected"], what="the return")


def test_a_wrong_speed_is_told_by_health_with_the_right_one(tmp_path: Path, wait_until: Wait) -> None:
    reader = VirtualReader("line")
    with kiosk_with(tmp_path, "line", reader) as kiosk:
        wait_until(lambda: health(kiosk)["connected"], what="the port")
        reader.raw(misheard(b"0F00448FB0\r\n" * 20, 4_800, 9_600))
        wait_until(lambda: "set baud = 4800" in health(kiosk)["detail"], what="the word")
        assert health(kiosk)["connected"]
