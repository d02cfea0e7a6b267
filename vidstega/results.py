"""What the public functions return: frozen records with a readable repr."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidstega.media.source import StreamInfo


@dataclass(frozen=True, repr=False, kw_only=True)
class EmbedResult:
    """What an embedding did and what it cost.

    ``method`` is what carried and ``mode`` what happened to the file ("splice", "transcode"), and ``reason``
    says why; ``alpha`` is in bits per luma sample of a
    carrying frame; ``seconds`` is wall time by stage; ``measured`` what the method tells of itself (decibels,
    margins, counts); ``digest`` is the SHA-256 of the payload; ``notes``
    names what the container could not hold.
    """

    stego: Path
    method: str
    mode: str
    reason: str
    frames: int
    carrying: int
    payload_bytes: int
    sealed_bytes: int
    alpha: float
    bytes_before: int
    bytes_after: int
    seconds: dict[str, float]
    digest: str
    measured: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    verified: str = "no"

    @property
    def total_s(self) -> float:
        """Seconds in all."""
        return sum(self.seconds.values())

    def __repr__(self) -> str:
        stages = ", ".join(f"{name} {value:.2f}" for name, value in self.seconds.items())
        growth = self.bytes_after - self.bytes_before
        return "\n".join(
            [
                f"{self.stego}: {self.method}, {self.mode} ({self.reason})",
                f"  payload   {self.payload_bytes:,} bytes, sealed {self.sealed_bytes:,}",
                f"  frames    {self.carrying:,} of {self.frames:,} carry, alpha {self.alpha:.4g}",
                f"  file      {self.bytes_before:,} -> {self.bytes_after:,} bytes ({growth:+,})",
                f"  time      {self.total_s:.2f} s ({stages})",
                f"  digest    {self.digest}",
                f"  verified  {self.verified}",
                *(f"  note      {note}" for note in self.notes),
            ]
        )


@dataclass(frozen=True)
class ExtractResult:
    """A payload that was streamed to a file."""

    out: Path
    payload_bytes: int
    digest: str


@dataclass(frozen=True)
class Verification:
    """What `verify` compared; it raises where something differs."""

    method: str
    mode: str
    frames: int
    carrying: int
    payload_bytes: int
    digest: str
    compared: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CapacityRow:
    """Capacity at one method and spread. Bits are of whole frames, bytes what a payload may have."""

    method: str
    spread: str | float
    frame_bits: int
    frames: int
    total_bits: int
    payload_bytes: int


@dataclass(frozen=True, repr=False)
class Capacity:
    """How much a cover takes, a row per method and spread."""

    cover: Path
    rows: tuple[CapacityRow, ...]

    @property
    def payload_bytes(self) -> int:
        """The largest payload that fits at all (incompressible, with its seal)."""
        return max(row.payload_bytes for row in self.rows)

    def __repr__(self) -> str:
        head = f"{'method':<10}{'spread':>8}{'bits/frame':>14}{'frames':>10}{'bits':>18}{'payload bytes':>18}"
        rows = (
            f"{r.method:<10}{r.spread:>8}{r.frame_bits:>14,}{r.frames:>10,}"
            f"{r.total_bits:>18,}{r.payload_bytes:>18,}"
            for r in self.rows
        )
        return "\n".join([str(self.cover), head, *rows])


@dataclass(frozen=True, repr=False)
class Estimate:
    """What a job is predicted to take.

    Parameters
    ----------
    memory_bytes : peak memory of a process that does nothing but this job
    output_bytes : size of the result
    disk_bytes : most that is on disk at a time beside the cover: parts, spools, the result
    mode : "splice", "transcode" or "extract"; `reason` says why
    frames, coded : frames there are, and frames that are decoded and coded anew
    """

    memory_bytes: int
    output_bytes: int
    disk_bytes: int
    mode: str
    reason: str
    frames: int
    coded: int

    def __repr__(self) -> str:
        return (
            f"{self.mode} ({self.reason}): {self.coded:,} of {self.frames:,} frames\n"
            f"  memory  {self.memory_bytes / (1 << 20):,.0f} MiB at the peak\n"
            f"  output  {self.output_bytes:,} bytes, {self.disk_bytes:,} on disk at the peak"
        )


@dataclass(frozen=True, repr=False, kw_only=True)
class Probe:
    """What a video file is, whether it can be spliced, and by method what a family makes of it."""

    path: Path
    format: str
    codec: str
    pix_fmt: str
    width: int
    height: int
    frames: int
    rate: Fraction
    duration_s: float
    bytes: int
    key_frames: int
    streams: tuple[StreamInfo, ...]
    splice: bool
    reason: str
    families: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        splice = "yes" if self.splice else "no"
        return "\n".join(
            [
                f"{self.path}: {self.format}, {self.bytes:,} bytes, {self.duration_s:.3f} s",
                f"  video   {self.codec} {self.width}x{self.height} {self.pix_fmt}, {self.frames:,} frames, "
                f"{float(self.rate):.3f} fps on average, {self.key_frames:,} key frames",
                *(f"  stream  {stream}" for stream in self.streams),
                f"  splice  {splice}: {self.reason}",
                *(f"  {method:<7} {outlook}" for method, outlook in self.families.items()),
            ]
        )


@dataclass(frozen=True)
class Frame:
    """One decoded frame: number, time in seconds, and its planes, luma first.

    Planes are views of shape (height, width), uint8 for ``depth`` 8 and uint16 above. They are valid as
    long as they are held; writing to them changes nothing on disk.
    """

    index: int
    time_s: float
    depth: int
    planes: tuple[NDArray[Any], ...] = field(repr=False)

    @property
    def luma(self) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """The first plane."""
        return self.planes[0]
