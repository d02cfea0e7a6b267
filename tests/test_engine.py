"""The whole way of a payload: written to disk, read back by a fresh reader, compared."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import joblib
import numpy as np
import pytest
from conftest import requires_ffmpeg

import vidstega
from vidstega import h264, seal
from vidstega.carriers.base import Spread
from vidstega.carriers.samples.groups import free_pps_id
from vidstega.errors import (
    CapacityError,
    InputError,
    OutputError,
    ParameterError,
    PayloadError,
    UnsupportedError,
    VerificationError,
)
from vidstega.lab.covers import make_cover
from vidstega.media import encode, mux
from vidstega.media import scan as scanning
from vidstega.media.decode import decode_span, planes
from vidstega.media.open import reading
from vidstega.media.scan import headers_tell
from vidstega.media.scan import scan as scan_file
from vidstega.media.source import IDR, KEY
from vidstega.seal import keys

MESSAGE = b"meet at noon"


def noise(size: int) -> bytes:
    return np.random.default_rng([size, 7]).bytes(size)


def litter(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.startswith("."))


@pytest.fixture
def one_salt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal input gives equal bytes."""
    monkeypatch.setattr(seal, "new_salt", lambda: bytes(16))


def embedded(cover: Path, stego: Path, payload: bytes, **options: Any) -> bytes:
    """The bytes of a stego file; equal for equal input if there is but one salt."""
    vidstega.embed(cover, stego, payload, key="key", overwrite=True, progress=False, **options)
    return stego.read_bytes()


def read_by_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, what the headers of a file say is not enough to open it."""
    monkeypatch.setattr(scanning, "_look_at_head", lambda path: None)
    for module in (scanning, mux):
        monkeypatch.setattr(module, "headers_tell", lambda *_: False)


# -- there and back -------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts", ".flv"])
@pytest.mark.parametrize(("spread", "size"), [("fewest", 12), ("fewest", 30_000), (0.1, 9_000), ("all", 500)])
def test_a_payload_comes_back(
    cover: Path, tmp_path: Path, key: str, suffix: str, spread: Spread, size: int
) -> None:
    stego = tmp_path / f"stego{suffix}"
    result = vidstega.embed(cover, stego, noise(size), key=key, spread=spread, verify="full", method="lsb")
    assert vidstega.extract(stego, key=key) == noise(size)
    assert result.mode == ("transcode" if spread == "all" else "splice")
    assert result.bytes_after == stego.stat().st_size
    assert litter(tmp_path) == []


@pytest.mark.parametrize("size", [0, 1, 65_520, 65_537])
def test_sizes_at_the_edges(cover: Path, tmp_path: Path, key: str, size: int) -> None:
    vidstega.embed(cover, tmp_path / "s.mp4", noise(size), key=key)
    assert vidstega.extract(tmp_path / "s.mp4", key=key) == noise(size)


@pytest.mark.parametrize("spread", ["fewest", 0.1, "all"])
def test_capacity_is_exact(cover: Path, tmp_path: Path, key: str, spread: Spread) -> None:
    (row,) = [row for row in vidstega.capacity(cover, method="lsb").rows if row.spread == spread]
    full = noise(row.payload_bytes)
    vidstega.embed(cover, tmp_path / "full.mp4", full, key=key, method="lsb", spread=spread, compress=False)
    assert vidstega.extract(tmp_path / "full.mp4", key=key) == full
    with pytest.raises(CapacityError, match=r"needs .* bits .* capacity is"):
        vidstega.embed(
            cover, tmp_path / "over.mp4", full + b"x", key=key, method="lsb", spread=spread, compress=False
        )
    assert not (tmp_path / "over.mp4").exists() and litter(tmp_path) == []


def test_a_splice_touches_nothing_but_its_runs(cover: Path, tmp_path: Path, key: str) -> None:
    result = vidstega.embed(cover, tmp_path / "s.mp4", MESSAGE, key=key, method="lsb")
    before, after = scan_file(cover, digest=True), scan_file(tmp_path / "s.mp4", digest=True)
    same = before.packets["digest"] == after.packets["digest"]
    assert int((~same).sum()) == result.carrying
    assert np.array_equal(before.packets["pts"][same], after.packets["pts"][same])
    assert np.array_equal(before.pts, after.pts)
    assert list(before.digests.values()) == list(after.digests.values())


@pytest.mark.parametrize("spread", ["fewest", "all"])
def test_opening_a_file_by_its_headers_alone_changes_nothing(
    cover: Path, tmp_path: Path, spread: Spread, one_salt: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick, scan = embedded(cover, tmp_path / "s.mp4", MESSAGE, spread=spread), scan_file(cover)
    assert scan.sets.extra is not None and headers_tell(scan.format, scan.codec, scan.sets.extra.extradata)
    read_by_decoding(monkeypatch)
    assert scan_file(cover).source == scan.source
    assert embedded(cover, tmp_path / "s.mp4", MESSAGE, spread=spread) == quick


@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
def test_open_groups_take_a_picture_that_stands_in(tmp_path: Path, key: str, suffix: str) -> None:
    cover = make_cover(
        tmp_path / f"open{suffix}",
        width=160,
        height=120,
        frames=60,
        gop_s=0.5,
        options={"x264-params": "open-gop=1:scenecut=0"},
    )
    scan = scan_file(cover)
    keys = scan.packets["flags"][1:][scan.packets["flags"][1:] & KEY != 0]
    assert len(keys) and not (keys & IDR).any()
    result = vidstega.embed(cover, tmp_path / "s.mp4", MESSAGE, key=key, verify="full", method="lsb")
    assert result.mode == "splice" and result.carrying == 1
    assert vidstega.extract(tmp_path / "s.mp4", key=key) == MESSAGE


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("size", [200, 20_000])
def test_frames_outside_runs_decode_as_before(
    cover: Path, tmp_path: Path, key: str, threads: int, size: int
) -> None:
    result = vidstega.embed(cover, tmp_path / "s.mp4", noise(size), key=key, method="lsb")
    before, after = scan_file(cover), scan_file(tmp_path / "s.mp4")
    pairs = zip(
        decode_span(before.source, 0, before.packets, before.pts),
        decode_span(after.source, 0, after.packets, after.pts, threads),
        strict=True,
    )
    changed = 0
    for theirs, ours in pairs:
        luma = np.abs(planes(theirs)[0].astype(int) - planes(ours)[0])
        assert luma.max() <= 1
        assert all(map(np.array_equal, planes(theirs)[1:], planes(ours)[1:]))
        changed += bool(luma.any())
    assert changed == result.carrying


def test_several_messages_live_in_one_video(tmp_path: Path) -> None:
    path = make_cover(tmp_path / "c.mp4", width=160, height=96, frames=64, gop_s=8 / 30)
    for number in range(3):
        stego = tmp_path / f"{number}.mp4"
        assert (
            vidstega.embed(path, stego, b"message %d" % number, key=f"key {number}", method="lsb").mode
            == "splice"
        )
        path = stego
    assert [vidstega.extract(path, key=f"key {n}") for n in range(3)] == [b"message %d" % n for n in range(3)]
    ids = [h264.parse_pps(nal).id for nal in scan_file(path).sets.pps]
    assert len(ids) == len(set(ids)) == 4


@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
def test_several_messages_live_in_one_group(tmp_path: Path, suffix: str) -> None:
    path = make_cover(tmp_path / f"c{suffix}", width=160, height=96, frames=30, gop_s=1)
    for number in range(3):
        stego = tmp_path / f"{number}{suffix}"
        assert (
            vidstega.embed(path, stego, b"message %d" % number, key=f"key {number}", method="lsb").mode
            == "splice"
        )
        path = stego
    assert [vidstega.extract(path, key=f"key {n}") for n in range(3)] == [b"message %d" % n for n in range(3)]


def test_a_size_that_was_damaged_is_no_payload(tmp_path: Path, cover: Path, key: str) -> None:
    vidstega.embed(cover, tmp_path / "s.ts", MESSAGE, key=key, method="lsb")
    scan, data = scan_file(tmp_path / "s.ts"), bytearray((tmp_path / "s.ts").read_bytes())
    at = data.index(scan.sets.sps[0], int(scan.packets["pos"][scan.raw_pictures][0]))
    for index in range(at, at + 16):
        damaged = bytearray(data)
        damaged[index] ^= 1
        (tmp_path / "d.ts").write_bytes(damaged)
        try:
            assert vidstega.extract(tmp_path / "d.ts", key=key) == MESSAGE
        except PayloadError:
            continue


def test_a_size_is_that_of_the_pictures_not_of_the_container(
    cover: Path, tmp_path: Path, one_salt: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(cover.read_bytes())
    at = data.index(b"avc1", data.index(b"stsd")) + 28
    assert data[at : at + 4] == bytes([320 >> 8, 320 & 255, 0, 240])
    data[at : at + 4] = bytes([640 >> 8, 640 & 255, 480 >> 8, 480 & 255])
    (tmp_path / "c.mp4").write_bytes(data)
    quick = embedded(tmp_path / "c.mp4", tmp_path / "s.mp4", MESSAGE)
    read_by_decoding(monkeypatch)
    assert embedded(tmp_path / "c.mp4", tmp_path / "s.mp4", MESSAGE) == quick


def test_a_pps_id_that_is_taken_is_not_used(cover: Path, tmp_path: Path, key: str) -> None:
    scan = scan_file(cover)
    free = free_pps_id(scan)
    vidstega.embed(cover, tmp_path / "s.mp4", MESSAGE, key=key, method="lsb")
    assert free_pps_id(scan_file(tmp_path / "s.mp4")) != free


def test_other_codecs_are_transcoded(cover_vp9: Path, tmp_path: Path, key: str) -> None:
    for suffix in (".webm", ".mkv", ".mp4"):
        result = vidstega.embed(cover_vp9, tmp_path / f"s{suffix}", MESSAGE, key=key, verify="full")
        assert result.mode == "transcode" and "vp9" in result.reason
        assert vidstega.extract(result.stego, key=key) == MESSAGE


@pytest.mark.parametrize(
    ("pix_fmt", "codec", "suffix"),
    [
        ("yuv420p10le", "libx265", ".mp4"),
        ("yuv422p", "ffv1", ".mp4"),
        ("yuv444p12le", "ffv1", ".mkv"),
        ("gray", "ffv1", ".mkv"),
        ("gray16le", "ffv1", ".mkv"),
        ("yuva420p", "ffv1", ".mkv"),
    ],
)
def test_pixel_formats(tmp_path: Path, key: str, pix_fmt: str, codec: str, suffix: str) -> None:
    source = make_cover(
        tmp_path / "c.mkv", width=96, height=64, frames=5, pix_fmt=pix_fmt, codec=codec, bframes=0
    )
    vidstega.embed(source, tmp_path / f"s{suffix}", MESSAGE, key=key, spread="all", verify="full")
    assert vidstega.extract(tmp_path / f"s{suffix}", key=key) == MESSAGE
    assert scan_file(tmp_path / f"s{suffix}").source.pix_fmt == pix_fmt


def test_a_container_that_cannot_carry_is_refused_before_any_work(tmp_path: Path, key: str) -> None:
    source = make_cover(tmp_path / "c.mkv", width=81, height=65, frames=3, codec="ffv1")
    with pytest.raises(UnsupportedError, match=r"81x65 yuv420p .* use \.mkv or \.webm"):
        vidstega.embed(source, tmp_path / "s.mp4", MESSAGE, key=key)
    assert not (tmp_path / "s.mp4").exists()


# -- payloads, outputs, methods -------------------------------------------------------------------------


def test_a_payload_may_be_bytes_a_path_or_a_file(cover: Path, tmp_path: Path, key: str) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(noise(5000))
    for number, payload in enumerate((noise(5000), str(secret), secret, io.BytesIO(noise(5000)))):
        vidstega.embed(str(cover), str(tmp_path / f"{number}.mp4"), payload, key=key)
        out = tmp_path / f"{number}.out"
        result = vidstega.extract(tmp_path / f"{number}.mp4", key=key.encode(), out=out)
        assert out.read_bytes() == noise(5000) and result.payload_bytes == 5000


def test_compression_saves_frames(cover: Path, tmp_path: Path, key: str) -> None:
    small = vidstega.embed(cover, tmp_path / "a.mp4", bytes(50_000), key=key, method="lsb")
    large = vidstega.embed(cover, tmp_path / "b.mp4", bytes(50_000), key=key, compress=False, method="lsb")
    assert small.sealed_bytes < 500 < 50_000 < large.sealed_bytes
    assert vidstega.extract(tmp_path / "a.mp4", key=key) == vidstega.extract(tmp_path / "b.mp4", key=key)


def test_an_existing_output_stays_unless_asked(cover: Path, tmp_path: Path, key: str) -> None:
    stego, out = tmp_path / "s.mp4", tmp_path / "out"
    stego.write_bytes(b"precious")
    with pytest.raises(OutputError, match="overwrite"):
        vidstega.embed(cover, stego, MESSAGE, key=key)
    assert stego.read_bytes() == b"precious"
    vidstega.embed(cover, stego, MESSAGE, key=key, overwrite=True)
    out.write_bytes(b"precious")
    with pytest.raises(OutputError, match="overwrite"):
        vidstega.extract(stego, key=key, out=out)
    with pytest.raises(PayloadError):
        vidstega.extract(stego, key="wrong", out=out, overwrite=True)
    assert out.read_bytes() == b"precious"
    with pytest.raises(OutputError, match="itself"):
        vidstega.embed(stego, stego, MESSAGE, key=key, overwrite=True)


@dataclass(frozen=True)
class Corner:
    """A method of one's own: plain replacement in the first samples."""

    name: str = "corner"

    def capacity(self, shape: tuple[int, int], depth: int) -> int:
        return shape[0] * shape[1] // 2

    def embed(self, plane: Any, data: Any, random: Any, depth: int) -> None:
        bits = np.unpackbits(data)
        at = np.unravel_index(np.arange(len(bits)), plane.shape)
        plane[at] = plane[at] & ~np.asarray(1, plane.dtype) | bits

    def extract(self, plane: Any, size: int, random: Any, depth: int) -> Any:
        at = np.unravel_index(np.arange(8 * size), plane.shape)
        return np.packbits((plane[at] & 1).astype(np.uint8))


@pytest.mark.parametrize("spread", ["fewest", "all"])
def test_a_method_of_ones_own(cover: Path, tmp_path: Path, key: str, spread: Spread) -> None:
    stego = tmp_path / "s.mp4"
    vidstega.embed(cover, stego, noise(9000), key=key, method=Corner(), spread=spread)
    assert vidstega.extract(stego, key=key, method=Corner()) == noise(9000)
    with pytest.raises(PayloadError):
        vidstega.extract(stego, key=key)
    assert vidstega.capacity(cover, method=Corner()).rows[0].method == "corner"


@pytest.mark.parametrize("method", ["nosuch", object(), Corner(name=""), Corner(name="x" * 17)])
def test_what_is_no_method_is_refused(cover: Path, tmp_path: Path, key: str, method: Any) -> None:
    with pytest.raises(ParameterError, match="method"):
        vidstega.embed(cover, tmp_path / "s.mp4", MESSAGE, key=key, method=method)


# -- workers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spread", ["fewest", "all"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_bytes_do_not_depend_on_workers_or_backend(
    cover: Path, tmp_path: Path, spread: Spread, suffix: str, one_salt: None
) -> None:
    def run(name: str, n_jobs: int) -> bytes:
        stego = tmp_path / f"{name}{suffix}"
        return embedded(cover, stego, noise(40_000), n_jobs=n_jobs, spread=spread)

    one, two = run("one", 1), run("two", 2)
    with joblib.parallel_config(backend="loky"):
        processes = run("processes", 2)
        assert vidstega.extract(tmp_path / f"one{suffix}", key="key", n_jobs=2) == noise(40_000)
    assert one == two == processes


@dataclass(frozen=True)
class Deadly(Corner):
    """Kills the worker that first embeds with it."""

    trap: str = ""

    def embed(self, plane: Any, data: Any, random: Any, depth: int) -> None:
        try:
            os.close(os.open(self.trap, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            super().embed(plane, data, random, depth)
        else:
            os._exit(9)


def test_a_killed_worker_costs_a_retry(cover: Path, tmp_path: Path, one_salt: None) -> None:
    deadly = Deadly(trap=str(tmp_path / "trap"))
    with joblib.parallel_config(backend="loky"):
        survived = embedded(cover, tmp_path / "s.mp4", noise(9000), n_jobs=2, method=deadly, spread="all")
    assert survived == embedded(cover, tmp_path / "t.mp4", noise(9000), method=deadly, spread="all")
    assert (tmp_path / "trap").exists() and litter(tmp_path) == []


# -- verification ---------------------------------------------------------------------------------------


def test_verify_later(cover: Path, tmp_path: Path, key: str) -> None:
    stego = tmp_path / "s.mp4"
    vidstega.embed(cover, stego, MESSAGE, key=key, verify=False, method="lsb")
    report = vidstega.verify(cover, stego, key=key, full=True)
    assert report.mode == "splice" and report.payload_bytes == len(MESSAGE)
    assert "every frame" in report.compared
    with pytest.raises(PayloadError):
        vidstega.verify(cover, stego, key="wrong")
    other = make_cover(tmp_path / "other.mp4", width=320, height=240, frames=60, gop_s=20 / 30, seed=5)
    with pytest.raises(VerificationError):
        vidstega.verify(other, stego, key=key)


def test_lossless_noise_is_not_taken_for_a_splice(tmp_path: Path, key: str) -> None:
    with av.open(str(tmp_path / "noise.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(6):
            samples = np.random.default_rng(number).integers(0, 256, (96, 96), np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(samples, "yuv420p")))
        out.mux(stream.encode())
    vidstega.embed(tmp_path / "noise.mp4", tmp_path / "s.mp4", MESSAGE, key=key)
    assert scan_file(tmp_path / "s.mp4").raw_pictures[0]
    assert vidstega.verify(tmp_path / "noise.mp4", tmp_path / "s.mp4", key=key, full=True).mode == "transcode"


def test_a_codec_that_loses_is_found_out(
    cover: Path, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "_X264", encode.Lossless("libx264", (("preset", "ultrafast"), ("qp", "9"))))
    with pytest.raises(VerificationError):
        vidstega.embed(cover, tmp_path / "s.mp4", MESSAGE, key=key, spread="all", method="lsb")
    assert list(tmp_path.iterdir()) == []


def test_a_splice_that_fails_becomes_a_transcode(
    cover: Path, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slice_of = h264.PCMWriter._slice

    def damaged(self: h264.PCMWriter, head: Any, planes: Any) -> bytes:
        return slice_of(self, head, [plane ^ 1 for plane in planes])

    monkeypatch.setattr(h264.PCMWriter, "_slice", damaged)
    result = vidstega.embed(cover, tmp_path / "s.mp4", MESSAGE, key=key, method="lsb")
    assert result.mode == "transcode" and "a splice failed" in result.reason
    assert vidstega.extract(tmp_path / "s.mp4", key=key) == MESSAGE


class Once(io.RawIOBase):
    """A payload that can be read once, as of a pipe."""

    def __init__(self, data: bytes) -> None:
        self._pieces = [data]

    def read(self, size: int = -1) -> bytes:
        return self._pieces.pop() if self._pieces else b""


@pytest.fixture
def sealing(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[bytes]]:
    """The salts that were made, that a key was stretched with, and that a payload was sealed with."""
    seen: dict[str, list[bytes]] = {"made": [], "stretched": [], "sealed": []}
    new_salt, scrypt, seal_payload = seal.new_salt, keys.Scrypt, seal.seal

    def made() -> bytes:
        seen["made"].append(new_salt())
        return seen["made"][-1]

    def stretched(*, salt: bytes, **cost: int) -> Any:
        seen["stretched"].append(salt)
        return scrypt(salt=salt, **cost)

    def sealed(data: Any, path: Path, used: keys.Keys, **options: Any) -> seal.Sealed:
        seen["sealed"].append(used.salt)
        return seal_payload(data, path, used, **options)

    monkeypatch.setattr(seal, "new_salt", made)
    monkeypatch.setattr(keys, "Scrypt", stretched)
    monkeypatch.setattr(seal, "seal", sealed)
    return seen


def test_all_attempts_share_one_salt_one_seal_and_one_reading_of_the_payload(
    cover: Path,
    tmp_path: Path,
    key: str,
    sealing: dict[str, list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second seal under one salt would use nonces twice, and a pipe cannot be read twice."""
    monkeypatch.setattr(h264.PCMWriter, "_slice", lambda *_: b"no picture\x80")
    result = vidstega.embed(cover, tmp_path / "s.mp4", Once(MESSAGE), key=key, method="lsb")
    assert result.mode == "transcode" and "a splice failed" in result.reason
    (salt,) = sealing["made"]
    assert sealing["sealed"] == [salt] and sealing["stretched"].count(salt) == 1
    assert vidstega.extract(tmp_path / "s.mp4", key=key) == MESSAGE


def test_every_message_has_a_salt_of_its_own(
    cover: Path, tmp_path: Path, key: str, sealing: dict[str, list[bytes]]
) -> None:
    for name in ("a.mp4", "b.mp4"):
        vidstega.embed(cover, tmp_path / name, MESSAGE, key=key, method="lsb")
    assert len(set(sealing["made"])) == len(sealing["made"]) == 2
    assert sealing["stretched"] == sealing["sealed"] == sealing["made"]
    assert (tmp_path / "a.mp4").read_bytes() != (tmp_path / "b.mp4").read_bytes()


# -- asking, reading frames -----------------------------------------------------------------------------


def test_probe_says_whether_and_why(cover: Path, cover_vp9: Path) -> None:
    ours, theirs = vidstega.probe(cover), vidstega.probe(cover_vp9)
    assert ours.splice and ours.frames == 60 and ours.key_frames == 3
    assert not theirs.splice and "only H.264" in theirs.reason
    assert "h264 320x240" in repr(ours) and "\n" in repr(ours)


def test_frames_are_counted_from_zero(cover: Path) -> None:
    everything = [frame.luma.copy() for frame in vidstega.frames(cover)]
    assert len(everything) == 60
    for start, stop in ((0, 1), (17, 23), (39, 41), (59, 99)):
        some = list(vidstega.frames(cover, start, stop))
        assert [frame.index for frame in some] == list(range(start, min(stop, 60)))
        assert all(np.array_equal(frame.luma, everything[frame.index]) for frame in some)
    assert list(vidstega.frames(cover, 5, 5)) == []


def test_progress_is_told(cover: Path, tmp_path: Path, key: str) -> None:
    told: list[tuple[str, int, int]] = []
    vidstega.embed(
        cover, tmp_path / "s.mp4", MESSAGE, key=key, progress=lambda *now: told.append(now), method="lsb"
    )
    assert [stage for stage, done, total in told if done == total][:1] == ["embed"]
    assert told[-1][1] == told[-1][2]


@pytest.fixture
def results(cover: Path, tmp_path: Path, key: str) -> Iterator[Any]:
    yield vidstega.embed(cover, tmp_path / "s.mp4", MESSAGE, key=key, method="lsb")


def test_a_result_reads_well_and_keeps_the_key_to_itself(results: Any, key: str) -> None:
    text = repr(results)
    assert "lsb, splice" in text and results.digest in text and key not in text
    assert results.method == "lsb" and results.reason == "it has pictures that no others depend on"
    with pytest.raises(AttributeError):
        results.mode = "other"


@pytest.mark.parametrize("n_jobs", [0, True, 1.5, "2"])
def test_senseless_workers_are_refused(cover: Path, tmp_path: Path, key: str, n_jobs: Any) -> None:
    with pytest.raises(ParameterError, match="n_jobs"):
        vidstega.embed(cover, tmp_path / "s.mp4", MESSAGE, key=key, n_jobs=n_jobs)


def test_a_wrong_key_a_clean_video_and_a_foreign_file_give_one_error(
    cover: Path, cover_vp9: Path, tmp_path: Path, key: str
) -> None:
    vidstega.embed(cover, tmp_path / "s.mp4", MESSAGE, key=key)
    texts = set()
    for path, used in ((tmp_path / "s.mp4", "wrong"), (cover, key), (cover_vp9, key)):
        with pytest.raises(PayloadError) as caught:
            vidstega.extract(path, key=used)
        texts.add(str(caught.value))
    assert len(texts) == 1


def test_missing_inputs_are_named(tmp_path: Path, cover: Path, key: str) -> None:
    with pytest.raises(InputError, match=r"gone\.mp4 does not exist"):
        vidstega.embed(tmp_path / "gone.mp4", tmp_path / "s.mp4", MESSAGE, key=key)
    with pytest.raises(InputError, match=r"gone\.zip"):
        vidstega.embed(cover, tmp_path / "s.mp4", tmp_path / "gone.zip", key=key)
    with pytest.raises(ParameterError, match=r"\.avi .* use one of"):
        vidstega.embed(cover, tmp_path / "s.avi", MESSAGE, key=key)
    assert list(tmp_path.iterdir()) == []


@requires_ffmpeg
@pytest.mark.parametrize("spread", ["fewest", "all"])
def test_all_that_a_rich_file_holds_survives(cover: Path, tmp_path: Path, key: str, spread: Spread) -> None:
    (tmp_path / "tags").write_text(
        ";FFMETADATA1\ntitle=A test\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\ntitle=One\n"
    )
    (tmp_path / "words.srt").write_text("1\n00:00:00,100 --> 00:00:01,500\nhello\n")
    (tmp_path / "font.ttf").write_bytes(noise(3000))
    rich = tmp_path / "rich.mkv"
    command = (
        "ffmpeg -v error -i {} -i tags -i words.srt -map 0 -map 2 -map_metadata 1 -map_chapters 1 -c copy "
        "-metadata:s:a:0 language=fra -metadata:s:s:0 language=deu -disposition:s:0 forced "
        "-attach font.ttf -metadata:s:t:0 mimetype=font/ttf rich.mkv"
    )
    subprocess.run(command.format(cover).split(), cwd=tmp_path, check=True)
    result = vidstega.embed(rich, tmp_path / "s.mkv", MESSAGE, key=key, spread=spread)
    assert result.notes == ()
    with reading(rich) as before, reading(result.stego) as after:
        assert after.metadata["title"] == "A test"
        assert [c["metadata"]["title"] for c in after.chapters()] == ["One"]
        assert [(s.type, s.language, s.disposition) for s in before.streams] == [
            (s.type, s.language, s.disposition) for s in after.streams
        ]
        assert after.streams[-1].data == noise(3000)  # type: ignore[attr-defined]
