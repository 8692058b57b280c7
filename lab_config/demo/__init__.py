"""The demo lab: a whole invented workshop, which is also the example to copy.

`people.csv` is its roster. Its column `qualifications` holds `id[:valid_until]` separated by spaces; an id has a colon
of its own (`briefing:cnc`), so only a trailing ISO date is the last valid day: `briefing:cnc:2027-06-30`.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parent
PEOPLE = FOLDER / "people.csv"

CONNECTIONS = "connections.toml"
"""The one file whose values differ at every site, and at every start of the demo."""


def write_demo_lab(
    folder: Path,
    *,
    kiosk_listen: str,
    listen: str,
    mqtt_port: int,
    ports: Mapping[str, str],
    enterprise_urls: Mapping[str, str],
    secret_files: Mapping[str, str],
    token_files: Mapping[str, str] | None = None,
) -> Path:
    """Write the demo lab into `folder` with these addresses, and return the folder.

    `ports` tells the port of each reader, the other mappings are by enterprise; an enterprise without a token file
    cannot pull. Raises `ValueError` where a port, an address or a secret of the demo lab is not given.
    """
    parts = tomllib.loads((FOLDER / CONNECTIONS).read_text(encoding="utf-8"))
    for reader in parts["reader"]:
        reader["port"] = _given(ports, reader["id"], "port")
    for enterprise in parts["enterprise"]:
        enterprise["url"] = _given(enterprise_urls, enterprise["id"], "address")
        enterprise["secret_file"] = _given(secret_files, enterprise["id"], "secret file")
        if token_files and enterprise["id"] in token_files:
            enterprise["token_file"] = token_files[enterprise["id"]]
    parts["web"] |= {"kiosk_listen": kiosk_listen, "listen": listen}
    parts["mqtt"] = {"host": "127.0.0.1", "port": mqtt_port}

    folder.mkdir(parents=True, exist_ok=True)
    for template in FOLDER.glob("*.toml"):
        if template.name != CONNECTIONS:
            shutil.copyfile(template, folder / template.name)
    (folder / CONNECTIONS).write_text(_toml(parts), encoding="utf-8")
    return folder


def _given(values: Mapping[str, str], key: str, what: str) -> str:
    if key not in values:
        raise ValueError(f"The demo lab's “{key}” needs its {what}, and none was given.")
    return values[key]


def _toml(parts: Mapping[str, dict[str, object] | list[dict[str, object]]]) -> str:
    """Tables and arrays of tables one level deep, as TOML."""
    lines = [f"# Written at each start of the demo; lab_config/demo/{CONNECTIONS} explains every line.", ""]
    for name, part in parts.items():
        header, tables = (f"[[{name}]]", part) if isinstance(part, list) else (f"[{name}]", [part])
        for table in tables:
            lines += [header, *(f"{key} = {_value(value)}" for key, value in table.items()), ""]
    return "\n".join(lines)


def _value(value: object) -> str:
    """A value as TOML, whose texts, numbers and lists are written like JSON's."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_value(one)}" for key, one in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
