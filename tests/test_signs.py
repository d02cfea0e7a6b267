"""Signs: the file is copied, some bits of it change in place; what FFmpeg decodes is the judge."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import requires_ffmpeg

import vidstega
from vidstega import carriers
from vidstega.ask import estimate_extraction
from vidstega.carriers.signs import InSigns, decoded
from vidstega.carriers.signs.cost import energies, steepness_for, weighed
from vidstega.carriers.signs.layout import Header, Opening, message_places
from vidstega.carriers.signs.tiers import tiers_of
from vidstega.carriers.signs.walks import pictures
from vidstega.errors import (
    CapacityError,
    InputError,
    ParameterError,
    PayloadError,
    UnsupportedError,
    VerificationError,
)
from vidstega.lab.covers import make_cover
from vidstega.media.decode import decode_all, frame_digest
from vidstega.media.packets import patch, stays_in_place
from vidstega.media.scan import scan as scan_file
from vidstega.media.source import IDR, NONREF, PACKET
from vidstega.pool import Pool, Work
from vidstega.progress import Progress
from vidstega.seal import Key
from vidstega.seal.short import ShortKeys, short_keys

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

KEY = "correct horse"
MESSAGE = b"meet at noon"

ROOT = Path(__file__).parents[1]
TIERS = {
    "nat_h264_272p_bikes_bframes_noaudio.mp4": "A",
    "nat_h264_480p_crystal_aac.mp4": "B",
    "nat_h264_720p_dog_aac.mp4": "B",
    "nat_h264_720p_dog_rot270_aac.mp4": "B",
    "nat_h264_1080p50_pcm.mov": "A",
    "nat_h264_1080p60_graffiti_bframes.mp4": "A",
    "nat_h264_1080x720_pgs_subs_ac3.mkv": "A",
    "nat_h264_1080x720_srt_subs_ac3.mkv": "A",
    "nat_h264_2160p_phone_rot90_vfr_aac.mp4": "B",
    "nat_h264_chapters_aac.mp4": "B",
}
"""Clips that hold a short message, and the last tier that it takes."""


def encode(path: Path, params: str, *, frames: int = 48, size: tuple[int, int] = (320, 240)) -> Path:
    """A moving picture with grain, by x264; one key frame in 24."""
    width, height = size
    options = {
        "preset": "medium",
        "x264-params": f"keyint=24:scenecut=0:threads=1:log-level=none:qp=24:{params}",
    }
    noise = np.random.default_rng(1).integers(0, 12, (height, width), np.uint8)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, 25)
        for i in range(frames):
            luma = 110 + 60 * np.sin((x + 3 * i) / 17) * np.cos((y - 2 * i) / 23) + np.roll(noise, i, 1)
            frame = av.VideoFrame(width, height, "yuv420p")
            for plane, samples in zip(
                frame.planes, (luma, luma[::2, ::2], 255 - luma[::2, ::2]), strict=True
            ):
                rows = np.zeros((plane.height, plane.line_size), np.uint8)
                rows[:, : plane.width] = samples
                plane.update(rows)
            frame.pts = i
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """B-frames that nothing is predicted from, CABAC, 8x8 transforms, MP4."""
    return encode(tmp_path_factory.mktemp("signs") / "plain.mp4", "bframes=2:b-pyramid=none:8x8dct=1")


@pytest.fixture(scope="module")
def tails(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """P-frames alone, CAVLC: what is free is the last one of each group."""
    return encode(
        tmp_path_factory.mktemp("signs") / "tails.mp4", "bframes=0:cabac=0:8x8dct=0", size=(160, 128)
    )


@pytest.fixture(scope="module")
def stego(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("signs") / "stego.mp4"
    vidstega.embed(plain, path, MESSAGE, key=KEY, method="signs")
    return path


def digests(path: Path) -> list[int]:
    scan = scan_file(path)
    return [frame_digest(frame) for frame in decode_all(scan.source, scan.packets)]


def complaints(path: Path, threads: int) -> str:
    """What FFmpeg says of a file when it is to forgive nothing."""
    command = ["ffmpeg", "-v", "warning", "-err_detect", "explode", "-threads", str(threads), "-i", str(path)]
    done = subprocess.run([*command, "-map", "0:v:0", "-f", "null", "-"], capture_output=True, check=False)
    return done.stderr.decode() + ("" if done.returncode == 0 else "failed")


def bits_that_differ(before: Path, after: Path) -> int:
    pair = (np.frombuffer(path.read_bytes(), np.uint8) for path in (before, after))
    return int(np.unpackbits(np.bitwise_xor(*pair)).sum())


def remux(source: Path, target: Path) -> Path:
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(source), "-map", "0", "-c", "copy", str(target)], check=True
    )
    return target


# -- whole ways -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TIERS)
def test_a_clip_carries_without_a_byte_more(clips: Path, name: str, tmp_path: Path) -> None:
    clip, stego = clips / name, tmp_path / f"stego{Path(name).suffix}"
    result = vidstega.embed(clip, stego, MESSAGE, key=KEY)
    assert (result.method, result.mode) == ("signs", "patch")
    assert InSigns().plan(scan_file(clip), wish(len(MESSAGE) + 17)).tier == TIERS[name]
    assert stego.stat().st_size == clip.stat().st_size == result.bytes_after
    assert 0 < bits_that_differ(clip, stego) < 3000
    assert vidstega.extract(stego, key=KEY) == MESSAGE
    before, after = digests(clip), digests(stego)
    changed = sum(a != b for a, b in zip(before, after, strict=True))
    assert 0 < changed == result.measured["pictures"] <= result.carrying
    assert result.measured["psnr_worst_db"] > 50
    assert vidstega.verify(clip, stego, key=KEY).mode == "patch"
    with pytest.raises(PayloadError):
        vidstega.extract(stego, key="another")
    with pytest.raises(PayloadError):
        vidstega.extract(clip, key=KEY)


@requires_ffmpeg
@pytest.mark.parametrize("name", TIERS)
def test_a_decoder_that_forgives_nothing_has_nothing_new_to_say(
    clips: Path, name: str, tmp_path: Path
) -> None:
    clip, stego = clips / name, tmp_path / f"stego{Path(name).suffix}"
    vidstega.embed(clip, stego, MESSAGE, key=KEY, method="signs", verify=False)
    for threads in (1, 4):
        theirs, ours = complaints(clip, threads), complaints(stego, threads)
        assert ours.replace(str(stego), "").count("\n") <= theirs.count("\n"), ours


CODINGS = {
    "CABAC, four slices": "bframes=2:b-pyramid=none:slices=4",
    "CAVLC with B": "bframes=2:b-pyramid=none:cabac=0:8x8dct=0",
    "B-pyramid, temporal direct": "bframes=3:b-pyramid=normal:direct=temporal",
    "constrained intra": "bframes=2:constrained-intra=1",
    "P alone": "bframes=0",
    "custom scaling": "bframes=2:cqm=jvt",
    "open groups": "bframes=2:open-gop=1",
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("verify", [True, "full"])
def test_whatever_coding_a_message_comes_back(coding: str, verify: bool | str, tmp_path: Path) -> None:
    cover = encode(tmp_path / "cover.mkv", CODINGS[coding], frames=30)
    stego = tmp_path / "stego.mkv"
    result = vidstega.embed(cover, stego, MESSAGE, key=KEY, method="signs", verify=verify)
    assert stego.stat().st_size == cover.stat().st_size and result.mode == "patch"
    assert vidstega.extract(stego, key=KEY) == MESSAGE
    before, after = scan_file(cover, digest=True), scan_file(stego, digest=True)
    differ = before.packets["digest"] != after.packets["digest"]
    assert differ.sum() == result.measured["pictures"]
    assert (before.packets["size"] == after.packets["size"]).all()


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts", ".flv"])
def test_into_any_container_that_holds_it(plain: Path, suffix: str, tmp_path: Path) -> None:
    stego = tmp_path / f"stego{suffix}"
    result = vidstega.embed(plain, stego, MESSAGE, key=KEY, method="signs", verify="full")
    assert result.mode == ("patch" if suffix == ".mp4" else "remux")
    assert vidstega.extract(stego, key=KEY) == MESSAGE
    again = tmp_path / f"again{suffix}"
    result = vidstega.embed(stego, again, b"another", key="2", method="signs", verify="full")
    assert result.mode == ("patch" if suffix in (".mp4", ".mov", ".mkv") else "remux")
    assert vidstega.extract(again, key="2") == b"another"
    assert vidstega.verify(stego, again, key="2", full=True).compared[-1] == "every frame"


@requires_ffmpeg
def test_remuxing_there_and_back_loses_nothing(stego: Path, tmp_path: Path) -> None:
    for suffix in (".mkv", ".mp4", ".ts", ".flv", ".mov"):
        there = remux(stego, tmp_path / f"there{suffix}")
        assert vidstega.extract(there, key=KEY) == MESSAGE
        assert vidstega.extract(remux(there, tmp_path / f"back{suffix}.mp4"), key=KEY) == MESSAGE


@requires_ffmpeg
@pytest.mark.parametrize(
    "name",
    ["nat_h264_1080p50_pcm.mov", "nat_h264_480p_crystal_aac.mp4", "nat_h264_1080x720_srt_subs_ac3.mkv"],
)
def test_a_real_clip_is_read_in_other_containers(clips: Path, name: str, tmp_path: Path) -> None:
    stego = tmp_path / f"stego{Path(name).suffix}"
    vidstega.embed(clips / name, stego, MESSAGE, key=KEY, method="signs")
    for suffix in (".ts", ".mkv", ".mp4"):
        target, copy = tmp_path / f"other{suffix}", ["-map", "0:v:0", "-c", "copy"]
        subprocess.run(["ffmpeg", "-v", "error", "-i", str(stego), *copy, str(target)], check=True)
        assert vidstega.extract(target, key=KEY) == MESSAGE


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_bytes_do_not_depend_on_workers(plain: Path, stego: Path, n_jobs: int, tmp_path: Path) -> None:
    vidstega.embed(plain, tmp_path / "s.mp4", MESSAGE, key=KEY, method="signs", n_jobs=n_jobs)
    assert (tmp_path / "s.mp4").read_bytes() == stego.read_bytes()


def test_the_command_line_takes_it(plain: Path, tmp_path: Path) -> None:
    run = [sys.executable, "-m", "vidstega"]
    env = {**os.environ, "VIDSTEGA_KEY": KEY}
    how = ["--message", "over the wire", "--method", "signs", "--json"]
    done = subprocess.run(
        [*run, "embed", str(plain), str(tmp_path / "s.mp4"), *how], env=env, capture_output=True, check=True
    )
    told = json.loads(done.stdout)
    assert (told["method"], told["bytes_before"]) == ("signs", told["bytes_after"])
    done = subprocess.run(
        [*run, "extract", str(tmp_path / "s.mp4"), "--out", "-", "--method", "signs"],
        env=env,
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"over the wire"


# -- how much -------------------------------------------------------------------------------------------


def wish(short: int | None, spread: str | float = "fewest", container: str = "mp4") -> carriers.base.Wish:
    return carriers.base.Wish(1000, spread, container, short_bytes=short)


@pytest.mark.parametrize("spread", ["fewest", "all", 0.1, 0.25])
def test_room_is_exact(plain: Path, spread: str | float, tmp_path: Path) -> None:
    fits = InSigns().room(scan_file(plain), spread).payload_bytes
    full = os.urandom(fits)
    result = vidstega.embed(
        plain, tmp_path / "s.mp4", full, key=KEY, method="signs", spread=spread, compress=False
    )
    assert vidstega.extract(tmp_path / "s.mp4", key=KEY) == full
    most = 1 / 4 if isinstance(spread, str) else spread
    assert most - 0.01 < result.alpha <= most
    assert any("more than 1/8" in note for note in result.notes) == (most > 1 / 8)
    with pytest.raises(CapacityError, match=f"; {fits:,} bytes fit"):
        vidstega.embed(plain, tmp_path / "t.mp4", full + b"x", key=KEY, method="signs", spread=spread)


def test_fewest_takes_first_pictures_and_all_takes_all_that_are_free(plain: Path) -> None:
    scan = scan_file(plain)
    few, every, third = (InSigns().plan(scan, wish(40, spread)) for spread in ("fewest", "all", 1 / 3))
    free = int((scan.packets["flags"] & NONREF != 0).sum())
    assert third.pictures <= few.pictures < every.pictures == free
    assert every.alpha < few.alpha <= 1 / 16
    assert np.flatnonzero(few.promise.packets).max() < np.flatnonzero(every.promise.packets).max()
    assert not few.notes and few.reason.startswith("pictures that no other is predicted from have")


def test_a_payload_beyond_a_short_seal_names_what_fits(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(CapacityError, match="bytes fit"):
        vidstega.embed(plain, tmp_path / "s.mp4", os.urandom(2 << 20), key=KEY, method="signs")
    with pytest.raises(CapacityError, match="bytes fit"):
        InSigns().plan(scan_file(plain), wish(None))
    assert list(tmp_path.iterdir()) == []


def test_tails_are_taken_as_deep_as_it_needs(tails: Path, tmp_path: Path) -> None:
    tiers, reached = [], InSigns().room(scan_file(tails), "all").payload_bytes
    for size in (10, reached // 8, reached):
        plan = InSigns().plan(scan_file(tails), wish(size + 17))
        result = vidstega.embed(
            tails, tmp_path / f"{size}.mp4", os.urandom(size), key=KEY, method="signs", verify="full"
        )
        assert bool(plan.promise.frames.sum() > plan.pictures) <= (plan.tier[0] == "C")
        assert result.carrying <= plan.pictures
        tiers.append(plan.tier)
    assert tiers[-1] == "C8" and tiers == sorted(tiers)
    assert "a little" in result.reason


def test_auto_goes_on_and_says_why(plain: Path, cover_vp9: Path, tmp_path: Path) -> None:
    large = os.urandom(20_000)
    result = vidstega.embed(plain, tmp_path / "s.mkv", large, key=KEY)
    assert result.method == "lsb" and "signs: the payload needs" in result.reason
    assert vidstega.extract(tmp_path / "s.mkv", key=KEY) == large
    result = vidstega.embed(cover_vp9, tmp_path / "s.webm", MESSAGE, key=KEY)
    assert "signs: the video is vp9; signs are read in H.264 and HEVC" in result.reason
    with pytest.raises(UnsupportedError, match="the video is vp9"):
        vidstega.embed(cover_vp9, tmp_path / "t.webm", MESSAGE, key=KEY, method="signs")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nat_h264_1080i_field_pictures_camcorder.mts", "interlaced"),
        ("synth_h264_spherical_360.mp4", "4:4:4"),
        ("nat_mvhevc_spatial_side_data.mp4", "views or layers"),
        ("synth_h264_1frame_cover_art_meta_aac.mp4", "every picture"),
    ],
)
def test_what_cannot_carry_is_named(clips: Path, name: str, why: str) -> None:
    scan = scan_file(clips / name)
    assert why in str(InSigns().obstacle(scan))
    assert f"no: {InSigns().obstacle(scan)}" == vidstega.probe(clips / name).families["signs"]
    with pytest.raises(PayloadError):
        InSigns().locate(scan, Key(KEY))


def test_without_numba_auto_goes_on_and_says_so(plain: Path, tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules["numba"] = None
import vidstega
result = vidstega.embed({str(plain)!r}, {str(tmp_path / "s.mp4")!r}, b"x", key="k")
print(result.method, "|", result.reason)
assert vidstega.extract({str(tmp_path / "s.mp4")!r}, key="k") == b"x"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("lsb | ") and "numba cannot be imported" in done.stdout


def test_importing_vidstega_loads_no_numba() -> None:
    code = "import sys, vidstega, vidstega.carriers; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_estimates_are_of_a_copy(plain: Path, tmp_path: Path) -> None:
    guess = vidstega.estimate(plain, len(MESSAGE))
    result = vidstega.embed(plain, tmp_path / "s.mp4", MESSAGE, key=KEY)
    assert (guess.mode, guess.coded) == ("patch", 0)
    assert guess.output_bytes == result.bytes_after and guess.disk_bytes >= result.bytes_after
    assert estimate_extraction(scan_file(plain)).memory_bytes > 0
    rows = {row.spread: row for row in vidstega.capacity(plain, method="signs").rows}
    assert rows[0.1].payload_bytes < rows["fewest"].payload_bytes == rows["all"].payload_bytes
    assert f"{rows['all'].payload_bytes:,} bytes" in vidstega.probe(plain).families["signs"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("size", [100, 20_000])
def test_memory_is_what_was_estimated_whoever_takes_it(plain: Path, size: int, tmp_path: Path) -> None:
    code = f"""
import os, vidstega
vidstega.embed({str(plain)!r}, {str(tmp_path / "s.mp4")!r}, os.urandom({size}), key="k", progress=False)
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, check=True)
    measured = 1024 * int(done.stdout)
    assert measured <= vidstega.estimate(plain, size).memory_bytes <= 2 * measured


# -- two messages, and none -----------------------------------------------------------------------------


def test_a_second_message_takes_the_place_of_the_first_and_says_so(stego: Path, tmp_path: Path) -> None:
    result = vidstega.embed(stego, tmp_path / "s.mp4", b"second", key="2", method="signs")
    assert "an earlier message in signs, if there was one, is gone" in result.reason
    assert vidstega.extract(tmp_path / "s.mp4", key="2") == b"second"
    with pytest.raises(PayloadError):
        vidstega.extract(tmp_path / "s.mp4", key=KEY)


def test_messages_of_two_families_live_in_one_file(plain: Path, tmp_path: Path) -> None:
    lsb, both = tmp_path / "lsb.mp4", tmp_path / "both.mp4"
    vidstega.embed(plain, lsb, b"in samples", key="1", method="lsb")
    vidstega.embed(lsb, both, b"in signs", key="2", method="signs")
    assert vidstega.extract(both, key="1") == b"in samples"
    assert vidstega.extract(both, key="2") == b"in signs"
    with pytest.raises(PayloadError):
        vidstega.extract(both, key="1", method="signs")


def test_equal_messages_differ_from_video_to_video(plain: Path, tails: Path) -> None:
    labels = set()
    for path in (plain, tails):
        opening = Opening()
        opening.take(pictures(scan_file(path)))
        labels.add(opening.label(b""))
    assert len(labels) == 2


# -- damage ---------------------------------------------------------------------------------------------


def test_damage_is_the_one_error_or_the_exact_payload(stego: Path, tmp_path: Path) -> None:
    data, draw = bytearray(stego.read_bytes()), random.Random(1)
    start = data.index(b"mdat")
    damaged, read = tmp_path / "damaged.mp4", 0
    for _ in range(60):
        hurt = bytearray(data)
        for _ in range(draw.choice((1, 3, 30))):
            at = draw.randrange(start + 4, len(data) - 2000)
            hurt[at] ^= 1 << draw.randrange(8)
        damaged.write_bytes(hurt)
        try:
            assert vidstega.extract(damaged, key=KEY, method="signs") == MESSAGE
            read += 1
        except (PayloadError, InputError):
            pass
    assert 0 < read < 60


def test_a_wrong_write_is_noticed(plain: Path, stego: Path, tmp_path: Path) -> None:
    """A packet in use with one bit more turned, of a chroma level say, is no stego of this cover."""
    scan, bad = scan_file(plain, digest=True), tmp_path / "bad.mp4"
    plan = InSigns().plan(scan, wish(len(MESSAGE) + 17))
    first = next(iter(pictures(scan_file(stego))))
    data = bytearray(stego.read_bytes())
    at = data.index(first.units[0]) + len(first.units[0]) // 2
    data[at] ^= 4
    bad.write_bytes(data)
    work = Work(Pool(1), tmp_path, Progress(False))
    assert InSigns().check(scan, scan_file(stego), plan, work)["psnr_db"] > 50
    with pytest.raises(VerificationError, match="differs by more than signs"):
        InSigns().check(scan, scan_file(bad), plan, work)


def test_a_frame_that_should_not_differ_is_noticed(plain: Path, stego: Path, tmp_path: Path) -> None:
    scan, work = scan_file(plain), Work(Pool(1), tmp_path, Progress(False))
    promise = InSigns().plan(scan, wish(len(MESSAGE) + 17)).promise
    narrow = replace(promise, frames=np.zeros_like(promise.frames))
    with pytest.raises(VerificationError, match="decodes to other samples"):
        decoded.compare_decoded(scan, scan_file(stego), narrow, work)


def test_a_cover_that_changes_meanwhile_is_noticed(plain: Path, tmp_path: Path) -> None:
    cover = tmp_path / "cover.mp4"
    cover.write_bytes(plain.read_bytes())
    scan = scan_file(cover, digest=True)
    first = int(tiers_of(scan.packets).runs[0][0])
    data = bytearray(cover.read_bytes())
    data[int(scan.packets["pos"][first]) + 20] ^= 255
    cover.write_bytes(data)
    with pytest.raises(InputError, match="is not what it was"):
        InSigns().plan(scan, wish(40))


def test_old_bytes_are_compared_before_they_are_exchanged(plain: Path, tmp_path: Path) -> None:
    scan = scan_file(plain)
    first = next(iter(pictures(scan)))
    other = bytes(len(first.packet))
    assert not patch(scan, tmp_path / "a.mp4", {first.ordinal: (other, other)})
    assert patch(scan, tmp_path / "b.mp4", {first.ordinal: (first.packet, other)})
    assert bits_that_differ(plain, tmp_path / "b.mp4") == int(
        np.unpackbits(np.frombuffer(first.packet, np.uint8)).sum()
    )
    assert stays_in_place(scan, "mp4") and not stays_in_place(scan, "mov")


# -- parts ----------------------------------------------------------------------------------------------


def table(kinds: str, times: list[int] | None = None) -> np.ndarray:
    """A packet table: I for an IDR, P, b for one that none is predicted from."""
    rows = np.zeros(len(kinds), PACKET)
    rows["flags"] = [{"I": IDR, "P": 0, "b": NONREF}[kind] for kind in kinds]
    rows["pts"] = range(len(kinds)) if times is None else times
    return rows


@pytest.mark.parametrize(
    ("kinds", "times", "runs"),
    [
        ("IPPP", None, [[], [3], [2], [1]]),
        ("IPPPIPP", None, [[], [3, 6], [2, 5], [1]]),
        ("IPbIPP", None, [[2], [5], [4]]),
        ("IPbP", [0, 2, 1, 3], [[2], [3]]),
        ("IPP", [0, 2, 1], [[], [2]]),
        ("III", None, [[]]),
        ("I", None, [[]]),
        ("PPIP", None, [[], [1, 3], [0]]),
    ],
)
def test_the_list_of_pictures(kinds: str, times: list[int] | None, runs: list[list[int]]) -> None:
    found = tiers_of(table(kinds, times))
    assert [run.tolist() for run in found.runs if len(run)] == [run for run in runs if run]
    assert len(found) == sum(map(len, runs))


def test_what_changes_with_a_picture_in_a_tail() -> None:
    found = tiers_of(table("IPPPPIbb"))
    assert found.touched(np.array([2])).tolist() == [2, 3, 4]
    assert found.touched(np.array([4, 6])).tolist() == [4, 6]
    assert [found.letter(n) for n in (1, 2, 3, 4, 6)] == ["A", "A", "B", "C2", "C4"]


def test_layout_is_frozen() -> None:
    """Header and places by key alone: a change here makes files of today unreadable."""
    frozen = json.loads((ROOT / "tests" / "golden" / "signs.json").read_text())
    keys = ShortKeys(bytes(range(64)), bytes(range(32)))
    header = Header(1234, 567)
    assert np.packbits(header.bits(keys)).tobytes().hex() == frozen["header"]
    assert Header.of(header.bits(keys), keys) == header
    opening = Opening(5000, [10, 20, 30])
    places = opening.places(keys)
    assert (opening.carriers, opening.label(b"slices").hex()) == (frozen["carriers"], frozen["label"])
    assert hashlib.sha256(places.astype(">u4").tobytes()).hexdigest() == frozen["places"]
    rest = message_places(keys, places, 9000)
    assert hashlib.sha256(rest.astype(">u4").tobytes()).hexdigest() == frozen["message_places"]
    assert sorted([*places, *rest]) == list(range(9000))
    with pytest.raises(PayloadError):
        Header.of(header.bits(keys) ^ 1, keys)


def test_the_header_has_signs_of_its_own(plain: Path) -> None:
    scan = scan_file(plain)
    opening = Opening()
    taken = opening.take(pictures(scan))
    assert opening.signs == sum(len(one.signs) for one in taken) >= 6 * opening.carriers
    keys = short_keys(Key(KEY), opening.label(b""))
    assert len(set(opening.places(keys).tolist())) == opening.carriers == 1024
    assert opening.places(keys).max() < opening.signs


def test_the_cost_keeps_the_share_of_smoother_signs() -> None:
    draw = np.random.default_rng(1)
    energy = draw.exponential(10, 20_000).astype(np.float32)
    margin = np.clip(draw.normal(0.5, 0.3, 20_000), -1, 1).astype(np.float32)
    steepness = steepness_for(energies(np.sqrt(energy) / 2), margin, 1 / 16)
    assert 0 < steepness < 8
    assert steepness_for(energy, -margin, 1 / 16) == 0 == steepness_for(energy, 0 * margin, 1 / 16)
    from vidstega.coding import stc

    bits, message = draw.integers(0, 2, (2, 20_000), np.uint8)
    flips = stc.embed(bits, weighed(energy, margin, steepness), message[: 20_000 // 16]) != bits
    shift = np.sign(margin[flips]).sum() / flips.sum()
    careless = stc.embed(bits, energy, message[: 20_000 // 16]) != bits
    assert 0.7 < shift < 0.85 < np.sign(margin[careless]).sum() / careless.sum()


def test_a_true_sign_is_the_smoother_one_for_most(plain: Path) -> None:
    scan, work = scan_file(plain), Work(Pool(1), plain.parent, Progress(False))
    taken = list(islice(pictures(scan), 4))
    amplitudes = [one.signs.level * np.float32(8) for one in taken]
    for margin in decoded.margins_of(scan, taken, amplitudes, work).values():
        assert (margin > 0).mean() > 0.6 and np.abs(margin).max() <= 1


def test_a_spread_that_is_none_is_refused(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError):
        vidstega.embed(plain, tmp_path / "s.mp4", b"x", key=KEY, method="signs", spread=2)
    make_cover(tmp_path / "c.mp4", width=64, height=64, frames=2)
    with pytest.raises((CapacityError, UnsupportedError)):
        vidstega.embed(tmp_path / "c.mp4", tmp_path / "s.mp4", b"x", key=KEY, method="signs")
