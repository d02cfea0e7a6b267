"""Signs in HEVC: nothing but bits of the cover's own pictures changes; what FFmpeg decodes is the judge."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import requires_ffmpeg
from hevc_made import CODINGS, encode, requires_x265

import vidstega
from vidstega import hevc
from vidstega.carriers.signs import InSigns
from vidstega.carriers.signs.tiers import tiers_of
from vidstega.carriers.signs.walks import KERNELS, pictures, tiers
from vidstega.errors import CapacityError, InputError, PayloadError, UnsupportedError, VerificationError
from vidstega.h264.bits import escape
from vidstega.media.coded import HEVCPictures
from vidstega.media.decode import decode_all, frame_digest
from vidstega.media.scan import scan as scan_file
from vidstega.media.source import IDR, NONREF, PACKET
from vidstega.pool import Pool, Work
from vidstega.progress import Progress

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

KEY = "correct horse"
MESSAGE = b"meet at noon"
GOLDEN = Path(__file__).parent / "golden"
RICH = "bframes=3:b-pyramid=0:pbratio=0.8"
SOME = (
    "10 bits",
    "slices",
    "open groups",
    "temporal layers",
    "scaling lists",
    "constrained intra",
    "P alone",
)
PHONE = "nat_hevc10_1080p_editlist_rot90_opengop_aac.mp4"
LARGE = "nat_hevc_4320p_8k24_aac.mp4"


@pytest.fixture(scope="module")
def cover(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("signs") / "cover.mp4", RICH)


@pytest.fixture(scope="module")
def stego(cover: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("signs") / "stego.mp4"
    vidstega.embed(cover, path, MESSAGE, key=KEY)
    return path


def digests(path: Path) -> list[int]:
    scan = scan_file(path)
    return [frame_digest(frame) for frame in decode_all(scan.source, scan.packets)]


def complaints(path: Path, threads: int) -> str:
    """What FFmpeg says of a file when it is to forgive nothing."""
    command = ["ffmpeg", "-v", "warning", "-err_detect", "explode", "-threads", str(threads), "-i", str(path)]
    done = subprocess.run([*command, "-map", "0:v:0", "-f", "null", "-"], capture_output=True, check=False)
    return done.stderr.decode() + ("" if done.returncode == 0 else "failed")


# -- whole ways -----------------------------------------------------------------------------------------


@requires_ffmpeg
def test_a_phones_clip_carries_a_kilobyte_without_a_byte_more(clips: Path, tmp_path: Path) -> None:
    clip, stego, message = clips / PHONE, tmp_path / "stego.mp4", os.urandom(1024)
    result = vidstega.embed(clip, stego, message, key=KEY, compress=False)
    assert (result.method, result.mode) == ("signs", "patch") and result.alpha <= 1 / 16
    assert stego.stat().st_size == clip.stat().st_size == result.bytes_after
    assert vidstega.extract(stego, key=KEY) == message
    assert result.measured["psnr_worst_db"] > 60 and result.measured["psnr_chroma_db"] > 60
    before, after = scan_file(clip, digest=True), scan_file(stego, digest=True)
    differ = before.packets["digest"] != after.packets["digest"]
    assert differ.sum() == result.measured["pictures"] and (after.packets["flags"][differ] & NONREF).all()
    assert [complaints(stego, threads) for threads in (1, 4)] == ["", ""]
    with pytest.raises(PayloadError):
        vidstega.extract(stego, key="another")
    with pytest.raises(PayloadError):
        vidstega.extract(clip, key=KEY)


def test_the_last_picture_of_a_large_one_is_enough(clips: Path, tmp_path: Path) -> None:
    """8K, eight pictures, each predicted from the one before."""
    clip, stego, message = clips / LARGE, tmp_path / "stego.mp4", os.urandom(1024)
    result = vidstega.embed(clip, stego, message, key=KEY, compress=False, method="signs", verify=False)
    assert result.carrying == 1 and stego.stat().st_size == clip.stat().st_size
    assert vidstega.extract(stego, key=KEY) == message


@requires_x265
@pytest.mark.parametrize("coding", SOME)
def test_whatever_coding_a_message_comes_back(coding: str, tmp_path: Path) -> None:
    pixels, params = CODINGS[coding]
    params = f"{params or 'bframes=3:b-pyramid=0'}:pbratio=0.7"
    cover, stego = encode(tmp_path / "cover.mkv", params, pixels=pixels), tmp_path / "stego.mkv"
    result = vidstega.embed(cover, stego, MESSAGE, key=KEY, method="signs", spread=0.25)
    assert stego.stat().st_size == cover.stat().st_size and result.mode == "patch"
    assert vidstega.extract(stego, key=KEY) == MESSAGE
    before, after = scan_file(cover, digest=True), scan_file(stego, digest=True)
    differ = before.packets["digest"] != after.packets["digest"]
    assert differ.sum() == result.measured["pictures"]
    assert (before.packets["size"] == after.packets["size"]).all()
    if coding != "P alone":
        assert (before.packets["flags"][differ] & NONREF).all()
        changed = sum(a != b for a, b in zip(digests(cover), digests(stego), strict=True))
        assert changed == differ.sum()


@requires_x265
@requires_ffmpeg
def test_a_decoder_that_forgives_nothing_has_nothing_to_say(stego: Path) -> None:
    assert [complaints(stego, threads) for threads in (1, 4)] == ["", ""]


@requires_x265
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_into_any_container_that_holds_it(cover: Path, suffix: str, tmp_path: Path) -> None:
    stego = tmp_path / f"stego{suffix}"
    result = vidstega.embed(cover, stego, MESSAGE, key=KEY, method="signs", verify="full")
    assert result.mode == ("patch" if suffix == ".mp4" else "remux")
    assert vidstega.extract(stego, key=KEY) == MESSAGE
    again = tmp_path / f"again{suffix}"
    result = vidstega.embed(stego, again, b"another", key="2", method="signs")
    assert result.mode == ("patch" if suffix in (".mp4", ".mov", ".mkv") else "remux")
    assert vidstega.extract(again, key="2") == b"another"
    assert vidstega.verify(stego, again, key="2", full=True).compared[-1] == "every frame"


@requires_x265
@requires_ffmpeg
def test_remuxing_there_and_back_loses_nothing(stego: Path, tmp_path: Path) -> None:
    for suffix in (".mkv", ".mp4", ".ts", ".mov"):
        there, back = tmp_path / f"there{suffix}", tmp_path / f"back{suffix}.mp4"
        for source, target in ((stego, there), (there, back)):
            command = ["ffmpeg", "-v", "error", "-i", str(source), "-map", "0", "-c", "copy", str(target)]
            subprocess.run(command, check=True)
            assert vidstega.extract(target, key=KEY) == MESSAGE


@requires_x265
def test_bytes_do_not_depend_on_workers(cover: Path, stego: Path, tmp_path: Path) -> None:
    vidstega.embed(cover, tmp_path / "s.mp4", MESSAGE, key=KEY, method="signs", n_jobs=2)
    assert (tmp_path / "s.mp4").read_bytes() == stego.read_bytes()


@requires_x265
def test_room_is_exact(cover: Path, tmp_path: Path) -> None:
    fits = InSigns().room(scan_file(cover), "all").payload_bytes
    full = os.urandom(fits)
    result = vidstega.embed(cover, tmp_path / "s.mp4", full, key=KEY, method="signs", compress=False)
    assert vidstega.extract(tmp_path / "s.mp4", key=KEY) == full
    assert result.measured["psnr_db"] > 40
    with pytest.raises(CapacityError, match=f"; {fits:,} bytes fit"):
        vidstega.embed(cover, tmp_path / "t.mp4", full + b"x", key=KEY, method="signs")
    assert f"{fits:,} bytes at the most" in vidstega.probe(cover).families["signs"]


@requires_x265
def test_tails_of_p_pictures_are_taken_where_one_picture_is_too_small(tmp_path: Path) -> None:
    cover = encode(tmp_path / "cover.mp4", "bframes=0:open-gop=0", frames=24, qp=8)
    scan = scan_file(cover)
    assert [run.tolist() for run in tiers(scan).runs[:3]] == [[11, 23], [], [10, 22]]
    reached = InSigns().room(scan, "all").payload_bytes
    result = vidstega.embed(
        cover, tmp_path / "s.mp4", os.urandom(reached), key=KEY, method="signs", verify="full"
    )
    assert "a little" in result.reason and result.measured["in_use"] == len(tiers(scan))
    result = vidstega.embed(cover, tmp_path / "t.mp4", b"x", key=KEY, method="signs", spread=0.25)
    assert result.reason.startswith("pictures that no other is predicted from have signs enough")


# -- refusals -------------------------------------------------------------------------------------------


@requires_x265
def test_pictures_that_come_with_a_digest_are_refused(tmp_path: Path) -> None:
    cover = encode(tmp_path / "cover.mp4", f"{RICH}:hash=1", frames=9)
    with pytest.raises(CapacityError, match="digest of what they decode to"):
        vidstega.embed(cover, tmp_path / "s.mp4", MESSAGE, key=KEY, method="signs")
    result = vidstega.embed(cover, tmp_path / "s.mkv", MESSAGE, key=KEY)
    assert result.method == "lsb" and "signs: " in result.reason and "digest" in result.reason
    assert vidstega.extract(tmp_path / "s.mkv", key=KEY) == MESSAGE


def test_views_and_layers_are_refused(clips: Path) -> None:
    told = vidstega.probe(clips / "nat_mvhevc_spatial_side_data.mp4").families["signs"]
    assert told.startswith("no: ") and "views or layers" in told


@requires_x265
def test_where_every_picture_is_a_start_there_is_none(tmp_path: Path) -> None:
    cover = encode(tmp_path / "cover.mp4", "keyint=1", frames=4)
    with pytest.raises(UnsupportedError, match="every picture"):
        vidstega.embed(cover, tmp_path / "s.mp4", MESSAGE, key=KEY, method="signs")


@requires_x265
def test_parameter_sets_that_change_are_refused(tmp_path: Path) -> None:
    first = encode(tmp_path / "first.mkv", RICH, frames=4)
    sets = scan_file(first).sets
    other = scan_file(encode(tmp_path / "other.mkv", f"{RICH}:signhide=0", frames=4)).sets
    assert sets.pps != other.pps
    scan = scan_file(first)
    object.__setattr__(scan, "sets", type(sets)(sets.extra, sets.sps, (*sets.pps, *other.pps)))
    assert InSigns().obstacle(scan) == "its parameter sets change in mid-stream"


def test_parameter_sets_of_another_sample_description_are_seen(cover: Path) -> None:
    """A packet from which on another entry of stsd holds comes with its configuration."""
    seen, told = scan_file(cover).sets.extra, {}
    found = HEVCPictures(seen.extradata)
    packet = SimpleNamespace(has_sidedata=told.__contains__, get_sidedata=told.__getitem__)
    first = next(pictures(scan_file(cover))).packet
    found.add(packet, first, True)
    assert found.sets.pps == seen.pps
    other = bytearray(seen.pps[0])
    other[3] ^= 1
    told["new_extradata"] = b"".join(b"\0\0\0\1" + nal for nal in (seen.sps[0], bytes(other)))
    found.add(packet, first, True)
    assert found.sets.pps == (*seen.pps, bytes(other)) and found.length_size == 4


# -- damage ---------------------------------------------------------------------------------------------


@requires_x265
def test_damage_is_the_one_error_or_the_exact_payload(stego: Path, tmp_path: Path) -> None:
    data, draw = bytearray(stego.read_bytes()), random.Random(1)
    start = data.index(b"mdat")
    damaged, read = tmp_path / "damaged.mp4", 0
    for _ in range(14):
        hurt = bytearray(data)
        for _ in range(draw.choice((1, 1, 20))):
            at = draw.randrange(start + 4, len(data) - 2000)
            hurt[at] ^= 1 << draw.randrange(8)
        damaged.write_bytes(hurt)
        try:
            assert vidstega.extract(damaged, key=KEY, method="signs") == MESSAGE
            read += 1
        except (PayloadError, InputError):
            pass
    assert 0 < read < 14


@requires_x265
def test_a_wrong_write_is_noticed(cover: Path, stego: Path, tmp_path: Path) -> None:
    scan, bad = scan_file(cover, digest=True), tmp_path / "bad.mp4"
    plan = InSigns().plan(scan, vidstega.carriers.base.Wish(1000, "fewest", "mp4", short_bytes=29))
    first = next(iter(pictures(scan_file(stego))))
    data = bytearray(stego.read_bytes())
    at = data.index(first.units[0]) + len(first.units[0]) // 2
    data[at] ^= 4
    bad.write_bytes(data)
    work = Work(Pool(1), tmp_path, Progress(False))
    assert InSigns().check(scan, scan_file(stego), plan, work)["psnr_db"] > 50
    with pytest.raises(VerificationError, match="differs by more than signs"):
        InSigns().check(scan, scan_file(bad), plan, work)


# -- parts ----------------------------------------------------------------------------------------------


def test_the_format_is_frozen() -> None:
    """A file of today, its list of pictures and its signs: a change here makes others like it unreadable."""
    path, frozen = GOLDEN / "signs_hevc.mp4", json.loads((GOLDEN / "signs_hevc.json").read_text())
    assert vidstega.extract(path, key=KEY, method="signs") == MESSAGE
    scan = scan_file(path)
    assert [int(at) for run in tiers(scan).runs for at in run] == frozen["list"]
    found = {}
    for walked in pictures(scan):
        s = walked.signs
        rows = np.stack([s.unit, s.bit, s.step, s.level, s.place, s.block, s.position]).astype(">i4")
        found[str(walked.ordinal)] = [len(s), hashlib.sha256(rows.tobytes()).hexdigest()]
    assert found == frozen["signs"]


@pytest.mark.parametrize(
    ("kinds", "runs"),
    [
        ("IPPb", [[3], [], [2], [1]]),
        ("IPPPb", [[4], [], [3], [2], [1]]),
        ("IPbb", [[2, 3]]),
        ("IPbIPb", [[2, 5], [], [1, 4]]),
    ],
)
def test_the_list_where_all_that_is_free_is_told(kinds: str, runs: list[list[int]]) -> None:
    rows = np.zeros(len(kinds), PACKET)
    rows["flags"] = [{"I": IDR, "P": 0, "b": NONREF}[kind] for kind in kinds]
    rows["pts"] = range(len(kinds))
    found = [run.tolist() for run in tiers_of(rows, tells_all=True).runs]
    assert found == runs + [[]] * (len(found) - len(runs))


def test_only_the_kernels_of_the_codec_are_loaded(cover: Path) -> None:
    code = f"""
import sys, vidstega
print(vidstega.probe({str(cover)!r}).families["signs"][:3])
print(sorted(name for name in sys.modules if name in {KERNELS!r}))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert "vidstega.hevc.cabac" in done.stdout and "h264.cabac" not in done.stdout


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@requires_x265
def test_memory_is_what_was_estimated(cover: Path, tmp_path: Path) -> None:
    code = f"""
import os, vidstega
vidstega.embed({str(cover)!r}, {str(tmp_path / "s.mp4")!r}, os.urandom(100), key="k", progress=False)
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, check=True)
    measured = 1024 * int(done.stdout)
    assert measured <= vidstega.estimate(cover, 100).memory_bytes <= 2 * measured


def test_a_digest_is_found_among_other_messages() -> None:
    bare = bytes([40 << 1, 1])
    several = bare + escape(bytes([5, 3, 1, 2, 3, 132, 5, 0, 0, 0, 0, 1, 0x80]))
    other = bare + escape(bytes([5, 6, 132, 132, 0, 0, 0, 1, 0x80]))
    assert hevc.tells_hash([other, several]) and not hevc.tells_hash([other, b"", bare])
