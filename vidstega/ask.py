"""capacity, probe, estimate, frames: questions about a video that change nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from vidstega import carriers, files
from vidstega.carriers import AUTO, Carrier, How
from vidstega.carriers.base import Plan, Spread, Wish, check_spread
from vidstega.carriers.samples.groups import CAN_SPLICE, splice_obstacle
from vidstega.errors import CapacityError, ParameterError, UnsupportedError
from vidstega.files import PathLike
from vidstega.media.census import certain_frames
from vidstega.media.decode import decode_span, planes
from vidstega.media.mux import container_of
from vidstega.media.scan import scan as scan_file
from vidstega.media.segments import span_around
from vidstega.media.source import KEY, Scan
from vidstega.results import Capacity, CapacityRow, Estimate, Frame, Probe
from vidstega.seal import sealed_bytes
from vidstega.seal.short import OVERHEAD_BYTES


def capacity(cover: PathLike, *, method: How | None = None) -> Capacity:
    """How much a cover takes, by method and spread; families that it is nothing for are left
    out, and those that are only for the asking. Of `robust` it is a bound: `embed` tries what survives.

    Raises
    ------
    CapacityError, UnsupportedError
        If all of them are.
    """
    scan = scan_file(files.video_at(cover))
    known = [one for one in map(carriers.get, carriers.names()) if one.searched]
    asked = known if method is None or method == AUTO else [carriers.get(method)]
    rows: list[CapacityRow] = []
    refusals: dict[str, CapacityError | UnsupportedError] = {}
    for carrier in asked:
        try:
            rows += [_row(scan, carrier, spread) for spread in carrier.spreads]
        except (CapacityError, UnsupportedError) as error:
            refusals[carrier.method] = error
    if refusals and not rows:
        last = carriers.automatic()[-1].method  # what takes most has the last word, as in `embed`
        raise refusals.get(last) or refusals[asked[-1].method]
    return Capacity(Path(cover), tuple(rows))


def _row(scan: Scan, carrier: Carrier, spread: Spread) -> CapacityRow:
    room = carrier.room(scan, spread)
    return CapacityRow(
        method=carrier.method,
        spread=spread,
        frame_bits=8 * room.frame_bytes,
        frames=room.frames,
        total_bits=8 * room.sealed_bytes,
        payload_bytes=room.payload_bytes,
    )


def probe(cover: PathLike) -> Probe:
    """What a file is, and whether it can be spliced and why not."""
    scan = scan_file(files.video_at(cover))
    obstacle = carriers.get("lsb").obstacle(scan) or splice_obstacle(scan)
    return Probe(
        path=Path(cover),
        format=scan.format,
        codec=scan.codec,
        pix_fmt=scan.source.pix_fmt,
        width=scan.size[0],
        height=scan.size[1],
        frames=certain_frames(scan),
        rate=scan.source.rate,
        duration_s=scan.duration_s,
        bytes=files.size_of(Path(cover)),
        key_frames=int((scan.packets["flags"] & KEY != 0).sum()),
        streams=scan.streams,
        splice=obstacle is None,
        reason=obstacle or CAN_SPLICE,
        families={one.method: one.outlook(scan) for one in carriers.automatic()},
    )


def estimate(
    cover: PathLike,
    payload_bytes: int,
    *,
    method: How = AUTO,
    spread: Spread = "usual",
    n_jobs: int = 1,
    verify: bool = True,
) -> Estimate:
    """Predict what `embed` takes, from the packets alone; nothing is decoded.

    Parameters
    ----------
    cover : path of a video
    payload_bytes : size of the payload; compression is not counted on
    method, spread, n_jobs, verify : as for `embed`; workers are taken to be threads

    Raises
    ------
    InputError, CapacityError, UnsupportedError
        As `embed` would.

    Examples
    --------
    >>> vidstega.estimate("holiday.mp4", 1000).memory_bytes >> 20  # doctest: +SKIP
    131
    """
    if isinstance(payload_bytes, bool) or not isinstance(payload_bytes, int) or payload_bytes < 0:
        raise ParameterError(f"payload_bytes={payload_bytes!r} is no number of bytes; give 0 or more")
    short = payload_bytes + OVERHEAD_BYTES
    wish = Wish(sealed_bytes(payload_bytes), check_spread(spread), _container(Path(cover)), short_bytes=short)
    return estimate_embedding(scan_file(files.video_at(cover)), wish, method, n_jobs=n_jobs, verify=verify)


def estimate_embedding(
    scan: Scan, wish: Wish, method: How = AUTO, *, n_jobs: int = 1, verify: bool = True
) -> Estimate:
    """`estimate` of a video that was scanned already."""
    able = carriers.automatic() if method == AUTO else [carriers.get(method)]
    carrier, plan = _first_plan(able, scan, wish)
    guess = carrier.estimate(scan, plan, n_jobs=n_jobs, verify=verify)
    standing = sum(one.standing_bytes(scan) for one in able[: able.index(carrier)])
    return replace(guess, memory_bytes=guess.memory_bytes + standing)


def estimate_extraction(scan: Scan, *, method: How = AUTO, most_payload_bytes: int | None = None) -> Estimate:
    """Predict what `extract` takes of one worker from a scanned video, whatever it carries.

    Parameters
    ----------
    most_payload_bytes : payloads above it are refused by other means, so disk for more is not needed
    """
    most = None if most_payload_bytes is None else sealed_bytes(most_payload_bytes)
    guesses, refusal = [], None
    for carrier in carriers.to_search(method):
        try:
            guesses.append(carrier.estimate_reading(scan, most_bytes=most))
        except (CapacityError, UnsupportedError) as error:
            refusal = error
    if refusal is not None and not guesses:
        raise refusal
    return max(guesses, key=lambda guess: (guess.memory_bytes, guess.disk_bytes))


def _first_plan(able: Sequence[Carrier], scan: Scan, wish: Wish) -> tuple[Carrier, Plan]:
    for carrier in able[:-1]:
        try:
            return carrier, carrier.plan(scan, wish)
        except (CapacityError, UnsupportedError):
            continue
    return able[-1], able[-1].plan(scan, wish)


def _container(cover: Path) -> str:
    try:
        return container_of(cover)
    except ParameterError:
        return "matroska"


def frames(path: PathLike, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
    """Decode frames [start, stop) of the carrying stream, one at a time.

    Examples
    --------
    >>> lumas = [frame.luma.mean() for frame in vidstega.frames("holiday.mp4", 0, 10)]  # doctest: +SKIP
    """
    scan = scan_file(files.video_at(path))
    count = len(scan.pts)
    stop = count if stop is None else min(stop, count)
    if start < 0 or stop < 0:
        raise ParameterError(f"frames [{start}, {stop}) cannot be counted from the end; there are {count}")
    if start >= stop:
        return
    span = span_around(scan, start, stop)
    rows = scan.packets[span.first : span.stop]
    for index, frame in enumerate(decode_span(scan.source, span.first, rows, span.pts), start):
        time_s = float(span.pts[index - start] * scan.source.time_base)
        yield Frame(index, time_s, scan.depth, tuple(planes(frame)))
