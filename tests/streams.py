"""Small videos of kinds that no muxer of ours writes: false key flags, odd times, field pictures, joins."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

WIDTH, HEIGHT = 128, 96
Block = tuple[int, bool, bytes]
"""Time in ticks, whether it is called a key frame, and the data."""


def pictures(count: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Iterable[av.VideoFrame]:
    """A textured square that moves over noise; no two frames alike."""
    random = np.random.default_rng(7)
    ground = random.integers(60, 180, (size[1] * 3 // 2, size[0]), np.uint8)
    for index in range(count):
        planes = ground.copy()
        planes[20:52, 3 * index % (size[0] - 32) :][:, :32] = random.integers(0, 255, (32, 32), np.uint8)
        yield av.VideoFrame.from_ndarray(planes, "yuv420p")


def coded(path: Path, codec: str, frames: int = 60, sound: bool = False, **options: str) -> Path:
    """A video by one of FFmpeg's encoders, 25 frames a second."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = (176, 144, "yuv420p")
        tone = container.add_stream("mp2", rate=48000, layout="mono") if sound else None
        for index, frame in enumerate(pictures(frames, (176, 144))):
            frame.pts = index
            container.mux(stream.encode(frame))
            if tone is not None:
                samples = av.AudioFrame.from_ndarray(np.full((1, 1920), index, np.int16), "s16", "mono")
                samples.sample_rate, samples.pts, samples.time_base = 48000, index * 1920, Fraction(1, 48000)
                container.mux(tone.encode(samples))
        for each in (stream, tone) if tone is not None else (stream,):
            container.mux(each.encode(None))
    return path


def without_sync_table(path: Path) -> Path:
    """The same MOV, all of whose samples now count as key frames."""
    target = path.with_name(f"all-sync-{path.name}")
    target.write_bytes(path.read_bytes().replace(b"stss", b"free"))
    return target


def blocks(path: Path, ticks: int = 1000) -> tuple[list[Block], bytes]:
    """Packets of a video with times in so many ticks a second, and its codec's header."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        header = stream.codec_context.extradata or b""
        kept = [packet for packet in container.demux(stream) if packet.size]
        return [(int(p.pts * p.time_base * ticks), p.is_keyframe, bytes(p)) for p in kept], header


def matroska(
    path: Path,
    codec: bytes,
    size: tuple[int, int],
    rows: Iterable[Block],
    tick_ns: int = 10**6,
    header: bytes = b"",
) -> Path:
    """A Matroska file with a cluster for each block (RFC 9559), at whatever times."""
    kind = _element("4282", b"webm")
    top = _element("1a45dfa3", kind, _element("4287", b"\4"), _element("4285", b"\2"))
    info = _element("1549a966", _element("2ad7b1", _number(tick_ns)))
    shape = _element("e0", _element("b0", _number(size[0])), _element("ba", _number(size[1])))
    ids = [_element(name, b"\1") for name in ("d7", "73c5", "83")]
    private = [_element("63a2", header)] if header else []
    track = _element("1654ae6b", _element("ae", *ids, _element("86", codec), *private, shape))
    clusters = [_cluster(*row) for row in rows]
    path.write_bytes(top + _element("18538067", info, track, *clusters))
    return path


def _cluster(time: int, key: bool, data: bytes) -> bytes:
    head = b"\x81" + struct.pack(">hB", min(time, 0), 0x80 if key else 0)
    return _element("1f43b675", _element("e7", _number(max(time, 0))), _element("a3", head, data))


def _element(name: str, *content: bytes) -> bytes:
    body = b"".join(content)
    return bytes.fromhex(name) + (len(body) | 1 << 56).to_bytes(8, "big") + body


def _number(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def mpeg2_fields(frames: int, size: tuple[int, int] = (64, 64)) -> list[bytes]:
    """Pictures of flat blocks, each coded as two fields; every field by itself (ISO/IEC 13818-2)."""
    fields = []
    for number in range(frames):
        fields.append(_sequence(size) + _field(number, False, size))
        fields.append(_field(number, True, size))
    return fields


def _sequence(size: tuple[int, int]) -> bytes:
    head = (12, size[0]), (12, size[1]), (4, 1), (4, 3), (18, 0x3FFFF), (1, 1), (10, 100), (3, 0)
    extension = (4, 1), (8, 0x48), (1, 0), (2, 1), (16, 0), (1, 1), (8, 0), (1, 0), (7, 0)
    group = (25, 0), (2, 2)  # a time code of zero with its marker is not looked at; closed
    return b"\0\0\1\xb3" + _bits(head) + b"\0\0\1\xb5" + _bits(extension) + b"\0\0\1\xb8" + _bits(group)


def _field(number: int, bottom: bool, size: tuple[int, int]) -> bytes:
    picture = b"\0\0\1\0" + _bits([(10, 0), (3, 1), (16, 0xFFFF), (1, 0)])
    coding = [(4, 8), (16, 0xFFFF), (2, 0), (2, 2 if bottom else 1), (10, 0)]
    out = picture + b"\0\0\1\xb5" + _bits(coding)
    for row in range(size[1] // 32):
        out += b"\0\0\1" + bytes([row + 1]) + _slice(number, bottom, row, size[0] // 16)
    return out


def _slice(number: int, bottom: bool, row: int, width: int) -> bytes:
    bits, before = "000100", 128
    for column in range(width):
        level = 60 + (7 * column + 13 * row + 5 * number + 3 * bottom) % 100
        bits += "11" + "".join(_dc(step) + "10" for step in (level - before, 0, 0, 0)) + "0010" * 2
        before = level
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _dc(step: int) -> str:
    """A difference of DC coefficients of luma (tables B.12, B.14)."""
    size = abs(step).bit_length()
    code = ("100", "00", "01", "101", "110", "1110", "11110", "111110")[size]
    return code + (format(step if step > 0 else step + (1 << size) - 1, f"0{size}b") if size else "")


def _bits(fields: Iterable[tuple[int, int]]) -> bytes:
    text = "".join(format(value, f"0{width}b") for width, value in fields)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def straight(path: Path) -> list[list[str]]:
    """Digests of all planes of all frames that a player shows, decoded from the start by one thread."""
    frames: list[list[str]] = []
    with av.open(str(path), metadata_errors="ignore") as container:
        stream: Any = max(container.streams.video, key=lambda s: s.width * s.height)
        stream.codec_context.thread_type = "NONE"
        for packet in container.demux(stream):
            try:
                frames += [
                    _planes(frame) for frame in stream.codec_context.decode(packet if packet.size else None)
                ]
            except av.error.FFmpegError:
                continue
            if not packet.size:
                break
    return frames


def _planes(frame: av.VideoFrame) -> list[str]:
    views = [np.frombuffer(p, np.uint8).reshape(p.height, p.line_size)[:, : p.width] for p in frame.planes]
    return [hashlib.md5(view.tobytes()).hexdigest() for view in views]


def assert_same_but(carrying: int, cover: Path, stego: Path) -> None:
    """All frames are there, and only so many differ, in their luma."""
    before, after = straight(cover), straight(stego)
    assert len(before) == len(after)
    assert sum(one != other for one, other in zip(before, after, strict=True)) <= carrying
    assert [planes[1:] for planes in before] == [planes[1:] for planes in after]


def times_s(path: Path) -> Sequence[float]:
    """When frames are shown, in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return sorted(float(p.pts * p.time_base) for p in container.demux(stream) if p.size)
