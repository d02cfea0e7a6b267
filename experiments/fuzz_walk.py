"""Walk damaged pictures: no exception, no read out of bounds, no hang.

    NUMBA_BOUNDSCHECK=1 python experiments/fuzz_walk.py --count 10000

Covers are made by libx264; files given as arguments are taken as well. Prints one JSON object: walks,
how each ended, the longest in seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from vidstega import h264
from vidstega.errors import InputError
from vidstega.h264.slices import Sets
from vidstega.h264.walk import usable, walk_picture
from vidstega.residual import turn

COVERS = (
    "keyint=8:bframes=2:ref=3",
    "keyint=8:cabac-idc=1:qp=8:direct=temporal",
    "keyint=8:slices=3:constrained-intra=1",
    "keyint=8:cabac=0:bframes=2:ref=3",
    "keyint=8:cabac=0:qp=8:slices=3",
)


def encoded(parameters: str, frames: int = 10, size: tuple[int, int] = (96, 80)) -> bytes:
    """A moving texture with noise, as an H.264 byte stream."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"x264-params": parameters}
    rng = np.random.default_rng([0, len(parameters)])
    texture = np.kron(rng.integers(0, 256, (32, 32, 3)), np.ones((8, 8, 1)))
    out = b""
    for i in range(frames):
        image = texture[2 * i : 2 * i + size[1], 3 * i : 3 * i + size[0]] * 0.8 + rng.normal(
            20, 6, (*size[::-1], 3)
        )
        frame = av.VideoFrame.from_ndarray(np.clip(image, 0, 255).astype(np.uint8), "rgb24")
        frame = frame.reformat(format="yuv420p")
        frame.pts = i
        out += b"".join(map(bytes, encoder.encode(frame)))
    return out + b"".join(map(bytes, encoder.encode(None)))


@dataclass(frozen=True)
class Cover:
    sps: list[bytes]
    pps: list[bytes]
    pictures: list[list[bytes]]

    @property
    def sets(self) -> Sets:
        return Sets.parse(self.sps, self.pps)


def pictures(stream: bytes) -> Cover:
    """Parameter sets, and the slices of each picture of a byte stream."""
    units = list(h264.nals(stream, 0))
    found: list[list[bytes]] = []
    for nal in units:
        if nal[0] & 31 in (1, h264.NAL_IDR):
            if nal[1] & 0x80:  # first_mb_in_slice is 0
                found.append([])
            found[-1].append(nal)
    sets = [[nal for nal in units if nal[0] & 31 == kind] for kind in (h264.NAL_SPS, h264.NAL_PPS)]
    return Cover(*sets, found)


def of_file(path: Path) -> Cover:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        sets = h264.ParameterSets.parse(stream.codec_context.extradata)
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
    slices = [[n for n in h264.nals(p, sets.length_size) if n and n[0] & 31 in (1, 5)] for p in packets]
    return Cover(list(sets.sps), list(sets.pps), [units for units in slices if units])


def damaged(units: list[bytes], rng: np.random.Generator) -> list[bytes]:
    """Some of: bits turned, a slice cut, bytes put in, bytes zeroed, a slice left out or sent twice."""
    out = [bytearray(nal) for nal in units]
    for _ in range(rng.integers(1, 4)):
        which = int(rng.integers(len(out)))
        nal = out[which]
        at = int(rng.integers(1, max(2, len(nal))))
        kind = rng.integers(6)
        if kind <= 1 and len(nal) > 1:
            for place in rng.integers(1, min(len(nal), 12 if kind else 1 << 30), rng.integers(1, 9)):
                nal[place] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            del nal[at:]
        elif kind == 3:
            nal[at:at] = rng.integers(0, 256, rng.integers(1, 40)).astype(np.uint8).tobytes()
        elif kind == 4:
            nal[at : at + 20] = bytes(int(rng.choice([0, 255])) for _ in range(20))
        elif len(out) > 1 or rng.random() < 0.1:
            out[which : which + 1] = [] if rng.random() < 0.5 and len(out) > 1 else [nal, bytearray(nal)]
    return [bytes(nal) for nal in out]


def walks(covers: list[Cover], count: int, seed: int) -> Iterator[tuple[str, float]]:
    """How each walk over a damaged picture ended, and how long it took."""
    for i in range(count):
        rng = np.random.default_rng([i, seed])
        cover = covers[i % len(covers)]
        units, sps, pps = cover.pictures[int(rng.integers(len(cover.pictures)))], cover.sps, cover.pps
        start = time.perf_counter()
        if i % 10 == 0:
            sps, pps = (damaged(sps, rng), pps) if rng.random() < 0.5 else (sps, damaged(pps, rng))
        else:
            units = damaged(units, rng)
        try:
            sets = Sets.parse(sps, pps)
        except InputError as error:
            yield str(error), time.perf_counter() - start
            continue
        picture = walk_picture(units, sets)
        ok = np.flatnonzero(usable(picture))
        turned = turn(units, picture.signs[ok[: len(ok) // 2]])
        assert [len(nal) for nal in turned.units] == [len(nal) for nal in units]
        yield picture.obstacle or "walked", time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    av.logging.set_level(None)
    covers = [pictures(encoded(parameters)) for parameters in COVERS] + [of_file(f) for f in options.files]
    for cover in covers:
        why = {walk_picture(units, cover.sets).obstacle for units in cover.pictures}
        assert why == {""}, why
    ends, longest = Counter[str](), 0.0
    for end, seconds in walks(covers, options.count, options.seed):
        ends[end.partition(" (")[0]] += 1
        longest = max(longest, seconds)
    checked = os.environ.get("NUMBA_BOUNDSCHECK") == "1"
    print(json.dumps({"walks": options.count, "bounds": checked, "ends": dict(ends), "longest_s": longest}))


if __name__ == "__main__":
    main()
