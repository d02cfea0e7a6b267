"""What a player shows of a video whose packets do not tell: found out by decoding it once, from the start.

Recordings begin and end in mid-group, are joined by ``cat``, or lie in containers that do not say when
B-frames are shown. A packet table is a guess then. Here it is made right: which packets become frames, and
when.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vidstega.errors import InputError
from vidstega.media.decode import decode_all
from vidstega.media.source import DISCARD, HIDDEN, NO_TIME, SAFE, Packets, Scan
from vidstega.progress import Progress

_STRAY = 8
"""Packets in a row that may be late without a recording beginning anew."""

Times = NDArray[np.int64]


def is_doubtful(scan: Scan) -> bool:
    """Whether a packet table leaves open what is shown, or when; a census settles it."""
    if scan.source.as_decoded:
        return False
    times = scan.pts
    return bool(
        not len(times)
        or (times == NO_TIME).any()
        or misses_times(scan)
        or goes_back(scan)
        or (scan.source.look.reorder > 0 and (np.diff(times) == 0).any())
        or not scan.packets["flags"][0] & SAFE
    )


def certain_frames(scan: Scan) -> int:
    """Frames that are sure to be shown; of a recording that begins in mid-group, those from a start on."""
    shown, starts = scan.shown, np.flatnonzero((scan.packets["flags"] & SAFE != 0) & scan.shown)
    if scan.source.as_decoded or not len(starts) or not starts[0] or goes_back(scan):
        return int(shown.sum())
    after = scan.packets[starts[0] :]
    return int((shown[starts[0] :] & (after["pts"] >= after["pts"][0])).sum())


def misses_times(scan: Scan) -> bool:
    """Whether the times of packets are those of decoding, though frames are shown in another order."""
    return scan.format == "avi" and scan.source.look.reorder > 0 and not scan.source.as_decoded


def goes_back(scan: Scan) -> bool:
    """Whether times of decoding go back somewhere."""
    return bool(len(_backward(scan.packets)))


def _backward(packets: Packets) -> NDArray[np.intp]:
    """Packets that are decoded earlier than the one before, by what their times say."""
    known = np.flatnonzero(packets["dts"] != NO_TIME)
    return known[1:][np.diff(packets["dts"][known]) < 0]


def _joins_of(packets: Packets) -> NDArray[np.intp]:
    """Where times go back for good, as where recordings were joined; not where a few packets stray."""
    dts = packets["dts"]
    joins: list[int] = []
    for at in _backward(packets).tolist():
        so_far = dts[joins[-1] if joins else 0 : at].max()
        if dts[at : at + _STRAY].max() < so_far:
            joins.append(at)
    return np.array(joins, np.intp)


def take_census(scan: Scan, progress: Progress) -> Scan:
    """Decode a video from the start, as a player does, and correct its packet table by what is shown.

    Raises
    ------
    InputError
        If no frame decodes.
    """
    order, made_up = _shown_order(scan, progress)
    if not len(order):
        raise InputError(f"{scan.path}: no frame of its {scan.codec} video can be decoded")
    times, joins = _times(scan, order)
    packets, lost = scan.packets.copy(), np.ones(len(scan.packets), bool)
    lost[order] = False
    packets["pts"][order] = times
    packets["flags"][order] &= 0xFF ^ (DISCARD | HIDDEN)
    packets["flags"][lost] |= HIDDEN
    notes = tuple(_notes(int((lost & scan.shown).sum()), len(packets), made_up, len(joins)))
    source = replace(scan.source, as_decoded=True)
    return replace(scan, source=source, packets=packets, joins=joins, notes=notes)


def _shown_order(scan: Scan, progress: Progress) -> tuple[NDArray[np.intp], int]:
    """Packets in the order in which their frames are shown, and how many frames came beside.

    Of a packet that gives several frames it is the last, as a decoder makes up the first for one it misses.
    """
    numbered, places = scan.packets.copy(), np.full(len(scan.packets), -1)
    numbered["pts"] = np.arange(len(numbered))
    numbered["flags"] &= 0xFF ^ HIDDEN  # which is to be found out
    frames = decode_all(replace(scan.source, as_decoded=True), numbered)
    given = 0
    for given, frame in enumerate(progress.over(frames, "look", len(numbered)), 1):
        if frame.pts is not None:
            places[frame.pts] = given
    order = np.argsort(places, kind="stable")
    order = order[places[order] >= 0]
    return order, given - len(order)


def _times(scan: Scan, order: NDArray[np.intp]) -> tuple[Times, tuple[int, ...]]:
    """When the frames of these packets are shown, never going back; and what was added from each join on."""
    packets, step = scan.packets, _step(scan)
    cuts = _joins_of(packets)
    part_of, times = np.searchsorted(cuts, order, side="right"), np.empty(len(order), np.int64)
    last, offset, joins = None, 0, []
    for part, rows in enumerate(np.split(packets, cuts)):
        start, end = _extent(rows)
        if last is not None:
            joins.append(offset := last + step - start)
        inside = part_of == part
        times[inside] = _in_order(packets[order[inside]], step) + offset
        last = end + offset
    return np.maximum.accumulate(times), tuple(joins)


def _extent(rows: Packets) -> tuple[int, int]:
    """From when to when packets are shown, whether they decode or not."""
    for name in ("pts", "dts"):
        known = rows[name][rows[name] != NO_TIME]
        if len(known):
            return int(known.min()), int(known.max())
    return 0, 0


def _in_order(rows: Packets, step: int) -> Times:
    """Times of frames in the order they are shown; where packets have none, by those beside."""
    times = np.where(rows["pts"] == NO_TIME, rows["dts"], rows["pts"])
    known = np.flatnonzero(times != NO_TIME)
    if not len(known):
        return np.arange(len(rows)) * step
    place = np.arange(len(rows))
    before = known[np.maximum(np.searchsorted(known, place, side="right") - 1, 0)]
    return np.sort(times[before] + (place - before) * step)


def _step(scan: Scan) -> int:
    """Ticks from one frame to the next, as a rule."""
    apart = np.diff(scan.pts[scan.pts != NO_TIME])
    apart = apart[apart > 0]
    usual = int(np.median(apart)) if len(apart) else round(1 / (scan.source.rate * scan.source.time_base))
    return max(1, usual)


def _notes(lost: int, packets: int, made_up: int, joins: int) -> Iterator[str]:
    if lost:
        yield (
            f"{lost} of {packets} video packets decode to no frame, as in a player, and are left out; "
            "the recording begins or ends in mid-group, or is damaged"
        )
    if made_up:
        yield f"{made_up} frame(s) that the decoder makes up for missing ones are left out"
    if joins:
        yield f"times go back at {joins} place(s), as where recordings were joined; now they go on"
