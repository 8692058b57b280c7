"""One thread a port, over real pseudo-terminals: taps, loss and return, a second owner, babble, and the end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import serial
import serial.rfc2217

from firmware_bridge.observations import BadgeSeen, ReaderChanged
from firmware_bridge.options import OptionError
from firmware_bridge.readers.line import Line
from firmware_bridge.readers.rdm6300 import Rdm6300
from firmware_bridge.serial_link import SerialLink
from firmware_bridge.simulator.frames import FRAMES
from firmware_bridge.simulator.virtual_reader import VirtualReader
from tests.patience import at_best
from tests.wires_fixtures import Inbox

UID = "67003B51C6"
Wait = Callable[..., Any]


@pytest.fixture
def reader() -> Iterator[VirtualReader]:
    reader = VirtualReader("rdm6300")
    yield reader
    reader.close()


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def link(reader: VirtualReader, inbox: Inbox, wait_until: Wait) -> Iterator[SerialLink]:
    link = SerialLink("door", reader.port, Rdm6300(), inbox.deliver)
    link.start()
    wait_until(lambda: link.connected, what="the port to open")
    yield link
    link.stop()


def heard(inbox: Inbox) -> list[str]:
    return [seen.uid for seen in inbox.of(BadgeSeen)]


def test_a_tap_arrives_with_its_reader_after_the_port_was_announced(
    reader: VirtualReader, inbox: Inbox, link: SerialLink, wait_until: Wait
) -> None:
    reader.tap(UID)
    wait_until(lambda: heard(inbox), what="the badge")
    assert inbox.observations == [ReaderChanged("door", True), BadgeSeen("door", UID)]


def test_every_frame_of_a_tap_is_delivered(
    reader: VirtualReader, inbox: Inbox, link: SerialLink, wait_until: Wait
) -> None:
    reader.tap(UID, times=20)
    wait_until(lambda: len(heard(inbox)) == 20, what="twenty frames")


def test_a_frame_that_arrives_byte_by_byte_at_9600_baud_is_one_badge(inbox: Inbox, wait_until: Wait) -> None:
    reader = VirtualReader("line", paced=True)
    link = SerialLink("door", reader.port, Line(), inbox.deliver)
    link.start()
    wait_until(lambda: link.connected, what="the port to open")
    reader.tap(UID)
    wait_until(lambda: heard(inbox) == [UID], what="the badge")
    link.stop()
    reader.close()


def test_an_unplugged_reader_is_told_once_and_is_back_when_plugged_in(
    reader: VirtualReader, inbox: Inbox, link: SerialLink, wait_until: Wait
) -> None:
    reader.raw(b"\x0267003B5")
    wait_until(lambda: link.counts()["bytes"] == 8, what="half a frame")
    reader.unplug()
    wait_until(lambda: not link.connected, what="the loss")
    # Long enough for several attempts: none of them is news.
    wait_until(lambda: len(inbox.of(ReaderChanged)) > 2, what="the second reason")
    time.sleep(0.4)
    lost, missing = inbox.of(ReaderChanged)[1:]
    assert "went away" in lost.detail
    assert "plug the reader in" in missing.detail
    reader.replug()
    wait_until(lambda: link.connected, what="the return")
    reader.raw(b"1C6CB\x03")
    reader.tap("0F00448FB0")
    wait_until(lambda: heard(inbox), what="the badge")
    assert heard(inbox) == ["0F00448FB0"]
    assert link.counts()["rejected_framing"] == 2


def test_a_port_that_is_not_there_at_the_start_is_waited_for(
    reader: VirtualReader, inbox: Inbox, wait_until: Wait
) -> None:
    reader.unplug()
    link = SerialLink("door", reader.port, Rdm6300(), inbox.deliver)
    link.start()
    wait_until(lambda: inbox.observations, what="the first word")
    assert inbox.observations == [ReaderChanged("door", False, f"{reader.port} is not there; plug the reader in")]
    reader.replug()
    wait_until(lambda: link.connected, what="the port to open")
    link.stop()


def test_a_second_owner_of_a_port_is_told_in_words(
    reader: VirtualReader, inbox: Inbox, link: SerialLink, wait_until: Wait
) -> None:
    other = Inbox()
    second = SerialLink("door-2", reader.port, Rdm6300(), other.deliver)
    second.start()
    wait_until(lambda: other.observations, what="the refusal")
    second.stop()
    assert other.observations == [
        ReaderChanged("door-2", False, f"{reader.port} is held by another program; close that one")
    ]
    reader.tap(UID)
    wait_until(lambda: heard(inbox) == [UID], what="the first owner's badge")


@pytest.mark.parametrize("port", ["nothing://x", "/dev/null", "/etc/hostname"])
def test_what_cannot_be_a_port_is_told_in_words_and_ends_nothing(port: str, inbox: Inbox, wait_until: Wait) -> None:
    link = SerialLink("door", port, Rdm6300(), inbox.deliver)
    link.start()
    wait_until(lambda: inbox.observations, what="the reason")
    assert port in inbox.observations[0].detail  # type: ignore[union-attr]
    assert link.is_alive()
    link.stop()


def test_a_transform_is_applied_and_zeros_that_it_leaves_are_noise(
    reader: VirtualReader, inbox: Inbox, wait_until: Wait
) -> None:
    link = SerialLink("door", reader.port, Rdm6300(), inbox.deliver, transform="low32")
    link.start()
    wait_until(lambda: link.connected, what="the port to open")
    reader.tap("6700000000")
    reader.tap("6F007B3972")
    wait_until(lambda: heard(inbox), what="the badge")
    link.stop()
    assert heard(inbox) == ["007B3972"]
    assert link.counts()["rejected_noise"] == 1


def test_an_unknown_transform_is_refused_at_once(inbox: Inbox) -> None:
    with pytest.raises(OptionError, match="low32"):
        SerialLink("door", "/dev/null", Rdm6300(), inbox.deliver, transform="rot13")


def test_what_is_rejected_is_counted_by_reason(
    reader: VirtualReader, inbox: Inbox, link: SerialLink, wait_until: Wait
) -> None:
    reader.raw(b"\x0268003B51C6CB\x03")
    reader.tap("0000000000")
    reader.tap(UID)
    wait_until(lambda: heard(inbox), what="the badge")
    counts = {"bytes": 42, "frames": 1, "opened": 1, "thinned": 0, "rejected_checksum": 1, "rejected_noise": 1}
    assert link.counts() == counts


def test_a_babbling_reader_holds_up_no_other(
    inbox: Inbox, reader: VirtualReader, link: SerialLink, wait_until: Wait
) -> None:
    babbler, other = VirtualReader("rdm6300"), Inbox()
    second = SerialLink("bench", babbler.port, Rdm6300(), other.deliver)
    second.start()
    wait_until(lambda: second.connected, what="the second port")
    ended = threading.Event()

    def babble() -> None:
        while not ended.is_set():
            babbler.raw(b"\x02garbage" * 100)
            babbler.tap(UID, times=50)

    thread = threading.Thread(target=babble)
    thread.start()
    wait_until(lambda: second.counts()["frames"] > 500, what="the babble")

    def answered_s() -> float:
        began, before = time.monotonic(), len(heard(inbox))
        reader.tap(UID)
        wait_until(lambda: len(heard(inbox)) > before, what="the quiet reader's badge")
        return time.monotonic() - began

    assert at_best(answered_s, 1) < 1
    ended.set()
    thread.join()
    second.stop()
    babbler.close()


def stopped_s(link: SerialLink) -> float:
    began = time.monotonic()
    link.stop()
    assert not link.is_alive()
    return time.monotonic() - began


def test_stopping_frees_the_port_within_half_a_second(reader: VirtualReader, inbox: Inbox, wait_until: Wait) -> None:
    def freed_s() -> float:
        link = SerialLink("door", reader.port, Rdm6300(), inbox.deliver)
        link.start()
        wait_until(lambda: link.connected, what="the port to open")
        taken_s = stopped_s(link)
        serial.serial_for_url(reader.port, exclusive=True).close()
        link.stop()
        return taken_s

    assert at_best(freed_s, 0.5) < 0.5
    assert set(inbox.observations) == {ReaderChanged("door", True)}


def test_stopping_does_not_wait_for_a_port_that_is_missing(inbox: Inbox, tmp_path: Path, wait_until: Wait) -> None:
    def ended_s() -> float:
        before = len(inbox.observations)
        link = SerialLink("door", str(tmp_path / "none"), Rdm6300(), inbox.deliver)
        link.start()
        wait_until(lambda: len(inbox.observations) > before, what="the first word")
        return stopped_s(link)

    assert at_best(ended_s, 0.5) < 0.5


def test_a_fault_of_ours_is_not_taken_for_a_fault_of_the_port(
    reader: VirtualReader, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: crashes.append(arguments.exc_value))

    def full(observation: object, on_stored: object = None) -> None:
        if isinstance(observation, BadgeSeen):
            raise OSError("the inbox is broken")

    link = SerialLink("door", reader.port, Rdm6300(), full)
    link.start()
    wait_until(lambda: link.connected, what="the port to open")
    reader.tap(UID)
    wait_until(lambda: not link.is_alive(), what="the thread's end")
    assert [str(crash) for crash in crashes] == ["the inbox is broken"]
    link.stop()
    serial.serial_for_url(reader.port, exclusive=True).close()


def test_a_reader_on_a_network_socket_is_heard_and_its_loss_noticed(inbox: Inbox, wait_until: Wait) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = SerialLink("door", f"socket://127.0.0.1:{server.getsockname()[1]}", Line(), inbox.deliver)
        link.start()
        connection, _ = server.accept()
        with connection:
            wait_until(lambda: link.connected, what="the port to open")
            connection.sendall(b"67003B51C6\r\n")
            wait_until(lambda: heard(inbox) == [UID], what="the badge")
        wait_until(lambda: inbox.of(ReaderChanged)[-1].connected is False, what="the loss")
        link.stop()


# pyserial 3.5 names its threads as Python did before 3.10.
@pytest.mark.filterwarnings("ignore:setDaemon", "ignore:setName")
def test_a_remote_reader_over_rfc2217_is_heard_and_its_loss_noticed(inbox: Inbox, wait_until: Wait) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = SerialLink("door", f"rfc2217://127.0.0.1:{server.getsockname()[1]}", Rdm6300(), inbox.deliver)
        link.start()
        connection, _ = server.accept()
        with connection, serial.serial_for_url("loop://", timeout=0) as far:
            connection.settimeout(0.02)
            manager = serial.rfc2217.PortManager(far, Wire(connection))

            def serve() -> None:
                with suppress(TimeoutError):
                    b"".join(manager.filter(connection.recv(1024)))
                connection.sendall(b"".join(manager.escape(far.read(64))))

            wait_until(lambda: serve() or link.connected, what="the remote port to open")
            far.write(FRAMES["rdm6300"](UID))
            wait_until(lambda: serve() or heard(inbox) == [UID], what="the badge")
        server.close()
        wait_until(lambda: not link.connected, what="the loss")
        link.stop()


class Wire:
    """What the far end of rfc2217 writes its answers to."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        self._connection.sendall(data)
