"""A verdict on one file: no cover, no key, and nothing decoded but for a stream that loses nothing.

What a method leaves in a file's tables shows before any sample does. A raw picture takes 12 bits a luma
sample of 4:2:0, and a stream coded anew without loss says so in its headers. The latter alone is no proof:
screen recorders and editors write such streams, too. It counts where the pictures show that they had been
coded with loss before: then somebody took care to keep every bit of what was not worth it. Who copies a
lossy video without loss for a reason of their own is found, too, and so is drawn content on a grid of 8.
Samples that stand alone all over flat places of the first frames are a sign of their own.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidstega import files
from vidstega.lab.detect.grid import block_line, first_planes
from vidstega.lab.detect.lonely import lonely_share
from vidstega.lab.detect.lossless import head_of, lossless_by
from vidstega.media.scan import scan as scan_file
from vidstega.media.source import KEY, NONREF, Scan

RAW, LONELY = "raw picture", "lonely samples"
RAW_BITS = 8.0
OUTLIER = 50.0
LINE = 4.5
ALONE = 0.01
"""From where on a figure is a finding."""
SMOOTHER = 0.7
"""Below which a share is one."""
_OUR_X264 = re.compile(rb"threads=1 .*keyint=60 keyint_min=31 scenecut=0 .*qp=0")
"""What libx264 notes of `media.encode`'s settings in the stream (annex D, user data)."""
_NEIGHBOURS = 8
_LEAST_BITS = 0.01
_LEAST_OUTLIER_BITS = 4.0


@dataclass(frozen=True)
class Finding:
    """One figure of a file.

    Parameters
    ----------
    by : "raw picture", "packet outlier", "lossless coding", "block grid", "lonely samples", "settings" or
        "smoother signs"
    found : whether it speaks for a message
    figure : what was measured, in `unit`
    usual : what covers have
    says : a sentence
    packet : its number in the file, counted from 0, where it is about one
    """

    by: str
    found: bool
    figure: float
    unit: str
    usual: str
    says: str
    packet: int | None = None

    def __str__(self) -> str:
        mark = "!" if self.found else " "
        return f"{mark} {self.by:<16} {self.figure:.4g} {self.unit} (covers: {self.usual}): {self.says}"


@dataclass(frozen=True, repr=False)
class Forensics:
    """The verdict on one file."""

    path: Path
    found: bool
    findings: tuple[Finding, ...] = field(default=())

    @property
    def by(self) -> tuple[str, ...]:
        """What it was found by."""
        return tuple(one.by for one in self.findings if one.found)

    def __repr__(self) -> str:
        verdict = f"found by {', '.join(self.by)}" if self.found else "nothing found"
        lines = (f"  {one}" for one in self.findings)
        return "\n".join([f"{self.path}: {verdict}", *lines])


def forensics(path: str | os.PathLike[str], *, deep: bool = False) -> Forensics:
    """Look for what `lsb` leaves in a file's packets and headers.

    It cannot see `signs`, which leave packets and headers as they were, nor `robust`, whose file is that of
    any encoder. "Nothing found" means that these figures are those of covers, and no more.

    Parameters
    ----------
    path : of a video
    deep : decode, too, what `signs` would use first, and tell how smooth its block edges are

    Raises
    ------
    InputError
        In one line, if the file cannot be read as a video.
    """
    scan = scan_file(files.video_at(path))
    bits = 8 * scan.packets["size"] / (scan.size[0] * scan.size[1])
    coding = lossless_by(scan)
    findings = [_raw_picture(scan, bits, coding), _outlier(scan, bits), _coding(coding, bits)]
    if coding:
        findings += _of_lossless(scan)
    if deep:
        findings += _of_signs(scan)
    return Forensics(Path(path), any(one.found for one in findings), tuple(findings))


def _raw_picture(scan: Scan, bits: NDArray[np.float64], coding: str) -> Finding:
    """The largest packet; where all are as large, the video is raw and no packet of it is odd."""
    at = int(bits.argmax())
    large = (bits >= RAW_BITS * scan.depth / 8) | scan.raw_pictures
    few = bool(large.any()) and 2 * int(large.sum()) <= len(bits)
    found = few and not coding
    says = f"packet {at} is as large as raw samples" if found else "no packet is as large as raw samples"
    if large.any() and not found:
        says = "its packets are as large as raw samples" if not few else "it is coded without loss"
    return Finding(RAW, found, float(bits[at]), "bits/luma sample", "0.1 to 4.4", says, at if found else None)


def _outlier(scan: Scan, bits: NDArray[np.float64]) -> Finding:
    """The packet that is largest beside its neighbours of its kind: key, not referred to, other."""
    flags = scan.packets["flags"]
    key, alone = flags & KEY != 0, flags & NONREF != 0
    best, where = 0.0, 0
    for kind in (key, alone & ~key, ~alone & ~key):
        ordinals = np.flatnonzero(kind)
        ratios = _beside(bits[ordinals])
        if ratios.size and ratios.max() > best:
            best, where = float(ratios.max()), int(ordinals[ratios.argmax()])
    found = best >= OUTLIER and bits[where] >= _LEAST_OUTLIER_BITS
    says = f"packet {where} beside {2 * _NEIGHBOURS} of its kind"
    return Finding("packet outlier", bool(found), best, "times", "1 to 24", says, where if found else None)


def _beside(bits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each packet's bits as a multiple of the median of its neighbours'; none of fewer than four."""
    if len(bits) < 4:
        return np.zeros(0)
    padded = np.pad(bits, _NEIGHBOURS, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEIGHBOURS + 1).copy()
    windows[:, _NEIGHBOURS] = np.nan
    return np.asarray(bits / np.maximum(np.nanmedian(windows, axis=1), _LEAST_BITS))


def _coding(coding: str, bits: NDArray[np.float64]) -> Finding:
    says = f"{coding}: no proof alone" if coding else "coded with loss, as far as headers tell"
    median = float(np.median(bits))
    return Finding("lossless coding", False, median, "bits/luma sample, median", "0.001 to 0.6", says)


def _of_lossless(scan: Scan) -> list[Finding]:
    """What else shows of a stream that loses nothing: its pictures' past, and how its encoder was set."""
    frames = first_planes(scan)
    line, alone = block_line(frames), lonely_share(frames) if scan.depth == 8 else None
    before = "its pictures had been coded with loss before" if line >= LINE else "no earlier coding shows"
    ours = bool(_OUR_X264.search(head_of(scan)))
    says = "its encoder notes the settings of `lsb` transcodes" if ours else "no such settings are noted"
    findings = [
        Finding("block grid", line >= LINE, line, "times the spectrum beside", "0.7 to 3.8", before),
        Finding("settings", ours, float(ours), "(1 is yes)", "0", says),
    ]
    if alone is not None:
        low = alone < ALONE
        flat = (
            "flat places are as flat as in covers" if low else "in flat places samples stand alone everywhere"
        )
        findings.append(Finding(LONELY, not low, alone, "of flat places", "0 to 0.004", flat))
    return findings


def _of_signs(scan: Scan) -> list[Finding]:
    """The share of signs that are the smoother ones, of the pictures that would carry first.

    A message lowers it by 0.1 to 1.3 points where it differs by 1 to 5 from picture to picture: of one file
    it tells only what is far from any cover.
    """
    from vidstega.lab.detect.share import smoother_share

    share = smoother_share(scan)
    if share is None:
        return []
    low = share < SMOOTHER
    says = (
        "signs make edges rougher than any cover's do"
        if low
        else "a message at the default rate would not show"
    )
    return [Finding("smoother signs", low, share, "of signs", "0.80 to 0.97", says)]
