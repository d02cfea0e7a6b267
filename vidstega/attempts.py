"""Trying carriers and plans in turn until one has written a file that reads back as it should."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vidstega import files
from vidstega.carriers import Carrier
from vidstega.carriers.base import Failure, Plan, Spread, Wish, Written
from vidstega.clock import Clock
from vidstega.errors import CapacityError, InputError, PayloadError, UnsupportedError, VerificationError
from vidstega.media import compare, kept
from vidstega.media.census import is_doubtful, take_census
from vidstega.media.scan import scan as scan_file
from vidstega.media.source import Scan, StreamInfo
from vidstega.pool import Work
from vidstega.reading import drained, read
from vidstega.results import EmbedResult
from vidstega.seal import Key, Sealed

_ATTEMPTS = 4  # by one carrier, each with another plan


@dataclass(frozen=True)
class Order:
    """What all attempts of one embedding share: the scanned cover, what is to be hidden, and how."""

    scan: Scan
    cover_bytes: int
    stego: Path
    key: Key = field(repr=False)
    sealed: Sealed
    verify: bool | str
    work: Work
    clock: Clock


def most_bytes(able: Sequence[Carrier], scan: Scan, spread: Spread) -> int:
    """Bytes of the largest stream that one of the carriers takes."""
    rooms, refusal = [], None
    for carrier in able:
        try:
            rooms.append(carrier.most_bytes(scan, spread))
        except (CapacityError, UnsupportedError) as error:
            refusal = error
    if refusal is not None and not rooms:
        raise refusal
    return max(rooms, default=0)


def by_the_first_able(able: Sequence[Carrier], order: Order, wish: Wish) -> tuple[EmbedResult, Path]:
    declined: list[str] = []
    for carrier in able[:-1]:
        try:
            return _embed_by(carrier, order, wish, declined)
        except (CapacityError, UnsupportedError, VerificationError) as error:
            declined.append(f"{carrier.method}: {error}")
    return _embed_by(able[-1], order, wish, declined)


def _embed_by(carrier: Carrier, order: Order, wish: Wish, declined: list[str]) -> tuple[EmbedResult, Path]:
    """Try plans of one carrier until one can be carried out."""
    while True:
        folder = order.work.folder / f"{carrier.method}-{len(wish.failures)}"
        folder.mkdir()
        try:
            return _attempt(carrier, order, wish, declined, folder)
        except Failure as failure:
            if _may_be_the_table(order.scan, failure):
                with order.clock.stage("look"):
                    order = replace(order, scan=take_census(order.scan, order.work.progress))
            elif not carrier.plans_again or len(wish.failures) == _ATTEMPTS - 1:
                raise failure.error from None
            else:
                wish = replace(wish, failures=(*wish.failures, failure))
            files.remove(folder)


def _may_be_the_table(scan: Scan, failure: Failure) -> bool:
    """Whether what is shown may be another thing than the packets tell; decoding once says what it is."""
    errors = InputError | VerificationError
    return failure.mode == "transcode" and not scan.source.as_decoded and isinstance(failure.error, errors)


def _attempt(
    carrier: Carrier, order: Order, wish: Wish, declined: list[str], folder: Path
) -> tuple[EmbedResult, Path]:
    target, clock = folder / f"stego{order.stego.suffix}", order.clock
    with clock.stage("plan"):
        plan = carrier.plan(order.scan, wish)
        if plan.promise.packets is None and is_doubtful(order.scan):
            raise Failure(InputError(f"{order.scan.path}: its packets do not say what is shown"), plan.mode)
        files.check_disk(folder, order.cover_bytes + plan.least_bytes)
    written = carrier.write(order.scan, plan, order.sealed, target, replace(order.work, folder=folder))
    clock.add(written.seconds)
    measured = dict(written.measured)
    left_out = [s for s in order.scan.streams if s.index in written.left_out]
    notes, compared = [_left_out(s, order.stego.suffix) for s in left_out], "no"
    notes += [*order.scan.notes, *plan.notes]
    if order.verify:
        with clock.stage("verify"):
            notes += _check(carrier, order, plan, written, target, measured)
            compared = "every frame" if order.verify == "full" else "packets, times, streams, payload"
    result = EmbedResult(
        stego=order.stego,
        method=carrier.method,
        mode=plan.mode,
        reason="; ".join([plan.reason, *declined]),
        frames=plan.frames,
        carrying=plan.carrying,
        payload_bytes=order.sealed.payload_bytes,
        sealed_bytes=plan.stream_bytes,
        alpha=plan.alpha,
        bytes_before=order.cover_bytes,
        bytes_after=target.stat().st_size,
        seconds=dict(clock.seconds),
        digest=order.sealed.digest,
        measured=measured,
        notes=tuple(dict.fromkeys(notes)),
        verified=compared,
    )
    return result, target


def _left_out(stream: StreamInfo, suffix: str) -> str:
    what = {"audio": "sound", "subtitle": "subtitles"}.get(stream.kind, stream.kind)
    return f"stream {stream}: left out, as {suffix} has no way to hold such {what}"


def _check(
    carrier: Carrier, order: Order, plan: Plan, written: Written, target: Path, measured: dict[str, float]
) -> list[str]:
    """Read back what was written, with the key alone, and compare; notes on what had to give."""
    copied = plan.promise.packets is not None
    try:
        stego = scan_file(target, digest=True, copied=copied)
        notes = compare.compare_packets(order.scan, stego, plan.promise)
        # a copy keeps damage of other streams, and a stranger reads the video without them
        found = carrier.locate(scan_file(target) if plan.mode == "patch" else stego, order.key)
        spool = target.with_name("read-back")
        digests = read(carrier, stego, found, spool, order.work, stage="verify", plan=plan)
        if drained(spool, found).digest != order.sealed.digest:
            raise VerificationError("the payload that was read back differs")
        if not np.array_equal(digests, written.digests):
            differ = int((digests != written.digests).sum())
            raise VerificationError(f"{differ} frames decode to other samples")
        measured |= carrier.check(order.scan, stego, plan, order.work)
        if order.verify == "full":
            compare.compare_frames(order.scan, stego, plan.promise, order.work.progress)
    except (VerificationError, InputError, PayloadError) as error:
        reason = "its payload is not found" if isinstance(error, PayloadError) else error
        other = "" if order.stego.suffix.lower() == ".mkv" else "; use another container, such as .mkv"
        failure = VerificationError(f"{order.stego.name} would not read back as it should: {reason}{other}")
        raise Failure(failure, plan.mode) from None
    return notes + kept.differences(order.scan, stego, copied=copied, left_out=written.left_out)
