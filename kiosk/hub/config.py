"""`hub.toml`: the enterprises of a hub, with the names of their secret files; and how a first one is made."""

from __future__ import annotations

import base64
import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kiosk.records import SecretError, read_secrets
from kiosk.refs import new_ref, new_salt, new_token
from kiosk.signatures import SignatureError, Verifier, webhook_public_key

FILE = "hub.toml"
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""Argon2id as the contract wants it (section 10)."""

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_HUB_KEYS = {"listen", "https", "demo"}
_ENTERPRISE_KEYS = {"id", "name", "secret_file", "token_file", "password_hash", "webhook_public_key", "trusted"}


class HubConfigError(Exception):
    """`hub.toml` cannot be used; the message says where, what is wrong and what to do."""


@dataclass(frozen=True)
class HubEnterprise:
    """One enterprise of the hub; it never sees another's records. Its id is also its account's name."""

    id: str
    name: str
    secrets: tuple[str, ...] = field(repr=False)
    """`whsec_...`, one for each sender or while one replaces another; any of them is good."""
    token: str = field(repr=False)
    password_hash: str = field(repr=False)
    webhook_key: Ed25519PublicKey | None = None
    """Where it is known, every delivery must carry its `v1a` signature too."""
    trusted: tuple[Verifier, ...] = ()
    """Verifier keys of logs that were compared beforehand and need no acceptance."""


@dataclass(frozen=True)
class HubConfig:
    """Everything in `hub.toml`."""

    enterprises: Mapping[str, HubEnterprise]
    listen: str = "127.0.0.1:8090"
    https: bool = False
    """People reach it over https (a proxy in front of it): cookies are then sent over https only."""
    demo: bool = False
    """Everything in it is invented, and every page says so."""


@dataclass(frozen=True)
class NewEnterprise:
    """An enterprise to make."""

    id: str
    name: str
    password: str | None = field(default=None, repr=False)
    """Made up where left out."""
    trusted: tuple[str, ...] = ()
    """Verifier keys (`vkey` text) that are accepted from the start."""
    webhook_public_key: str | None = None


@dataclass(frozen=True)
class MadeEnterprise:
    """What was made, to be handed to people and senders once."""

    id: str
    secret_file: Path
    token_file: Path
    token: str = field(repr=False)
    password: str = field(repr=False)


def write_hub(
    folder: Path, enterprises: Sequence[NewEnterprise], *, listen: str = HubConfig.listen, demo: bool = False
) -> list[MadeEnterprise]:
    """Write `hub.toml` and the secret files of these enterprises into `folder`, all 0600; nothing is overwritten."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = []
    lines = ["# Written by sheber hub. Every value may be changed; the hub reads it at its start.", "", "[hub]"]
    lines += [f"listen = {json.dumps(listen)}", "https = false", *(["demo = true"] if demo else []), ""]
    for new in enterprises:
        password = new.password or "-".join(re.findall("....", new_ref()))
        token = new_token()
        secret_file, token_file = folder / f"{new.id}.whsec", folder / f"{new.id}.token"
        _write_private(secret_file, "whsec_" + base64.b64encode(new_salt() + new_salt()).decode() + "\n")
        _write_private(token_file, token + "\n")
        lines += [
            "[[enterprise]]",
            f"id = {json.dumps(new.id)}",
            f"name = {json.dumps(new.name, ensure_ascii=False)}",
            f"secret_file = {json.dumps(secret_file.name)}",
            f"token_file = {json.dumps(token_file.name)}",
            f"password_hash = {json.dumps(HASHER.hash(password))}",
        ]
        if new.webhook_public_key:
            lines.append(f"webhook_public_key = {json.dumps(new.webhook_public_key)}")
        if new.trusted:
            lines.append(f"trusted = {json.dumps(list(new.trusted))}")
        lines.append("")
        made.append(MadeEnterprise(new.id, secret_file, token_file, token, password))
    _write_private(folder / FILE, "\n".join(lines))
    return made


def load_hub(folder: Path) -> HubConfig:
    """The configuration in `folder`; `HubConfigError` with one sentence where it cannot be used."""
    path = folder / FILE
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HubConfigError(f"{path} cannot be read: {error}; correct it, or move it away to have one made") from error
    hub, tables = values.pop("hub", {}), values.pop("enterprise", [])
    _no_unknown(path, values, set())
    if not isinstance(hub, dict) or not isinstance(tables, list) or not tables:
        raise HubConfigError(f"{path} needs at least one [[enterprise]]; see sheber hub --help")
    _no_unknown(path, hub, _HUB_KEYS)
    enterprises: dict[str, HubEnterprise] = {}
    for table in tables:
        enterprise = _enterprise(path, table)
        if enterprise.id in enterprises:
            raise HubConfigError(f"{path} has the enterprise {enterprise.id} twice; give one another id")
        enterprises[enterprise.id] = enterprise
    listen, https, demo = hub.get("listen", HubConfig.listen), hub.get("https", False), hub.get("demo", False)
    if not isinstance(listen, str) or not isinstance(https, bool) or not isinstance(demo, bool):
        raise HubConfigError(f'{path}: listen is text like "127.0.0.1:8090", https and demo are true or false')
    return HubConfig(enterprises, listen, https, demo)


def split_listen(listen: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8090` or `[::1]:8090`; `ValueError` for anything else."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65_535 or not host:
        raise ValueError(f"{listen!r} is not an address and a port, like 127.0.0.1:8090")
    return host.strip("[]"), int(port)


def _enterprise(path: Path, table: object) -> HubEnterprise:
    if not isinstance(table, dict):
        raise HubConfigError(f"{path}: enterprise must be written as [[enterprise]]")
    _no_unknown(path, table, _ENTERPRISE_KEYS)
    identifier = _text(path, table, "id")
    if not _ID.fullmatch(identifier):
        raise HubConfigError(f"{path}: the id {identifier!r} may hold a-z, 0-9 and - only")
    where = f"{path}, enterprise {identifier}"
    key, trusted = table.get("webhook_public_key"), table.get("trusted", [])
    if not isinstance(trusted, list) or not isinstance(key, str | None):
        raise HubConfigError(f'{where}: webhook_public_key is "whpk_..." and trusted a list of verifier keys')
    try:
        verifiers = tuple(Verifier.from_vkey(str(vkey)) for vkey in trusted)
        webhook_key = webhook_public_key(key) if key else None
        extract_parameters(password_hash := _text(path, table, "password_hash"))
    except (SignatureError, InvalidHashError) as error:
        raise HubConfigError(f"{where}: {error}; copy the value again") from error
    token = _file(path, table, "token_file")
    if len(token) != 1 or len(token[0]) < 16:
        raise HubConfigError(f"{where}: the token file must hold one line of at least 16 characters")
    try:
        webhook_secrets = read_secrets(path.parent / _text(path, table, "secret_file"))
    except SecretError as error:
        raise HubConfigError(f"{where}: {error}") from error
    return HubEnterprise(
        id=identifier,
        name=_text(path, table, "name"),
        secrets=webhook_secrets,
        token=token[0],
        password_hash=password_hash,
        webhook_key=webhook_key,
        trusted=verifiers,
    )


def _text(path: Path, table: Mapping[str, object], key: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value:
        raise HubConfigError(f'{path}: an [[enterprise]] lacks {key}; write {key} = "..."')
    return value


def _file(path: Path, table: Mapping[str, object], key: str) -> tuple[str, ...]:
    name = path.parent / _text(path, table, key)
    try:
        return tuple(name.read_text(encoding="utf-8").split())
    except (OSError, ValueError) as error:
        raise HubConfigError(f"{name}, named as {key} in {path}, cannot be read: {error}") from error


def _no_unknown(path: Path, table: Mapping[str, object], known: set[str]) -> None:
    if unknown := sorted(set(table) - known):
        raise HubConfigError(f"{path} has an unknown key {unknown[0]!r}; correct or remove it")


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
