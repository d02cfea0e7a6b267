"""One call in a process of its own, with limits, so that a hostile video takes down nothing else.

Children are forked from a template (multiprocessing's forkserver) that has the library loaded, so a
start costs milliseconds and the code's memory is shared. They send JSON lines over a pipe, never pickles,
and die when the other end of it does.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

MIB = 1 << 20
_MOST_LINE = 1 << 20
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_ADDRESS_SPACE = 1536 * MIB
"""Mapped by a child beside what it uses: libraries, thread stacks, malloc's arenas (measured: 0.9 GiB)."""
_DATA = 192 * MIB
"""Writable but unused: stacks of threads, heaps grown in advance (measured: 0.1 GiB)."""

Send = Callable[[dict[str, Any]], None]
Function = Callable[[dict[str, Any], Send], dict[str, Any]]


@dataclass(frozen=True)
class Limits:
    """What a child may take. `memory` is what it was predicted to use; the address space gets room above."""

    memory: int
    seconds: float
    file_bytes: int
    nice: int = 5

    @property
    def address_space(self) -> int:
        """Bytes for RLIMIT_AS."""
        return _ADDRESS_SPACE + 3 * self.memory // 2

    @property
    def data(self) -> int:
        """Bytes for RLIMIT_DATA: what a process can write to, much nearer to what it really uses."""
        return _DATA + 3 * self.memory // 2


@dataclass(frozen=True)
class Outcome:
    """How a call ended: "ok"; "refused", "disk", "unverified" and "cluster" with a sentence for the user;
    "memory", "time", "crash", "killed"; "error", a fault of ours (`detail` is for the log)."""

    kind: str
    value: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    detail: str = ""
    peak_bytes: int = 0


class Child:
    """Runs `function(argument, send)` in a child process; `run` blocks, `kill` may come from any thread."""

    def __init__(self, function: Function, argument: dict[str, Any], limits: Limits) -> None:
        self._function, self._argument, self._limits = function, argument, limits
        self._process: Any = None
        self._killed = False
        self._lock = threading.Lock()

    def run(self, on_message: Callable[[dict[str, Any]], None] = lambda message: None) -> Outcome:
        """Start, listen, wait for the end."""
        ours, theirs = multiprocessing.Pipe()
        context = _context()
        with self._lock:
            if self._killed:
                return Outcome("killed")
            process = context.Process(  # type: ignore[attr-defined]
                target=_main, args=(self._function, self._argument, self._limits, theirs), daemon=True
            )
            process.start()
            self._process = process
        theirs.close()
        started = time.monotonic()
        timer = threading.Timer(self._limits.seconds, process.kill)
        timer.start()
        try:
            last = _listen(ours, on_message)
        finally:
            ours.close()
            process.join(5)
            process.kill()
            process.join()
            timer.cancel()
        overdue = time.monotonic() - started >= self._limits.seconds
        return _outcome(last, process.exitcode or 0, overdue)

    def kill(self) -> None:
        """End it at once."""
        with self._lock:
            self._killed = True
            if self._process is not None:
                self._process.kill()


def warm_up(*modules: str) -> None:
    """Start the template process with these modules loaded, and return when it is ready."""
    for name in _THREADS:
        os.environ.setdefault(name, "1")
    _no_core_dumps()
    if _has_forkserver():
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__, *modules])
        first = context.Process(target=int)
        first.start()
        first.join()


def _has_forkserver() -> bool:
    return "forkserver" in multiprocessing.get_all_start_methods()


def _context() -> BaseContext:
    return multiprocessing.get_context("forkserver" if _has_forkserver() else "spawn")


def _listen(ours: Connection, on_message: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Hand messages on until the pipe ends; the last one that says how it ended."""
    last: dict[str, Any] = {}
    with contextlib.suppress(EOFError, OSError, ValueError):
        while True:
            message = json.loads(ours.recv_bytes(_MOST_LINE))
            if "kind" in message:
                last = message
            else:
                on_message(message)
    return last


def _outcome(last: dict[str, Any], code: int, overdue: bool) -> Outcome:
    if last:
        return Outcome(**last)
    if overdue or code == -signal.SIGXCPU:
        return Outcome("time")
    if code in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT):
        return Outcome("killed", detail=f"signal {-code}")
    return Outcome("crash", detail=f"exit code {code}")


# -- in the child ---------------------------------------------------------------------------------------


def _main(function: Function, argument: dict[str, Any], limits: Limits, theirs: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server decides, not a terminal
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _silence()
    _limit(limits)
    threading.Thread(target=_watch, args=(theirs,), daemon=True).start()
    lock = threading.Lock()

    def send(message: dict[str, Any]) -> None:
        with lock:
            theirs.send_bytes(json.dumps(message).encode())

    last = _call(function, argument, send)
    send(last | {"peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss})
    theirs.close()
    os._exit(0)


def _call(function: Function, argument: dict[str, Any], send: Send) -> dict[str, Any]:
    from vidstega.errors import OutputError, VerificationError, VidstegaError

    try:
        return {"kind": "ok", "value": function(argument, send)}
    except OutputError as error:
        return {"kind": "disk", "text": str(error)}
    except VerificationError as error:
        return {"kind": "unverified", "text": str(error)}
    except VidstegaError as error:
        return {"kind": getattr(error, "kind", "refused"), "text": str(error)}
    except MemoryError:
        return {"kind": "memory"}
    except Exception as error:
        # Its text and its locals may hold a key; where it happened says enough.
        return {"kind": "error", "detail": f"{type(error).__name__} at {_place(error)}"}


def _place(error: BaseException) -> str:
    trace, places = error.__traceback__, []
    while trace is not None:
        places.append(f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " > ".join(places)


def _silence() -> None:
    """Libraries may print what a stranger's file says; nobody reads it here."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(null, stream.fileno())


def _limit(limits: Limits) -> None:
    seconds = int(limits.seconds) + 1
    for what, value in (
        (resource.RLIMIT_AS, limits.address_space),
        (resource.RLIMIT_DATA, limits.data),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, 256),
    ):
        _, hard = resource.getrlimit(what)
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (least, least))
    _no_core_dumps()
    os.nice(limits.nice)


def _no_core_dumps() -> None:
    """A core would hold the key. 1 byte: Linux then pipes none to a handler either (core(5))."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))


def _watch(theirs: Connection) -> None:
    """Nothing is ever sent to a child: readable means that the server is gone."""
    with contextlib.suppress(OSError, EOFError):
        theirs.poll(None)
        os._exit(1)
