"""What a process did to its files, read from strace: writes, cuts, names and synchronisations, in their order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

CALLS = (
    "pwrite64,write,pwritev,pwritev2,writev,ftruncate,truncate,fallocate,fsync,fdatasync,sync_file_range,msync,"
    "openat,creat,unlink,unlinkat,rename,renameat,renameat2,link,linkat,symlinkat,mkdir"
)
"""Everything that could change a file, so that what the parser does not know is noticed and not missed."""
OPTIONS = ("-y", "-xx", "-s", "10000000", "-e", f"trace={CALLS}", "-e", "signal=none")

_LINE = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\)\s+= (-?\d+)(.*)$")
_DESCRIPTOR = re.compile(r"^\d+<([^>]*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


@dataclass(frozen=True)
class Op:
    """One step."""

    kind: str
    """`create`, `write`, `cut`, `sync`, `unlink`, `sync_names` (of the folder), `sync_failed` or `told`."""
    name: str = ""
    offset: int = 0
    """Of a write; the new size of a cut; for `told` the size of the log that was promised."""
    data: bytes = b""


class TraceError(Exception):
    """The recording holds something that the explorer would get wrong."""


def parse(text: Iterable[str], folder: Path, told: str) -> Iterator[Op]:
    """The steps on files directly in `folder`, and the lines written to the file named `told` beside it.

    `-shm` files are left out: SQLite makes them anew after every power cut.
    """
    root = str(folder)
    for line in text:
        match = _LINE.match(line)
        if match is None:
            if "unfinished" in line or "resumed" in line:
                raise TraceError(f"two threads at once: {line[:80]}")
            continue
        call, arguments, result, rest = match.groups()
        path = _path(call, arguments)
        if path == root and call in ("fsync", "fdatasync"):
            yield Op("sync_names")
        elif path == f"{folder.parent}/{told}" and call == "write":
            yield Op("told", offset=int(_bytes(arguments)))
        elif path.startswith(root + "/") and not path.removesuffix("(deleted)").endswith("-shm"):
            yield from _step(call, arguments, int(result), rest, path[len(root) + 1 :])


def _step(call: str, arguments: str, result: int, rest: str, name: str) -> Iterator[Op]:
    last = [part.strip() for part in arguments.rsplit(",", 2)]
    if result < 0:
        if call in ("fsync", "fdatasync"):
            yield Op("sync_failed", name)
        elif "INJECTED" in rest:
            raise TraceError(f"a failed {call} is not part of a power cut")
    elif call in ("fsync", "fdatasync"):
        yield Op("sync", name)
    elif call == "openat":
        if "O_CREAT" in arguments:
            yield Op("create", name)
        if "O_TRUNC" in arguments:
            yield Op("cut", name, 0)
    elif call == "pwrite64":
        data = _bytes(arguments)
        if len(data) != result:
            raise TraceError(f"a write of {len(data)} bytes wrote {result}")
        yield Op("write", name, int(last[2]), data)
    elif call == "ftruncate":
        yield Op("cut", name, int(last[-1]))
    elif call == "unlink":
        yield Op("unlink", name)
    else:
        raise TraceError(f"{call} on {name}: teach the explorer what it does")


def _path(call: str, arguments: str) -> str:
    if call in ("openat", "unlinkat", "mkdir", "unlink", "creat", "truncate", "rename"):
        found = _TEXT.search(arguments)
        return _unhex(found.group(1)).decode() if found else ""
    descriptor = _DESCRIPTOR.match(arguments)
    return _unhex(descriptor.group(1)).decode() if descriptor and descriptor.group(1).startswith("\\x") else ""


def _bytes(arguments: str) -> bytes:
    found = _TEXT.search(arguments)
    if found is None or found.group(2):
        raise TraceError("a write was recorded in part")
    return _unhex(found.group(1))


def _unhex(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
