"""`python -m tests.bench.wires`: status messages heard, decoded, folded and, where they change something, durable.

A real `sheber run` with ten machines takes a flood of reports of 200 bytes, nearly all of them equal to the one before.
Beside it, on the same broker in the same run and with the same messages: (a) the same subscription in a bare paho
callback that only decodes the JSON, and (b) `mosquitto_sub | sqlite-utils insert`. The broker keeps what is not taken
yet, so each takes the flood at its own pace; it is over when the last report of each machine, a fault, is an entry.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from firmware_bridge.simulator.broker import BrokerError, LoopbackBroker
from firmware_bridge.simulator.virtual_reader import VirtualReader
from firmware_bridge.simulator.voices import JsonVoice
from kiosk.office import DATABASE
from kiosk.store.schema import open_reader
from tests.bench import BenchError, lab
from tests.bench.process import KioskProcess, as_installed, free_ports

REPORT_BYTES = 200
CHANGE_EVERY = 100
"""One report in so many changes its machine's state."""
PER = 100_000
"""Processor time is told for so many messages."""
RATE_GOAL = 0.6
TIMEOUT_S = 300.0
WITHOUT_LIMIT = "max_queued_messages 0\nmax_queued_bytes 0\n"
BARE = """
import json, sys, time
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
port, count, qos = map(int, sys.argv[1:])
client = Client(CallbackAPIVersion.VERSION2)
taken = 0
def heard(client, data, message):
    global taken
    json.loads(message.payload)
    taken += 1
    if taken == count:
        print(time.process_time() - before_s, flush=True)
        client.disconnect()
client.on_message = heard
client.on_subscribe = lambda *_: print("ready", flush=True)
client.connect("127.0.0.1", port)
client.subscribe([(f"lab/mill-{n}", qos) for n in range(1, 11)])
before_s = time.process_time()
client.loop_forever()
"""


@dataclass(frozen=True)
class Took:
    """What one listener took for the whole flood, in seconds."""

    wall_s: float
    processor_s: float
    lost: int = 0


class Flood:
    """The reports as MQTT packets, made before any clock runs."""

    def __init__(self, count: int, qos: int) -> None:
        self.count, self._qos = count, qos
        self._packets = b"".join(self._packet(place, *one) for place, one in enumerate(reports(count)))

    def pour(self, port: int) -> None:
        """Hand all of them to the broker, as fast as it takes them."""
        with socket.create_connection(("127.0.0.1", port)) as wire:
            wire.sendall(b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05flood")
            drain = threading.Thread(target=self._drain, args=(wire,))
            drain.start()
            wire.sendall(self._packets + b"\xe0\x00")
            drain.join()

    @staticmethod
    def _drain(wire: socket.socket) -> None:
        while wire.recv(1 << 16):
            pass

    def _packet(self, place: int, topic: str, payload: bytes) -> bytes:
        number = (place % 65_535 + 1).to_bytes(2, "big") if self._qos else b""
        body = len(topic).to_bytes(2, "big") + topic.encode() + number + payload
        low, high = len(body) & 0x7F, len(body) >> 7
        return bytes((0x30 | self._qos << 1, low | 0x80, high)) + body


def reports(count: int) -> Iterator[tuple[str, bytes]]:
    """(topic, payload), each machine in turn; the last of each machine is a fault."""
    words = ("running", "idle")
    machines = lab.MACHINES
    for place in range(count):
        machine = machines[place % len(machines)]
        state = words[place // (CHANGE_EVERY * len(machines)) % 2] if place < count - len(machines) else "fault"
        told = {"machine": {"state": JsonVoice.WORDS[state]}, "power_w": 812.4, "at": f"{place:012}", "more": ""}
        told["more"] = "x" * (REPORT_BYTES - len(json.dumps(told)))
        yield f"lab/{machine}", json.dumps(told).encode()


def main() -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.wires", description=__doc__)
    parser.add_argument("--messages", type=int, default=50_000, help="how many reports (default 50000)")
    parser.add_argument("--qos", type=int, choices=(0, 1), default=1, help="how they are said (default 1)")
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="on the disk to measure (default /var/tmp)")
    asked = parser.parse_args()
    count = max(len(lab.MACHINES), asked.messages)
    try:
        if not asked.dir.is_dir():
            raise BenchError(f"{asked.dir} is no folder; name one on the disk to measure with --dir")
        with tempfile.TemporaryDirectory(prefix="sheber-bench-", dir=asked.dir) as folder:
            print(*measure(Path(folder), count, asked.qos), sep="\n")
    except (BenchError, BrokerError, OSError) as error:
        print(f"the bench could not run: {error}", file=sys.stderr)
        return 1
    return 0


def measure(folder: Path, count: int, qos: int) -> list[str]:
    """The lines to print."""
    flood = Flood(count, qos)
    with ExitStack() as parts:
        broker = LoopbackBroker(WITHOUT_LIMIT)
        parts.callback(broker.close)
        broker.start()
        bare = in_a_callback(broker.port, flood, qos)
        piped = in_a_pipe(folder, broker.port, flood, qos)
        ours = in_the_kiosk(folder, broker.port, flood, parts)
    return table(count, qos, ours, bare, piped)


def table(count: int, qos: int, ours: Took, bare: Took, piped: Took) -> list[str]:
    """What each took, and what the goals say."""
    ratio, cheaper = bare.wall_s / ours.wall_s, ours.processor_s / piped.processor_s
    lines = [f"{count} reports of {REPORT_BYTES} bytes, QoS {qos}, one in {CHANGE_EVERY} a change"]
    for name, took in (("sheber run", ours), ("bare paho callback", bare), ("mosquitto_sub | sqlite-utils", piped)):
        rate, cost_s = count / took.wall_s, took.processor_s * PER / count
        lines.append(f"{name:30} {rate:9,.0f} a second  {cost_s:7.2f} s of processor for {PER:,}")
    return [
        *lines,
        f"rate beside the bare callback  {ratio:.2f}  goal {RATE_GOAL}  {_verdict(ratio >= RATE_GOAL)}",
        f"processor beside the pipe      {cheaper:.2f}  goal below 1  {_verdict(cheaper < 1)}",
        f"reports lost by the kiosk      {ours.lost}  goal 0  {_verdict(not ours.lost)}",
        f"load average                   {os.getloadavg()[0]:.1f}",
    ]


def in_a_callback(port: int, flood: Flood, qos: int) -> Took:
    """(a): the same subscription, where nothing is done but to decode."""
    command = [sys.executable, "-c", BARE, str(port), str(flood.count), str(qos)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        began_s = time.monotonic()
        flood.pour(port)
        processor_s = float(child.stdout.readline())
        return Took(time.monotonic() - began_s, processor_s)


def in_a_pipe(folder: Path, port: int, flood: Flood, qos: int) -> Took:
    """(b): what a shell does. Its programs are started once the broker holds the flood."""
    listen = ["mosquitto_sub", "-p", str(port), "-t", "lab/#", "-q", str(qos), "-i", "pipe"]
    insert = Path(sys.executable).with_name("sqlite-utils")
    if shutil.which(listen[0]) is None or not insert.exists():
        raise BenchError("mosquitto_sub or sqlite-utils is missing; install mosquitto-clients and sqlite-utils")
    kept = ["-c", "-C", str(flood.count)]
    if qos:
        subprocess.run([*listen, "-c", "-E"], check=True)
        flood.pour(port)
    before_s, began_s = _children_s(), time.monotonic()
    listening = subprocess.Popen([*listen, *(kept if qos else kept[1:])], stdout=subprocess.PIPE)
    into = [str(insert), "insert", str(folder / "pipe.db"), "reports", "-", "--nl"]
    inserting = subprocess.Popen(into, stdin=listening.stdout, stdout=subprocess.DEVNULL)
    if not qos:
        time.sleep(1)  # nothing tells that it has subscribed, and the broker keeps nothing of QoS 0
        began_s = time.monotonic()
        flood.pour(port)
    if listening.wait(TIMEOUT_S) or inserting.wait(TIMEOUT_S):
        raise BenchError("mosquitto_sub | sqlite-utils insert failed; try it by hand")
    return Took(time.monotonic() - began_s, _children_s() - before_s)


def in_the_kiosk(folder: Path, port: int, flood: Flood, parts: ExitStack) -> Took:
    """A real `sheber run`."""
    readers = {machine: VirtualReader("rdm6300") for machine in lab.MACHINES}
    for reader in readers.values():
        parts.callback(reader.close)
    screen, staff = free_ports()
    statuses = {machine: JsonVoice(machine).status() for machine in lab.MACHINES}
    ports = {machine: reader.port for machine, reader in readers.items()}
    config, data = lab.write_lab(folder, lab.Listens(screen, staff, port, ports, statuses)), folder / "data"
    kiosk = KioskProcess(config, data, folder / "run.log", as_installed(folder / "bytecode"))
    parts.callback(kiosk.stop)
    kiosk.start(readers[lab.MACHINES[0]], lab.STRANGER, screen)
    _until(lambda: _is_heard(port, data), "the kiosk hears the broker")
    before_s, began_s = kiosk.processor_s(), time.monotonic()
    flood.pour(port)
    _until(lambda: _count(data, "state_changed", "state", "fault") == len(lab.MACHINES), "the last reports are entries")
    took_s, processor_s = time.monotonic() - began_s, kiosk.processor_s() - before_s
    kiosk.stop()
    return Took(took_s, processor_s, _sum_of_lost(data))


def _is_heard(port: int, data: Path) -> bool:
    """Did a report that is said again and again become an entry?"""
    said = json.dumps({"machine": {"state": JsonVoice.WORDS["setup"]}})
    subprocess.run(["mosquitto_pub", "-p", str(port), "-t", f"lab/{lab.MACHINES[0]}", "-m", said], check=True)
    return _count(data, "state_changed", "state", "setup") > 0


def _count(data: Path, kind: str, key: str, value: str) -> int:
    """How many entries of `kind` have this value."""
    return sum(1 for body in _bodies(data, kind) if body.get(key) == value)


def _sum_of_lost(data: Path) -> int:
    return sum(int(str(body["count"])) for body in _bodies(data, "observations_lost"))


def _bodies(data: Path, kind: str) -> list[dict[str, object]]:
    with closing(open_reader(data / DATABASE)) as connection:
        rows = connection.execute("SELECT bytes FROM ledger WHERE type = ?", (kind,)).fetchall()
    return [json.loads(entry) for (entry,) in rows]


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise BenchError(f"waited {TIMEOUT_S:g} s in vain until {what}")
        time.sleep(0.02)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
