"""How many pictures a message takes, and what may differ then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vidstega.carriers.base import Plan, Spread, Wish
from vidstega.carriers.signs.layout import ALPHA_MOST, MOST_BYTES, Opening
from vidstega.carriers.signs.tiers import Tiers
from vidstega.carriers.signs.walks import Walked, pictures, tiers
from vidstega.errors import CapacityError
from vidstega.media.compare import Promise
from vidstega.media.packets import stays_in_place
from vidstega.media.source import Scan
from vidstega.seal.short import OVERHEAD_BYTES

_ALPHA, _ALPHA_NOTED = 1 / 16, 1 / 8


@dataclass(frozen=True, kw_only=True)
class SignsPlan(Plan):
    """How an embedding in signs goes.

    Parameters
    ----------
    pictures : how many of the list are in use
    tier : of the last of them
    container : of the output
    """

    pictures: int
    tier: str
    container: str


@dataclass(frozen=True)
class Use:
    """Pictures in use, those among them that have signs, and the signs left for a message."""

    pictures: int
    carrying: int
    carriers: int


def make_plan(scan: Scan, wish: Wish) -> SignsPlan:
    """Decide which pictures are used.

    Raises
    ------
    CapacityError
        With the number of bytes that fit.
    """
    if wish.short_bytes is None or wish.short_bytes > MOST_BYTES:
        most = MOST_BYTES - OVERHEAD_BYTES
        raise CapacityError(f"the payload is too large for signs; in no video more than {most:,} bytes fit")
    use = _use(scan, 8 * wish.short_bytes, wish.spread)
    alpha = 8 * wish.short_bytes / use.carriers
    if alpha > alpha_most(wish.spread):
        raise CapacityError(
            f"the payload needs {8 * wish.short_bytes:,} bits with its seal in {use.carriers:,} signs at "
            f"spread={wish.spread!r}; {_fits(scan, wish.spread):,} bytes fit"
        )
    in_place, tier = stays_in_place(scan, wish.container), tiers(scan).letter(use.pictures)
    return SignsPlan(
        mode="patch" if in_place else "remux",
        reason=f"{_ABOUT[tier[0]]}; an earlier message in signs, if there was one, is gone",
        frames=len(scan.pts),
        stream_bytes=wish.short_bytes,
        promise=promise_of(scan, use.pictures),
        carrying=use.carrying,
        alpha=alpha,
        notes=_notes(alpha, use),
        pictures=use.pictures,
        tier=tier,
        container=wish.container,
    )


_ABOUT = {
    "A": "pictures that no other is predicted from have signs enough",
    "B": "pictures that no other is predicted from, and the last ones before key frames, have signs enough",
    "C": "the last pictures before key frames have signs enough; those after them there change a little too",
}


def _notes(alpha: float, use: Use) -> tuple[str, ...]:
    if alpha <= _ALPHA_NOTED:
        return ()
    return (f"{alpha:.3f} bits in each of {use.carriers:,} signs, which is more than 1/8: easier to notice",)


def alpha_most(spread: Spread) -> float:
    """Bits a sign that are refused if they are exceeded."""
    return ALPHA_MOST if isinstance(spread, str) else min(spread, ALPHA_MOST)


def _use(scan: Scan, bits: int, spread: Spread) -> Use:
    target = _ALPHA if isinstance(spread, str) else alpha_most(spread)
    least = sum(map(len, tiers(scan).runs[:2])) if spread == "all" else 0
    source = pictures(scan)
    opening, taken = opened(source)
    used, signs, carrying = len(taken), opening.signs, sum(1 for walked in taken if len(walked.signs))
    while (signs - opening.carriers) * target < bits or used < least:
        if (walked := next(source, None)) is None:
            break
        used, signs, carrying = used + 1, signs + len(walked.signs), carrying + bool(len(walked.signs))
    return Use(used, carrying, signs - opening.carriers)


def opened(source: Iterator[Walked]) -> tuple[Opening, list[Walked]]:
    """The pictures that hold the header; CapacityError if all have not signs enough."""
    opening = Opening()
    taken = opening.take(source)
    if not opening.carriers:
        why = next((f" ({walked.obstacle})" for walked in taken if walked.obstacle), "")
        raise CapacityError(
            f"{len(taken):,} pictures may carry, with {opening.signs:,} signs that can be turned{why}; "
            "that is too few for any message"
        )
    return opening, taken


def whole(scan: Scan) -> Use:
    """All pictures of the list; what is read of them is let go as it comes."""
    if "whole" not in scan.memo:
        source = pictures(scan, keep=False)
        opening, taken = opened(source)
        counts = [*(len(walked.signs) for walked in taken), *(len(walked.signs) for walked in source)]
        carriers = sum(counts) - opening.carriers
        scan.memo["whole"] = Use(len(counts), sum(1 for n in counts if n), carriers)
    use: Use = scan.memo["whole"]
    return use


def room_bytes(scan: Scan, spread: Spread) -> int:
    """Bytes of a sealed message that fit."""
    return min(int(whole(scan).carriers * alpha_most(spread)) // 8, MOST_BYTES)


def _fits(scan: Scan, spread: Spread) -> int:
    return max(0, room_bytes(scan, spread) - OVERHEAD_BYTES)


def promise_of(scan: Scan, used: int) -> Promise:
    """What may differ where so many pictures of the list are in use."""
    found: Tiers = tiers(scan)
    ordinals = np.concatenate(found.runs)[:used]
    packets = np.zeros(len(scan.packets), bool)
    packets[ordinals] = True
    times = scan.packets["pts"][found.touched(ordinals)]
    return Promise(packets, np.isin(scan.pts, times), luma_only=False)
