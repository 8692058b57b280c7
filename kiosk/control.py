"""The control socket: how other processes of this machine talk to a running kiosk (contract, sections 2 and 10).

One JSON object a line each way: `{"op": ..., ...}` is answered by `{"ok": true, "value": ..}` or by
`{"ok": false, "code": .., "detail": ..}`. The file has mode 0660 and the kernel says who is calling (SO_PEERCRED): the
kiosk's own user and root may ask everything, any other user (the one `sync` runs as) only what `sync` needs.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import socket
import stat
import struct
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, is_dataclass
from functools import cache
from pathlib import Path
from typing import Union, cast, get_args, get_origin, get_type_hints

from kiosk import commands
from kiosk.commands import Command, CommandRefused, Done

log = logging.getLogger(__name__)

REQUEST_LIMIT = 1_000_000
"""Bytes of one request (contract, section 10)."""
ANSWER_LIMIT = 32_000_000
"""Bytes of one answer: 500 records with their proofs are about one million."""
CONNECTIONS = 8
"""Connections served at once; the next ones wait in the backlog."""
SILENCE_S = 10.0
"""A caller that says nothing for this long is let go."""
ADDRESS_LIMIT = 100
"""Bytes of a socket's path that every kernel takes as it is."""

SYNC_OPS = frozenset(
    {
        "log",
        "head",
        "pending",
        "may_send",
        "consistency",
        "stopped",
        "command:StoreCheckpoint",
        "command:StoreReceipt",
    }
)
"""What the sync user may ask. A command is named with its class, so that `command` alone opens nothing."""

Handler = Callable[[dict[str, object]], object]


class ControlRefused(Exception):
    """The kiosk answered no. `code` is stable (`forbidden`, `bad_request`, a code of `CommandRefused`, ...)."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class NoKiosk(Exception):
    """Nobody listens at the control socket, or whoever does gave no answer in time."""


# --- the two ends ---------------------------------------------------------------------------------------------------


class ControlServer:
    """Answers at `path` from its own threads until `stop()`.

    `handlers` maps an op to a function of the request; it may raise `CommandRefused` or `ControlRefused` (answered with
    their code) or `ValueError`, `KeyError`, `TypeError` (answered as `bad_request`). `sync_ops` are the permissions of
    callers other than the own user and root; see `SYNC_OPS`.
    """

    def __init__(
        self,
        path: Path,
        handlers: Mapping[str, Handler],
        sync_ops: frozenset[str] = SYNC_OPS,
        *,
        silence_s: float = SILENCE_S,
    ) -> None:
        self.path = path
        self._handlers = handlers
        self._sync_ops = sync_ops
        self._silence_s = silence_s
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        self._stopping = threading.Event()
        self._listener = _listen(path)
        self._inode = path.stat().st_ino
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._accept, name="control", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer nobody from now on and remove the socket file."""
        self._stopping.set()
        self._wake.send(b"!")
        if self._thread.is_alive():
            self._thread.join()
        for end in (self._listener, self._wake, self._woken):
            end.close()
        with contextlib.suppress(OSError):  # gone already, or on a disk that takes nothing: the next start removes it
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()

    def __enter__(self) -> ControlServer:
        """Start, and stop at the end of the block."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._stopping.is_set():
                selector.select()
                if self._stopping.is_set():
                    return
                while not self._free.acquire(timeout=0.1):
                    if self._stopping.is_set():
                        return
                try:
                    connection, _ = self._listener.accept()
                except OSError:  # the caller has gone again
                    self._free.release()
                    continue
                threading.Thread(target=self._serve, args=(connection,), name="control-call", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError):
                connection.settimeout(self._silence_s)
                trusted = caller_uid(connection) in (os.geteuid(), 0)
                for line in _lines(connection, REQUEST_LIMIT):
                    connection.sendall(_encode(self._answer(line, trusted=trusted)))
                    if line is None:
                        return
        finally:
            self._free.release()

    def _answer(self, line: bytes | None, *, trusted: bool) -> dict[str, object]:
        try:
            answer: dict[str, object] = {"ok": True, "value": self._value(line, trusted=trusted)}
            _encode(answer)
        except (CommandRefused, ControlRefused) as refusal:
            return _no(refusal.code, refusal.detail)
        except (ValueError, KeyError, TypeError) as problem:
            return _no("bad_request", f"{type(problem).__name__}: {problem}"[:500])
        except Exception:  # a caller's request must not end the kiosk, whatever it met
            log.exception("a control request failed")
            return _no("internal", "the kiosk could not do this; its log says why")
        return answer

    def _value(self, line: bytes | None, *, trusted: bool) -> object:
        if line is None:
            raise ControlRefused("bad_request", f"a request is one line of at most {REQUEST_LIMIT} bytes")
        try:
            request = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ControlRefused("bad_request", "a request is one JSON object on one line") from error
        if not isinstance(request, dict) or not isinstance(request.get("op"), str):
            raise ControlRefused("bad_request", 'a request is one JSON object with an "op"')
        handler = self._handlers.get(request["op"])
        if handler is None:
            raise ControlRefused("unknown_op", f"this kiosk does not know {request['op'][:40]!r}")
        if not trusted and permission(request) not in self._sync_ops:
            raise ControlRefused("forbidden", f"this user may not ask for {permission(request)[:80]!r}")
        value = handler(request)
        return {"seqs": list(value.seqs), "value": value.value} if isinstance(value, Done) else value


class ControlClient:
    """Asks a running kiosk. Every call is a connection of its own, so one client serves many threads."""

    def __init__(self, path: Path, timeout_s: float = 10) -> None:
        self.path = path
        self.timeout_s = timeout_s

    def call(self, op: str, **params: object) -> object:
        """The value of the answer; `ControlRefused` where the kiosk says no, `NoKiosk` where there is none."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, _address(self.path) as address:
                connection.settimeout(self.timeout_s)
                connection.connect(address)
                connection.sendall(_encode({"op": op, **params}))
                line = next(_lines(connection, ANSWER_LIMIT), None)
        except PermissionError as error:
            raise ControlRefused("forbidden", f"this user may not open {self.path}") from error
        except OSError as error:
            raise NoKiosk(f"no kiosk answers at {self.path}") from error
        if line is None:
            raise NoKiosk(f"the kiosk at {self.path} hung up without an answer")
        return _value(line)

    def command(self, command: Command) -> Done:
        """Ask the clerk for a command; `ControlRefused` with the clerk's code where it says no."""
        value = self.call("command", command=encode_command(command))
        if not isinstance(value, dict) or not isinstance(value.get("seqs"), list):
            raise ControlRefused("bad_answer", "the kiosk's answer to a command has no seqs")
        return Done(seqs=tuple(int(seq) for seq in value["seqs"]), value=value.get("value"))


def permission(request: Mapping[str, object]) -> str:
    """What a request needs leave for: its op, and for a command also which one, as in `command:StoreReceipt`."""
    op = str(request.get("op"))
    if op != "command":
        return op
    command = request.get("command")
    return f"command:{command.get('type') if isinstance(command, dict) else None}"


def caller_uid(connection: socket.socket) -> int:
    """The user id of the process at the other end, as the kernel knows it (SO_PEERCRED)."""
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)


# --- commands as JSON -----------------------------------------------------------------------------------------------


def encode_command(command: Command) -> dict[str, object]:
    """A command as JSON: its fields, and its class name as `type`."""
    return {"type": type(command).__name__, **asdict(command)}


def decode_command(value: Mapping[str, object]) -> Command:
    """The command that `encode_command` wrote. `ValueError` where the class, a field or a type is not one of ours."""
    classes = {command.__name__: command for command in get_args(Command)}
    name = value.get("type")
    if not isinstance(name, str) or name not in classes:
        raise ValueError(f"there is no command {str(name)[:40]!r}")
    fields = {key: member for key, member in value.items() if key != "type"}
    return cast(Command, _restore(classes[name], fields, name))


@cache
def _hints(cls: type) -> dict[str, object]:
    return get_type_hints(cls, vars(commands))


def _restore(kind: object, value: object, where: str) -> object:
    """`value`, read from JSON, as the annotated type `kind`; `ValueError` where it is something else."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if value is None else _restore(next(a for a in arguments if a is not type(None)), value, where)
    if origin is tuple and isinstance(value, list):
        inner = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(inner) == len(value):
            return tuple(_restore(k, v, f"{where}[{n}]") for n, (k, v) in enumerate(zip(inner, value, strict=True)))
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
        hints = _hints(kind)
        if unknown := sorted(set(value) - set(hints)):
            raise ValueError(f"{where} has no field {unknown[0][:40]!r}")
        members = {name: _restore(hints[name], member, f"{where}.{name}") for name, member in value.items()}
        try:
            return kind(**members)
        except TypeError as error:
            raise ValueError(f"{where} lacks a field: {error}") from error
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise ValueError(f"{where} is not of the expected type")


# --- sockets and lines ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _address(path: Path) -> Iterator[str]:
    """An address for `path` that AF_UNIX takes: a long one is named through an open handle of its folder."""
    if len(os.fsencode(path)) <= ADDRESS_LIMIT:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _listen(path: Path) -> socket.socket:
    """A listening socket at `path`; a file left by a dead kiosk is replaced, a living one is `OSError`."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _address(path) as address:
            if path.exists() or path.is_symlink():
                _remove_stale(path, address)
            listener.bind(address)
        path.chmod(0o660)
        listener.listen(64)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path, address: str) -> None:
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise FileExistsError(f"{path} is not a socket; move it away, then start again")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(address)
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
    raise FileExistsError(f"another process already answers at {path}; stop it first")


def _lines(connection: socket.socket, limit: int) -> Iterator[bytes | None]:
    """Whole lines as they come; None, and then no more, for one that is longer than `limit`."""
    buffer = bytearray()
    while piece := connection.recv(65_536):
        buffer += piece
        while (end := buffer.find(b"\n")) >= 0:
            if end > limit:
                break
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            yield line
        if len(buffer) > limit:
            yield None
            return


def _encode(message: Mapping[str, object]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def _no(code: str, detail: str) -> dict[str, object]:
    return {"ok": False, "code": code, "detail": detail}


def _value(line: bytes) -> object:
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ControlRefused("bad_answer", "the kiosk's answer is not JSON") from error
    if isinstance(answer, dict) and answer.get("ok") is True:
        return answer.get("value")
    if isinstance(answer, dict) and isinstance(answer.get("code"), str):
        raise ControlRefused(answer["code"], str(answer.get("detail", "")))
    raise ControlRefused("bad_answer", "the kiosk's answer is neither yes nor no")
