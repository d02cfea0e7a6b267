"""Finding a message and reading it: what `extract`, `verify` and the check after writing share."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidstega import carriers, seal
from vidstega.carriers import Carrier, How
from vidstega.carriers.base import Found, Plan
from vidstega.errors import InputError, OutputError, PayloadError
from vidstega.media.source import Scan
from vidstega.pool import Work
from vidstega.seal import Key


class Opened(Iterator[bytes]):
    """A payload that finding it has opened, with the interface of an `Unsealer`."""

    def __init__(self, payload: bytes) -> None:
        self.payload_bytes = len(payload)
        self.digest = hashlib.sha256(payload).hexdigest()
        self._pieces = iter([payload])

    def __next__(self) -> bytes:
        return next(self._pieces)


def locate(scan: Scan, key: Key, method: How | None, *, deep: bool = False) -> tuple[Carrier, Found]:
    for carrier in sorted(carriers.to_search(method), key=lambda one: not one.suspects(scan)):
        with contextlib.suppress(PayloadError):
            return carrier, carrier.locate(scan, key, deep=deep)
    raise PayloadError


def read(
    carrier: Carrier,
    scan: Scan,
    found: Found,
    spool: Path,
    work: Work,
    *,
    stage: str,
    plan: Plan | None = None,
) -> NDArray[np.uint64]:
    """Read the sealed stream into a new spool, cut to its length; digests too if it is told of the plan."""
    if found.payload is not None:
        return np.empty(0, np.uint64)
    try:
        spool.touch(0o600, exist_ok=False)
        os.truncate(spool, found.stream_bytes)
        digests = carrier.read(scan, found, spool, work, stage=stage, plan=plan)
        os.truncate(spool, found.stream_bytes)
    except OSError as error:
        raise OutputError(f"{spool.parent.parent} cannot be written: {error.strerror}") from None
    return digests


@contextlib.contextmanager
def unsealed(spool: Path, found: Found) -> Iterator[seal.Unsealer | Opened]:
    """The payload piece by piece, provisional until the last."""
    if found.payload is not None:
        yield Opened(found.payload)
        return
    with spool.open("rb") as file:
        yield seal.Unsealer(file, found.keys, found.stream_bytes)


def drained(spool: Path, found: Found) -> seal.Unsealer | Opened:
    """The payload to its end, for its size and digest alone."""
    with unsealed(spool, found) as pieces:
        for _ in pieces:
            pass
    return pieces


def locate_in_the_second(before: Scan, after: Scan, key: Key, method: How | None) -> tuple[Carrier, Found]:
    """`locate` in the stego of two videos; PayloadError says so if it is the cover that carries."""
    try:
        located = locate(after, key, method)
    except PayloadError:
        if before.path.samefile(after.path) or not _carries(before, key, method):
            raise
        text = f"{before.path} carries a payload and {after.path} none; give the cover first, then the stego"
        raise PayloadError(text) from None
    if before.path.samefile(after.path):
        raise InputError(f"{after.path} is given as the cover and as the stego; give two files")
    return located


def _carries(scan: Scan, key: Key, method: How | None) -> bool:
    try:
        locate(scan, key, method)
    except PayloadError:
        return False
    return True
