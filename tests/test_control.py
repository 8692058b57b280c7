"""The control socket: real sockets, real files."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from kiosk.commands import (
    AddUser,
    ApproveSessions,
    AskChoices,
    AssignBadge,
    BlockBadge,
    CheckDisclosure,
    CloseSession,
    Command,
    CommandRefused,
    DateBoot,
    DecideSession,
    Done,
    EnrolSeen,
    EnterManual,
    ErasePerson,
    GiveConsent,
    GrantQualification,
    HoldBriefing,
    ImportPeople,
    LinkUser,
    LockMachine,
    MergePeople,
    NoteAct,
    PersonRow,
    PickMachine,
    QuestionSession,
    RecordContract,
    RetireBadge,
    SavePerson,
    SaveUser,
    SetPassword,
    SetPin,
    SignCompetency,
    StoreCheckpoint,
    StoreReceipt,
    TouchStillHere,
    UndoReview,
    WithdrawConsent,
)
from kiosk.control import (
    REQUEST_LIMIT,
    SYNC_OPS,
    ControlClient,
    ControlRefused,
    ControlServer,
    NoKiosk,
    decode_command,
    encode_command,
)


def echo(request: dict[str, object]) -> object:
    return {key: value for key, value in request.items() if key != "op"}


def refuse(request: dict[str, object]) -> object:
    raise CommandRefused("own_session", "nobody decides on their own sessions")


def command(request: dict[str, object]) -> object:
    assert isinstance(request["command"], dict)
    return Done(seqs=(7,), value=repr(decode_command(request["command"])))


def broken(request: dict[str, object]) -> object:
    raise ZeroDivisionError


HANDLERS = {"log": echo, "refuse": refuse, "command": command, "broken": broken}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def server(path: Path) -> Iterator[ControlServer]:
    with ControlServer(path, HANDLERS, silence_s=0.3) as server:
        yield server


def raw(path: Path, request: bytes) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(40)
        connection.connect(str(path))
        connection.sendall(request)
        answer = json.loads(connection.makefile("rb").readline())
    assert isinstance(answer, dict)
    return answer


def test_a_question_is_answered_with_its_value(server: ControlServer) -> None:
    assert ControlClient(server.path).call("log", size=3, name="Ақбота") == {"size": 3, "name": "Ақбота"}


def test_a_refusal_keeps_the_code_of_the_clerk(server: ControlServer) -> None:
    with pytest.raises(ControlRefused) as refusal:
        ControlClient(server.path).call("refuse")
    assert (refusal.value.code, refusal.value.detail) == ("own_session", "nobody decides on their own sessions")


def test_the_socket_can_be_opened_by_owner_and_group_only(server: ControlServer) -> None:
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o660


def test_where_nobody_listens_the_client_says_no_kiosk(path: Path) -> None:
    with pytest.raises(NoKiosk):
        ControlClient(path).call("log")


def test_a_kiosk_that_does_not_answer_in_time_counts_as_none(path: Path) -> None:
    release = threading.Event()
    with ControlServer(path, {"log": lambda _: release.wait(5)}):
        with pytest.raises(NoKiosk):
            ControlClient(path, timeout_s=0.05).call("log")
        release.set()


def test_stopping_removes_the_socket(path: Path) -> None:
    with ControlServer(path, HANDLERS):
        assert path.exists()
    assert not path.exists()


def test_a_socket_left_by_a_dead_kiosk_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with ControlServer(path, HANDLERS):
        assert ControlClient(path).call("log") == {}


def test_a_living_kiosk_is_not_replaced(server: ControlServer) -> None:
    with pytest.raises(FileExistsError, match="already answers"):
        ControlServer(server.path, HANDLERS)
    assert ControlClient(server.path).call("log") == {}


def test_a_file_that_is_no_socket_is_left_alone(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="not a socket"):
        ControlServer(path, HANDLERS)
    assert path.read_text() == "precious"


def test_a_path_longer_than_a_socket_address_works(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    with ControlServer(folder / "control.sock", HANDLERS) as server:
        assert ControlClient(server.path).call("log", n=1) == {"n": 1}
        assert stat.S_IMODE(server.path.stat().st_mode) == 0o660
    assert not server.path.exists()


@pytest.mark.parametrize(
    "request_line",
    [
        b"not json\n",
        b"[]\n",
        b"{}\n",
        b'{"op":1}\n',
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\n",
        b'{"op":"command","command":{"type":"Shutdown"}}\n',
        b'{"op":"command"}\n',
    ],
)
def test_a_request_that_is_not_one_is_answered_as_such(server: ControlServer, request_line: bytes) -> None:
    assert raw(server.path, request_line)["code"] == "bad_request"


def test_a_request_over_the_limit_is_answered_and_hung_up(server: ControlServer) -> None:
    answer = raw(server.path, b'{"op":"log","x":"' + b"x" * REQUEST_LIMIT + b'"}\n')
    assert answer["code"] == "bad_request"


def test_an_unknown_op_is_refused_even_with_a_name_that_is_no_text(server: ControlServer) -> None:
    assert raw(server.path, b'{"op":"\\ud800"}\n')["code"] == "unknown_op"


def test_a_failing_handler_is_an_answer_and_the_next_call_works(server: ControlServer) -> None:
    assert raw(server.path, b'{"op":"broken"}\n')["code"] == "internal"
    assert ControlClient(server.path).call("log") == {}


def test_silent_callers_do_not_keep_others_out(server: ControlServer) -> None:
    silent = [socket.socket(socket.AF_UNIX) for _ in range(12)]
    try:
        for one in silent:
            one.connect(str(server.path))
        assert ControlClient(server.path).call("log") == {}
    finally:
        for one in silent:
            one.close()


AS_ANOTHER_USER = """
import os, sys, json
from pathlib import Path
from kiosk.control import ControlClient, ControlRefused
os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[3]))
for op, params in json.loads(sys.argv[4]):
    try:
        ControlClient(Path(sys.argv[1])).call(op, **params); print("yes")
    except ControlRefused as refusal:
        print(refusal.code)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become the sync user")
def test_the_sync_user_may_hand_over_receipts_and_checkpoints_and_nothing_else(tmp_path: Path) -> None:
    nobody, group = 65534, 4242
    path = Path("/tmp") / f"sheber-control-{os.getpid()}.sock"
    asked: list[tuple[str, dict[str, object]]] = [
        ("log", {}),
        ("command", {"command": encode_command(StoreReceipt("ent", (1, 2), "msg_1"))}),
        ("command", {"command": encode_command(StoreCheckpoint("note"))}),
        ("command", {"command": encode_command(BlockBadge("0F"))}),
        ("command", {}),
        ("refuse", {}),
    ]
    with ControlServer(path, HANDLERS, SYNC_OPS):
        os.chown(path, 0, group)
        done = subprocess.run(
            [sys.executable, "-c", AS_ANOTHER_USER, str(path), str(group), str(nobody), json.dumps(asked)],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[1],
        )
    assert done.stdout.split() == ["yes", "yes", "yes", "forbidden", "forbidden", "forbidden"]


COMMANDS: list[Command] = [
    ImportPeople(
        rows=(
            PersonRow("p1", "apprentice", "Ә", "Б", badges=("0F", "1A"), qualifications=(("briefing:cnc", None),)),
            PersonRow("p2", "instructor", "В", "Г", active=False, consent_until="2027-01-01"),
        )
    ),
    StoreReceipt("ent-steel", (3, 5, 8), "msg_abc"),
    StoreCheckpoint("origin\n1\nhash\n"),
    AddUser("i1", "instructor", "$argon2id$"),
    DecideSession(7, "adjusted", "u1", "other", "Ә", credited_ms=1, process="CNC3", seen="0a1b"),
    ApproveSessions((7, 9), "u1", ("0a1b", "2c3d")),
    EnterManual("p1", "mill-1", None, 1, 2, "u1", "kiosk_down", "Ә"),
    DateBoot(7, 1_795_000_000_000, "u1"),
    CloseSession(7, "u1"),
    LockMachine("mill-1", True, "u1"),
    GrantQualification("p1", "briefing:cnc", None, "u1"),
    BlockBadge("0F"),
    AssignBadge("0F", "p1"),
    RetireBadge("ref", "u1"),
    SavePerson(PersonRow("p3", "apprentice", "Қ", "Ұ", birth_date="2009-02-28"), "u1", new=True),
    MergePeople("p1", "p3", "u1"),
    ErasePerson("p1", "u1"),
    GiveConsent("p1", "ent-steel", None, "u1"),
    WithdrawConsent("p1", "ent-steel", "u1"),
    RecordContract("p1", "ent-steel", "2026-09-01", None, "Д-1", None, "u1"),
    SetPassword("i1", "$argon2id$", must_change=True),
    SetPin("i1", "$argon2id$"),
    SaveUser("i1", "lead", "2027-01-01", False, None, "u1"),
    LinkUser("i1", "p1"),
    NoteAct("signed_in", None, "10.0.0.7"),
    UndoReview((7, 9), "u1", (11, 12)),
    PickMachine("door", "mill-1", "CNC3", "ref"),
    AskChoices("ref"),
    TouchStillHere(7),
    QuestionSession(7, "ref", "Ә"),
    SignCompetency("ref", "CNC-c", 2, "u1", how="panel_both_badges", mark="badge"),
    HoldBriefing("briefing:cnc", ("ref", "ref2"), "2027-01-01", "u1"),
    EnrolSeen("mill-1", "p1", "u1", replace=True),
    CheckDisclosure("ent-steel", (3, 5)),
]


def test_every_command_there_is_is_among_the_examples() -> None:
    assert {type(each) for each in COMMANDS} >= set(get_args(Command))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: type(c).__name__)
def test_a_command_comes_back_equal_from_json(command: Command) -> None:
    assert decode_command(json.loads(json.dumps(encode_command(command)))) == command


def test_a_command_is_answered_with_the_entries_it_made(server: ControlServer) -> None:
    done = ControlClient(server.path).command(COMMANDS[0])
    assert done.seqs == (7,)
    assert done.value == repr(COMMANDS[0])


@pytest.mark.parametrize(
    "value",
    [
        {"type": "StoreReceipt", "enterprise": "e", "seqs": ["1"], "webhook_id": "w"},
        {"type": "StoreReceipt", "enterprise": "e", "seqs": [True], "webhook_id": "w"},
        {"type": "StoreReceipt", "enterprise": None, "seqs": [], "webhook_id": "w"},
        {"type": "StoreReceipt", "enterprise": "e", "seqs": []},
        {"type": "StoreReceipt", "enterprise": "e", "seqs": [], "webhook_id": "w", "more": 1},
        {"type": "ImportPeople", "rows": [{"person_id": "p1"}]},
        {"type": "ImportPeople", "rows": [["p1"]]},
        {"type": "Path"},
        {"type": ["StoreReceipt"]},
        {},
    ],
)
def test_json_that_is_no_command_of_ours_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_command(value)
