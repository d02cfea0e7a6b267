"""Packet table + size of a sealed stream -> a plan: which frames carry, what is copied, what is coded again.

Pure functions and frozen values; no file is opened here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vidstega import h264
from vidstega.carriers.base import Plan, Room, Spread, Wish
from vidstega.carriers.samples.bands import Bands
from vidstega.carriers.samples.groups import (
    CAN_SPLICE,
    Group,
    Site,
    check_transcodable,
    free_pps_id,
    groups_of,
    splice_obstacle,
)
from vidstega.errors import CapacityError, ParameterError
from vidstega.media.census import certain_frames
from vidstega.media.coders import Encoding, RawPictures, Recipe, wants_header
from vidstega.media.compare import Promise
from vidstega.media.decode import frame_size
from vidstega.media.encode import lossless_for
from vidstega.media.segments import Span, segments
from vidstega.media.source import Scan
from vidstega.media.times import NEEDS_EACH_ITS_OWN, told_apart
from vidstega.methods.habits import habits_of
from vidstega.seal import largest_payload

_SPLICES = 3  # that are tried where one meets damage; then all is coded anew
SEGMENT_FRAMES = 24
"""A segment of a transcode is at least so long, if the key frames allow."""

LOSSLESS_RATIO = 0.4
"""Size of a losslessly coded natural video over its raw size, roughly; decides splice or transcode."""


@dataclass(frozen=True)
class Stretch:
    """A span whose first frames carry a stretch of the sealed stream.

    Parameters
    ----------
    run, frame : ordinal of the run the first of them is in, and its number in that run
    carrying : how many of the frames carry
    offset : where in the sealed stream the first of them starts
    run_frames : how many frames of the run carry, of this span and its neighbours
    """

    span: Span
    run: int
    frame: int
    carrying: int
    offset: int
    run_frames: int


@dataclass(frozen=True, kw_only=True)
class SamplesPlan(Plan):
    """What an embedding in samples does with each packet.

    A splice replaces the packets in each stretch's ``span.replaced`` and copies the others; a transcode
    replaces all of the video's packets.
    """

    stretches: tuple[Stretch, ...]
    runs: int
    frame_bytes: int
    recipe: Recipe = field(repr=False)


def make_plan(scan: Scan, bands: Bands, wish: Wish) -> SamplesPlan:
    """Decide where a sealed stream goes.

    Raises
    ------
    CapacityError
        With what is needed, what there is, and the way out.
    """
    wish = replace(wish, spread=usual_spread(bands, wish.spread))
    most = _frame_bytes(scan, bands, wish)
    if not most:
        raise ParameterError(
            f"spread={wish.spread} is less than a byte in {bands.size[0]}x{bands.size[1]} samples"
        )
    obstacle = _obstacle(scan, wish)
    if obstacle is None:
        plan = _splice(scan, bands, wish, most)
        if plan is not None and plan.coded <= LOSSLESS_RATIO * plan.frames:
            return plan
        obstacle = (
            "the cuttable groups are too small for the payload"
            if plan is None
            else f"{plan.coded} raw frames of {plan.frames} would be larger than coding all again"
        )
    return _transcode(scan, bands, wish, most, obstacle)


def usual_spread(bands: Bands, spread: Spread) -> Spread:
    """The spread that is meant, where "usual" is the method's own."""
    return habits_of(bands.method).spread if spread == "usual" else spread


def _frame_bytes(scan: Scan, bands: Bands, wish: Wish) -> int:
    """Bytes that a whole frame is filled with at the most: by the method's habit if all frames hold it so."""
    if not isinstance(wish.spread, str):
        return bands.most_bytes(wish.spread)
    usual, most = bands.most_bytes(habits_of(bands.method).alpha), bands.most_bytes()
    if usual < most and bands.run_bytes(usual, 0, len(scan.pts)) >= wish.stream_bytes:
        return usual
    return most


def room(scan: Scan, bands: Bands, spread: Spread) -> Room:
    """How much fits at this spread; a transcode lets every frame carry, so the mode does not matter."""
    spread = usual_spread(bands, spread)
    most = bands.most_bytes(1.0 if isinstance(spread, str) else spread)
    frames = certain_frames(scan)
    return Room(frames, most, bands.run_bytes(most, 0, frames))


def stretches_of(scan: Scan, bands: Bands, carrying: int, frame_bytes: int) -> tuple[Stretch, ...]:
    """A transcoded video from its first frame to its last, of which the first `carrying` frames carry."""
    stretches, frame = [], 0
    for span in segments(scan, SEGMENT_FRAMES):
        count = min(max(carrying - frame, 0), len(span.pts))
        offset = bands.run_bytes(frame_bytes, 0, frame) if count else 0
        stretches.append(Stretch(span, 0, frame, count, offset, carrying))
        frame += len(span.pts)
    return tuple(stretches)


def promise_of(scan: Scan, stretches: Sequence[Stretch], *, spliced: bool) -> Promise:
    """What may differ where these stretches carry."""
    carrying = np.zeros(len(scan.pts), bool)
    for stretch in stretches:
        at = int(np.searchsorted(scan.pts, stretch.span.pts[0]))
        carrying[at : at + stretch.carrying] = True
    packets = _replaced(stretches, len(scan.packets)) if spliced else None
    return Promise(packets, carrying)


def _replaced(stretches: Sequence[Stretch], packets: int) -> NDArray[np.bool_]:
    mask = np.zeros(packets, bool)
    for stretch in stretches:
        mask[slice(*stretch.span.replaced)] = True
    return mask


def _obstacle(scan: Scan, wish: Wish) -> str | None:
    for failure in wish.failures:
        if failure.at is None or len(wish.failures) == _SPLICES:
            return f"a splice failed: {failure.error}"
    if obstacle := splice_obstacle(scan, wish.container):
        return obstacle
    return 'spread="all" lets every frame carry' if wish.spread == "all" else None


# -- splicing -------------------------------------------------------------------------------------------


def _splice(scan: Scan, bands: Bands, wish: Wish, most: int) -> SamplesPlan | None:
    damaged = {failure.at for failure in wish.failures}
    groups = [group for group in groups_of(scan) if group.start not in damaged]
    chosen = _choose(groups, bands, wish.stream_bytes, most, scan)
    if chosen is None:
        return None
    chosen.sort(key=lambda site: site.cut)
    lengths = [site.stop - site.cut for site in chosen]
    frame_bytes = bands.fit(wish.stream_bytes, lengths, most)
    if frame_bytes is None:
        return None
    stretches = tuple(_laid_out(scan, bands, chosen, frame_bytes))
    return SamplesPlan(
        mode="splice",
        reason=CAN_SPLICE,
        frames=len(scan.packets),
        carrying=sum(lengths),
        alpha=_alpha(bands, frame_bytes),
        stream_bytes=wish.stream_bytes,
        promise=promise_of(scan, stretches, spliced=True),
        coded=sum(lengths),
        new_bytes=sum(lengths) * frame_size(scan),
        least_bytes=sum(lengths) * frame_size(scan),
        stretches=stretches,
        runs=len(chosen),
        frame_bytes=frame_bytes,
        recipe=_raw_pictures(scan, wish.container),
        notes=_notes(bands, frame_bytes),
    )


def _raw_pictures(scan: Scan, container: str) -> RawPictures:
    pps_id, extra = free_pps_id(scan), scan.sets.extra
    assert isinstance(extra, h264.ParameterSets) and pps_id is not None
    sps = h264.parse_sps(scan.sets.sps[0])
    pps = h264.write_pps(pps_id, sps.id)
    # Where sets travel with the packets, all go along: FFmpeg repeats the last ones it saw at each IDR.
    apart = wants_header(container) and not scan.sets.with_packets
    in_band = () if apart else (scan.sets.sps[0], *scan.sets.pps, pps)
    return RawPictures(container, sps, pps_id, extra.length_size, extra.with_pps(pps), in_band)


def _laid_out(scan: Scan, bands: Bands, sites: Sequence[Site], frame_bytes: int) -> list[Stretch]:
    stretches, offset = [], 0
    for run, site in enumerate(sites):
        frames = site.stop - site.cut
        pts = np.sort(scan.packets["pts"][site.cut : site.stop])
        span = Span(run, site.first, site.stop, pts, (site.cut, site.stop), site.stand_in)
        stretches.append(Stretch(span, run, 0, frames, offset, frames))
        offset += bands.run_bytes(frame_bytes, run, frames)
    return stretches


def _choose(
    groups: Sequence[Group], bands: Bands, stream_bytes: int, most: int, scan: Scan
) -> list[Site] | None:
    """Sites that hold the stream: whole long groups first, then the cheapest site for the rest."""
    chosen: list[Site] = []
    head, start, plain = (bands.body_bytes(most, run, frame) for run, frame in ((0, 0), (1, 0), (1, 1)))
    left, free = stream_bytes, sorted(groups, key=lambda group: group.start - group.stop)
    raw = h264.parse_sps(scan.sets.sps[0]).raw_bytes
    while True:  # the smallest area, `head`, comes first, whichever run turns out to be run 0
        frames = 1 + max(0, -(-(left - head) // plain))
        sites = [site for group in free for site in group.sites(frames)]
        if sites:
            return [*chosen, min(sites, key=lambda site: site.cost(scan.packets, raw))]
        longest = next((group for group in free if group.whole), None)
        if longest is None:
            return None
        free.remove(longest)
        chosen.append(Site(longest.start, longest.start, longest.stop))
        left -= head + (longest.stop - longest.start - 1) * plain
        head = start


# -- transcoding ----------------------------------------------------------------------------------------


def _transcode(scan: Scan, bands: Bands, wish: Wish, most: int, reason: str) -> SamplesPlan:
    check_transcodable(scan)
    frames = len(scan.pts)
    held = bands.run_bytes(most, 0, frames)
    if held < wish.stream_bytes:
        raise CapacityError(_too_large(wish, held, frames, bands))
    plain = bands.body_bytes(most, 0, 1)
    fewest = 1 + max(0, -(-(wish.stream_bytes - bands.body_bytes(most, 0, 0)) // plain))
    carrying = frames if wish.spread == "all" else fewest
    frame_bytes = bands.fit(wish.stream_bytes, [carrying], most)
    assert frame_bytes is not None
    stretches = _timed(stretches_of(scan, bands, carrying, frame_bytes), scan, wish.container)
    coded_bytes = round(frames * frame_size(scan) * LOSSLESS_RATIO)
    return SamplesPlan(
        mode="transcode",
        reason=reason,
        frames=frames,
        carrying=carrying,
        alpha=_alpha(bands, frame_bytes),
        stream_bytes=wish.stream_bytes,
        promise=promise_of(scan, stretches, spliced=False),
        coded=frames,
        new_bytes=coded_bytes,
        least_bytes=coded_bytes // 4,
        stretches=stretches,
        runs=1,
        frame_bytes=frame_bytes,
        recipe=Encoding(wish.container, lossless_for(scan.source.pix_fmt, scan.size, wish.container)),
        notes=_notes(bands, frame_bytes),
    )


def _timed(stretches: tuple[Stretch, ...], scan: Scan, container: str) -> tuple[Stretch, ...]:
    """The stretches with frames of one time told apart, if the container needs it."""
    if container not in NEEDS_EACH_ITS_OWN or (np.diff(scan.pts) > 0).all():
        return stretches
    ends = np.cumsum([len(stretch.span.pts) for stretch in stretches])[:-1]
    times = np.split(told_apart(scan.pts, scan.source.time_base), ends)
    pairs = zip(stretches, times, strict=True)
    return tuple(replace(one, span=replace(one.span, written=written)) for one, written in pairs)


def _alpha(bands: Bands, frame_bytes: int) -> float:
    return 8 * frame_bytes / (bands.size[0] * bands.size[1])


def _notes(bands: Bands, frame_bytes: int) -> tuple[str, ...]:
    alpha, usual = _alpha(bands, frame_bytes), habits_of(bands.method).alpha
    if alpha <= usual:
        return ()
    return (f"{alpha:.3g} bits a sample, where {bands.method.name} has {usual:g} or less: easier to notice",)


def _too_large(wish: Wish, has: int, frames: int, bands: Bands) -> str:
    way_out = "use a longer or larger video"
    if bands.run_bytes(bands.most_bytes(), 0, frames) >= wish.stream_bytes:
        way_out += ' or spread="fewest"'
    fits = f"so that {largest_payload(has):,} bytes fit"
    return (
        f"the payload needs {8 * wish.stream_bytes:,} bits with its seal, capacity is {8 * has:,} bits "
        f"in {frames:,} frames at spread={wish.spread!r}, {fits}; {way_out}"
    )
