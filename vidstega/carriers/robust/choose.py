"""How strong: the quietest that leaves the wanted margin in a channel, found by trying it for real.

What is tried is the caller's: write a stretch at a strength, send it through the channel, read it. This
decides what to try next and what to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vidstega.carriers.robust.levels import LOUD_DB, STRENGTHS_DB
from vidstega.coding.ira import CLASSES, class_bytes
from vidstega.errors import CapacityError, ParameterError
from vidstega.seal.short import OVERHEAD_BYTES

LEAST_MARGIN = 2.0
"""The channel may turn out half as good as the one tried; at 1.2 or so reading begins to fail."""


@dataclass(frozen=True)
class Heard:
    """What came through a channel: information on the data cells in bits a second, and the PSNR before it."""

    bits_s: float
    psnr_db: float


@dataclass(frozen=True)
class Trial:
    """One strength that was tried, and the message bytes it would carry with the margin wanted."""

    strength_db: float
    psnr_db: float
    margin: float
    fits_bytes: int

    def __str__(self) -> str:
        return f"{self.fits_bytes:,} bytes at {self.psnr_db:.1f} dB"


@dataclass(frozen=True)
class Choice:
    """The strength chosen, its margin, and all that was tried, quietest first."""

    strength_db: float
    margin: float
    trials: tuple[Trial, ...]


def choose(
    sealed_bytes: int,
    duration_s: float,
    hear: Callable[[float], Heard],
    *,
    channel: str,
    strengths_db: Sequence[float] = STRENGTHS_DB,
    margin: float = LEAST_MARGIN,
) -> Choice:
    """Try strengths in turn until one leaves the margin.

    Parameters
    ----------
    sealed_bytes : size class of the message
    duration_s : seconds of the whole video, of which `hear` may try a part
    hear : writes at a strength in dB, runs the channel, reads; `Heard.bits_s` is what `Reading` has of it
    channel : its name, for the refusal
    strengths_db : what to try, quietest first

    Raises
    ------
    CapacityError
        If none leaves the margin; it says how many bytes would at each strength.
    """
    if not strengths_db or margin <= 0:
        raise ParameterError("there is no strength to try, or no margin to reach; give one of each")
    trials: list[Trial] = []
    for strength_db in strengths_db:
        heard = hear(strength_db)
        bits = heard.bits_s * duration_s
        found = Trial(strength_db, heard.psnr_db, bits / (8 * sealed_bytes), fits(bits / margin))
        trials.append(found)
        if found.margin >= margin:
            return Choice(strength_db, found.margin, tuple(trials))
    raise CapacityError(
        f"{sealed_bytes:,} bytes with their seal come through {channel} with a margin of "
        f"{trials[-1].margin:.1f} at most, not {margin:g}; what fits is {', '.join(map(str, trials))}; "
        f"{way_out(louder=LOUD_DB not in strengths_db)}"
    )


def way_out(*, louder: bool) -> str:
    """What helps where too little comes through; being `louder` does if it was not tried."""
    more = ", psnr_db=48 (it may show on calm areas)" if louder else ""
    return f"take a shorter message, a longer video, a milder channel{more}"


def fits(bits: float) -> int:
    """Message bytes, incompressible, of the largest size class that takes so many bits; 0 if none does."""
    sizes = [size for size in map(class_bytes, range(CLASSES)) if 8 * size <= bits]
    return max(0, sizes[-1] - OVERHEAD_BYTES) if sizes else 0
