"""`sheber sync`: deliver released records to the enterprises."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kiosk.cli.common import EXIT_CONFIGURATION, EXIT_NO, data_option, fail, lab_option

if TYPE_CHECKING:
    from kiosk.sync.outbox import LogHead, Outbox
    from kiosk.sync.sender import Target
    from kiosk.sync.status import StatusFile
    from lab_config.model import Lab

ENDS = (signal.SIGTERM, signal.SIGINT)


@click.command(epilog="Example: sheber sync --lab /etc/sheber --data /var/lib/sheber --once")
@lab_option
@data_option
@click.option("--once", is_flag=True, help="Deliver everything there is now, then end: 0 done, 1 something was not.")
@click.option("--resume", metavar="ENTERPRISE", multiple=True, help="Deliver again to one that answered 410.")
def sync(lab: Path, data: Path, once: bool, resume: tuple[str, ...]) -> None:
    """Sign the log's head and deliver released records, until stopped.

    The keys are made at the first start in DATA/sync; nobody else needs to read them. While no kiosk runs on this data
    folder, it waits.
    """
    from kiosk.signatures import SignatureError  # noqa: PLC0415 (cryptography loads only here)
    from kiosk.store.schema import StoreError  # noqa: PLC0415
    from lab_config.load import ConfigurationError, load  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    try:
        loaded = load(lab)
    except ConfigurationError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        fail("the configuration has problems; run sheber check", EXIT_CONFIGURATION)
    unknown = sorted(set(resume) - {enterprise.id for enterprise in loaded.enterprises})
    if unknown:
        fail(f"the configuration has no enterprise {unknown[0]!r}; run sheber check", EXIT_CONFIGURATION)
    targets = _targets(loaded)
    if not data.is_dir():
        fail(f"there is no folder {data}; name the kiosk's data folder with --data")
    lock = _lock(data)
    try:
        _deliver(loaded, data, targets, once=once, resume=resume)
    except (SignatureError, StoreError) as error:
        fail(str(error))
    finally:
        os.close(lock)


def _deliver(lab: Lab, data: Path, targets: list[Target], *, once: bool, resume: tuple[str, ...]) -> None:
    from kiosk.clock import real_wall_ms  # noqa: PLC0415
    from kiosk.control import ControlClient, ControlRefused, NoKiosk  # noqa: PLC0415
    from kiosk.delivery_status import STATUS_FILE  # noqa: PLC0415
    from kiosk.sync.keys import load_or_make  # noqa: PLC0415
    from kiosk.sync.notary import Notary  # noqa: PLC0415
    from kiosk.sync.outbox import Outbox  # noqa: PLC0415
    from kiosk.sync.sender import Sender  # noqa: PLC0415
    from kiosk.sync.service import Sealer, Service, Stepper  # noqa: PLC0415
    from kiosk.sync.status import StatusFile  # noqa: PLC0415
    from kiosk.sync.store import SyncStore  # noqa: PLC0415

    if not once:
        # They are taken where we wait, so that they never come at an unfit moment.
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    store = SyncStore(data / "sync" / "sync.db")
    for enterprise in resume:
        store.resume(enterprise)
    outbox = Outbox(ControlClient(data / "control.sock"))
    status = StatusFile(data / STATUS_FILE, [target.enterprise for target in targets], real_wall_ms)
    try:
        head = outbox.head() if once else _wait_for_kiosk(outbox, status)
        if head is None:
            return
        _introduce(data / "sync", head.origin)
        notary = Notary(outbox, store, lambda origin: load_or_make(data / "sync", origin))
        others = [one.id for one in lab.enterprises if one.deliver != "webhook"]
        steppers: list[Stepper] = [
            Sender(target, outbox, store, notary, real_wall_ms, status=status) for target in targets
        ]
        if others:
            steppers.append(Sealer(others, outbox, notary, real_wall_ms))
        service = Service(steppers)
        if once:
            if not service.run_once():
                fail("not everything could be delivered; the lines above say why")
            return
        service.start()
        while not service.has_ended and signal.sigtimedwait(ENDS, 1) is None:
            status.beat()
        service.stop()
        click.echo("stopped; what is queued is sent at the next start")
    except NoKiosk as absence:
        fail(f"{absence}; start sheber run on this data folder")
    except ControlRefused as refusal:
        fail(f"the kiosk refused: {refusal}")
    finally:
        store.close()


def _wait_for_kiosk(outbox: Outbox, status: StatusFile) -> LogHead | None:
    """The log's head as soon as a kiosk answers; None where we are ended before."""
    from kiosk.control import NoKiosk  # noqa: PLC0415

    said = False
    while True:
        try:
            return outbox.head()
        except NoKiosk as absence:
            if not said:
                click.echo(f"{absence}; waiting for it")
                said = True
        status.beat()
        if signal.sigtimedwait(ENDS, 1) is not None:
            return None


def _introduce(folder: Path, origin: str) -> None:
    """Say what an enterprise needs to know of us."""
    from kiosk.records import fingerprint  # noqa: PLC0415
    from kiosk.sync.keys import load_or_make  # noqa: PLC0415

    keys = load_or_make(folder, origin)
    click.echo(f"verifier key of this log: {keys.signer.vkey}")
    click.echo(f"its fingerprint, for an enterprise to compare: {fingerprint(keys.signer.vkey)}")
    click.echo(f"public key of the webhook signature v1a: {keys.webhook_public}")


def _targets(lab: Lab) -> list[Target]:
    from kiosk.sync.sender import Target  # noqa: PLC0415

    return [
        Target(enterprise.id, enterprise.url, enterprise.local, _secrets(enterprise.id, enterprise.secret_file))
        for enterprise in lab.enterprises
        if enterprise.deliver == "webhook" and enterprise.url
    ]


def _secrets(enterprise: str, file: str | None) -> tuple[str, ...]:
    """The shared secrets in that file; bad configuration ends the program."""
    from kiosk.records import SecretError, read_secrets  # noqa: PLC0415

    try:
        return read_secrets(Path(file or ""))
    except SecretError as error:
        fail(f"{error}; correct it, or secret_file of the enterprise {enterprise}", EXIT_CONFIGURATION)


def _lock(data: Path) -> int:
    """One `sync` for a data folder: it is the only writer of its database."""
    (data / "sync").mkdir(mode=0o700, exist_ok=True)
    handle = os.open(data / "sync" / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        fail(f"another sheber sync already delivers from {data}; stop it first", EXIT_NO)
    return handle
