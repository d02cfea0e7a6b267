"""Who may start when: a bounded queue, a memory budget, a disk quota. Runs jobs, and cleans up after them.

A job starts when it is the first that waits, a core is free, and the predicted peaks of all that run fit
the budget with it. First come, first served: a large job is never overtaken for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import sqlite3
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from vidstega.seal import sealed_bytes
from vidstega.service import worker
from vidstega.service.child import Child, Limits, Outcome
from vidstega.service.metrics import Metrics
from vidstega.service.quota import Quota
from vidstega.service.refused import Refused
from vidstega.service.settings import MIB, PROBE_BYTES, Settings
from vidstega.service.store import DONE, FAILED, QUEUED, RUNNING, Job, Store

log = logging.getLogger("vidstega.service")

_ATTEMPTS = 3  # of a job whose worker or server was killed
_CLUSTER_BYTES = 96 * MIB  # what being a client of a Dask cluster takes
_DISK_FULL = "the server's disk is full or cannot be written; try again later"
_WORK = {"embed": worker.embed, "extract": worker.extract}


class Desk:
    """Where jobs are handed in. All methods belong to the server's event loop."""

    def __init__(self, settings: Settings, store: Store, metrics: Metrics) -> None:
        self._settings, self._store, self._metrics = settings, store, metrics
        self._queue: deque[Job] = deque()
        self._running: dict[str, tuple[Job, Child]] = {}
        self._progress: dict[str, dict[str, Any]] = {}
        self._ended: dict[str, asyncio.Event] = {}
        self._unsaved: dict[str, Job] = {}
        self._quota = Quota(settings.disk_quota, store)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._arriving = 0
        self._mean_s = 5.0
        self._closing = False
        self._job_threads = ThreadPoolExecutor(settings.workers, "job")
        self._probe_threads = ThreadPoolExecutor(settings.probes, "probe")
        metrics.memory_budget.set(settings.job_memory)

    async def start(self) -> None:
        """Take up what the last server left: what was running starts again."""
        self._store.sweep()
        for job in self._store.list(QUEUED, RUNNING):
            if not (self._store.folder(job.id) / worker.KEY).exists():
                self._end(job, FAILED, 500, "the job was lost when the server was stopped; send it again")
            elif job.attempts >= _ATTEMPTS:
                self._end(job, FAILED, 500, f"the job was interrupted {job.attempts} times")
            else:
                self._queue.append(self._save(job, state=QUEUED))
        self._spawn(self._housekeeping())
        self._dispatch()

    async def stop(self) -> None:
        """End all children; their jobs stay "running" in the store and start again with the next server."""
        self._closing = True
        for _, child in self._running.values():
            child.kill()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._job_threads.shutdown(cancel_futures=True)
        self._probe_threads.shutdown(cancel_futures=True)

    # -- handing in

    @contextlib.contextmanager
    def arrival(self) -> Iterator[str]:
        """The id of a new folder that counts as a place in the queue until it is handed in or dropped."""
        if len(self._queue) + self._arriving >= self._settings.queue:
            text = f"{self._settings.queue} jobs are waiting already; try again later"
            raise Refused(503, text, limit="queue", retry_after=self._patience())
        with _disk_errors():
            id = self._store.new_folder()
        self._arriving += 1
        self._show()
        try:
            yield id
        finally:
            self._arriving -= 1
            self._quota.release(id)
            if self._find(id) is None:
                self._store.drop_folder(id)
            self._show()

    def reserve(self, id: str, size: int) -> None:
        """Make sure an upload of so many bytes fits the quota and the disk."""
        self._quota.reserve(id, size, self._patience())

    async def probe(self, task: dict[str, Any]) -> dict[str, Any]:
        """Look into an upload in a process of its own, and learn what it needs or holds."""
        settings = self._settings
        limits = Limits(PROBE_BYTES, settings.probe_timeout, MIB, nice=0)
        child = Child(worker.probe, task, limits)
        loop = asyncio.get_running_loop()
        try:
            outcome = await loop.run_in_executor(self._probe_threads, child.run)
        except asyncio.CancelledError:
            child.kill()
            raise
        if outcome.kind == "ok":
            return outcome.value
        if outcome.kind == "killed":
            raise Refused(503, "the upload could not be looked into; try again", retry_after=5)
        status, text = self._verdict(outcome)
        if outcome.kind == "error":
            log.error("probe failed: %s", outcome.detail)
        raise Refused(status, text)

    def submit(self, id: str, task: dict[str, Any], needs: dict[str, Any], key: bytes) -> Job:
        """Put a job in the queue, if it can ever be run."""
        operation = task["operation"]
        memory = int(needs["memory_bytes"]) + (_CLUSTER_BYTES if self._settings.scheduler else 0)
        if memory > self._settings.job_memory:
            text = (
                f"this video needs {memory / MIB:,.0f} MiB of memory, jobs here may take "
                f"{self._settings.job_memory / MIB:,.0f} MiB; use a smaller one"
            )
            raise Refused(413, text, limit="memory")
        files = sum(path.stat().st_size for path in self._store.folder(id).iterdir())
        disk = files + int(needs["disk_bytes"])
        if disk > self._settings.disk_quota:
            text = f"this job needs {disk:,} bytes on disk, there are {self._settings.disk_quota:,}"
            raise Refused(413, f"{text}; use a smaller video", limit="disk")
        self._quota.check(disk, disk - files, self._patience())
        request = task | {"file_bytes": self._most_file(operation, needs), "suffix": needs["suffix"]}
        job = Job(id=id, operation=operation, memory=memory, disk=disk, request=request)
        with _disk_errors():
            self._store.write_key(id, key)
            self._store.add(job)
        self._queue.append(job)
        self._dispatch()
        return job

    def _most_file(self, operation: str, needs: dict[str, Any]) -> int:
        if operation == "extract":
            return sealed_bytes(self._settings.most_payload) + MIB
        return 2 * int(needs["output_bytes"]) + 64 * MIB

    # -- asking

    def get(self, id: str) -> Job | None:
        """A job as it is now."""
        return self._find(id) or self._store.get(id)

    def folder(self, id: str) -> Path:
        """Where a job's files are."""
        return self._store.folder(id)

    def place(self, id: str) -> int | None:
        """1 for the job that starts next."""
        return next((n for n, job in enumerate(self._queue, 1) if job.id == id), None)

    def progress(self, id: str) -> dict[str, Any]:
        """Stage and share done of a job that runs."""
        return self._progress.get(id, {})

    def counts(self) -> dict[str, int]:
        """Jobs that wait, run and are being uploaded."""
        return {"queued": len(self._queue), "running": len(self._running), "uploading": self._arriving}

    async def wait(self, id: str, seconds: float) -> None:
        """Until the job has ended, or so long."""
        job = self.get(id)
        if job is None or job.finished:
            return
        event = self._ended.setdefault(id, asyncio.Event())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)

    def delete(self, job: Job) -> None:
        """End a job and forget everything about it."""
        self._queue = deque(other for other in self._queue if other.id != job.id)
        _, child = self._running.get(job.id, (None, None))
        with contextlib.suppress(sqlite3.Error):
            self._store.delete(job)
        if child is not None:
            child.kill()
        self._unsaved.pop(job.id, None)
        self._tell(job.id)
        self._dispatch()

    # -- running

    def _dispatch(self) -> None:
        while self._queue and not self._closing and self._fits(self._queue[0]):
            job = self._queue.popleft()
            job = self._save(job, state=RUNNING, started=time.time(), attempts=job.attempts + 1)
            seconds = self._settings.job_timeout
            task = job.request | {"attempt": job.attempts, "scheduler": self._settings.scheduler}
            limits = Limits(job.memory, seconds, job.request["file_bytes"])
            child = Child(_WORK[job.operation], task, limits)
            self._running[job.id] = (job, child)
            self._metrics.wait_seconds.observe(max(0.0, time.time() - job.created))
            self._spawn(self._run(job, child))
        self._show()

    def _fits(self, job: Job) -> bool:
        admitted = sum(other.memory for other, _ in self._running.values())
        room = self._settings.job_memory - admitted
        return len(self._running) < self._settings.workers and job.memory <= room

    async def _run(self, job: Job, child: Child) -> None:
        def on_message(message: dict[str, Any]) -> None:
            self._progress[job.id] = message

        loop = asyncio.get_running_loop()
        try:
            outcome = await loop.run_in_executor(self._job_threads, child.run, on_message)
        except Exception as error:  # the child could not even be started
            outcome = Outcome("error", detail=type(error).__name__)
        self._running.pop(job.id, None)
        self._progress.pop(job.id, None)
        if not self._closing:
            try:
                self._finish(job, outcome)
            finally:
                self._dispatch()

    def _finish(self, job: Job, outcome: Outcome) -> None:
        seconds = time.time() - (job.started or job.created)
        self._metrics.job_seconds.labels(job.operation, outcome.kind).observe(seconds)
        log.info("job %s %s %.2f s %s", job.operation, outcome.kind, seconds, outcome.detail)
        if not self._store.folder(job.id).is_dir():  # deleted meanwhile
            self._store.drop_folder(job.id)
            return
        if outcome.kind == "killed" and job.attempts < _ATTEMPTS:
            self._queue.appendleft(self._save(job, state=QUEUED))
            return
        if outcome.kind == "ok":
            self._mean_s += 0.2 * (seconds - self._mean_s)
            self._metrics.memory_ratio.observe(outcome.peak_bytes / job.memory)
            self._store.keep_only(job.id, outcome.value["file"])
            self._end(job, DONE, 200, "", outcome.value)
        else:
            self._end(job, FAILED, *self._verdict(outcome))

    def _end(self, job: Job, state: str, status: int, text: str, value: dict[str, Any] | None = None) -> None:
        if state == FAILED:
            self._store.keep_only(job.id, None)
        outcome = (value or {}) | {"status": status, "error": text}
        disk = int(outcome.get("bytes", 0))
        self._save(job, state=state, ended=time.time(), outcome=outcome, disk=disk, request={})
        self._tell(job.id)

    def _verdict(self, outcome: Outcome) -> tuple[int, str]:
        longest = f"{self._settings.job_timeout:,.0f} s"
        return {
            "refused": (422, outcome.text),
            "disk": (507, _DISK_FULL),
            "cluster": (503, outcome.text),
            "unverified": (500, outcome.text),
            "memory": (422, "the video takes more memory than its headers say; it is damaged or hostile"),
            "time": (
                422,
                f"the work was ended after {longest}, the most a job may take; use a shorter video",
            ),
            "crash": (422, "the video makes the decoder crash; it is damaged or hostile"),
            "killed": (500, f"the worker was killed {_ATTEMPTS} times; try again later"),
        }.get(outcome.kind, (500, "something went wrong in the server; the log says where"))

    # -- keeping house

    def _find(self, id: str) -> Job | None:
        """A job whose state the store may not know yet, or has."""
        if (unsaved := self._unsaved.get(id)) is not None:
            return unsaved
        return next((job for job in self._queue if job.id == id), None) or self._running.get(id, (None,))[0]

    def _save(self, job: Job, **changes: Any) -> Job:
        """Write a change through; if the disk is full, try again later."""
        try:
            return self._store.update(job, **changes)
        except sqlite3.Error:
            log.error("a job's state cannot be written; will try again")
            changed = replace(job, **changes)
            if changed.finished:
                self._unsaved[job.id] = changed
            return changed

    async def _housekeeping(self) -> None:
        pause = min(15.0, max(0.2, self._settings.keep / 4))
        while True:
            await asyncio.sleep(pause)
            with contextlib.suppress(Exception):
                for job in list(self._unsaved.values()):
                    del self._unsaved[job.id]
                    self._save(job)
                for job in self._store.list(DONE, FAILED):
                    if (job.ended or 0) + self._settings.keep < time.time():
                        self._store.delete(job)
                self._show()

    def _tell(self, id: str) -> None:
        if (event := self._ended.pop(id, None)) is not None:
            event.set()

    def _patience(self) -> int:
        """Seconds until a place is likely free."""
        waiting = len(self._queue) + len(self._running) + 1
        return min(120, max(1, math.ceil(self._mean_s * waiting / self._settings.workers / 4)))

    def _show(self) -> None:
        metrics = self._metrics
        metrics.queue_length.set(len(self._queue))
        metrics.running.set(len(self._running))
        metrics.uploading.set(self._arriving)
        metrics.memory_admitted.set(sum(job.memory for job, _ in self._running.values()))
        with contextlib.suppress(sqlite3.Error):
            metrics.disk_reserved.set(self._quota.reserved_bytes())

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.OperationalError):
        raise Refused(503, _DISK_FULL, limit="disk", retry_after=60) from None
