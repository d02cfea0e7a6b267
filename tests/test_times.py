"""Frames and times where packets do not tell them: mid-group, joined, repeated, backwards, by fields."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import requires_ffmpeg
from streams import assert_same_but, blocks, coded, matroska, mpeg2_fields, straight, times_s

import vidstega
from vidstega.errors import CapacityError, InputError, PayloadError
from vidstega.media.census import is_doubtful
from vidstega.media.scan import scan
from vidstega.media.times import told_apart

PAYLOAD = b"meet at noon"

pytestmark = pytest.mark.filterwarnings("ignore")


def carried(cover: Path, stego: Path) -> vidstega.engine.EmbedResult:
    """Embed, and check every frame, extraction and verification."""
    result = vidstega.embed(cover, stego, PAYLOAD, key="k", method="lsb")
    assert_same_but(result.carrying, cover, stego)
    assert vidstega.extract(stego, key="k", n_jobs=2) == PAYLOAD
    vidstega.verify(cover, stego, key="k", full=True)
    return result


@pytest.fixture(scope="module")
def vp8(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coded(
        tmp_path_factory.mktemp("vp8") / "made.webm",
        "libvpx",
        40,
        g="20",
        **{"cpu-used": "8", "deadline": "realtime"},
    )


def rewritten(vp8: Path, target: Path, moved: object, tick_ns: int = 10**6) -> Path:
    rows, _ = blocks(vp8, 10**9 // tick_ns)
    return matroska(
        target, b"V_VP8", (176, 144), [(moved(i, t), k, d) for i, (t, k, d) in enumerate(rows)], tick_ns
    )


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264", "libx265"])
def test_a_recording_that_begins_and_ends_in_mid_group(codec: str, tmp_path: Path) -> None:
    whole = coded(tmp_path / "whole.ts", codec, 75, **{"x265-params": "log-level=none"}, g="30", bf="2")
    data, cover = whole.read_bytes(), tmp_path / "cover.ts"
    packets = len(data) // 188
    cover.write_bytes(data[packets // 5 * 188 : packets * 4 // 5 * 188 + 100])
    shown = len(straight(cover))
    assert 0 < shown < len(scan(cover).packets)
    assert vidstega.probe(cover).frames == vidstega.capacity(cover).rows[0].frames == shown
    result = vidstega.embed(cover, tmp_path / "stego.mkv", PAYLOAD, key="k", method="lsb", spread="all")
    assert result.frames == result.carrying == shown
    assert any("decode to no frame, as in a player" in note for note in result.notes)
    assert vidstega.extract(result.stego, key="k") == PAYLOAD
    carried(cover, tmp_path / "fewest.ts")


@pytest.mark.parametrize("ending", ["ts", "mkv", "mp4"])
def test_recordings_joined_by_cat(ending: str, tmp_path: Path) -> None:
    one = coded(tmp_path / "one.ts", "mpeg2video", 30, sound=True, g="12", bf="2")
    cover = tmp_path / "cover.ts"
    cover.write_bytes(2 * one.read_bytes())
    assert is_doubtful(scan(cover))
    result = carried(cover, tmp_path / f"stego.{ending}")
    assert result.frames == 60 and any("times go back at 1 place" in note for note in result.notes)
    times = times_s(result.stego)
    assert np.allclose(np.diff(times), 0.04, atol=0.002)
    with av.open(str(result.stego)) as container:
        sound = [p.pts * p.time_base for p in container.demux(container.streams.audio[0]) if p.size]
    assert len(sound) > 90 and all(a < b for a, b in pairwise(sound))
    assert abs(float(sound[-1]) - times[-1]) < 0.2


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_avi_with_b_frames(codec: str, tmp_path: Path) -> None:
    cover = coded(tmp_path / "cover.avi", codec, 40, g="20", bf="2")
    result = carried(cover, tmp_path / "stego.mkv")
    assert np.allclose(np.diff(times_s(result.stego)), 0.04, atol=0.002)


def test_a_time_base_of_a_nanosecond(vp8: Path, tmp_path: Path) -> None:
    cover = rewritten(vp8, tmp_path / "cover.webm", lambda i, t: t, 1)
    assert scan(cover).source.time_base == Fraction(1, 10**9)
    for ending in ("webm", "mkv", "mp4"):
        result = carried(cover, tmp_path / f"stego.{ending}")
        assert np.allclose(times_s(result.stego), times_s(cover), atol=0.001)


def test_repeated_times(vp8: Path, tmp_path: Path) -> None:
    cover = rewritten(vp8, tmp_path / "cover.webm", lambda i, t: t // 120 * 120)
    for ending in ("webm", "mkv"):
        result = carried(cover, tmp_path / f"stego.{ending}")
        assert times_s(result.stego) == times_s(cover) and not result.notes
    for ending in ("mp4", "ts"):
        result = carried(cover, tmp_path / f"stego.{ending}")
        assert any("frames share a time with another" in note for note in result.notes)
        assert np.allclose(times_s(result.stego)[0], times_s(result.stego)[0]) and result.frames == 40


def test_a_few_times_that_go_back(vp8: Path, tmp_path: Path) -> None:
    cover = rewritten(vp8, tmp_path / "cover.webm", lambda i, t: max(0, t - (90 if i % 7 == 3 else 0)))
    result = carried(cover, tmp_path / "stego.webm")
    assert times_s(result.stego) == times_s(cover)  # sorted, and nothing is put off


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv"])
def test_frames_that_are_shown_before_zero(ending: str, vp8: Path, tmp_path: Path) -> None:
    cover = rewritten(vp8, tmp_path / "cover.mkv", lambda i, t: t - 200)
    result = carried(cover, tmp_path / f"stego.{ending}")
    assert result.frames == 40 and any("starts +0.2" in note for note in result.notes)


def test_mpeg2_fields_that_are_packets_of_their_own(tmp_path: Path) -> None:
    fields = mpeg2_fields(26)
    rows = [(20 * index, index % 2 == 0, data) for index, data in enumerate(fields)]
    cover = matroska(tmp_path / "cover.mkv", b"V_MPEG2", (64, 64), rows)
    assert len(scan(cover).packets) == 52 and len(scan(cover).pts) == len(straight(cover)) == 26
    assert vidstega.capacity(cover).rows[0].frames == vidstega.probe(cover).frames == 26
    assert carried(cover, tmp_path / "stego.mkv").frames == 26


def test_h264_fields_that_are_packets_of_their_own(clips: Path, tmp_path: Path) -> None:
    cover = clips / "nat_h264_1080i_field_pictures_camcorder.mts"
    assert vidstega.probe(cover).frames == len(straight(cover)) == 13
    assert carried(cover, tmp_path / "stego.ts").frames == 13


@requires_ffmpeg
def test_an_edit_list_before_a_sync_sample(tmp_path: Path) -> None:
    made = coded(tmp_path / "made.mp4", "libx264", 60, g="30", bf="2")
    data = bytearray(made.read_bytes())
    table, edits = data.find(b"stss"), data.find(b"elst")
    data[table + 12 : table + 16] = (11).to_bytes(4, "big")  # the first sync sample is not the first
    start = int.from_bytes(data[edits + 16 : edits + 20], "big")
    data[edits + 16 : edits + 20] = (start + 6 * 512).to_bytes(4, "big")
    cover = tmp_path / "cover.mp4"
    cover.write_bytes(data)
    assert carried(cover, tmp_path / "stego.mp4").frames == len(straight(cover))


def test_an_edit_list_that_shows_nothing_is_one_error(tmp_path: Path) -> None:
    cover = coded(tmp_path / "cover.mp4", "libx264", 30, g="30", bf="2")
    data = bytearray(cover.read_bytes())
    edits = data.find(b"elst")
    data[edits + 16 : edits + 20] = (1 << 30).to_bytes(4, "big")  # begins long after the last sample
    cover.write_bytes(data)
    with pytest.raises(PayloadError):
        vidstega.extract(cover, key="k")
    with pytest.raises(InputError, match="no frame"):
        vidstega.embed(cover, tmp_path / "stego.mp4", PAYLOAD, key="k", method="lsb")


def test_times_of_decoding_in_the_place_of_those_of_display(tmp_path: Path) -> None:
    cover = coded(tmp_path / "cover.mp4", "libx264", 30, g="30", bf="2")
    cover.write_bytes(cover.read_bytes().replace(b"ctts", b"free").replace(b"edts", b"free"))
    assert carried(cover, tmp_path / "stego.mkv").frames == len(straight(cover)) == 30


def test_a_frame_that_is_too_small_is_said_to_be(tmp_path: Path) -> None:
    cover = tmp_path / "cover.mp4"
    with av.open(str(cover), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 16
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
        container.mux(stream.encode(None))
    probe = vidstega.probe(cover)
    assert not probe.splice and "16x16 are too small" in probe.reason
    for refused in (lambda: vidstega.capacity(cover), lambda: vidstega.estimate(cover, 1)):
        with pytest.raises(CapacityError, match="16x16 are too small"):
            refused()


def test_times_are_told_apart_by_a_tick_of_any_container() -> None:
    times = np.array([0, 0, 0, 1, 10, 10])
    assert told_apart(times, Fraction(1, 1000)).tolist() == [0, 1, 2, 3, 10, 11]
    assert told_apart(np.array([5, 5]), Fraction(1, 10**9)).tolist() == [5, 5 + 11112]
