"""What the engine asks of a family of carriers, and what a family answers.

A family is a way to keep bits in a video. The engine knows these questions and no family; the command line,
the service, the lab and the estimates ask the same ones. A carrier is a family with its knobs set.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidstega.carriers import memory
from vidstega.errors import CapacityError, ParameterError, PayloadError, UnsupportedError
from vidstega.media.compare import Promise
from vidstega.media.source import Scan
from vidstega.pool import Work
from vidstega.results import Estimate
from vidstega.seal import Key, Keys, Sealed, largest_payload
from vidstega.seal.short import OVERHEAD_BYTES

Spread = str | float

_NO_KEYS = Keys(b"", b"")


@dataclass(frozen=True)
class Room:
    """How much fits.

    Parameters
    ----------
    frames : frames that may carry
    frame_bytes : bytes that a whole one takes
    sealed_bytes : bytes that a payload may have when it is sealed
    short : whether that is a short seal
    """

    frames: int
    frame_bytes: int
    sealed_bytes: int
    short: bool = False

    @property
    def payload_bytes(self) -> int:
        """Bytes of the largest incompressible payload."""
        if self.short:
            return max(0, self.sealed_bytes - OVERHEAD_BYTES)
        return largest_payload(self.sealed_bytes)


@dataclass(frozen=True)
class Wish:
    """What a plan is for.

    Parameters
    ----------
    stream_bytes : size of the sealed stream
    spread : "usual", "fewest", "all" or an alpha in (0, 1]
    container : name of the output's container, as libav has it
    failures : what went wrong with plans for the same wish before
    short_bytes : size of the payload under a short seal, for families that use it; None if it is large
    """

    stream_bytes: int
    spread: Spread
    container: str
    failures: tuple[Failure, ...] = ()
    short_bytes: int | None = None


class Failure(Exception):
    """A plan of this mode could not be carried out; another may, perhaps one that avoids packet `at`."""

    def __init__(self, error: Exception, mode: str, at: int | None = None) -> None:
        super().__init__(error, mode, at)
        self.error, self.mode, self.at = error, mode, at


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Where a sealed stream goes. A family adds to it what it needs to know.

    Parameters
    ----------
    mode : what happens to the file, in one word ("splice", "transcode"); `reason` says why
    frames, carrying : frames there are, and those that carry
    alpha : bits per sample of a carrying frame, or per whatever the family counts
    promise : what may differ from the cover; nothing but this
    coded : frames that are written anew
    new_bytes, least_bytes : how many bytes that makes, about and at the least
    notes : what had to give, to be said in the result
    """

    mode: str
    reason: str
    frames: int
    stream_bytes: int
    promise: Promise
    carrying: int = 0
    alpha: float = 0.0
    coded: int = 0
    new_bytes: int = 0
    least_bytes: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Written:
    """What came of writing.

    Parameters
    ----------
    left_out : streams of the cover that the container cannot hold
    digests : of all that carries as it was written, to be compared with what is read back
    measured : what the family found out on the way and tells: decibels, margins, counts
    """

    left_out: frozenset[int] = frozenset()
    digests: NDArray[np.uint64] = field(repr=False, default_factory=lambda: np.empty(0, np.uint64))
    seconds: dict[str, float] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Found:
    """A message that opened. A family adds to it what it needs to read the rest.

    Parameters
    ----------
    method : name of the method that the header says
    keys, stream_bytes : what opens the sealed stream, and its size
    carrying : frames that carry
    payload : the payload itself, where finding it was opening it; there is no stream to read then
    """

    method: str
    keys: Keys = _NO_KEYS
    stream_bytes: int = 0
    payload: bytes | None = None
    carrying: int = 0


class Carrier(ABC):
    """One family with its knobs set. Carriers are small values that can be sent to a worker."""

    family: str
    """Name of the family, part of the sealed format."""
    method: str
    """Name of the method, which a user may ask for."""
    loudness: int | None = None
    """Where ``method="auto"`` tries it: quietest first. None: only if it is asked for by name."""
    searched: bool = True
    """Whether a message of this family is looked for where no method is named."""
    spreads: tuple[Spread, ...] = ("fewest", 0.5, 0.1, "all")
    """What `capacity` has rows for."""
    kernels: tuple[str, ...] = ()
    """Modules that take long to import, as they are compiled; a server loads them ahead."""
    plans_again: bool = False
    """Whether `plan` looks at what failed before, and so may be asked again."""

    @abstractmethod
    def room(self, scan: Scan, spread: Spread) -> Room:
        """How much a scanned video takes at a spread.

        Raises
        ------
        UnsupportedError
            If it takes nothing, whatever the message.
        """

    def most_bytes(self, scan: Scan, spread: Spread) -> int:
        """Bytes of a sealed stream beyond which to give up at once; may be too many, but costs nothing."""
        return self.room(scan, spread).sealed_bytes

    @abstractmethod
    def plan(self, scan: Scan, wish: Wish) -> Plan:
        """Decide where a sealed stream goes; nothing is written.

        Raises
        ------
        CapacityError, UnsupportedError
            If the stream does not fit, or the video cannot carry.
        VidstegaError
            That of the last failure, if no other plan is left.
        """

    @abstractmethod
    def write(self, scan: Scan, plan: Any, sealed: Sealed, target: Path, work: Work) -> Written:
        """Write `target`, which is new.

        Raises
        ------
        Failure
            If another plan may do.
        """

    @abstractmethod
    def locate(self, scan: Scan, key: Key, *, deep: bool = False) -> Found:
        """Find a message of this family with nothing but the key.

        Raises
        ------
        PayloadError
            If none opens.
        """

    def suspects(self, scan: Scan) -> bool:
        """Whether the packets alone look as if this family carries here: then it is looked for first."""
        return False

    def read(
        self, scan: Scan, found: Any, spool: Path, work: Work, *, stage: str, plan: Any = None
    ) -> NDArray[np.uint64]:
        """Write the sealed stream into `spool`, an empty file; what is beyond its size is cut off.

        With the plan that it was written by, give the digests that `Written` has if all is as it was.
        Never asked of a family whose `locate` gives the payload.

        Raises
        ------
        PayloadError
            If what carries cannot be read any more.
        """
        raise PayloadError

    def check(self, scan: Scan, stego: Scan, plan: Any, work: Work) -> dict[str, float]:
        """What else has to be proved of a file that was written, beyond `promise` and the payload.

        Gives what was measured on the way.

        Raises
        ------
        VerificationError
            Naming what is not as it should be.
        """
        return {}

    @abstractmethod
    def promise(self, cover: Scan, stego: Scan, found: Any) -> tuple[str, Promise]:
        """By which mode the stego was made of this cover, and what may differ."""

    def obstacle(self, scan: Scan) -> str | None:
        """Why this family cannot carry here at all, or None."""
        try:
            room = self.room(scan, "all")
        except (CapacityError, UnsupportedError) as error:
            return str(error)
        return None if room.sealed_bytes else "there is no room"

    def outlook(self, scan: Scan) -> str:
        """What a user may expect of this family here, in a line."""
        why = self.obstacle(scan)
        return f"no: {why}" if why else f"{self.room(scan, 'all').payload_bytes:,} bytes at the most"

    def standing_bytes(self, scan: Scan) -> int:
        """Memory that a process keeps once this family has been asked for a plan here, and declined."""
        return 0

    def estimate(self, scan: Scan, plan: Any, *, n_jobs: int = 1, verify: bool = True) -> Estimate:
        """Predict what `write` and its verification take; this is for files that are copied, by and large."""
        kept = scan.path.stat().st_size
        return Estimate(
            memory_bytes=memory.total(scan, memory.SCRYPT_BYTES + memory.WORKER_BYTES),
            output_bytes=kept + plan.stream_bytes,
            disk_bytes=kept + (3 if verify else 2) * plan.stream_bytes,
            mode=plan.mode,
            reason=plan.reason,
            frames=plan.frames,
            coded=plan.coded,
        )

    def estimate_reading(self, scan: Scan, *, most_bytes: int | None = None) -> Estimate:
        """Predict what `read` takes, whatever is carried; of a stream `most_bytes` are read at the most."""
        most = self.room(scan, "all").sealed_bytes
        most = most if most_bytes is None else min(most, most_bytes)
        needed = memory.total(scan, memory.SCRYPT_BYTES + memory.WORKER_BYTES)
        return Estimate(needed, most, 2 * most, "extract", "all of it may carry", len(scan.pts), 0)


def check_spread(spread: Spread) -> Spread:
    """ParameterError unless `spread` is "usual", "fewest", "all" or an alpha in (0, 1]."""
    if isinstance(spread, str) and spread in ("usual", "fewest", "all"):
        return spread
    if isinstance(spread, int | float) and not isinstance(spread, bool) and 0 < spread <= 1:
        return float(spread)
    raise ParameterError(
        f'spread={spread!r} is none of "fewest", "all" and a number of bits per sample, 0 < alpha <= 1'
    )
