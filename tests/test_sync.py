"""Where decoding may start is what pictures say; a whole transcode is what decoding from the start gives."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from streams import assert_same_but, blocks, coded, matroska, straight, without_sync_table

import vidstega
from vidstega.media import coded as coded_pictures
from vidstega.media import heads
from vidstega.media.coded import pictures_of
from vidstega.media.scan import scan
from vidstega.media.source import SAFE

PAYLOAD = b"meet at noon"
KINDS = {
    "mpeg4": {"g": "40"},
    "h263": {"g": "40"},
    "mpeg2video": {"g": "40", "bf": "2"},
    "libx264": {"g": "40"},
    "libx265": {"x265-params": "keyint=40:log-level=none"},
}

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("codec", KINDS)
def test_samples_that_are_called_sync_and_are_none(codec: str, tmp_path: Path) -> None:
    cover = without_sync_table(coded(tmp_path / "cover.mov", codec, **KINDS[codec]))
    for n_jobs in (1, 2):
        stego = tmp_path / f"stego-{n_jobs}.mov"
        result = vidstega.embed(cover, stego, PAYLOAD, key="k", method="lsb", n_jobs=n_jobs)
        assert_same_but(result.carrying, cover, stego)
        assert vidstega.extract(stego, key="k", n_jobs=n_jobs) == PAYLOAD
    assert result.mode == ("splice" if codec == "libx264" else "transcode")
    assert "every frame" in vidstega.verify(cover, stego, key="k", full=True).compared


@pytest.mark.parametrize("codec", [b"V_VP8", b"V_VP9", b"V_MPEG4/ISO/ASP", b"V_MPEGH/ISO/HEVC"])
def test_blocks_that_are_called_key_and_are_none(codec: bytes, tmp_path: Path) -> None:
    encoder = {b"V_VP8": "libvpx", b"V_VP9": "libvpx-vp9", b"V_MPEG4/ISO/ASP": "mpeg4"}.get(codec, "libx265")
    made = coded(
        tmp_path / "made.mkv",
        encoder,
        50,
        **KINDS.get(encoder, {"g": "40", "cpu-used": "8", "deadline": "realtime"}),
    )
    rows, header = blocks(made)
    called = [(time, True, data) for time, _, data in rows]
    cover = matroska(tmp_path / "cover.mkv", codec, (176, 144), called, header=header)
    result = vidstega.embed(cover, tmp_path / "stego.mkv", PAYLOAD, key="k", method="lsb", n_jobs=2)
    assert_same_but(result.carrying, cover, result.stego)
    flags = scan(cover).packets["flags"]
    assert 1 <= (flags & SAFE != 0).sum() <= 3


ENDINGS = {
    "mov": ("mpeg4", "h263"),
    "flv": ("flv",),
    "ts": ("mpeg1video", "mpeg2video"),
    "mp4": ("libx265", "libsvtav1"),
    "webm": ("libvpx", "libvpx-vp9"),
    "mkv": ("ffv1", "libtheora", "libaom-av1"),
    "avi": ("msmpeg4", "wmv1", "wmv2"),
}


@pytest.mark.parametrize(("codec", "ending"), [(c, e) for e, codecs in ENDINGS.items() for c in codecs])
def test_starts_are_the_intra_pictures(codec: str, ending: str, tmp_path: Path) -> None:
    try:
        av.codec.Codec(codec, "w")
    except ValueError:
        pytest.skip(f"no encoder {codec} here")
    options = {"x265-params": "keyint=20:log-level=none"} if codec == "libx265" else {"g": "20"}
    options |= {"cpu-used": "8", "deadline": "realtime"} if "libvpx" in codec else {}
    path = coded(tmp_path / f"a.{ending}", codec, 50, **options)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        asked = pictures_of(scan(path).codec, stream.codec_context)
        packets = [packet for packet in container.demux(stream) if packet.size]
        said = [asked.add(packet, bytes(packet), True) & SAFE != 0 for packet in packets]
        assert said == [packet.is_keyframe for packet in packets]
    assert any(said)


def test_a_wrong_start_does_not_pass_the_default_verification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cover = without_sync_table(coded(tmp_path / "cover.mov", "mpeg4", g="60"))
    monkeypatch.setattr(coded_pictures, "start_of", lambda codec, data: True)
    result = vidstega.embed(cover, tmp_path / "stego.mov", PAYLOAD, key="k", method="lsb", n_jobs=2)
    assert result.frames == 60
    assert_same_but(result.carrying, cover, result.stego)


def test_garbage_is_no_start() -> None:
    for says in heads._SAYS.values():
        for data in (b"", b"\0", b"\0" * 7, b"\0\0\1\xb6", b"\0\0\1\0", b"\xff" * 40, b"\x12\x80" * 9):
            try:
                assert says(data) in (True, False)
            except (IndexError, vidstega.errors.InputError):
                continue  # which `start_of` takes for no


def test_a_picture_that_stands_alone_is_found_without_verification(clips: Path, tmp_path: Path) -> None:
    clip = clips / "nat_h264_phone_slow_motion.mp4"
    result = vidstega.embed(clip, tmp_path / "stego.mp4", PAYLOAD, key="k", method="lsb", verify=False)
    assert result.mode == "splice" and vidstega.extract(result.stego, key="k") == PAYLOAD
    assert_same_but(1, clip, result.stego)


def test_a_splice_into_a_recording_that_begins_in_mid_group(tmp_path: Path) -> None:
    whole = coded(tmp_path / "whole.ts", "libx264", 75, g="30", bf="2")
    data = whole.read_bytes()
    cover = tmp_path / "cover.ts"
    cover.write_bytes(data[len(data) // 5 // 188 * 188 :])
    assert 0 < len(straight(cover)) < len(scan(cover).packets)
    result = vidstega.embed(cover, tmp_path / "stego.ts", PAYLOAD, key="k", method="lsb", verify="full")
    assert result.mode == "splice"
    assert_same_but(1, cover, result.stego)
    assert vidstega.extract(result.stego, key="k") == PAYLOAD
