"""From a ledger to an enterprise's page: the two commands as they are started, over real sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from delivery_fixtures import ORIGIN, FakeKiosk

from kiosk.hub.config import NewEnterprise, write_hub
from kiosk.records import fingerprint

ROOT = Path(__file__).parents[1]


def sheber(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "kiosk", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Running:
    """The command, left running; what it says is read line by line."""

    def __init__(self, *arguments: str | Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "kiosk", *map(str, arguments)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.said = ""

    def until(self, pattern: str) -> re.Match[str]:
        assert self.process.stdout is not None
        while not (found := re.search(pattern, self.said)):
            line = self.process.stdout.readline()
            assert line, f"it ended without {pattern!r}: {self.said}"
            self.said += line
        return found

    def stop(self) -> int:
        assert self.process.stdout is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(40)
        if not self.process.stdout.closed:
            self.said += self.process.stdout.read()
            self.process.stdout.close()
        return status


class World:
    """A hub that runs, a kiosk that answers, and a lab.toml that joins them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data, self.hub_data = folder / "data", folder / "hub"
        self.data.mkdir()
        self.kiosk = FakeKiosk(self.data)
        self.kiosk.start()
        self.hub = Running("hub", "--data", self.hub_data, "--listen", "127.0.0.1:0")
        self.port = int(self.hub.until(r"listens on http://127\.0\.0\.1:(\d+)")[1])
        self.lab = folder / "lab.toml"
        self.write_lab(f"http://127.0.0.1:{self.port}/hooks/main")

    def write_lab(self, url: str, enterprise: str = "main") -> None:
        secret = self.hub_data / "main.whsec"
        self.lab.write_text(
            f'[lab]\nid = "ktsk-w3"\nname = "W3"\n[[enterprise]]\nid = "{enterprise}"\nname = "Main"\n'
            f'url = "{url}"\nsecret_file = "{secret}"\nlocal = true\n'
        )

    def sync(self) -> subprocess.CompletedProcess[str]:
        return sheber("sync", "--lab", self.lab, "--data", self.data, "--once")

    def received(self) -> list[int]:
        token = (self.hub_data / "main.token").read_text().strip()
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)) as connection:
            connection.request("GET", "/api/v1/records", headers={"authorization": f"Bearer {token}"})
            return [item["entry"]["seq"] for item in json.loads(connection.getresponse().read())["records"]]

    def close(self) -> None:
        self.kiosk.close()
        self.hub.stop()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_records_go_from_the_ledger_to_the_hub_once_a_person_has_accepted_the_key(world: World) -> None:
    seqs = [world.kiosk.release("main", person_seq=n) for n in (1, 2)]
    first = world.sync()
    assert first.returncode == 1
    assert "a person must compare the fingerprint" in first.stderr
    assert world.received() == []

    vkey = (world.data / "sync" / "log.vkey").read_text().strip()
    assert vkey in first.stdout
    assert vkey.startswith(ORIGIN)
    accepted = sheber("hub", "accept", "--data", world.hub_data, *fingerprint(vkey).split())
    assert (accepted.returncode, accepted.stderr) == (0, "")

    second = world.sync()
    assert (second.returncode, second.stderr.count("Traceback")) == (0, 0)
    assert world.received() == seqs
    assert set(world.kiosk.receipts) == {("main", seq) for seq in seqs}
    assert world.sync().returncode == 0
    assert world.received() == seqs


def test_an_answer_that_was_lost_and_a_consent_withdrawn_meanwhile_double_nothing(world: World) -> None:
    """The hub has it, the receipt was lost, and the next delivery is another one: the hub asks for its proof."""
    first = world.kiosk.release("main")
    world.sync()
    sheber(
        "hub", "accept", "--data", world.hub_data, fingerprint((world.data / "sync" / "log.vkey").read_text().strip())
    )
    world.kiosk.on_receipt = lambda: (_ for _ in ()).throw(OSError("power cut"))  # type: ignore[assignment]
    assert world.sync().returncode == 1
    (world.data / "sync" / "sync.db").unlink()  # a new card for sync: it knows nothing of what it sent
    world.kiosk.on_receipt = lambda: None
    world.kiosk.withheld.add(first)
    second = world.kiosk.release("main", person_seq=2)
    assert world.sync().returncode == 0
    assert world.received() == [first, second]
    assert set(world.kiosk.receipts) == {("main", second)}


def test_a_running_sync_delivers_what_is_released_and_ends_on_a_signal(
    world: World, wait_until: Callable[..., object]
) -> None:
    running = Running("sync", "--lab", world.lab, "--data", world.data)
    vkey = running.until(r"verifier key of this log: (\S+)")[1]
    seq = world.kiosk.release("main")
    running.until("a person must compare")
    again = sheber("sync", "--lab", world.lab, "--data", world.data)
    assert (again.returncode, "another sheber sync" in again.stderr) == (1, True)
    assert sheber("hub", "accept", "--data", world.hub_data, fingerprint(vkey)).returncode == 0
    assert running.stop() == 0
    assert "Traceback" not in running.said
    assert world.sync().returncode == 0
    wait_until(lambda: world.received() == [seq], what="the record at the hub")


def test_sync_waits_for_a_kiosk_and_says_so(world: World) -> None:
    world.kiosk.stop()
    once = world.sync()
    assert (once.returncode, "start sheber run" in once.stderr) == (1, True)
    running = Running("sync", "--lab", world.lab, "--data", world.data)
    running.until("waiting for it")
    world.kiosk.start()
    running.until("verifier key of this log")
    assert running.stop() == 0


def test_keys_and_queue_can_be_read_by_nobody_else(world: World) -> None:
    world.kiosk.release("main")
    world.sync()
    folder = world.data / "sync"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("signing.key", "webhook.key", "sync.db"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    for name in ("hub.toml", "main.whsec", "main.token", "session.key", "hub.db"):
        assert stat.S_IMODE((world.hub_data / name).stat().st_mode) == 0o600


def test_a_key_that_others_may_read_is_not_used(world: World) -> None:
    world.sync()
    (world.data / "sync" / "webhook.key").chmod(0o644)
    refused = world.sync()
    assert (refused.returncode, "others may read the webhook key" in refused.stderr) == (1, True)
    assert "Traceback" not in refused.stderr


def test_a_secret_that_cannot_be_read_is_bad_configuration(world: World) -> None:
    text = world.lab.read_text()
    world.lab.write_text(text.replace("main.whsec", "gone.whsec"))
    refused = world.sync()
    assert (refused.returncode, "secret_file" in refused.stderr) == (78, True)


def test_an_enterprise_can_be_resumed_by_its_name_only(world: World) -> None:
    refused = sheber("sync", "--lab", world.lab, "--data", world.data, "--once", "--resume", "nobody")
    assert (refused.returncode, "'nobody'" in refused.stderr) == (78, True)


def test_a_fingerprint_that_is_off_by_a_digit_accepts_nothing(world: World) -> None:
    world.kiosk.release("main")
    world.sync()
    shown = fingerprint((world.data / "sync" / "log.vkey").read_text().strip())
    wrong = ("1" if shown[0] == "0" else "0") + shown[1:]
    refused = sheber("hub", "accept", "--data", world.hub_data, wrong)
    assert (refused.returncode, "no log with this fingerprint" in refused.stderr) == (1, True)


def test_accepting_works_while_no_hub_runs(world: World) -> None:
    world.kiosk.release("main")
    world.sync()
    assert world.hub.stop() == 0
    shown = fingerprint((world.data / "sync" / "log.vkey").read_text().strip())
    assert sheber("hub", "accept", "--data", world.hub_data, shown).returncode == 0


def test_a_second_hub_on_the_same_folder_is_refused_and_the_first_goes_on(world: World) -> None:
    refused = sheber("hub", "--data", world.hub_data, "--listen", "127.0.0.1:0")
    assert (refused.returncode, "another hub already runs" in refused.stderr) == (1, True)
    assert world.received() == []


def test_the_first_start_makes_a_configuration_and_tells_the_password_once(world: World) -> None:
    password = re.search(r"log in as main with the password (\S+)", world.hub.said)
    assert password is not None
    assert world.hub.stop() == 0
    again = Running("hub", "--data", world.hub_data, "--listen", "127.0.0.1:0")
    again.until("listens on")
    assert again.stop() == 0
    assert "password" not in again.said
    assert password[1] not in (world.hub_data / "hub.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("hub", "--data", "{made}", "--db", "postgresql://h/d"), 2, "keeps to SQLite"),
        (("hub",), 2, "--data"),
        (("hub", "--data", "{made}", "--listen", "nowhere"), 2, "not an address and a port"),
        (("hub", "--data", "{damaged}"), 78, "unknown key"),
        (("hub", "accept", "--data", "{empty}", "00"), 1, "no hub in"),
        (("sync", "--lab", "{lab}", "--data", "{missing}"), 1, "no folder"),
    ],
)
def test_a_wrong_use_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], status: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHEBER_DATA", raising=False)
    places = {name: tmp_path / name for name in ("made", "damaged", "empty", "missing", "lab")}
    for name in ("made", "damaged"):
        write_hub(places[name], [NewEnterprise("main", "Main")])
    with (places["damaged"] / "hub.toml").open("a") as file:
        file.write('password = "x"\n')
    places["empty"].mkdir()
    places["lab"].write_text('[lab]\nid = "w"\nname = "W"\n')
    done = sheber(*(argument.format(**places) for argument in arguments))
    assert (done.returncode, told in done.stderr) == (status, True)
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("command", [("sync",), ("hub",), ("hub", "accept")])
def test_every_help_has_an_example(command: tuple[str, ...]) -> None:
    assert f"Example: sheber {' '.join(command)}" in sheber(*command, "--help").stdout
