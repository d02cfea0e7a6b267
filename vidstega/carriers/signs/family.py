"""The family: the file is copied, and some of its signs are turned in place."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from vidstega.carriers import memory
from vidstega.carriers.base import Carrier, Failure, Room, Spread, Wish, Written
from vidstega.carriers.signs.codecs import codec_of
from vidstega.carriers.signs.decoded import compare_decoded
from vidstega.carriers.signs.find import FoundSigns, find
from vidstega.carriers.signs.layout import MOST_BYTES
from vidstega.carriers.signs.plan import SignsPlan, make_plan, promise_of, room_bytes, whole
from vidstega.carriers.signs.walks import KERNELS, Walked, obstacle_of, pictures, tiers
from vidstega.carriers.signs.write import turns
from vidstega.clock import Clock
from vidstega.errors import CapacityError, InputError, UnsupportedError, VerificationError
from vidstega.media.coded import essence
from vidstega.media.compare import Promise
from vidstega.media.packets import mux_changed, patch
from vidstega.media.source import Scan
from vidstega.pool import Work
from vidstega.residual import turn
from vidstega.results import Estimate
from vidstega.seal import Key, Sealed, sealed_bytes


@dataclass(frozen=True)
class InSigns(Carrier):
    """Signs of residual coefficients of an H.264 or HEVC stream."""

    family = method = "signs"
    loudness = 10
    kernels = KERNELS

    def room(self, scan: Scan, spread: Spread) -> Room:
        _check(scan)
        use, fits = whole(scan), room_bytes(scan, spread)
        return Room(use.carrying, fits // max(1, use.carrying), fits, short=True)

    def most_bytes(self, scan: Scan, spread: Spread) -> int:
        """See `Carrier.most_bytes`: no picture is looked into."""
        _check(scan)
        return sealed_bytes(_READ_ANYWAY)

    def plan(self, scan: Scan, wish: Wish) -> SignsPlan:
        """See `Carrier.plan`: pictures are read until they have signs enough."""
        _check(scan)
        return make_plan(scan, wish)

    def write(self, scan: Scan, plan: SignsPlan, sealed: Sealed, target: Path, work: Work) -> Written:
        assert sealed.short is not None
        clock = Clock()
        with clock.stage("embed"):
            turned = turns(scan, plan, sealed.short, work)
        with clock.stage("mux"):
            left_out: frozenset[int] = frozenset()
            if plan.mode != "patch" or not patch(scan, target, turned.packets):
                try:
                    left_out = mux_changed(scan, target, plan.container, turned.packets, work)
                except UnsupportedError as error:
                    raise Failure(error, plan.mode) from None
        measured = {
            "flips": float(turned.signs),
            "pictures": float(turned.pictures),
            "in_use": float(plan.pictures),
            "steepness": turned.steepness,
        }
        return Written(left_out, seconds=clock.seconds, measured=measured)

    def locate(self, scan: Scan, key: Key, *, deep: bool = False) -> FoundSigns:
        return find(scan, key)

    def check(self, scan: Scan, stego: Scan, plan: SignsPlan, work: Work) -> dict[str, float]:
        """See `Carrier.check`: packets differ by signs alone, and nothing decodes otherwise than it may."""
        _compare_signs(scan, stego, plan.pictures)
        return compare_decoded(scan, stego, plan.promise, work)

    def promise(self, cover: Scan, stego: Scan, found: FoundSigns) -> tuple[str, Promise]:
        """See `Carrier.promise`; that packets in use differ by signs alone, a promise has no way to say."""
        if obstacle_of(cover) is None and len(cover.packets) == len(stego.packets):
            _compare_signs(cover, stego, found.pictures)
        same = cover.format == stego.format and cover.path.stat().st_size == stego.path.stat().st_size
        return "patch" if same else "remux", promise_of(cover, found.pictures)

    def obstacle(self, scan: Scan) -> str | None:
        try:
            _check(scan)
            whole(scan)
        except (CapacityError, InputError, UnsupportedError) as error:
            return str(error)
        return None

    def outlook(self, scan: Scan) -> str:
        if (why := self.obstacle(scan)) is not None:
            return f"no: {why}"
        use = whole(scan)
        fits = self.room(scan, "all").payload_bytes
        where = f"{use.carrying:,} pictures (to tier {tiers(scan).letter(use.pictures)})"
        return f"{fits:,} bytes at the most, in {use.carriers:,} signs of {where}"

    def standing_bytes(self, scan: Scan) -> int:
        return 0 if obstacle_of(scan) else memory.NUMBA_BYTES + _SIGNS_BYTES

    def estimate(self, scan: Scan, plan: SignsPlan, *, n_jobs: int = 1, verify: bool = True) -> Estimate:
        size = scan.path.stat().st_size
        return Estimate(
            memory_bytes=_memory(scan, frames=8 if verify else 4),
            output_bytes=size,
            disk_bytes=size + plan.stream_bytes,
            mode=plan.mode,
            reason=plan.reason,
            frames=plan.frames,
            coded=0,
        )

    def estimate_reading(self, scan: Scan, *, most_bytes: int | None = None) -> Estimate:
        _check(scan)
        return Estimate(_memory(scan, frames=0), MOST_BYTES, MOST_BYTES, "extract", "signs", len(scan.pts), 0)


_READ_ANYWAY = 1 << 20
"""Bytes that a payload may have to be told how many would fit."""
_SIGNS_BYTES = 40 * memory.MIB
"""What is held of the signs in use, and the paths of a trellis of 2^18 of them."""


def _memory(scan: Scan, frames: int) -> int:
    sample = 1 if scan.depth <= 8 else 2
    held = (4 + frames) * scan.size[0] * scan.size[1] * 3 // 2 * sample if frames else 0
    return memory.total(
        scan, memory.SCRYPT_BYTES + memory.WORKER_BYTES + memory.NUMBA_BYTES + _SIGNS_BYTES + held
    )


def _check(scan: Scan) -> None:
    if (why := obstacle_of(scan)) is not None:
        raise UnsupportedError(why)


def _compare_signs(cover: Scan, stego: Scan, used: int) -> None:
    """VerificationError unless the pictures in use differ by turned signs alone."""
    for before, after in zip(islice(pictures(cover), used), islice(pictures(stego), used), strict=True):
        if not _same_but_for_signs(before, after, _others(cover, before), _others(stego, after)):
            raise VerificationError(f"packet {after.ordinal} differs by more than signs")


def _others(scan: Scan, walked: Walked) -> list[bytes]:
    """NAL units beside the slices that containers leave alone."""
    codec = codec_of(scan)
    units = essence(walked.packet, scan.codec, scan.sets.length_size)
    return [nal for nal in units if not codec.is_slice(nal)]


def _same_but_for_signs(before: Walked, after: Walked, others: list[bytes], now: list[bytes]) -> bool:
    if before.ordinal != after.ordinal or others != now or len(before.signs) != len(after.signs):
        return False
    expected = turn(before.units, before.signs[np.flatnonzero(before.signs.negative != after.signs.negative)])
    if len(expected.wet):
        return False
    ours, theirs = ([unit.rstrip(b"\0") for unit in units] for units in (after.units, expected.units))
    return ours == theirs
