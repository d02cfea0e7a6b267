"""Walk damaged pictures: no exception, no read out of bounds, no hang.

    NUMBA_BOUNDSCHECK=1 python experiments/fuzz_walk.py --count 10000

Covers are made by libx264 and libx265; files given as arguments are taken as well. Prints one JSON object:
walks, how each ended, the longest in seconds.
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

from vidstega import h264, hevc
from vidstega.carriers.signs.codecs import CODECS
from vidstega.errors import InputError
from vidstega.residual import turn

H264 = (
    "keyint=8:bframes=2:ref=3",
    "keyint=8:cabac-idc=1:qp=8:direct=temporal",
    "keyint=8:slices=3:constrained-intra=1",
    "keyint=8:cabac=0:bframes=2:ref=3",
    "keyint=8:cabac=0:qp=8:slices=3",
)
HEVC = (
    "keyint=8:bframes=2:ref=3:b-intra=1",
    "keyint=8:qp=8:amp=1:rect=1:wpp=0:tskip=1",
    "keyint=8:slices=2:constrained-intra=1:temporal-layers=3",
    "keyint=8:cu-lossless=1:rd=6:qp=6:scaling-list=default",
    "keyint=8:open-gop=1:ctu=16:max-tu-size=16:weightb=1",
)
COVERS = {"h264": H264, "hevc": HEVC}


def encoded(codec: str, parameters: str, frames: int = 10) -> bytes:
    """A moving texture with noise, as a byte stream."""
    # libx265 writes slices of smaller pictures that no decoder reads
    size = (208, 136) if codec == "hevc" and "slices" in parameters else (96, 80)
    name = {"h264": "x264", "hevc": "x265"}[codec]
    encoder = av.CodecContext.create(f"lib{name}", "w")
    encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
    encoder.time_base = Fraction(1, 25)
    quiet = "log-level=none:pools=1:frame-threads=1:" if codec == "hevc" else ""
    encoder.options = {f"{name}-params": quiet + parameters}
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
    codec: str
    sps: list[bytes]
    pps: list[bytes]
    pictures: list[list[bytes]]


def cover_of(codec: str, units: list[bytes]) -> Cover:
    """Parameter sets, and the slices of each picture of a stream."""
    found: list[list[bytes]] = []
    sets: dict[int, list[bytes]] = {0: [], 1: []}
    for nal in units:
        if codec == "h264":
            kind, first, is_slice = nal[0] & 31, nal[1] & 0x80, nal[0] & 31 in (1, h264.NAL_IDR)
            wanted = (h264.NAL_SPS, h264.NAL_PPS)
        else:
            kind, first, is_slice = hevc.kind_of(nal), nal[2] & 0x80, hevc.is_slice(nal)
            wanted = (hevc.NAL_SPS, hevc.NAL_PPS)
        if is_slice:
            if first:  # first_mb_in_slice is 0, first_slice_segment_in_pic_flag
                found.append([])
            found[-1].append(nal)
        elif kind in wanted and nal not in sets[wanted.index(kind)]:
            sets[wanted.index(kind)].append(nal)
    return Cover(codec, sets[0], sets[1], found)


def of_file(path: Path) -> Cover:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context.codec.canonical_name
        kind = hevc.ParameterSets if codec == "hevc" else h264.ParameterSets
        sets = kind.parse(stream.codec_context.extradata)
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
    units = [nal for packet in packets for nal in h264.nals(packet, sets.length_size) if len(nal) > 2]
    return cover_of(codec, [*sets.sps, *sets.pps, *units])


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
        codec = CODECS[cover.codec]
        try:
            sets = codec.parse(sps, pps)
        except InputError as error:
            yield str(error), time.perf_counter() - start
            continue
        picture, usable = codec.walk(units, sets)
        ok = np.flatnonzero(usable)
        if len(ok):
            codec.quanta(picture.signs[ok], units, sets)
        turned = turn(units, picture.signs[ok[: len(ok) // 2]])
        assert [len(nal) for nal in turned.units] == [len(nal) for nal in units]
        yield f"{cover.codec}: {picture.obstacle or 'walked'}", time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--codec", nargs="*", choices=COVERS, default=list(COVERS), help="of covers made here"
    )
    options = parser.parse_args()
    av.logging.set_level(None)
    wanted = [(name, text) for name, texts in COVERS.items() if name in options.codec for text in texts]
    covers = [cover_of(name, list(h264.nals(encoded(name, text), 0))) for name, text in wanted]
    covers += [of_file(path) for path in options.files]
    for cover in covers:
        codec = CODECS[cover.codec]
        sets = codec.parse(cover.sps, cover.pps)
        why = {codec.walk(units, sets)[0].obstacle for units in cover.pictures}
        assert why == {""}, why
    ends, longest = Counter[str](), 0.0
    for end, seconds in walks(covers, options.count, options.seed):
        ends[end.partition(" (")[0]] += 1
        longest = max(longest, seconds)
    checked = os.environ.get("NUMBA_BOUNDSCHECK") == "1"
    print(json.dumps({"walks": options.count, "bounds": checked, "ends": dict(ends), "longest_s": longest}))


if __name__ == "__main__":
    main()
