"""Long work that a person starts and may leave: one at a time, in a process of its own, gone an hour after it is done.

The kiosk's own process only waits for it: a tap is answered as fast as before (see `job_process.py`).
"""

from __future__ import annotations

import json
import logging
import pickle
import shutil
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

from kiosk.refs import new_token

log = logging.getLogger(__name__)

FOLDER = "made-for-download"
"""Beside the database: a disk that we may write, of this user alone."""
KEPT_S = 3600.0
LONGEST_QUEUE = 8
LONGEST_S = 3600.0
"""After this the work is ended: it hangs."""
PROCESS = "kiosk.web.job_process"

WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
OVER = frozenset({DONE, FAILED, CANCELLED})


class QueueFull(Exception):
    """So many wait already: try again when one of them is done."""


@dataclass(frozen=True)
class Job:
    """One piece of work as it stands."""

    id: str
    """A random token: it tells nothing, and nobody guesses it."""
    owner: str
    """The account's `user_ref`: nobody else sees it."""
    title: str
    """A message that is translated when it is shown."""
    filename: str
    """What the finished file is called for who fetches it: ASCII, and no person's name."""
    shown_as: str = ""
    """The same for people, in their language; `filename` where it is empty."""
    state: str = WAITING
    done: int = 0
    of: int = 0
    """`done` of so many, in any unit; 0 of 0 before the work has told."""
    failure: str = ""
    """A code of `job_pages.FAILURES` where it failed."""
    over_at_s: float = 0.0
    """When it was over, by the clock that jobs go by."""

    @property
    def over(self) -> bool:
        """Is nothing more to come?"""
        return self.state in OVER

    @property
    def percent(self) -> int | None:
        """How far it is; None where nobody knows."""
        return None if not self.of else min(100, self.done * 100 // self.of)


@dataclass(frozen=True)
class _Task:
    work: str
    arguments: tuple[Any, ...]


class Jobs:
    """The queue, the process that works on its first, and the files that wait to be fetched."""

    def __init__(self, folder: Path, now: Callable[[], float] = monotonic) -> None:
        """`folder` is made when it is needed. What an earlier process left in it goes at once."""
        self._folder = folder
        self._now = now
        self._changed = threading.Condition()
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, _Task] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        shutil.rmtree(folder, ignore_errors=True)
        self._wipe = weakref.finalize(self, shutil.rmtree, folder, True)  # at the latest when this process ends

    # --- what pages ask

    def start(
        self,
        title: str,
        owner: str,
        work: Callable[..., None],
        arguments: tuple[Any, ...],
        *,
        filename: str,
        shown_as: str = "",
    ) -> str:
        """The id of a new job, which runs `work(out, tick, *arguments)` in a process of its own.

        `work` is a function at the top of a module; `out` the path to write to; `tick(done, of)` tells how far it is.
        Raises `QueueFull`.
        """
        job = Job(new_token(), owner, title, filename, shown_as or filename)
        task = _Task(f"{work.__module__}:{work.__qualname__}", arguments)
        with self._changed:
            self._forget()
            if sum(not each.over for each in self._jobs.values()) >= LONGEST_QUEUE or self._closed:
                raise QueueFull
            self._jobs[job.id], self._tasks[job.id] = job, task
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return job.id

    def of(self, owner: str) -> list[Job]:
        """An account's own, newest first."""
        with self._changed:
            self._forget()
            return [each for each in reversed(self._jobs.values()) if each.owner == owner]

    def get(self, owner: str, job_id: str) -> Job | None:
        """One of an account's own; None for everybody else, and once it is gone."""
        return next((each for each in self.of(owner) if each.id == job_id), None)

    def file(self, owner: str, job_id: str) -> Path | None:
        """The finished file of an account's own job."""
        job = self.get(owner, job_id)
        path = self._path(job_id)
        return path if job is not None and job.state == DONE and path.is_file() else None

    def take(self, owner: str, job_id: str) -> bytes | None:
        """What is in the finished file of an account's own job, which is gone with that; None before it is done."""
        path = self.file(owner, job_id)
        content = path.read_bytes() if path is not None else None
        if content is not None:
            with self._changed:
                self._jobs.pop(job_id, None)
                self._throw_away(job_id)
        return content

    def ahead(self, job_id: str) -> int:
        """How many others come before it."""
        with self._changed:
            waiting = [each.id for each in self._jobs.values() if not each.over]
            return waiting.index(job_id) if job_id in waiting else 0

    def wait(self, job_id: str, timeout_s: float) -> None:
        """Until it is over, or so long."""
        with self._changed:
            self._changed.wait_for(lambda: job_id not in self._jobs or self._jobs[job_id].over, timeout_s)

    def cancel(self, owner: str, job_id: str) -> None:
        """End an account's own job, or throw its file away."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is not None and job.owner == owner:
                self._end(job)

    def throw_all_away(self) -> None:
        """The same with everybody's: somebody was erased, and may be named in any of them."""
        with self._changed:
            for job in list(self._jobs.values()):
                self._end(job)

    def close(self) -> None:
        """End the work that runs, and throw away every file."""
        with self._changed:
            self._closed = True
            if self._process is not None:
                self._process.kill()
            thread = self._thread
            self._changed.notify_all()
        if thread is not None:
            thread.join()
        self._wipe()

    # --- what is known of them; the caller holds the lock

    def _end(self, job: Job) -> None:
        if job.state == RUNNING and self._process is not None:
            self._process.kill()
        self._over(job.id, CANCELLED)

    def _over(self, job_id: str, state: str, failure: str = "") -> None:
        job = self._jobs[job_id]
        self._tasks.pop(job_id, None)
        if not job.over or state == CANCELLED:
            self._jobs[job_id] = replace(job, state=state, failure=failure, over_at_s=self._now())
        if state != DONE:
            self._throw_away(job_id)
        self._changed.notify_all()

    def _forget(self) -> None:
        """What has been over for an hour is gone."""
        for job in list(self._jobs.values()):
            if job.over and self._now() - job.over_at_s >= KEPT_S:
                del self._jobs[job.id]
                self._throw_away(job.id)

    def _path(self, job_id: str) -> Path:
        """The finished file: in a folder of its own, with the pieces that it is made of meanwhile."""
        return self._folder / job_id / "file"

    def _throw_away(self, job_id: str) -> None:
        shutil.rmtree(self._folder / job_id, ignore_errors=True)  # it was never made, or the disk is away

    def _next_end_s(self) -> float | None:
        """How long the first of those that are over still stays."""
        ends = [each.over_at_s + KEPT_S - self._now() for each in self._jobs.values() if each.over]
        return max(0.0, min(ends)) if ends else None

    # --- the thread that waits for the process

    def _work(self) -> None:
        """Takes one after the other; ends when there is nothing left to do or to throw away."""
        while True:
            with self._changed:
                self._forget()
                job_id = next(iter(self._tasks), None)
                if self._closed or (job_id is None and not self._jobs):
                    self._thread = None
                    return
                if job_id is None:
                    self._changed.wait(self._next_end_s())
                    continue
                task = self._tasks.pop(job_id)
                self._jobs[job_id] = replace(self._jobs[job_id], state=RUNNING)
            failure = self._carried_out(job_id, task)
            with self._changed:
                if not self._jobs[job_id].over:
                    self._over(job_id, FAILED if failure else DONE, failure)
                elif self._jobs[job_id].state != DONE:
                    self._throw_away(job_id)  # what it wrote while it was being ended

    def _carried_out(self, job_id: str, task: _Task) -> str:
        """Do it; empty when it is done, else a code of why not."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._folder.chmod(0o700)
            path = self._path(job_id)
            path.parent.mkdir(mode=0o700)
            given = pickle.dumps((task.work, str(path), task.arguments))
            return self._talked_to(job_id, given)
        except OSError as error:
            log.warning("a job could not be begun: %s", error)
            return "disk"
        except Exception:
            log.exception("a job could not be begun")
            return "crashed"

    def _talked_to(self, job_id: str, given: bytes) -> str:
        with self._changed:
            if self._jobs[job_id].over or self._closed:
                return CANCELLED
            program = [sys.executable, "-m", PROCESS]
            self._process = process = subprocess.Popen(  # noqa: S603 - a program of our own, without a shell
                program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        watchdog = threading.Timer(LONGEST_S, process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            said = self._listened(job_id, process, given)
        finally:
            watchdog.cancel()
            process.kill()
            process.wait()
            with self._changed:
                self._process = None
        return said

    def _listened(self, job_id: str, process: subprocess.Popen[bytes], given: bytes) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin, process.stdout:
            process.stdin.write(given)
            process.stdin.flush()
            for line in process.stdout:
                said = json.loads(line)
                if "over" in said:
                    return str(said["over"])
                with self._changed:
                    job = self._jobs[job_id]
                    if not job.over:
                        self._jobs[job_id] = replace(job, done=said["done"], of=said["of"])
        return "crashed"
