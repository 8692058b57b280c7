"""Long work that is started, left, come back to, cancelled; one at a time, for its owner alone, gone after an hour."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from job_work import dies, fails, finds_no_room, leaves_pieces, waits_for_a_file, writes

from kiosk.web import jobs as engine
from kiosk.web.jobs import Jobs, QueueFull

Wait = Callable[..., object]


@pytest.fixture(autouse=True)
def _found_by_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


class Clock:
    s = 0.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(tmp_path: Path, clock: Clock) -> Iterator[Jobs]:
    made = Jobs(tmp_path / "made", clock)
    yield made
    made.close()


def start(jobs: Jobs, work: Callable[..., None], *arguments: object, owner: str = "me") -> str:
    return jobs.start("Training journal", owner, work, arguments, filename="journal.pdf")


def state(jobs: Jobs, job: str, owner: str = "me") -> str:
    found = jobs.get(owner, job)
    return found.state if found else "gone"


def test_the_work_is_done_in_a_process_of_low_priority_and_its_file_waits(jobs: Jobs) -> None:
    job = start(jobs, writes, "Әлихан")
    jobs.wait(job, 20)
    path = jobs.file("me", job)
    assert path is not None
    assert path.read_text() == f"Әлихан {min(19, os.getpriority(os.PRIO_PROCESS, 0) + 15)}"
    found = jobs.get("me", job)
    assert found is not None
    assert (found.state, found.percent) == ("done", 100)


def test_the_files_are_for_this_user_alone(jobs: Jobs, tmp_path: Path) -> None:
    job = start(jobs, writes, "x")
    jobs.wait(job, 20)
    path = jobs.file("me", job)
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700


def test_who_left_finds_the_job_again_and_sees_how_far_it_is(jobs: Jobs, tmp_path: Path, wait_until: Wait) -> None:
    job = start(jobs, waits_for_a_file, tmp_path / "gate")
    wait_until(lambda: [each.percent for each in jobs.of("me")] == [30], what="the job to say how far it is")
    assert jobs.file("me", job) is None
    (tmp_path / "gate").touch()
    jobs.wait(job, 20)
    assert state(jobs, job) == "done"


def test_nobody_else_sees_fetches_or_ends_a_job(jobs: Jobs, tmp_path: Path, wait_until: Wait) -> None:
    job = start(jobs, waits_for_a_file, tmp_path / "gate")
    wait_until(lambda: state(jobs, job) == "running", what="the job to run")
    jobs.cancel("other", job)
    assert (jobs.of("other"), jobs.get("other", job)) == ([], None)
    (tmp_path / "gate").touch()
    jobs.wait(job, 20)
    assert jobs.file("other", job) is None
    assert jobs.file("me", job) is not None


def test_one_runs_at_a_time_and_the_next_one_follows(jobs: Jobs, tmp_path: Path, wait_until: Wait) -> None:
    first, second = start(jobs, waits_for_a_file, tmp_path / "gate"), start(jobs, writes, "x", owner="other")
    wait_until(lambda: state(jobs, first) == "running", what="the first job to run")
    assert (state(jobs, second, "other"), jobs.ahead(second)) == ("waiting", 1)
    (tmp_path / "gate").touch()
    jobs.wait(second, 20)
    assert (state(jobs, first), state(jobs, second, "other")) == ("done", "done")


def test_a_running_job_is_cancelled_at_once_and_the_next_one_begins(
    jobs: Jobs, tmp_path: Path, wait_until: Wait
) -> None:
    first, second = start(jobs, waits_for_a_file, tmp_path / "never"), start(jobs, writes, "x")
    wait_until(lambda: state(jobs, first) == "running", what="the first job to run")
    jobs.cancel("me", first)
    assert state(jobs, first) == "cancelled"
    jobs.wait(second, 20)
    assert (state(jobs, first), state(jobs, second)) == ("cancelled", "done")


def test_a_waiting_job_is_cancelled_before_it_begins(jobs: Jobs, tmp_path: Path) -> None:
    first, second = start(jobs, waits_for_a_file, tmp_path / "gate"), start(jobs, writes, "x")
    jobs.cancel("me", second)
    (tmp_path / "gate").touch()
    jobs.wait(first, 20)
    assert (state(jobs, second), jobs.file("me", second)) == ("cancelled", None)


def test_a_finished_file_can_be_thrown_away(jobs: Jobs, tmp_path: Path) -> None:
    job = start(jobs, writes, "x")
    jobs.wait(job, 20)
    jobs.cancel("me", job)
    assert jobs.file("me", job) is None
    assert list((tmp_path / "made").iterdir()) == []


@pytest.mark.parametrize(("work", "code"), [(fails, "crashed"), (dies, "crashed"), (finds_no_room, "disk")])
def test_a_job_that_fails_says_why_by_a_code_and_leaves_no_file(
    jobs: Jobs, tmp_path: Path, work: Callable[..., None], code: str
) -> None:
    job = start(jobs, work)
    jobs.wait(job, 20)
    found = jobs.get("me", job)
    assert found is not None
    assert (found.state, found.failure) == ("failed", code)
    assert list((tmp_path / "made").iterdir()) == []


@pytest.mark.parametrize("how", ["fails", "dies", "is cancelled"])
def test_nothing_of_what_was_half_made_stays_on_the_disk(
    jobs: Jobs, tmp_path: Path, wait_until: Wait, how: str
) -> None:
    job = start(jobs, leaves_pieces, how)
    if how == "is cancelled":
        wait_until(lambda: [each.percent for each in jobs.of("me")] == [50], what="the job to be half done")
        jobs.cancel("me", job)
    jobs.wait(job, 20)
    wait_until(lambda: [*(tmp_path / "made").rglob("*")] == [], what="the folder to be empty")


def test_a_disk_that_takes_no_folder_is_a_failed_job_and_no_broken_thread(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    jobs = Jobs(tmp_path / "file" / "made")
    job = start(jobs, writes, "x")
    jobs.wait(job, 20)
    found = jobs.get("me", job)
    jobs.close()
    assert found is not None
    assert (found.state, found.failure) == ("failed", "disk")


def test_everything_can_be_thrown_away_at_once_whoever_had_it_made(
    jobs: Jobs, tmp_path: Path, wait_until: Wait
) -> None:
    done = start(jobs, writes, "Әлихан")
    jobs.wait(done, 20)
    running, waiting = start(jobs, waits_for_a_file, tmp_path / "gate", owner="you"), start(jobs, writes, "x")
    wait_until(lambda: [each.percent for each in jobs.of("you")] == [30], 20, "the job to run")
    jobs.throw_all_away()
    assert [state(jobs, done), state(jobs, running, "you"), state(jobs, waiting)] == ["cancelled"] * 3
    wait_until(lambda: [*(tmp_path / "made").iterdir()] == [], 20, "the folder to be empty")


def test_eight_wait_at_most(jobs: Jobs, tmp_path: Path) -> None:
    made = [start(jobs, waits_for_a_file, tmp_path / "gate") for _ in range(engine.LONGEST_QUEUE)]
    with pytest.raises(QueueFull):
        start(jobs, writes, "x")
    for job in made:
        jobs.cancel("me", job)
    start(jobs, writes, "x")


def test_a_file_is_gone_an_hour_after_it_was_made(jobs: Jobs, clock: Clock, tmp_path: Path) -> None:
    job = start(jobs, writes, "x")
    jobs.wait(job, 20)
    clock.s = engine.KEPT_S - 1
    assert jobs.file("me", job) is not None
    clock.s = engine.KEPT_S
    assert jobs.of("me") == []
    assert list((tmp_path / "made").iterdir()) == []


def test_a_file_goes_by_itself_when_its_hour_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: Wait
) -> None:
    monkeypatch.setattr(engine, "KEPT_S", 0.2)
    jobs = Jobs(tmp_path / "made")
    jobs.wait(start(jobs, writes, "x"), 20)
    wait_until(lambda: not list((tmp_path / "made").iterdir()), what="the file to go though nobody asks")
    jobs.close()


def test_the_end_of_the_kiosk_ends_the_work_and_leaves_nothing(tmp_path: Path, wait_until: Wait) -> None:
    jobs = Jobs(tmp_path / "made")
    job = start(jobs, waits_for_a_file, tmp_path / "never")
    wait_until(lambda: state(jobs, job) == "running" and jobs.of("me")[0].percent == 30, what="the job to run")
    jobs.close()
    assert not (tmp_path / "made").exists()
    with pytest.raises(QueueFull):
        start(jobs, writes, "x")


def test_what_a_killed_kiosk_left_goes_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "somebody.pdf").touch()
    Jobs(tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_the_work_ends_with_the_kiosk_however_that_ends(tmp_path: Path, wait_until: Wait) -> None:
    parent = (
        "import sys, job_work; from pathlib import Path; from kiosk.web.jobs import Jobs;"
        "jobs = Jobs(Path(sys.argv[1]));"
        "jobs.start('t', 'me', job_work.tells_its_number, (Path(sys.argv[2]),), filename='x');"
        "print('', flush=True); sys.stdin.read()"
    )
    number = tmp_path / "number"
    with subprocess.Popen(
        [sys.executable, "-c", parent, tmp_path / "made", number], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as kiosk:
        wait_until(lambda: number.exists() and number.read_text(), what="the work to begin")
        kiosk.kill()
    wait_until(lambda: not Path("/proc", number.read_text()).exists(), what="the work to end with the killed kiosk")
