"""What we read and write of H.264, against FFmpeg's own reading of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidstega import h264
from vidstega.errors import InputError
from vidstega.h264.sets import Numbering
from vidstega.lab.covers import make_cover
from vidstega.media.decode import decode_span
from vidstega.media.decode import planes as planes_of
from vidstega.media.scan import scan
from vidstega.media.source import Scan


@pytest.fixture(scope="module", params=["yuv420p", "yuv422p", "yuv444p"])
def stream(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """A short H.264 stream of one chroma format whose size is no multiple of 16."""
    path = tmp_path_factory.mktemp("h264") / "cover.mp4"
    make_cover(path, width=84, height=52, frames=4, pix_fmt=request.param, sound=False)
    return scan(path)


def random_planes(stream: Scan, seed: int) -> list[np.ndarray[Any, Any]]:
    """Noise with long stretches of zeros, which need emulation prevention."""
    rng = np.random.default_rng([seed, 0])
    frame = next(decode_span(stream.source, 0, stream.packets, stream.pts[:1]))
    planes = [rng.integers(0, 256, plane.shape, np.uint8) for plane in planes_of(frame)]
    for plane in planes:
        plane[: len(plane) // 2] = 0
    return planes


def decode(*units: bytes) -> list[list[np.ndarray[Any, Any]]]:
    context = av.CodecContext.create("h264", "r")
    packet = av.Packet(h264.pack(units, 0))
    return [[p.copy() for p in planes_of(f)] for f in [*context.decode(packet), *context.decode(None)]]


def test_a_picture_of_raw_samples_decodes_to_them(stream: Scan) -> None:
    sps = h264.parse_sps(stream.sets.sps[0])
    pps = h264.write_pps(200, sps.id)
    for ordinal in (0, 1):
        planes = random_planes(stream, ordinal)
        picture = h264.PCMWriter(sps, 200).idr(planes, ordinal)
        (shown,) = decode(stream.sets.sps[0], pps, picture)
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(planes, shown, strict=True))


def test_a_stand_in_has_the_place_of_the_picture_it_stands_for(stream: Scan) -> None:
    sps = h264.parse_sps(stream.sets.sps[0])
    planes = random_planes(stream, 0)
    place = h264.Moment(frame_num=3, poc_lsb=6 if sps.numbering.poc_type == 0 else 0)
    picture = h264.PCMWriter(sps, 200).stand_in(planes, place)
    assert h264.moment_of(picture, sps) == place
    assert not h264.is_reference(picture)
    assert h264.moment_of(h264.PCMWriter(sps, 200).idr(planes, 1), sps) == h264.Moment(0, 0)


def test_adjacent_pictures_differ_in_id(stream: Scan) -> None:
    planes = random_planes(stream, 0)
    writer = h264.PCMWriter(h264.parse_sps(stream.sets.sps[0]), 200)
    assert writer.idr(planes, 0) != writer.idr(planes, 1)
    assert writer.idr(planes, 0) == writer.idr(planes, 2)


def test_raw_bytes_is_the_least_a_picture_has(stream: Scan) -> None:
    sps = h264.parse_sps(stream.sets.sps[0])
    picture = h264.PCMWriter(sps, 200).idr(random_planes(stream, 0), 0)
    assert sps.raw_bytes <= len(picture) < 1.3 * sps.raw_bytes
    assert not stream.raw_pictures.any()


def test_size_and_formats_are_read_from_the_sps(stream: Scan) -> None:
    sps = h264.parse_sps(stream.sets.sps[0])
    assert sps.mb_size == (6, 4)
    assert sps.chroma_format_idc == {"yuv420p": 1, "yuv422p": 2, "yuv444p": 3}[stream.source.pix_fmt]
    assert sps.obstacle() is None


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"pix_fmt": "yuv420p10le"}, "10 bits"),
        ({"options": {"x264-params": "interlaced=1"}, "height": 64}, "interlaced"),
    ],
)
def test_obstacles_are_named(tmp_path: Path, options: dict[str, Any], why: str) -> None:
    cover = make_cover(
        tmp_path / "c.mp4", width=64, **{"height": 48, **options}, frames=3, sound=False, bframes=0
    )
    sps = h264.parse_sps(scan(cover).sets.sps[0])
    assert why in (sps.obstacle() or "")


def test_parameter_sets_take_one_more_in_both_packagings(stream: Scan) -> None:
    pps = h264.write_pps(77, 0)
    extra = stream.sets.extra
    assert extra is not None
    avcc = h264.ParameterSets.parse(extra.with_pps(pps))
    assert avcc.pps == (*extra.pps, pps) and avcc.sps == extra.sps
    annexb = h264.ParameterSets.parse(h264.pack([*extra.sps, *extra.pps], 0))
    more = h264.ParameterSets.parse(annexb.with_pps(pps))
    assert more.pps == (*extra.pps, pps) and more.length_size == 0
    assert [h264.parse_pps(nal).id for nal in more.pps] == [0, 77]


@given(st.binary(max_size=200).map(lambda b: b"\x65" + b.replace(b"\x55", b"\0")))
def test_escaping_is_undone_and_leaves_no_start_code(data: bytes) -> None:
    escaped = h264.escape(data + b"\x80")
    assert h264.unescape(escaped) == data + b"\x80"
    assert not any(code in escaped for code in (b"\0\0\0", b"\0\0\1", b"\0\0\2"))


@given(st.lists(st.tuples(st.sampled_from([4, 5, 6]), st.binary(min_size=1, max_size=600)), max_size=4))
def test_captions_are_told_from_what_else_an_sei_unit_holds(messages: list[tuple[int, bytes]]) -> None:
    def unit(kept: list[tuple[int, bytes]]) -> bytes:
        sizes = [b"\xff" * (len(body) // 255) + bytes([len(body) % 255]) for _, body in kept]
        parts = [bytes([kind]) + size + body for (kind, body), size in zip(kept, sizes, strict=True)]
        return b"\x06" + h264.escape(b"".join(parts) + b"\x80")

    captions = [message for message in messages if message[0] == 4]
    assert h264.captions_of(unit(messages)) == (unit(captions) if captions else b"")


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.sampled_from([0, 2, 4]))
def test_packing_is_undone(bodies: list[bytes], length_size: int) -> None:
    units = [h264.escape(b"\x41" + body + b"\x80") for body in bodies]
    assert list(h264.nals(h264.pack(units, length_size), length_size)) == units


@given(st.binary(max_size=60))
def test_damaged_sets_are_input_errors(data: bytes) -> None:
    numbering = Numbering(log2_frame_num=4, poc_type=0, log2_poc_lsb=4, delta_poc_zero=False)
    sps = h264.SPS(0, 1, False, (8, 8), numbering, (2, 2), True, (0, 0, 0, 0))

    def place(nal: bytes) -> object:
        return h264.moment_of(nal, sps)

    for parse in (h264.parse_sps, h264.ParameterSets.parse, h264.parse_pps, h264.captions_of, place):
        try:
            parse((b"\x06" if parse is h264.captions_of else b"\x67") + data)
        except InputError:
            continue
