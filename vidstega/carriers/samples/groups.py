"""Groups of pictures: what of an H.264 stream raw pictures can take the place of, and why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vidstega import h264
from vidstega.errors import InputError, UnsupportedError
from vidstega.media.census import goes_back, misses_times
from vidstega.media.source import DISCARD, IDR, KEY, NO_TIME, NONREF, SAFE, Packets, Scan

CAN_SPLICE = "it has pictures that no others depend on"

_SPLICES_INTO = ("mp4", "mov", "matroska", "mpegts", "flv")


def splice_obstacle(scan: Scan, container: str | None = None) -> str | None:
    """Why this video cannot be spliced, or None if it can with pictures of raw samples."""
    if scan.codec != "h264":
        return f"the video is {scan.codec}; only H.264 has a way to store raw samples"
    if container is not None and container not in _SPLICES_INTO:
        return f"{container} does not hold H.264; .mkv would keep it as it is"
    if scan.sets.extra is None or len(scan.sets.sps) != 1:
        return f"the stream has {len(scan.sets.sps)} sequence parameter sets; a splice needs one"
    try:
        sps, pps = h264.parse_sps(scan.sets.sps[0]), _pps_of(scan)
    except InputError as error:
        return str(error)
    if len({one.id for one in pps}) != len(pps):
        return "its picture parameter sets change in mid-stream"
    if scan.sets.extra.length_size in (1, 2):
        return "its NAL units are too short for a raw picture"
    if obstacle := sps.obstacle():
        return obstacle
    if free_pps_id(scan) is None:
        return "no picture parameter set id is free"
    if (scan.packets["pts"] == NO_TIME).any():
        return "frames have no timestamp"
    if (scan.packets["flags"] & DISCARD).any():
        return "an edit list hides frames"
    if scan.source.as_decoded or goes_back(scan):
        return "its packets do not say what is shown when"
    if misses_times(scan):
        return "AVI does not say when B-frames are shown"
    if not any(len(group.tails) or len(group.alone) for group in groups_of(scan)):
        return "others depend on every picture"
    return None


def free_pps_id(scan: Scan) -> int | None:
    """A picture parameter set id nobody uses, or None. High ids first: encoders count from 0."""
    taken = {pps.id for pps in _pps_of(scan)}
    if len(scan.sets.pps) >= 255:  # no more are counted in extradata
        return None
    return next((i for i in range(255, 0, -1) if i not in taken), None)


def _pps_of(scan: Scan) -> list[h264.PPS]:
    chroma = h264.parse_sps(scan.sets.sps[0]).chroma_format_idc
    return [h264.parse_pps(nal, chroma) for nal in scan.sets.pps]


def check_transcodable(scan: Scan) -> None:
    """Refuse by name what a transcode would not bring back as it was."""
    if scan.source.look.has_alpha:
        raise UnsupportedError(f"{scan.path} has an alpha channel that its decoder drops; it would be lost")
    if not len(scan.pts):
        raise InputError(f"{scan.path} shows no frame")


@dataclass(frozen=True)
class Site:
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
class Group:
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

    def sites(self, frames: int) -> Iterator[Site]:
        """The shortest tail of at least `frames`; for a single one the first packet that stands alone."""
        fitting = self.tails[self.stop - self.tails >= frames]
        if len(fitting):
            yield Site(self.start, int(fitting[-1]), self.stop)
        if frames == 1 and len(self.alone):
            cut = int(self.alone[0])
            yield Site(self.start, cut, cut + 1, stand_in=True)


def groups_of(scan: Scan) -> Iterator[Group]:
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
    starts = starts[np.searchsorted(starts, _first(flags & IDR != 0)) :]  # before it nothing need decode
    before = np.concatenate([[np.iinfo(np.int64).min], np.maximum.accumulate(pts)])
    after = np.concatenate([np.minimum.accumulate(pts[::-1])[::-1], [np.iinfo(np.int64).max]])
    can_cut = before <= after  # before[m]: latest shown of packets [0, m); after[m]: earliest of [m, end)
    ends = np.append(flags & IDR != 0, True) & can_cut
    lonely = (flags & NONREF != 0) & ~shared & ~raw & _takes_stand_ins(scan)
    lonely[1:] &= ~raw[:-1]
    lonely[:-1] &= ~raw[1:]
    for start, stop in pairwise([*starts, len(packets)]):
        within = slice(int(start), int(stop))
        free = ends[stop] and not raw[max(start - 1, 0) : stop + 1].any()
        clear = shared_before[within] == shared_before[stop]
        tails = np.flatnonzero(can_cut[within] & clear & free)
        alone = np.flatnonzero(lonely[within] & (pts[within] > pts[start]))
        yield Group(int(start), int(stop), start + tails, start + alone)


def _first(mask: NDArray[np.bool_]) -> int:
    return int(mask.argmax()) if mask.any() else len(mask)


def _takes_stand_ins(scan: Scan) -> bool:
    """Whether a raw picture can say in few bits where another one stood."""
    sps = h264.parse_sps(scan.sets.sps[0])
    return sps.numbering.poc_type != 1 and not any(pps.tells_fields_apart for pps in _pps_of(scan))
