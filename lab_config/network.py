"""The two tables of the network, `[web]` and `[mqtt]`, and the enterprises records go to."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from lab_config.model import Enterprise, Mqtt, Web
from lab_config.tables import Table

DELIVER = ("webhook", "pull", "file")
RELEASE = ("approved", "with-pending")
MQTT_VERSIONS = ("3.1.1", "5")
EVIDENCE = ("badge+machine", "badge", "manual")

_LISTEN = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\s\[\]/]+)):(?P<port>\d{1,5})", re.ASCII)


def read_web(table: Table | None) -> Web:
    """`[web]`, or its defaults."""
    if table is None:
        return Web()
    web = Web(
        listen=_listen(table, "listen", Web.listen),
        kiosk_listen=_listen(table, "kiosk_listen", Web.kiosk_listen),
        public_url=_url(table, "public_url"),
        tls_cert=table.file_name("tls_cert"),
        tls_key=table.file_name("tls_key") or table.file_name("tls_cert"),
        panel_pin=table.flag("panel_pin", Web.panel_pin),
    )
    if web.listen == web.kiosk_listen and not web.listen.endswith(":0"):
        table.problem("kiosk_listen", f"The staff side has {web.listen} already.", "Give it a port of its own.")
    _refuse_lone_key(table, "tls_key", web.tls_key, "tls_cert", web.tls_cert)
    table.close()
    return web


def read_mqtt(table: Table | None) -> Mqtt | None:
    """`[mqtt]`, or `None` where it is left out."""
    if table is None:
        return None
    mqtt = Mqtt(
        host=table.text("host", Mqtt.host),
        port=table.whole("port", Mqtt.port, 1, 65_535),
        username=table.optional_text("username"),
        password_file=table.file_name("password_file"),
        ca_file=table.file_name("ca_file"),
        cert_file=table.file_name("cert_file"),
        key_file=table.file_name("key_file") or table.file_name("cert_file"),
        version=table.choice("version", MQTT_VERSIONS, Mqtt.version),
    )
    _refuse_lone_key(table, "key_file", mqtt.key_file, "cert_file", mqtt.cert_file)
    if mqtt.password_file and not mqtt.username:
        table.problem("password_file", "There is a password and nobody it belongs to.", 'Write username = "...".')
    if mqtt.cert_file and not mqtt.ca_file:
        table.problem("cert_file", "A client certificate is shown over TLS only.", 'Write ca_file = "...".')
    table.close()
    return mqtt


def read_enterprise(table: Table, identifier: str) -> Enterprise:
    """One `[[enterprise]]`."""
    enterprise = Enterprise(
        id=identifier,
        name=table.local_text("name", identifier),
        deliver=table.choice("deliver", DELIVER, Enterprise.deliver),
        url=_url(table, "url"),
        secret_file=table.file_name("secret_file"),
        token_file=table.file_name("token_file"),
        release=table.choice("release", RELEASE, Enterprise.release),
        accepts=table.texts("accepts", EVIDENCE) if "accepts" in table else Enterprise.accepts,
        local=table.flag("local", Enterprise.local),
    )
    if not enterprise.accepts:
        table.problem("accepts", "It takes no evidence at all.", f"Choose of {', '.join(EVIDENCE)}.")
    if enterprise.deliver == "webhook":
        for key in ("url", "secret_file"):
            if table.blank(key):
                table.problem(None, f"A webhook needs {key}, which is missing.", f'Write {key} = "...".')
    if enterprise.deliver == "pull" and table.blank("token_file"):
        table.problem(None, "Who pulls shows a token, and token_file is missing.", 'Write token_file = "...".')
    if enterprise.url and not enterprise.local:
        _refuse_unsafe_url(table, enterprise.url)
    table.close()
    return enterprise


def split_listen(address: str) -> tuple[str, int]:
    """Host and port of `0.0.0.0:8443` or `[::]:8443`; raises `ValueError` for anything else."""
    match = _LISTEN.fullmatch(address)
    if match is None or int(match["port"]) > 65_535:
        raise ValueError(f"“{address}” is not an address and a port.")
    return match["v6"] or match["host"], int(match["port"])


def _listen(table: Table, key: str, default: str) -> str:
    address = table.text(key, default)
    try:
        split_listen(address)
    except ValueError as error:
        table.problem(key, str(error), f'Write it like {key} = "{default}".')
        return default
    return address


def _url(table: Table, key: str) -> str | None:
    """A web address without a name or password in it."""
    address = table.optional_text(key)
    if address is None:
        return None
    try:
        parts = urlsplit(address)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        table.problem(key, f"“{address}” is not a web address.", f'Write {key} = "https://...".')
        return None
    if parts.username or parts.password:
        table.problem(key, "A secret does not stand in an address.", "Take out what is before the “@”.")
        return None
    return address


def _refuse_unsafe_url(table: Table, url: str) -> None:
    """Records travel encrypted and to the outside, unless the enterprise is `local`."""
    parts = urlsplit(url)
    remedy = "Use the address the enterprise has on the internet, or write local = true."
    if parts.scheme != "https":
        table.problem("url", "Records would travel unencrypted.", "Use https, or write local = true inside one house.")
    try:
        address = ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        if parts.hostname == "localhost":
            table.problem("url", "It points at this computer.", remedy)
        return
    if not address.is_global:
        table.problem("url", f"{address} is an address of the house.", remedy)


def _refuse_lone_key(table: Table, key: str, key_file: str | None, cert: str, cert_file: str | None) -> None:
    """A certificate's file may hold its key too, and is then both; a key alone proves nothing."""
    if key_file and not cert_file:
        table.problem(key, f"It stands without {cert}.", f'Write {cert} = "..." too.')
