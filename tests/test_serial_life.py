"""The life of a port: readers that must be asked and fail, names that move, and readers across the network."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import serial
import serial.rfc2217

from firmware_bridge import registry
from firmware_bridge.dialogue import Dialogue
from firmware_bridge.observations import BadgeSeen, ReaderChanged
from firmware_bridge.readers.pn532 import Pn532
from firmware_bridge.readers.rdm6300 import Rdm6300
from firmware_bridge.readers.twn4 import Options, Twn4
from firmware_bridge.readers.yrm100 import Yrm100
from firmware_bridge.serial_link import SerialLink
from firmware_bridge.simulator.active_readers import DEVICES, FAULTS, ActiveReader, Twn4Device, Yrm100Device
from firmware_bridge.simulator.virtual_port import VirtualPort
from firmware_bridge.simulator.virtual_reader import VirtualReader
from tests.patience import at_best
from tests.wires_fixtures import Inbox, serial_links

UID = "67003B51C6"
CARD = {"pn532": "04D7A79A973780", "twn4": "12345678", "yrm100": "E20010710000529B0940B402"}
Wait = Callable[..., Any]
LinkTo = Callable[..., SerialLink]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def link_to(inbox: Inbox) -> Iterator[LinkTo]:
    """`link_to(port, decoder)`: a started link that delivers to `inbox`."""
    with serial_links(inbox) as start:
        yield start


@contextlib.contextmanager
def active(protocol: str, make: Any = None) -> Iterator[ActiveReader]:
    reader = ActiveReader(protocol, make)
    try:
        yield reader
    finally:
        reader.close()


def heard(inbox: Inbox) -> list[str]:
    return [seen.uid for seen in inbox.of(BadgeSeen)]


def last_word(inbox: Inbox) -> ReaderChanged:
    word: ReaderChanged = inbox.of(ReaderChanged)[-1]
    return word


# -- readers that must be asked ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", sorted(DEVICES))
def test_a_reader_that_must_be_asked_is_asked_and_its_badges_are_heard(
    protocol: str, inbox: Inbox, link_to: LinkTo, wait_until: Wait
) -> None:
    with active(protocol) as reader:
        link = link_to(reader.port, registry.reader(protocol, {}))
        wait_until(lambda: link.connected, what="the port to open")
        reader.tap(CARD[protocol])
        wait_until(lambda: heard(inbox), what="the badge")
    assert heard(inbox) == [CARD[protocol]]
    assert inbox.observations[0] == ReaderChanged("door", True)


@pytest.mark.parametrize("protocol", sorted(DEVICES))
def test_a_card_that_stays_on_it_is_seen_more_often_than_the_de_bounce_asks_and_never_floods(
    protocol: str, inbox: Inbox, link_to: LinkTo, wait_until: Wait
) -> None:
    with active(protocol) as reader:
        reader.lay(CARD[protocol])
        link_to(reader.port, registry.reader(protocol, {}))
        wait_until(lambda: heard(inbox), what="the first sight")

        def gap_s() -> float:
            began, before = time.monotonic(), len(heard(inbox))
            wait_until(lambda: len(heard(inbox)) >= before + 5, what="more sights")
            return (time.monotonic() - began) / 5

        assert at_best(gap_s, 0.5) < 0.5
    assert set(heard(inbox)) == {CARD[protocol]}


@pytest.mark.parametrize("protocol", sorted(DEVICES))
def test_a_reader_that_was_reset_behind_an_open_port_is_woken_again(
    protocol: str, inbox: Inbox, link_to: LinkTo, wait_until: Wait
) -> None:
    with active(protocol) as reader:
        reader.lay(CARD[protocol])
        link = link_to(reader.port, registry.reader(protocol, {}))
        wait_until(lambda: heard(inbox), what="the first sight")
        reader.reset()
        before = len(heard(inbox))
        wait_until(lambda: len(heard(inbox)) > before + 2, what="sights after the reset")
        assert link.counts()["opened"] == 1


@pytest.mark.parametrize("protocol", sorted(DEVICES))
def test_a_reader_that_must_be_asked_comes_back_after_unplug_and_plug(
    protocol: str, inbox: Inbox, link_to: LinkTo, wait_until: Wait
) -> None:
    with active(protocol) as reader:
        link = link_to(reader.port, registry.reader(protocol, {}))
        wait_until(lambda: link.connected, what="the port to open")
        reader.unplug()
        wait_until(lambda: not link.connected, what="the loss")
        reader.replug()
        reader.tap(CARD[protocol])
        wait_until(lambda: heard(inbox) == [CARD[protocol]], what="the badge after the plug")


@pytest.mark.parametrize("protocol", sorted(DEVICES))
def test_a_reader_that_hangs_is_told_within_two_seconds_and_so_is_its_return(
    protocol: str, inbox: Inbox, link_to: LinkTo, wait_until: Wait
) -> None:
    with active(protocol) as reader:
        link = link_to(reader.port, registry.reader(protocol, {}))
        wait_until(lambda: link.counts()["bytes"] > 20, what="the conversation")

        def told_s() -> float:
            reader.fault = "silence"
            began = time.monotonic()
            wait_until(lambda: not link.connected, what="the word that it is silent")
            silent = time.monotonic()
            wait_until(lambda: "does not answer" in last_word(inbox).detail, what="its reason")
            reader.fault = ""
            answers = time.monotonic()
            wait_until(lambda: link.connected, what="the word that it answers again")
            wait_until(lambda: last_word(inbox) == ReaderChanged("door", True), what="the same from the link")
            return max(silent - began, time.monotonic() - answers)

        assert at_best(told_s, 2.2) < 2.2


@pytest.mark.parametrize("protocol", sorted(DEVICES))
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_whatever_becomes_of_its_answers_no_badge_is_made_up_and_the_next_right_one_counts(
    fault: str, protocol: str, inbox: Inbox, link_to: LinkTo, wait_until: Wait
) -> None:
    # Without its CRC a TWN4 has no checksum: what was spoilt cannot be told.
    twn4 = protocol == "twn4"
    with active(protocol, (lambda: Twn4Device(crc=True)) if twn4 else None) as reader:
        reader.fault = fault
        reader.lay(CARD[protocol])
        link = link_to(reader.port, registry.reader(protocol, {"crc": True} if twn4 else {}))
        if fault == "silence":
            wait_until(lambda: not link.connected, what="the word that it is silent")
        else:
            wait_until(lambda: link.counts()["bytes"] > 10, what="a spoilt answer")
        made_up = set(heard(inbox)) - {CARD[protocol]}
        reader.fault = ""
        wait_until(lambda: heard(inbox), what="the badge")
    assert made_up == set()
    assert set(heard(inbox)) == {CARD[protocol]}


def test_a_uhf_module_with_the_other_makes_marks_is_found_out(inbox: Inbox, link_to: LinkTo, wait_until: Wait) -> None:
    with active("yrm100", lambda: Yrm100Device(0xAA)) as reader:
        reader.lay(CARD["yrm100"])
        link_to(reader.port, Yrm100())
        wait_until(lambda: heard(inbox), what="the tag")


def test_a_uhf_module_that_is_asked_each_time_answers_each_time(
    inbox: Inbox, link_to: LinkTo, wait_until: Wait
) -> None:
    with active("yrm100") as reader:
        reader.lay(CARD["yrm100"])
        link_to(reader.port, Yrm100("single"))
        wait_until(lambda: len(heard(inbox)) > 3, what="the tag, several times")


@pytest.mark.parametrize("form", ["text", "binary"])
@pytest.mark.parametrize("crc", [False, True])
def test_a_twn4_is_understood_in_each_of_its_forms(
    form: str, crc: bool, inbox: Inbox, link_to: LinkTo, wait_until: Wait
) -> None:
    with active("twn4", lambda: Twn4Device(form, crc=crc)) as reader:
        reader.tap("67003B51C6")
        link_to(reader.port, Twn4(Options(form, crc)))
        wait_until(lambda: heard(inbox) == ["67003B51C6"], what="the tag")


def test_two_cards_on_a_pn532_are_two_badges(inbox: Inbox, link_to: LinkTo, wait_until: Wait) -> None:
    with active("pn532") as reader:
        reader.lay("04D7A79A973780", "5CBBE5D5")
        link_to(reader.port, Pn532())
        wait_until(lambda: len(heard(inbox)) >= 4, what="both, twice")
    assert heard(inbox)[:2] == ["04D7A79A973780", "5CBBE5D5"]


def test_a_line_that_babbles_without_one_frame_is_a_silent_reader() -> None:
    reader = Pn532()
    dialogue = Dialogue(reader, 0.0)
    assert dialogue.due(0.0)
    asked = 0
    for tenth in range(1, 40):
        reader.feed(b"\x98\x80\x1e" * 5)
        dialogue.heard(tenth / 10)
        asked += bool(dialogue.due(tenth / 10))
    assert dialogue.silent
    assert asked >= 6


# -- the name and the port --------------------------------------------------------------------------------------------


def test_a_reader_that_comes_back_as_another_tty_behind_its_name_is_heard_within_five_seconds(
    inbox: Inbox, link_to: LinkTo, wait_until: Wait
) -> None:
    reader = VirtualReader("rdm6300")
    link = link_to(reader.port, Rdm6300())
    wait_until(lambda: link.connected, what="the port to open")
    device = reader.device
    reader.unplug()
    wait_until(lambda: not link.connected, what="the loss")
    # Others take the number that became free, as another adapter takes ttyUSB0.
    taken = [VirtualReader("line") for _ in range(3)]
    reader.replug()
    assert reader.device != device
    wait_until(lambda: link.connected, what="the return")
    reader.tap(UID)
    wait_until(lambda: heard(inbox) == [UID], what="the badge")
    for each in (reader, *taken):
        each.close()


def test_a_name_that_vanished_while_its_driver_holds_the_port_is_a_loss_within_two_seconds(
    inbox: Inbox, link_to: LinkTo, wait_until: Wait
) -> None:
    reader = VirtualReader("rdm6300")
    link = link_to(reader.port, Rdm6300())
    wait_until(lambda: link.connected, what="the port to open")
    reader.lose_name()
    wait_until(lambda: not link.connected, what="the loss")
    assert "is not there" in last_word(inbox).detail
    reader.unplug()
    reader.replug()
    wait_until(lambda: link.connected, what="the return")
    reader.close()


def test_a_name_that_leads_to_another_device_is_followed_within_two_seconds(
    inbox: Inbox, link_to: LinkTo, tmp_path: Path, wait_until: Wait
) -> None:
    first, second = VirtualReader("rdm6300"), VirtualReader("rdm6300")
    name, new = tmp_path / "usb-reader-if00", tmp_path / "new"
    name.symlink_to(first.device)
    link = link_to(str(name), Rdm6300())
    wait_until(lambda: link.connected, what="the port to open")
    new.symlink_to(second.device)
    new.rename(name)
    wait_until(lambda: link.counts()["opened"] == 2, what="the other device")
    second.tap(UID)
    wait_until(lambda: heard(inbox) == [UID], what="its badge")
    first.close()
    second.close()


def test_bytes_pass_the_port_as_they_are_in_both_directions(inbox: Inbox, link_to: LinkTo, wait_until: Wait) -> None:
    port = VirtualPort()
    link = link_to(port.port, Pn532())
    wait_until(lambda: link.connected, what="the port to open")
    said = bytearray()
    wait_until(lambda: said.extend(port.heard()) or len(said) >= 28, what="the waking")
    assert said.startswith(Pn532().opening().data)
    everything = bytes(range(256)) * 4
    port.raw(everything)
    wait_until(lambda: link.counts()["bytes"] == len(everything), what="every byte")
    port.close()


class WithoutModemLines(serial.Serial):
    """A pseudo-terminal has none to set or to ask for."""

    cts = dsr = cd = True
    ri = False

    def _update_dtr_state(self) -> None: ...

    def _update_rts_state(self) -> None: ...


class Bridge:
    """A serial device server (ser2net's way): one TCP connection at a time, to a port of ours, raw or by RFC 2217."""

    def __init__(self, port: str, *, rfc2217: bool) -> None:
        self._rfc2217 = rfc2217
        self._serial = WithoutModemLines(port, timeout=0)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        scheme = "rfc2217" if self._rfc2217 else "socket"
        return f"{scheme}://127.0.0.1:{self._server.getsockname()[1]}"

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._serial.close()
        self._server.close()

    def _serve(self) -> None:
        self._server.settimeout(0.05)
        while not self._ended.is_set():
            with contextlib.suppress(OSError):
                connection, _ = self._server.accept()
                with connection:
                    connection.settimeout(0.01)
                    self._pass_on(connection)

    def _pass_on(self, connection: socket.socket) -> None:
        class Wire:
            write = staticmethod(connection.sendall)

        manager = serial.rfc2217.PortManager(self._serial, Wire()) if self._rfc2217 else None
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                came = connection.recv(1024)
                if not came:
                    return
                self._serial.write(b"".join(manager.filter(came)) if manager else came)
            said = self._serial.read(1024)
            connection.sendall(b"".join(manager.escape(said)) if manager else said)


# pyserial 3.5 names its threads as Python did before 3.10.
@pytest.mark.filterwarnings("ignore:setDaemon", "ignore:setName")
@pytest.mark.parametrize("rfc2217", [False, True], ids=["socket", "rfc2217"])
def test_a_reader_that_must_be_asked_is_asked_across_the_network_and_its_loss_is_seen_within_two_seconds(
    rfc2217: bool, inbox: Inbox, link_to: LinkTo, wait_until: Wait
) -> None:
    with active("pn532") as reader, contextlib.closing(Bridge(reader.port, rfc2217=rfc2217)) as bridge:
        link = link_to(bridge.url, Pn532())
        # FF stands in every frame, and is telnet's own mark.
        reader.tap(CARD["pn532"])
        wait_until(lambda: heard(inbox) == [CARD["pn532"]], what="the badge")
        bridge.close()
        wait_until(lambda: not link.connected, what="the loss")


@pytest.mark.filterwarnings("ignore:setDaemon", "ignore:setName")
@pytest.mark.parametrize("rfc2217", [False, True], ids=["socket", "rfc2217"])
def test_a_reader_that_hangs_behind_a_network_is_told_within_two_seconds(
    rfc2217: bool, inbox: Inbox, link_to: LinkTo, wait_until: Wait
) -> None:
    with active("pn532") as reader, contextlib.closing(Bridge(reader.port, rfc2217=rfc2217)) as bridge:
        link = link_to(bridge.url, Pn532())
        wait_until(lambda: link.counts()["bytes"] > 30, what="the conversation")
        reader.fault = "silence"
        wait_until(lambda: not link.connected, 2.2, "the word that it is silent")
        assert "does not answer" in last_word(inbox).detail
        link.stop()
