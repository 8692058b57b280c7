"""The house keeps its floors: who may import whom, who may ask the time, and what no file may hold (architecture)."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("firmware_bridge", "kiosk", "lab_config")

# The longest prefix of a module's name decides.
FLOORS = {
    "kiosk.__main__": 5,
    "kiosk.cli": 5,
    "kiosk.assembly": 5,
    "kiosk.office": 5,
    "kiosk.restore": 5,
    "kiosk.demo": 5,
    "kiosk.web": 4,
    "kiosk.clerk": 4,
    "kiosk.desk": 4,
    "kiosk.voice": 4,
    "kiosk.sync": 4,
    "kiosk.hub": 4,
    "kiosk.store": 3,
    "kiosk.ballast": 3,
    "kiosk.inbox": 3,
    "kiosk.inspector": 3,
    "kiosk.clock": 3,
    "kiosk.refs": 3,
    "kiosk.proofs": 3,
    "kiosk.signatures": 3,
    "kiosk.records": 3,
    "kiosk.control": 3,
    "kiosk.imports": 3,
    "kiosk.replay": 3,
    "kiosk.disclosure": 3,
    "kiosk.delivery_status": 3,
    "kiosk.projection": 3,
    "kiosk.audit": 3,
    "kiosk.registrar": 3,
    "kiosk.roster": 3,
    "kiosk.accounts": 3,
    "kiosk.known_badges": 3,
    "kiosk.roll_call": 3,
    "kiosk.seen": 3,
    "kiosk.shopfloor": 3,
    "kiosk.vouching": 3,
    "kiosk.words": 2,
    "kiosk.phrases": 2,
    "kiosk.reports": 3,
    "kiosk.snapshot": 3,
    "lab_config": 3,
    "kiosk.domain": 2,
    "kiosk.commands": 2,
    "kiosk.roster_commands": 2,
    "kiosk.badge_numbers": 2,
    "kiosk.passwords": 2,
    "firmware_bridge": 2,
    "firmware_bridge.readers": 1,
    "firmware_bridge.machines": 1,
    "lab_config.model": 1,
    "firmware_bridge.observations": 0,
    "firmware_bridge.options": 0,
}
APART = (
    {"kiosk.web", "kiosk.clerk", "kiosk.sync", "kiosk.hub", "kiosk.voice"},
    {"firmware_bridge.readers", "firmware_bridge.machines"},
)
"""Rooms of one floor that do not know one another."""

# Pure: no clock, no thread, no file, no network. The same input gives the same output, for ever.
PURE = ("kiosk.domain", "kiosk.commands", "kiosk.roster_commands", "lab_config.model", "firmware_bridge.observations")
PURE += ("firmware_bridge.options", "firmware_bridge.readers", "firmware_bridge.machines", "kiosk.badge_numbers")
IMPURE = {"asyncio", "logging", "multiprocessing", "os", "paho", "pathlib", "queue", "select", "selectors", "serial"}
IMPURE |= {"socket", "sqlite3", "sqlite_utils", "subprocess", "tempfile", "threading"}

PACING = {"monotonic", "monotonic_ns"}
TIME_HOMES = {
    "kiosk.clock": None,  # everything
    "kiosk.cli": PACING | {"sleep"},  # a command that waits for somebody
    "kiosk.web": PACING,  # streams, sign-ins and screens keep real time
    "kiosk.sync": PACING,
    "kiosk.hub": PACING,
    "firmware_bridge.serial_link": PACING | {"sleep"},
    "firmware_bridge.mqtt_link": PACING | {"sleep"},
    "firmware_bridge.relay": PACING,
    "firmware_bridge.probe": PACING,
    "kiosk.voice": PACING,  # a beat is real time
    "kiosk.roll_call": PACING,  # people who stand there wait in real time
    "firmware_bridge.simulator": PACING | {"sleep"},
}
"""What of the module `time` a room may use."""
CHANCE_HOMES: dict[str, set[str] | None] = {
    "kiosk.refs": None,
    "kiosk.demo": {"random.Random"},  # seeded: the demo is the same every time
    "firmware_bridge.simulator": {"random.Random"},
}
CHANCE = {"uuid.uuid1", "uuid.uuid4", "os.urandom"}
WALL_CLOCK = {"now", "utcnow", "today"}

LONGEST = 450
REGISTRIES = (
    "py" + "pi.org",
    "python" + "hosted",
    "registry." + "npmjs",
    "piwheels" + ".",
    "--" + "index-url",
    "--extra-" + "index",
)
LEFTOVERS = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
OTHERS_WORK = {"vendor", "captures", "locale"}
"""Folders whose files are others' work, data or catalogues."""
WITHOUT_LAW = {"templates", "static", "locale"}


# --- reading the sources ---------------------------------------------------------------------------------------------


def files() -> Iterator[Path]:
    """Every file of the project, without what tools leave behind."""
    yield from (path for path in ROOT.iterdir() if path.is_file())
    for folder in (*PACKAGES, "static", "tests", ".ci"):
        for path in (ROOT / folder).rglob("*"):
            inside = path.relative_to(ROOT).parts[1:]
            if path.is_file() and not any(part.startswith((".", "__pycache__", "artefacts")) for part in inside):
                yield path


def text_files() -> Iterator[tuple[Path, str]]:
    """Those of them that are text."""
    for path in files():
        try:
            yield path.relative_to(ROOT), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def module_name(path: Path) -> str:
    """`kiosk/web/__init__.py` is `kiosk.web`."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> dict[str, str]:
    """Module name to text, for everything that is installed."""
    return {
        module_name(path): text for path, text in text_files() if path.suffix == ".py" and path.parts[0] in PACKAGES
    }


MODULES_WITH_CHILDREN = {name.rpartition(".")[0] for name in sources()}


def longest_prefix(module: str, names: object) -> str | None:
    """The name among `names` that `module` is or lies in; the longest one."""
    parts = module.split(".")
    found = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((name for name in found if name in names), None)  # type: ignore[operator]


@cache
def nodes(text: str) -> tuple[ast.AST, ...]:
    """Every node of a source, functions and type checking included."""
    return tuple(ast.walk(ast.parse(text)))


def imports(module: str, text: str) -> Iterator[tuple[int, str]]:
    """(line, full name) of everything imported anywhere in the file."""
    for node in nodes(text):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                up = node.level - 1 if module in MODULES_WITH_CHILDREN else node.level
                base = ".".join([*parts[: len(parts) - up], *filter(None, [base])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def names_used(module: str, text: str) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything imported or reached through an import: `from time import time as t` too."""
    known: dict[str, str] = {}
    for node in nodes(text):
        if isinstance(node, ast.Import):
            known.update({(alias.asname or alias.name.partition(".")[0]): alias.name for alias in node.names})
        elif isinstance(node, ast.ImportFrom) and not node.level:
            known.update({(alias.asname or alias.name): f"{node.module}.{alias.name}" for alias in node.names})
    yield from imports(module, text)
    for node in nodes(text):
        first, dot, rest = dotted(node).partition(".")
        if first in known:
            yield node.lineno, known[first] + dot + rest  # type: ignore[attr-defined]


def dotted(node: ast.AST) -> str:
    """`a.b.c` where the source says just that, else nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


# --- the rules: each gives what is wrong with one source -------------------------------------------------------------


def climbs(module: str, text: str) -> Iterator[str]:
    """Imports that go up, or sideways where rooms are apart, and modules that stand on no floor."""
    room = longest_prefix(module, FLOORS)
    if module in PACKAGES:
        room = room or module
    elif room is None:
        yield f"{module} stands on no floor: add it to FLOORS in {Path(__file__).name} and to the README"
        return
    for line, target in imports(module, text):
        if target.partition(".")[0] not in PACKAGES:
            continue
        there = longest_prefix(target, FLOORS)
        if there is None or there == room:
            continue
        apart = any({room, there} <= group for group in APART)
        if apart or FLOORS[there] > FLOORS.get(room or "", 0):
            yield f"{module}:{line} imports {target}"


def knows_too_much(module: str, text: str) -> Iterator[str]:
    """The bridge imports nothing of ours, the domain little, and a pure room nothing that touches the world."""
    pure = longest_prefix(module, PURE)
    for line, target in imports(module, text):
        top = target.partition(".")[0]
        outside = top in PACKAGES and top != "firmware_bridge" and module.partition(".")[0] == "firmware_bridge"
        domain = longest_prefix(module, {"kiosk.domain"}) is not None
        foreign = domain and not (
            top in sys.stdlib_module_names or longest_prefix(target, {"kiosk.domain", "lab_config.model"})
        )
        if outside or foreign or (pure and top in IMPURE):
            yield f"{module}:{line} imports {target}"


def asks_the_time(module: str, text: str) -> Iterator[str]:
    """The module `time`, and now(), utcnow() and today(), outside their homes."""
    home = longest_prefix(module, TIME_HOMES)
    allowed = TIME_HOMES[home] if home else set()
    if allowed is None:
        return
    for line, name in names_used(module, text):
        first, _, rest = name.partition(".")
        parts = name.split(".")
        if (first == "time" and rest and rest not in allowed) or (
            parts[-1] in WALL_CLOCK and len(parts) > 1 and parts[-2] in {"datetime", "date"}
        ):
            yield f"{module}:{line} uses {name}"


def draws_lots(module: str, text: str) -> Iterator[str]:
    """Random numbers and random ids outside their homes."""
    home = longest_prefix(module, CHANCE_HOMES)
    allowed = CHANCE_HOMES[home] if home else set()
    if allowed is None:
        return
    for line, name in names_used(module, text):
        lots = name.startswith(("random.", "secrets.")) or name in {"secrets"} | CHANCE
        if lots and name not in allowed:
            yield f"{module}:{line} uses {name}"


def prints(module: str, text: str) -> Iterator[str]:
    """print() anywhere, and click.echo outside the commands."""
    for node in nodes(text):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"{module}:{node.lineno} prints"
    if longest_prefix(module, {"kiosk.cli"}) is None:
        yield from (
            f"{module}:{line} uses {name}"
            for line, name in names_used(module, text)
            if name in {"click.echo", "click.secho", "sys.stdout", "sys.stderr"}
        )


def too_long(path: str, text: str) -> Iterator[str]:
    """More than fits a head."""
    lines = text.count("\n")
    if lines > LONGEST:
        yield f"{path} has {lines} lines, more than {LONGEST}"


def names_a_registry(path: str, text: str) -> Iterator[str]:
    """An address that only holds at one place; pip and its lock files need none."""
    yield from (f"{path} names {word}" for word in REGISTRIES if word in text.casefold())


def has_leftovers(path: str, text: str) -> Iterator[str]:
    """Words that say that something is not done."""
    yield from (f"{path} says {match[0]}" for match in LEFTOVERS.finditer(text))


def readme_faults(folder: str, text: str | None) -> Iterator[str]:
    """A folder says its law in at most ten lines."""
    if text is None:
        yield f"{folder}/ has no README.md"
    elif not 1 <= (lines := sum(bool(line.strip()) for line in text.splitlines())) <= 10:
        yield f"{folder}/README.md has {lines} lines, not 1 to 10"


# --- the house -------------------------------------------------------------------------------------------------------


def none_of(faults: Iterable[str]) -> None:
    """Fails with every fault, one a line."""
    if found := sorted(set(faults)):
        pytest.fail("\n".join(found), pytrace=False)


def in_sources(rule: Callable[[str, str], Iterator[str]]) -> Iterator[str]:
    for module, text in sources().items():
        yield from rule(module, text)


def in_files(rule: Callable[[str, str], Iterator[str]], suffixes: set[str] | None = None) -> Iterator[str]:
    for path, text in text_files():
        if not OTHERS_WORK & set(path.parts) and (suffixes is None or path.suffix in suffixes):
            yield from rule(str(path), text)


def folders() -> Iterator[Path]:
    """Those that have a law: not templates and assets, and nothing inside catalogues and captures."""
    found = {parent for path in files() for parent in path.relative_to(ROOT).parents}
    for folder in found:
        ours = folder.parts and folder.parts[0] in (*PACKAGES, "tests")
        if ours and not WITHOUT_LAW & set(folder.parts) and not OTHERS_WORK & set(folder.parts[:-1]):
            yield folder


def test_imports_go_down_only() -> None:
    none_of(in_sources(climbs))


def test_the_domain_and_the_bridge_know_only_what_they_may() -> None:
    none_of(in_sources(knows_too_much))


def test_only_the_clock_asks_what_time_it_is() -> None:
    none_of(in_sources(asks_the_time))


def test_only_refs_draw_lots() -> None:
    none_of(in_sources(draws_lots))


def test_only_commands_print() -> None:
    none_of(in_sources(prints))


def test_no_file_is_too_long() -> None:
    none_of(in_files(too_long, {"", ".py", ".sh", ".js", ".css", ".html", ".md"}))


def test_every_folder_says_its_law() -> None:
    readmes = {folder: ROOT / folder / "README.md" for folder in folders()}
    none_of(
        fault
        for folder, readme in readmes.items()
        for fault in readme_faults(str(folder), readme.read_text(encoding="utf-8") if readme.exists() else None)
    )


def test_no_file_names_a_package_registry() -> None:
    none_of(in_files(names_a_registry))


def test_nothing_is_left_to_do() -> None:
    none_of(in_files(has_leftovers))


# --- the rules can fail ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "where", "bad"),
    [
        (climbs, "kiosk.domain.sessions", "from kiosk.store import ledger"),
        (climbs, "kiosk.domain.sessions", "from ..store import ledger"),
        (climbs, "kiosk.store.views", "def f():\n    from kiosk import web"),
        (climbs, "kiosk.web.feed", "import kiosk.clerk"),
        (climbs, "kiosk.sync.post", "from kiosk.hub import verify"),
        (climbs, "kiosk.web.feed", "from kiosk.assembly import build"),
        (climbs, "firmware_bridge.observations", "from firmware_bridge import readers"),
        (climbs, "firmware_bridge.readers.line", "from firmware_bridge.machines import text"),
        (climbs, "lab_config.model", "from lab_config.load import load"),
        (climbs, "kiosk.attic", ""),
        (knows_too_much, "firmware_bridge.serial_link", "from lab_config.model import Lab"),
        (knows_too_much, "kiosk.domain.decide", "from firmware_bridge.observations import BadgeSeen"),
        (knows_too_much, "kiosk.domain.decide", "import click"),
        (knows_too_much, "kiosk.domain.decide", "from lab_config.load import load"),
        (knows_too_much, "firmware_bridge.machines.text", "import threading"),
        (asks_the_time, "kiosk.clerk", "import time\ntime.time()"),
        (asks_the_time, "kiosk.clerk", "from time import time as now"),
        (asks_the_time, "kiosk.sync.post", "import time\ntime.sleep(1)"),
        (asks_the_time, "kiosk.domain.timeline", "from datetime import datetime, UTC\ndatetime.now(UTC)"),
        (asks_the_time, "kiosk.domain.timeline", "import datetime as dt\ndt.date.today()"),
        (draws_lots, "kiosk.clerk", "import uuid\nuuid.uuid4()"),
        (draws_lots, "kiosk.clerk", "from uuid import uuid4 as new"),
        (draws_lots, "kiosk.web.accounts", "import secrets"),
        (draws_lots, "firmware_bridge.simulator.days", "import random\nrandom.random()"),
        (prints, "kiosk.domain.decide", "print('here')"),
        (prints, "kiosk.cli.demo", "print('here')"),
        (prints, "kiosk.assembly", "import click\nclick.echo('here')"),
        (too_long, "kiosk/web/feed.py", "\n" * (LONGEST + 1)),
        (names_a_registry, "requirements.lock", "https://" + REGISTRIES[0] + "/simple"),
        (has_leftovers, "run", "# TO" + "DO: later"),
        (readme_faults, "kiosk", None),
        (readme_faults, "kiosk", "line\n" * 11),
        (readme_faults, "kiosk", "\n"),
    ],
)
def test_each_rule_finds_what_breaks_it(rule: Callable[..., Iterator[str]], where: str, bad: str | None) -> None:
    assert list(rule(where, bad))


@pytest.mark.parametrize(
    ("rule", "where", "good"),
    [
        (climbs, "kiosk.web.feed", "from kiosk.words import Words\nfrom kiosk.store.schema import open_reader"),
        (climbs, "kiosk.cli.run", "from kiosk import assembly"),
        (climbs, "kiosk.store.views", "from kiosk.domain import sessions"),
        (knows_too_much, "kiosk.domain.decide", "from lab_config.model import Lab\nimport dataclasses"),
        (asks_the_time, "kiosk.clock", "import time\ntime.time()"),
        (asks_the_time, "kiosk.sync.post", "from time import monotonic\nmonotonic()"),
        (asks_the_time, "kiosk.domain.timeline", "from datetime import datetime, time\ntime(18, 0)\nself.now()"),
        (draws_lots, "firmware_bridge.simulator.days", "import random\nrandom.Random(7).random()"),
        (asks_the_time, "kiosk.clerk", "def f(time): return time.hour"),
        (draws_lots, "kiosk.records", "import uuid\nuuid.uuid5(a, b)"),
        (prints, "kiosk.cli.demo", "import click\nclick.echo('here')"),
    ],
)
def test_no_rule_finds_fault_with_what_is_allowed(rule: Callable[..., Iterator[str]], where: str, good: str) -> None:
    assert not list(rule(where, good))
