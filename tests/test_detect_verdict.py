"""A verdict on one file: what `lsb` leaves is named, covers and `signs` are not."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

import vidstega
from vidstega.cli import main
from vidstega.errors import InputError, VidstegaError
from vidstega.lab.covers.scene import cover_frames
from vidstega.lab.detect import forensics
from vidstega.lab.detect.lonely import lonely_share
from vidstega.lab.detect.lossless import lossless_by
from vidstega.lab.detect.ways import ways
from vidstega.media.decode import planes
from vidstega.media.scan import scan


def hide(cover: Path, stego: Path, method: str = "lsb", **how: object) -> Path:
    vidstega.embed(cover, stego, b"hello", key="k", method=method, progress=False, verify=False, **how)
    return stego


def never_coded(path: Path, codec: str, size: tuple[int, int] = (320, 240), **options: str) -> Path:
    """A video of frames that were never coded before."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=Fraction(25), options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number, picture in enumerate(islice(cover_frames(*size, 8, seed=1), 6)):
            frame = av.VideoFrame(*size, "yuv420p")
            for ours, theirs in zip(planes(frame), picture, strict=True):
                ours[...] = theirs
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def test_a_splice_shows_its_raw_picture(cover: Path, tmp_path: Path) -> None:
    told = forensics(hide(cover, tmp_path / "s.mp4"))
    assert told.found and "raw picture" in told.by
    raw = next(one for one in told.findings if one.by == "raw picture")
    assert raw.figure > 11.9
    sizes = scan(tmp_path / "s.mp4").packets["size"]
    assert raw.packet == sizes.argmax() and "found by raw picture" in repr(told)


def test_a_transcode_shows_that_its_pictures_were_coded_before(cover: Path, tmp_path: Path) -> None:
    told = forensics(hide(cover, tmp_path / "s.mkv", spread="all"))
    assert {"block grid", "settings"} <= set(told.by)


def test_vp9_without_loss_is_read(cover_vp9: Path, tmp_path: Path) -> None:
    stego = hide(cover_vp9, tmp_path / "s.webm", spread="all")
    assert lossless_by(scan(stego)) == "VP9 with quantizer 0" and not lossless_by(scan(cover_vp9))


def test_covers_and_signs_are_silent(cover: Path, cover_vp9: Path, tmp_path: Path) -> None:
    files = [cover, cover_vp9, hide(cover, tmp_path / "s.mp4", "signs")]
    assert [forensics(file).by for file in files] == [(), (), ()]


def test_deep_tells_how_smooth_signs_are(cover: Path, cover_vp9: Path) -> None:
    (share,) = [one for one in forensics(cover, deep=True).findings if one.by == "smoother signs"]
    assert 0.7 < share.figure < 1 and not share.found
    assert not [one for one in forensics(cover_vp9, deep=True).findings if one.by == "smoother signs"]


@pytest.mark.parametrize("codec", ["libx264", "ffv1", "rawvideo"])
def test_what_was_never_coded_before_is_no_finding_without_loss(codec: str, tmp_path: Path) -> None:
    options = {"qp": "0"} if codec == "libx264" else {}
    told = forensics(never_coded(tmp_path / "v.mkv", codec, **options))
    assert not told.found
    assert any(one.by == "block grid" for one in told.findings), "it was looked at, and without loss"


def drawn(number: int) -> np.ndarray:
    """A picture of slanted bands that move, 320x512, with grain of one and two steps in a third of it."""
    plane = np.add.outer(3 * np.arange(320), 2 * np.arange(512) + 5 * number) // 61 * 3
    grain = np.random.default_rng(number).choice(
        [-2, -1, 0, 1, 2], (320, 170), p=[0.02, 0.1, 0.76, 0.1, 0.02]
    )
    plane[:, :170] += grain
    return np.asarray(plane + 20, np.uint8)


@pytest.mark.parametrize("alpha", [0.0, 0.05, 0.1, 0.3])
def test_samples_that_stand_alone_show_without_any_note_or_grid(alpha: float, tmp_path: Path) -> None:
    planes_ = [drawn(number) for number in range(4)]
    if alpha:  # as in a transcode of a video that lost nothing; packets and headers are those of the cover
        random = np.random.default_rng(1)
        planes_ = [ways()["lsb"].change(plane, alpha, random, 8) for plane in planes_]
    with av.open(str(tmp_path / "v.mkv"), "w") as output:
        stream = output.add_stream("ffv1", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 512, 320, "gray"
        for plane in planes_:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(plane, "gray")))
        output.mux(stream.encode(None))
    told = forensics(tmp_path / "v.mkv")
    assert told.by == (("lonely samples",) if alpha else ())
    (one,) = [one for one in told.findings if one.by == "lonely samples"]
    assert one.figure == pytest.approx(alpha / 2, rel=0.3)


def test_without_flat_places_nothing_is_said_of_them() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 512, 512)).astype(np.uint8)
    assert lonely_share(noise) is None


def test_hevc_without_loss_is_read(cover: Path, tmp_path: Path) -> None:
    plain, bypass = (tmp_path / name for name in ("a.mkv", "b.mp4"))
    never_coded(plain, "libx265", **{"x265-params": "log-level=error"})
    never_coded(bypass, "libx265", **{"x265-params": "lossless=1:log-level=error"})
    assert [lossless_by(scan(path)) for path in (plain, bypass)] == ["", "HEVC with transquant bypass"]


def test_the_command_says_it_by_its_exit_code(
    cover: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stego = hide(cover, tmp_path / "s.mp4")
    assert main(["detect", str(cover)]) == 0
    assert "nothing found" in capsys.readouterr().out
    assert main(["detect", "--json", str(cover), str(stego)]) == 3
    told = json.loads(capsys.readouterr().out)
    assert [one["found"] for one in told] == [False, True] and "raw picture" in told[1]["by"]
    (tmp_path / "no.mp4").write_bytes(b"not a video")
    assert main(["detect", str(tmp_path / "no.mp4"), str(stego)]) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "cannot be read as a video" in said.err and "raw picture" in said.out


def test_a_torn_header_is_an_answer_or_an_error(cover_vp9: Path, tmp_path: Path) -> None:
    data, random = cover_vp9.read_bytes(), np.random.default_rng(1)
    for number in range(20):
        torn = bytearray(data[: random.integers(60, len(data))])
        torn[random.integers(len(torn))] ^= 255
        (tmp_path / f"{number}.webm").write_bytes(torn)
        try:
            forensics(tmp_path / f"{number}.webm")
        except InputError as error:
            assert "\n" not in str(error)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_real_covers_are_silent_and_what_lsb_makes_of_them_is_not(clips: Path, tmp_path: Path) -> None:
    covers = sorted(path for path in clips.iterdir() if path.is_file() and path.suffix != ".md")
    assert [path.name for path in covers if forensics(path).found] == []
    missed = []
    for path in (path for path in covers if path.stat().st_size < 60_000):
        for spread in ("fewest", "all"):
            stego = tmp_path / f"{path.stem}-{spread}.mkv"
            try:
                hide(path, stego, spread=spread)
            except VidstegaError:
                continue
            if not forensics(stego).found:
                missed.append(stego.name)
            stego.unlink()
    assert missed == []
