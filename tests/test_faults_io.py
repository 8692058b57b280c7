"""A disk that fails makes no liar of the kiosk: what it answered is kept, what it could not keep it did not answer."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from tests.faults.failing_disk import Bench, Fault, Outcome, says_so
from tests.faults.kiosk_life import RED
from tests.faults.oracle import LifeStory

ERRORS = ("ENOSPC", "EIO", "EROFS")
WHEN = {"pwrite64": 60, "fdatasync": 9, "fsync": 2, "ftruncate": 2}
"""How many calls of each kind a start and six taps take, at least."""


def suffer_all(folder: Path, faults: list[Fault]) -> list[tuple[Fault, Outcome]]:
    """Each fault on a fresh copy, in two kiosks side by side."""

    def some(share: int) -> list[tuple[Fault, Outcome]]:
        (folder / str(share)).mkdir()
        with closing(Bench(folder / str(share))) as bench:
            return [(fault, bench.suffer(fault)) for fault in faults[share::2]]

    with ThreadPoolExecutor(2) as pool:
        return [each for outcomes in pool.map(some, range(2)) for each in outcomes]


def require(outcomes: list[tuple[Fault, Outcome]]) -> None:
    """No promise broken, and most of the faults came about."""
    broken = [f"{fault}: {sentence}" for fault, outcome in outcomes for sentence in outcome.faults]
    struck = [outcome for _, outcome in outcomes if outcome.struck]
    print(
        len(outcomes),
        "faults,",
        len(struck),
        "struck;",
        Counter("red" if outcome.red else outcome.status for outcome in struck),
    )
    assert broken == []
    assert len(struck) >= len(outcomes) * 0.6


def after_a_failed_sync(outcomes: list[tuple[Fault, Outcome]]) -> list[str]:
    """Kiosks that went on after a synchronisation had failed, as if nothing had been."""
    return [
        f"{fault}: it went on, with {outcome.answered} answers"
        for fault, outcome in outcomes
        if outcome.sync_failed and outcome.status is None and not outcome.red
    ]


@pytest.mark.timeout(660)
def test_no_failing_call_makes_the_kiosk_lie_and_after_a_failed_sync_it_answers_nothing(tmp_path: Path) -> None:
    chance = Random(7)
    faults = [Fault("fdatasync", error, str(n)) for n in range(1, WHEN["fdatasync"] + 1, 2) for error in ERRORS[1:2]]
    faults += [Fault("pwrite64", chance.choice(ERRORS), str(n)) for n in sorted(chance.sample(range(1, 61), 10))]
    faults += [Fault(call, error, "1") for call in ("fsync", "ftruncate") for error in ERRORS]
    faults += [Fault("pwrite64", "ENOSPC", "30+"), Fault("fdatasync", "EIO", "4+"), Fault("pwrite64", "EROFS", "20+")]
    outcomes = suffer_all(tmp_path, faults)
    require(outcomes)
    assert after_a_failed_sync(outcomes) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_nth_call_of_any_kind_makes_the_kiosk_lie(tmp_path: Path) -> None:
    faults = [Fault(call, error, str(n)) for call, most in WHEN.items() for n in range(1, most + 1) for error in ERRORS]
    faults += [Fault(call, "EIO", f"{n}+") for call, most in WHEN.items() for n in range(1, most + 1)]
    outcomes = suffer_all(tmp_path, faults)
    require(outcomes)
    assert after_a_failed_sync(outcomes) == []


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with closing(Bench(tmp_path)) as made:
        yield made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root; the limit on the size of files is tested in any case")
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"root may not mount here ({mounted.stderr.strip()}); a limit on the size of files is tested")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_never_answered_over_and_room_brings_the_kiosk_back(bench: Bench, small_disk: Path) -> None:
    data, ballast = small_disk / "data", small_disk / "ballast"
    bench.fresh(data)
    ballast.write_bytes(bytes(1_000_000))
    stories = [LifeStory(), LifeStory(), LifeStory()]
    life = bench.life(data)
    faults = bench.use(life, stories[0], Random(1), 400)
    status, words = bench.end(life, stories[0])
    faults += says_so(status, words, stories[0])
    assert RED in words, f"{len(stories[0].taps)} taps did not fill the disk"
    assert stories[0].shown, "not one tap was answered before the disk was full"
    with (small_disk / "rest").open("wb", buffering=0) as rest:
        while rest_of(small_disk):
            rest.write(bytes(rest_of(small_disk)))
    life = bench.life(data)
    faults += bench.use(life, stories[1], Random(2), 2)
    status, words = bench.end(life, stories[1])
    assert (RED in words, stories[1].shown) == (True, ()), "it claims to record on a full disk"
    faults += says_so(status, words, stories[1])
    (small_disk / "rest").unlink()
    ballast.unlink()
    assert faults + bench.recovers(data, stories) == []
    print(f"tmpfs of 2 MB: {len(stories[0].shown)} of {len(stories[0].taps)} taps answered until it was full")


def rest_of(place: Path) -> int:
    """Bytes that are still free."""
    space = os.statvfs(place)
    return space.f_bavail * space.f_frsize


def test_a_file_that_may_not_grow_is_never_answered_over(bench: Bench) -> None:
    data = bench.folder / "data"
    bench.fresh(data)
    stories = [LifeStory(), LifeStory()]
    life = bench.life(data, file_limit=500_000)
    faults = bench.use(life, stories[0], Random(1), 400)
    status, words = bench.end(life, stories[0])
    faults += says_so(status, words, stories[0])
    assert RED in words, "the limit was not met"
    assert stories[0].shown
    assert faults + bench.recovers(data, stories) == []
    print(f"limit of 500 kB a file: {len(stories[0].shown)} of {len(stories[0].taps)} taps answered until it was met")
