"""Reference picture sets, the order pictures are shown in, and which pictures no later one refers to.

Clauses 7.3.7, 7.4.8, 8.3.1 and 8.3.2 of ITU-T H.265. What a set lists as used is all that a picture, or any
part of it, may be predicted from; encoders of phones leave many pictures unlisted that their NAL type says
may be referred to.
"""

from __future__ import annotations

from dataclasses import dataclass

from vidstega.errors import InputError
from vidstega.h264.bits import Bits
from vidstega.hevc.nal import IRAP, RESETS

_MOST = 16
"""Pictures that a decoder holds at the most (A.4.2)."""
_NONSENSE = "an HEVC reference picture set makes no sense; the video is damaged"


@dataclass(frozen=True)
class ShortTerm:
    """A short-term reference picture set: differences of order, and whether each is used by this picture.

    Parameters
    ----------
    before, after : pairs (difference, used) of pictures shown before and after, the nearest first
    """

    before: tuple[tuple[int, bool], ...] = ()
    after: tuple[tuple[int, bool], ...] = ()

    @property
    def every(self) -> tuple[tuple[int, bool], ...]:
        """All of them, in the order that they are counted in."""
        return self.before + self.after


@dataclass(frozen=True)
class LongTerm:
    """One long-term picture that a slice header names.

    Parameters
    ----------
    poc : its order, or the low bits of it
    whole : whether that is all of it
    used : whether the current picture may refer to it
    """

    poc: int
    whole: bool
    used: bool


def read_short_term(bits: Bits, index: int, known: list[ShortTerm], *, in_slice: bool) -> ShortTerm:
    """st_ref_pic_set( index ) (7.3.7); InputError if it makes no sense."""
    if index and bits.u(1):  # inter_ref_pic_set_prediction_flag
        back = 1 + bits.ue() if in_slice else 1
        if back > index:
            raise InputError(_NONSENSE)
        return _predicted(bits, known[index - back])
    counts = bits.ue(), bits.ue()
    if sum(counts) > _MOST:
        raise InputError(_NONSENSE)
    return ShortTerm(_listed(bits, counts[0], -1), _listed(bits, counts[1], 1))


def _listed(bits: Bits, count: int, sign: int) -> tuple[tuple[int, bool], ...]:
    found, at = [], 0
    for _ in range(count):
        at += sign * (1 + bits.ue())
        found.append((at, bits.flag()))
    return tuple(found)


def _predicted(bits: Bits, base: ShortTerm) -> ShortTerm:
    """A set told by what becomes of another (7-61, 7-62)."""
    negative = bits.u(1)
    delta = (1 + bits.ue()) * (-1 if negative else 1)
    every = (*base.every, (0, False))
    kept: list[tuple[int, bool]] = []
    for difference, _ in every:
        used = bits.flag()
        if used or bits.u(1):  # used_by_curr_pic_flag, use_delta_flag
            kept.append((difference + delta, used))
    before = sorted((pair for pair in kept if pair[0] < 0), reverse=True)
    after = sorted(pair for pair in kept if pair[0] > 0)
    if len(before) + len(after) > _MOST or len({difference for difference, _ in kept}) < len(kept):
        raise InputError(_NONSENSE)
    return ShortTerm(tuple(before), tuple(after))


@dataclass(frozen=True)
class Place:
    """What of a picture's first slice header says where it stands and what it refers to.

    Parameters
    ----------
    kind, temporal : nal_unit_type and TemporalId
    poc_lsb, log2_lsb : low bits of its order, and how many those are
    """

    kind: int
    temporal: int
    poc_lsb: int
    log2_lsb: int
    short: ShortTerm = ShortTerm()
    long: tuple[LongTerm, ...] = ()


class References:
    """Follows reference picture sets through a stream, and remembers which pictures nobody refers to."""

    def __init__(self) -> None:
        self._held: dict[int, int] = {}  # pictures a decoder holds: order, number
        self._anchor = 0  # order of the last picture of TemporalId 0 that may be referred to
        self._first = True
        self.alone: set[int] = set()
        """Numbers of pictures, in the order they are coded, that no picture so far refers to."""

    def add(self, number: int, place: Place | None) -> None:
        """Take the next picture; None if its header cannot be read, so that it may refer to anything."""
        if place is None:
            self.alone -= set(self._held.values())
            return
        poc = self._order(place)
        if place.kind in RESETS or self._first:
            self._held = {}
        else:
            self._refer(place, poc)
        self._first = False
        self.alone.discard(self._held.get(poc, -1))  # two of one order: damage, so take neither for free
        self._held[poc] = number
        if place.kind not in IRAP:
            self.alone.add(number)

    def _order(self, place: Place) -> int:
        """PicOrderCntVal (8.3.1)."""
        size = 1 << place.log2_lsb
        high = 0
        if not (place.kind in RESETS or self._first):
            low = self._anchor % size
            high = self._anchor - low
            if place.poc_lsb < low and low - place.poc_lsb >= size // 2:
                high += size
            elif place.poc_lsb > low and place.poc_lsb - low > size // 2:
                high -= size
        poc = high + place.poc_lsb
        leading_or_unreferred = 6 <= place.kind <= 9 or (place.kind < 16 and place.kind % 2 == 0)
        if place.temporal == 0 and not leading_or_unreferred:
            self._anchor = poc
        return poc

    def _refer(self, place: Place, poc: int) -> None:
        size, kept = 1 << place.log2_lsb, {}
        named = [
            (poc + difference, used)
            for difference, used in place.short.every
            if poc + difference in self._held
        ]
        for long in place.long:
            whole = poc - poc % size + long.poc if long.whole else long.poc
            named += [
                (held, long.used)
                for held in self._held
                if (held == whole if long.whole else held % size == whole)
            ]
        for held, used in named:
            kept[held] = self._held[held]
            if used:
                self.alone.discard(self._held[held])
        self._held = kept
