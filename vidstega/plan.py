"""Packet table + payload size -> a plan: which frames carry, what is copied, what is coded again.

Pure functions and frozen dataclasses; no file is opened here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vidstega import h264
from vidstega.carrier import Carrier
from vidstega.errors import CapacityError, InputError, ParameterError, UnsupportedError
from vidstega.video import DISCARD, IDR, KEY, NO_TIME, NONREF, SAFE, Packets, Scan

Spread = str | float

CAN_SPLICE = "it has pictures that no others depend on"

SEGMENT_FRAMES = 24
"""A segment of a transcode is at least so long, if the key frames allow."""

LOSSLESS_RATIO = 0.4
"""Size of a losslessly coded natural video over its raw size, roughly; decides splice or transcode."""

_SPLICES_INTO = ("mp4", "mov", "matroska", "mpegts", "flv")


@dataclass(frozen=True)
class Part:
    """Frames that one task decodes and writes, or reads back.

    Parameters
    ----------
    first, stop : packets [first, stop) to decode
    pts : times of the frames wanted, in order
    run, frame : ordinal of the run the first of them is in, and its number in that run
    carrying : how many of the frames carry; they are the first ones
    offset : where in the sealed stream the first of them starts
    replaced : packets [start, stop) that new ones stand for
    run_frames : how many frames of the run carry, of this part and its neighbours
    stand_in : whether the new packet takes the place of one that nothing else is predicted from
    """

    index: int
    first: int
    stop: int
    pts: NDArray[np.int64] = field(repr=False)
    run: int
    frame: int
    carrying: int
    offset: int
    replaced: tuple[int, int] = (0, 0)
    run_frames: int = 0
    stand_in: bool = False


@dataclass(frozen=True)
class Plan:
    """What an embedding does with each packet.

    ``mode`` is "splice" or "transcode" and ``reason`` says why. A splice replaces the packets in each
    part's ``replaced`` and copies the others; a transcode replaces all of the video's packets.
    """

    mode: str
    reason: str
    parts: tuple[Part, ...]
    runs: int
    carrying: int
    frames: int
    frame_bytes: int
    sealed_bytes: int

    @property
    def coded(self) -> int:
        """Frames that are written anew."""
        return sum(len(part.pts) for part in self.parts)


@dataclass(frozen=True)
class Room:
    """Bytes a payload's sealed form may have at one spread, and in how many frames."""

    frame_bytes: int
    frames: int
    sealed_bytes: int


def check_spread(spread: Spread) -> Spread:
    """ParameterError unless `spread` is "fewest", "all" or an alpha in (0, 1]."""
    if isinstance(spread, str) and spread in ("fewest", "all"):
        return spread
    if isinstance(spread, int | float) and not isinstance(spread, bool) and 0 < spread <= 1:
        return float(spread)
    raise ParameterError(
        f'spread={spread!r} is none of "fewest", "all" and a number of bits per sample, 0 < alpha <= 1'
    )


def splice_obstacle(scan: Scan, container: str | None = None) -> str | None:
    """Why this video cannot be spliced, or None if it can with pictures of raw samples."""
    if scan.codec != "h264":
        return f"the video is {scan.codec}; only H.264 has a way to store raw samples"
    if container is not None and container not in _SPLICES_INTO:
        return f"{container} does not hold H.264"
    if scan.sets is None or len(scan.sps) != 1:
        return f"the stream has {len(scan.sps)} sequence parameter sets; a splice needs one"
    if len({h264.pps_id(nal) for nal in scan.pps}) != len(scan.pps):
        return "its picture parameter sets change in mid-stream"
    if scan.sets.length_size in (1, 2):
        return "its NAL units are too short for a raw picture"
    sps = h264.parse_sps(scan.sps[0])
    if obstacle := sps.obstacle():
        return obstacle
    if free_pps_id(scan) is None:
        return "no picture parameter set id is free"
    if (scan.packets["pts"] == NO_TIME).any():
        return "frames have no timestamp"
    if (scan.packets["flags"] & DISCARD).any():
        return "an edit list hides frames"
    if _misses_times(scan):
        return "AVI does not say when B-frames are shown"
    if not any(len(group.tails) or len(group.alone) for group in _groups(scan)):
        return "others depend on every picture"
    return None


def free_pps_id(scan: Scan) -> int | None:
    """A picture parameter set id nobody uses, or None. High ids first: encoders count from 0."""
    taken = {h264.pps_id(nal) for nal in scan.pps}
    if len(scan.pps) >= 255:
        return None
    return next((i for i in range(255, 0, -1) if i not in taken), None)


# -- groups of pictures ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Site:
    """Packets [cut, stop) that may be replaced; decoding towards them starts at `first`."""

    first: int
    cut: int
    stop: int
    stand_in: bool = False

    def cost(self, packets: Packets, raw_bytes: int) -> tuple[float, int]:
        """Pictures to decode on the way, raw ones to write (each worth three), and bytes to parse."""
        lead = int((packets["flags"][self.first : self.cut] & NONREF == 0).sum())
        parsed = int(packets["size"][self.first : self.stop].sum())
        return lead + 3 * (self.stop - self.cut) + parsed / (0.2 * raw_bytes), self.first


@dataclass(frozen=True)
class _Group:
    """Packets [start, stop) from one that decoding can start at to the next such.

    Parameters
    ----------
    tails : packets from which on all up to `stop` may be replaced
    alone : packets that may be replaced one by one, as nothing else is predicted from them
    """

    start: int
    stop: int
    tails: NDArray[np.int64]
    alone: NDArray[np.int64]

    @property
    def whole(self) -> bool:
        return bool(len(self.tails)) and int(self.tails[0]) == self.start

    def sites(self, frames: int) -> Iterator[_Site]:
        """The shortest tail of at least `frames`; for a single one the first packet that stands alone."""
        fitting = self.tails[self.stop - self.tails >= frames]
        if len(fitting):
            yield _Site(self.start, int(fitting[-1]), self.stop)
        if frames == 1 and len(self.alone):
            cut = int(self.alone[0])
            yield _Site(self.start, cut, cut + 1, stand_in=True)


def _groups(scan: Scan) -> Iterator[_Group]:
    """All groups, and what of them may be replaced: nothing at or beside a raw picture, or another message.

    A tail's pictures are shown after all before and before all after it, and it ends where nothing refers
    back: at an IDR, or at the end. Groups that touch raw pictures give none.
    """
    packets, raw = scan.packets, scan.raw_pictures
    pts, flags = packets["pts"], packets["flags"]
    _, same, times = np.unique(pts, return_inverse=True, return_counts=True)
    shared = times[same] > 1  # the times that frames would be told apart by
    shared_before = np.concatenate([[0], np.cumsum(shared)])
    starts = np.flatnonzero(flags & (SAFE | KEY) == SAFE | KEY)
    if not len(starts) or starts[0] != 0 or not flags[0] & IDR:
        return
    before = np.concatenate([[np.iinfo(np.int64).min], np.maximum.accumulate(pts)])
    after = np.concatenate([np.minimum.accumulate(pts[::-1])[::-1], [np.iinfo(np.int64).max]])
    can_cut = before <= after  # before[m]: latest shown of packets [0, m); after[m]: earliest of [m, end)
    ends = np.append(flags & IDR != 0, True) & can_cut
    lonely = (flags & NONREF != 0) & ~shared & ~raw & _takes_stand_ins(scan)
    lonely[1:] &= ~raw[:-1]
    lonely[:-1] &= ~raw[1:]
    for start, stop in zip(starts, [*starts[1:], len(packets)], strict=True):
        within = slice(int(start), int(stop))
        free = ends[stop] and not raw[max(start - 1, 0) : stop + 1].any()
        clear = shared_before[within] == shared_before[stop]
        tails = np.flatnonzero(can_cut[within] & clear & free)
        alone = np.flatnonzero(lonely[within] & (pts[within] > pts[start]))
        yield _Group(int(start), int(stop), start + tails, start + alone)


def _takes_stand_ins(scan: Scan) -> bool:
    """Whether a raw picture can say in few bits where another one stood."""
    sps = h264.parse_sps(scan.sps[0])
    return sps.numbering.poc_type != 1 and not any(map(h264.tells_fields_apart, scan.pps))


# -- planning -------------------------------------------------------------------------------------------


def make_plan(
    scan: Scan,
    carrier: Carrier,
    stream_bytes: int,
    spread: Spread,
    container: str,
    *,
    avoid: frozenset[int] = frozenset(),
    no_splice: str | None = None,
) -> Plan:
    """Decide where a sealed stream goes.

    Parameters
    ----------
    avoid : first packets of groups that turned out damaged
    no_splice : why not to splice, if that is known already

    Raises
    ------
    CapacityError
        With what is needed, what there is, and the way out.
    """
    obstacle = no_splice or splice_obstacle(scan, container)
    if obstacle is None and spread == "all":
        obstacle = 'spread="all" lets every frame carry'
    most = carrier.most_bytes(1.0 if isinstance(spread, str) else spread)
    if not most:
        raise ParameterError(
            f"spread={spread} is less than a byte in {carrier.size[0]}x{carrier.size[1]} samples"
        )
    if obstacle is None:
        plan = _splice(scan, carrier, stream_bytes, most, avoid)
        if plan is not None and plan.coded <= LOSSLESS_RATIO * plan.frames:
            return plan
        obstacle = (
            "the cuttable groups are too small for the payload"
            if plan is None
            else f"{plan.coded} raw frames of {plan.frames} would be larger than coding all again"
        )
    return _transcode(scan, carrier, stream_bytes, most, spread, obstacle)


def _splice(scan: Scan, carrier: Carrier, stream_bytes: int, most: int, avoid: frozenset[int]) -> Plan | None:
    groups = [group for group in _groups(scan) if group.start not in avoid]
    chosen = _choose(groups, carrier, stream_bytes, most, scan)
    if chosen is None:
        return None
    chosen.sort(key=lambda site: site.cut)
    lengths = [site.stop - site.cut for site in chosen]
    frame_bytes = carrier.fit(stream_bytes, lengths, most)
    if frame_bytes is None:
        return None
    parts, offset = [], 0
    for run, (site, frames) in enumerate(zip(chosen, lengths, strict=True)):
        pts = np.sort(scan.packets["pts"][site.cut : site.stop])
        replaced = (site.cut, site.stop)
        parts.append(
            Part(run, site.first, site.stop, pts, run, 0, frames, offset, replaced, frames, site.stand_in)
        )
        offset += carrier.run_bytes(frame_bytes, run, frames)
    return Plan(
        "splice",
        CAN_SPLICE,
        tuple(parts),
        len(parts),
        sum(lengths),
        len(scan.packets),
        frame_bytes,
        stream_bytes,
    )


def _choose(
    groups: Sequence[_Group], carrier: Carrier, stream_bytes: int, most: int, scan: Scan
) -> list[_Site] | None:
    """Sites that hold the stream: whole long groups first, then the cheapest site for the rest."""
    chosen: list[_Site] = []
    first, start, plain = (
        carrier.body_bytes(most, 0, 0),
        carrier.body_bytes(most, 1, 0),
        carrier.body_bytes(most, 1, 1),
    )
    left, free = stream_bytes, sorted(groups, key=lambda group: group.start - group.stop)
    head = first  # the smallest area comes first, whichever run turns out to be run 0
    raw = h264.parse_sps(scan.sps[0]).raw_bytes
    while True:
        frames = 1 + max(0, -(-(left - head) // plain))
        sites = [site for group in free for site in group.sites(frames)]
        if sites:
            return [*chosen, min(sites, key=lambda site: site.cost(scan.packets, raw))]
        longest = next((group for group in free if group.whole), None)
        if longest is None:
            return None
        free.remove(longest)
        chosen.append(_Site(longest.start, longest.start, longest.stop))
        left -= head + (longest.stop - longest.start - 1) * plain
        head = start


def _transcode(
    scan: Scan, carrier: Carrier, stream_bytes: int, most: int, spread: Spread, reason: str
) -> Plan:
    check_transcodable(scan)
    pts = scan.pts
    frames = len(pts)
    room = carrier.run_bytes(most, 0, frames)
    if room < stream_bytes:
        raise CapacityError(_too_large(stream_bytes, room, frames, spread, carrier))
    plain = carrier.body_bytes(most, 0, 1)
    fewest = 1 + max(0, -(-(stream_bytes - carrier.body_bytes(most, 0, 0)) // plain))
    carrying = frames if spread == "all" else fewest
    frame_bytes = carrier.fit(stream_bytes, [carrying], most)
    assert frame_bytes is not None
    parts = [_segment(carrier, part, carrying, frame_bytes) for part in segments(scan, SEGMENT_FRAMES)]
    return Plan("transcode", reason, tuple(parts), 1, carrying, frames, frame_bytes, stream_bytes)


def _segment(carrier: Carrier, part: Part, carrying: int, frame_bytes: int) -> Part:
    """A stretch of run 0, knowing what it carries."""
    count = min(max(carrying - part.frame, 0), len(part.pts))
    offset = carrier.run_bytes(frame_bytes, 0, part.frame) if count else 0
    return Part(
        part.index, part.first, part.stop, part.pts, 0, part.frame, count, offset,
        (part.first, part.stop), carrying,
    )  # fmt: skip


def all_segments(scan: Scan, carrier: Carrier, carrying: int, frame_bytes: int) -> list[Part]:
    """A transcoded video from its first frame to its last, for reading; the first `carrying` frames carry."""
    return [_segment(carrier, part, carrying, frame_bytes) for part in segments(scan, SEGMENT_FRAMES)]


def part_around(scan: Scan, start: int, stop: int) -> Part:
    """What has to be decoded for frames [start, stop)."""
    parts = [p for p in segments(scan, 1) if p.frame < stop and p.frame + len(p.pts) > start]
    first, last = parts[0], max(part.stop for part in parts)
    return Part(0, first.first, last, scan.pts[start:stop], 0, 0, 0, 0)


def check_transcodable(scan: Scan) -> None:
    """Refuse by name what a transcode would not bring back as it was."""
    if scan.has_alpha:
        raise UnsupportedError(f"{scan.path} has an alpha channel that its decoder drops; it would be lost")
    if _misses_times(scan) or (scan.packets["pts"][scan.shown] == NO_TIME).any():
        raise UnsupportedError(
            f"{scan.path} does not say when its frames are shown; make timestamps first, "
            "e.g. with: ffmpeg -fflags +genpts -i IN -c copy OUT.mkv"
        )
    pts = scan.pts
    if not len(pts):
        raise InputError(f"{scan.path} shows no frame")
    if (np.diff(pts) <= 0).any():
        raise UnsupportedError(f"{scan.path} shows several frames at one time")


def _misses_times(scan: Scan) -> bool:
    """Whether the times of packets are those of decoding, though frames are shown in another order."""
    return scan.format == "avi" and scan.reorder > 0


def segments(scan: Scan, least: int) -> Iterator[Part]:
    """Cut the whole video at packets that decoding can start at, `least` frames or more apart.

    Frames of an open group that are shown before its key frame belong to the segment before.
    """
    packets, pts = scan.packets, scan.pts
    shown_at = packets["pts"]
    keys = np.flatnonzero((packets["flags"] & SAFE != 0) & scan.shown)
    starts, cuts = [0], [0]
    for key in keys[1:]:
        at = int(np.searchsorted(pts, shown_at[key]))
        if at - cuts[-1] >= least:
            starts.append(int(key))
            cuts.append(at)
    if len(cuts) > 1 and len(pts) - cuts[-1] < least // 2:
        starts.pop(), cuts.pop()
    by_time = np.argsort(shown_at, kind="stable")
    last_packet = np.maximum.accumulate(by_time)  # latest packet among those shown up to here
    times = shown_at[by_time]
    for index, (start, cut) in enumerate(zip(starts, cuts, strict=True)):
        end = cuts[index + 1] if index + 1 < len(cuts) else len(pts)
        within = int(np.searchsorted(times, pts[end - 1], side="right")) - 1
        stop = len(packets) if end == len(pts) else int(last_packet[within]) + 1
        yield Part(index, start, stop, pts[cut:end], 0, cut, 0, 0, (start, stop))


def room(scan: Scan, carrier: Carrier, spread: Spread) -> Room:
    """How much fits at this spread; a transcode lets every frame carry, so the mode does not matter."""
    most = carrier.most_bytes(1.0 if isinstance(spread, str) else spread)
    frames = int(scan.shown.sum())
    return Room(most, frames, carrier.run_bytes(most, 0, frames))


def _too_large(needed: int, has: int, frames: int, spread: Spread, carrier: Carrier) -> str:
    fullest = carrier.run_bytes(carrier.most_bytes(), 0, frames)
    way_out = "use a longer or larger video"
    if fullest >= needed:
        way_out += ' or spread="fewest"'
    return (
        f"the payload needs {8 * needed:,} bits with its seal, capacity is {8 * has:,} bits "
        f"in {frames:,} frames at spread={spread!r}; {way_out}"
    )
