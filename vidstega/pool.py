"""Tasks by joblib: in order, with another try for what a killed worker had in hand.

The only module of the core that imports joblib, and not before it is asked for more than one worker: that
takes a while. Tasks take paths and numbers and return small records, so
threads, processes and clusters run them alike; what comes out does not depend on who did it.
"""

from __future__ import annotations

import multiprocessing
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from pickle import PicklingError
from typing import Any

from vidstega.errors import OutputError, ParameterError
from vidstega.progress import Progress

Call = tuple[Any, ...]
"""A function and its arguments."""

_RETRIES = 3  # of tasks whose worker was killed


class Pool:
    """Workers of the kind that joblib was told of (``joblib.parallel_config``), threads by default.

    Parameters
    ----------
    n_jobs : number of workers, -1 for one per core

    Raises
    ------
    ParameterError
        If that is no number of workers.
    """

    def __init__(self, n_jobs: int) -> None:
        if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0:
            raise ParameterError(
                f"n_jobs={n_jobs!r} is no number of workers; give 1 or more, or -1 for all cores"
            )
        self._n_jobs = n_jobs

    @property
    def workers(self) -> int:
        """How many there are now."""
        if self._by_itself or self._childless:
            return 1
        import joblib

        return int(joblib.effective_n_jobs(self._n_jobs))

    @property
    def alone(self) -> bool:
        """Whether this process is the only worker; never so if joblib was told of processes or a cluster."""
        if self._by_itself or self._childless:
            return True
        shares_memory = getattr(_backend(), "supports_sharedmem", False)  # joblib's Dask backend does not say
        return bool(shares_memory) and self.workers == 1

    @property
    def _by_itself(self) -> bool:
        """Whether one worker is asked for, and joblib, which could know better, is not even imported."""
        return self._n_jobs == 1 and "joblib" not in sys.modules

    @property
    def _childless(self) -> bool:
        """Whether joblib was told of processes, of which a daemonic process can have none."""
        if not multiprocessing.current_process().daemon:
            return False
        from joblib.parallel import LokyBackend, MultiprocessingBackend

        return isinstance(_backend(), LokyBackend | MultiprocessingBackend)

    def in_order(self, calls: Sequence[Call]) -> Iterator[Any]:
        """Results of the calls, in their order, as they come.

        A killed worker costs the tasks that were unfinished another try, not the ones that are done.

        Raises
        ------
        ParameterError
            If a method cannot be sent to a worker.
        OutputError
            If workers are killed again and again.
        """
        done = 0
        for attempt in range(_RETRIES + 1):
            try:
                for result in self._run(calls[done:]):
                    done += 1
                    yield result
                return
            except PicklingError as error:
                raise ParameterError(
                    f"the method cannot be sent to worker processes ({error}); define it in a module"
                ) from None
            except BrokenProcessPool:  # what loky raises is one, too
                if attempt == _RETRIES:
                    raise OutputError(
                        f"workers were killed {_RETRIES + 1} times; is there enough memory for "
                        f"n_jobs={self._n_jobs}?"
                    ) from None
            except Exception as error:
                if type(error).__name__ != "KilledWorker":  # of distributed, which tries again by itself
                    raise
                raise OutputError("the cluster's workers were killed; have they enough memory?") from None

    def counted(self, calls: Sequence[Call], progress: Progress, stage: str, unit: str) -> Iterator[Any]:
        """Results as `in_order` gives them, with progress told after each."""
        with progress.stage(stage, len(calls), unit) as advance:
            for result in self.in_order(calls):
                yield result
                advance(1)

    def _run(self, calls: Sequence[Call]) -> Iterator[Any]:
        if self._by_itself or self._childless:
            return (_fresh(*call) for call in calls)
        import joblib

        # a cluster may have few workers now and many soon: it is told of all tasks at once
        pool = joblib.Parallel(n_jobs=self._n_jobs, pre_dispatch="all", **_kind_of_workers())
        return iter(pool(joblib.delayed(_fresh)(*call) for call in calls))


@dataclass(frozen=True)
class Work:
    """Who does the work of one call, the private folder for what lies between, and who is told.

    With `digest`, digests are taken of what is written, to be compared with what is read back.
    """

    pool: Pool
    folder: Path
    progress: Progress
    digest: bool = True


def _backend() -> Any:
    """What joblib was told of."""
    import joblib

    return joblib.parallel.get_active_backend(prefer="threads")[0]


def _kind_of_workers() -> dict[str, Any]:
    """Arguments of `joblib.Parallel` for what it was told of, and threads by default."""
    from joblib.parallel import MultiprocessingBackend

    backend = _backend()
    if isinstance(backend, MultiprocessingBackend):  # waits for ever for a worker that was killed
        return {"backend": "loky", "return_as": "generator"}
    as_they_come = getattr(backend, "supports_return_generator", True)
    return {"prefer": "threads", "return_as": "generator" if as_they_come else "list"}


def cores() -> int:
    """How many cores this machine gives us."""
    import joblib

    return int(joblib.cpu_count())


def _fresh(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a task; a file it is to write gets a new name at every try, ours or a cluster's."""
    name = f".{secrets.token_hex(4)}"
    return function(*(a.with_name(a.name + name) if isinstance(a, Path) else a for a in arguments))
