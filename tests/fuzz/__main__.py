"""Bytes that nobody thought of, guided by what they reach: `python -m tests.fuzz reader wl134a [--seconds 60]`.

Wants atheris, which `./test --all` brings. Ends with status 0 when nothing was found in that time; what was found is
printed, with the bytes that did it. The captures of the protocol or dialect are where it begins.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["firmware_bridge"]):
    from firmware_bridge import registry
    from firmware_bridge.machines.base import STATES, Dialect, Reported
    from firmware_bridge.readers.base import FRAME_BYTES_MAX, Badge

    for target in (*registry.READERS.values(), *registry.MACHINES.values()):
        import_module(target.partition(":")[0])

CAPTURES = Path(__file__).parents[1] / "captures"
MESSAGES_OF_ONE_SOURCE = 50
"""A dialect may remember; it is begun anew after so many."""


class Found(AssertionError):
    """A promise that was broken."""


def reader(protocol: str) -> Callable[[bytes], None]:
    """Never raises, holds one frame at most, and reads the same however the bytes are cut."""

    def feed(data: bytes) -> None:
        whole, pieces = registry.reader(protocol, {}), registry.reader(protocol, {})
        events = [*whole.feed(data), *whole.finish()]
        cut = []
        for start in range(0, len(data), 7):
            cut += pieces.feed(data[start : start + 7])
            if len(pieces._buffer) >= FRAME_BYTES_MAX * 2:
                raise Found(f"{len(pieces._buffer)} bytes are held")
        if events != [*cut, *pieces.finish()]:
            raise Found(f"cut in pieces it reads {cut}, whole {events}")
        for event in events:
            if isinstance(event, Badge) and bytes.fromhex(event.uid).hex().upper() != event.uid:
                raise Found(f"{event} is no badge number")

    return feed


def machine(dialect: str) -> Callable[[bytes], None]:
    """Never raises, and tells only states and watts that there are. The first line of the bytes is the topic."""
    kept: list[Dialect] = []
    told = 0

    def hear(data: bytes) -> None:
        nonlocal told
        if told % MESSAGES_OF_ONE_SOURCE == 0:
            kept[:] = [_source(dialect)]
        told += 1
        topic, _, payload = data.partition(b"\n")
        for one in kept[0].translate(topic.decode("utf-8", "surrogateescape"), payload, retained=bool(len(data) & 1)):
            if not isinstance(one, Reported):
                continue
            if one.state is not None and one.state not in STATES:
                raise Found(f"{one.state} is no state")
            if one.power_w is not None and not math.isfinite(one.power_w):
                raise Found(f"{one.power_w} W is no number")

    return hear


def _source(dialect: str) -> Dialect:
    if dialect in ("json", "text"):
        options = {"topic": "a", "states": {"1": "running"}, "will_topic": "w", "offline": "gone"}
        return registry.machine(dialect, options | ({"pointer": "/a/0"} if dialect == "json" else {}))
    return registry.machine(dialect, {}, any_topic=True)


def seeds(kind: str, folder: Path) -> None:
    """Every capture, whichever family it is of: what one protocol sends is noise to another."""
    for line in (CAPTURES / ("serial.jsonl" if kind == "reader" else "mqtt.jsonl")).read_text().splitlines():
        known = json.loads(line)
        if kind == "reader":
            data = bytes.fromhex(known["hex"])
        else:
            payload = bytes.fromhex(known["payload_hex"]) if "payload_hex" in known else known["payload_utf8"].encode()
            data = (known["topic"] or "").encode() + b"\n" + payload
        (folder / known["id"]).write_bytes(data)


def main() -> None:
    """Fuzz one decoder for a while."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("kind", choices=["reader", "machine"])
    parser.add_argument("name")
    parser.add_argument("--seconds", type=int, default=60)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as corpus:
        seeds(asked.kind, Path(corpus))
        target = reader(asked.name) if asked.kind == "reader" else machine(asked.name)
        options = [f"-max_total_time={asked.seconds}", "-max_len=4096", f"-artifact_prefix={corpus}/", "-verbosity=0"]
        atheris.Setup([sys.argv[0], corpus, *options], target)
        atheris.Fuzz()


main()
