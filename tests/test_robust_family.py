"""The family `robust`: from file to file, through channels, by every door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import vidstega
from vidstega import channels
from vidstega.carriers import Robust
from vidstega.carriers.robust import files
from vidstega.errors import CapacityError, ParameterError, PayloadError
from vidstega.lab.covers import make_cover
from vidstega.media.scan import scan

MESSAGE = b"noon"


@pytest.fixture(scope="module")
def cover(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds of 320x240 with sound: large enough for some bytes, small enough to code again."""
    path = tmp_path_factory.mktemp("robust") / "cover.mp4"
    return make_cover(path, width=320, height=240, frames=200, fps=25)


@pytest.fixture(scope="module")
def stego(cover: Path) -> Path:
    path = cover.with_name("stego.mp4")
    how = Robust(psnr_db=43, preset="veryfast")
    result = vidstega.embed(cover, path, MESSAGE, key="k", method=how, progress=False)
    assert (result.method, result.mode, result.carrying) == ("robust", "recode", 200)
    return path


def test_it_comes_back_with_the_key_alone(stego: Path) -> None:
    assert vidstega.extract(stego, key="k", method="robust") == MESSAGE


def test_times_and_sound_stay_and_no_frame_has_to(cover: Path, stego: Path) -> None:
    told = vidstega.verify(cover, stego, key="k", method="robust")
    assert told.mode == "recode" and told.frames == 200
    before, after = vidstega.probe(cover), vidstega.probe(stego)
    assert [s.kind for s in before.streams] == [s.kind for s in after.streams]
    assert after.duration_s == pytest.approx(before.duration_s, abs=0.05)


@pytest.mark.parametrize("key", ["k", "k1"])
def test_it_survives_being_coded_again(cover: Path, tmp_path: Path, key: str) -> None:
    stego, how = tmp_path / "stego.mp4", Robust(psnr_db=43, preset="veryfast")
    vidstega.embed(cover, stego, MESSAGE, key=key, method=how, progress=False)
    through = ["crf28", "half", "240p"]
    told = vidstega.survive(stego, key=key, method="robust", through=through, progress=False)
    assert [(row.channel, row.exact) for row in told.rows] == [(name, True) for name in through]
    assert told.payload_bytes == len(MESSAGE) and "ffmpeg" in told.rows[0].command


def test_what_does_not_survive_is_said_to_be_lost(cover: Path, tmp_path: Path) -> None:
    vidstega.embed(cover, tmp_path / "lsb.mp4", MESSAGE, key="k", method="lsb", progress=False)
    told = vidstega.survive(tmp_path / "lsb.mp4", key="k", through=["crf28"], progress=False)
    assert not told.rows[0].exact and "lost" in repr(told)


def test_several_workers_write_what_one_writes(cover: Path, stego: Path, tmp_path: Path) -> None:
    how = Robust(psnr_db=43, preset="veryfast")
    vidstega.embed(cover, tmp_path / "two.mp4", MESSAGE, key="k", method=how, n_jobs=2, progress=False)
    frames = zip(vidstega.frames(stego, 0, 30), vidstega.frames(tmp_path / "two.mp4", 0, 30), strict=True)
    assert all(np.array_equal(one.luma, other.luma) for one, other in frames)


@pytest.mark.parametrize("key", ["wrong", "K"])
def test_another_key_gives_the_one_error(stego: Path, key: str) -> None:
    with pytest.raises(PayloadError) as caught:
        vidstega.extract(stego, key=key, method="robust")
    assert str(caught.value) == PayloadError.TEXT


def test_a_clean_video_gives_the_one_error(cover: Path) -> None:
    with pytest.raises(PayloadError):
        vidstega.extract(cover, key="k", method="robust")


def test_a_label_is_part_of_the_key(cover: Path, tmp_path: Path) -> None:
    how = Robust(psnr_db=43, preset="veryfast", label="holiday")
    done = vidstega.embed(cover, tmp_path / "s.mp4", MESSAGE, key="k", method=how, progress=False)
    assert vidstega.extract(tmp_path / "s.mp4", key="k", method=Robust(label="holiday")) == MESSAGE
    assert 1 < done.measured["margin"] < 20  # of the file written, in the channel that is the default
    with pytest.raises(PayloadError):
        vidstega.extract(tmp_path / "s.mp4", key="k", method="robust")


@pytest.mark.parametrize("method", ["lsb", "signs"])
def test_a_later_message_in_another_family_leaves_it_alone(stego: Path, tmp_path: Path, method: str) -> None:
    both = tmp_path / "both.mp4"
    vidstega.embed(stego, both, b"later", key="other", method=method, progress=False)
    assert vidstega.extract(both, key="other", method=method) == b"later"
    assert vidstega.extract(both, key="k", method="robust") == MESSAGE


def test_bars_are_seen_where_the_only_key_frame_is_black(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "late.mp4"), "w") as out:
        stream: Any = out.add_stream(
            "libx264", rate=25, options={"preset": "ultrafast", "x264-params": "scenecut=0"}
        )
        stream.width, stream.height, stream.pix_fmt = 160, 160, "yuv420p"
        for number in range(20):
            planes = np.full((240, 160), 128, np.uint8)
            planes[:160] = 16
            if number > 9:
                planes[32:128] = np.arange(160)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        out.mux(stream.encode(None))
    seen = files._active(scan(tmp_path / "late.mp4"))
    assert (seen.top, seen.left) == (pytest.approx(32, abs=1), 0)
    assert seen.height == pytest.approx(96, abs=2)


def test_too_much_is_refused_with_what_fits(cover: Path, tmp_path: Path) -> None:
    with pytest.raises(CapacityError, match=r"capacity is|robust holds"):
        vidstega.embed(
            cover, tmp_path / "s.mp4", np.random.default_rng(2).bytes(900_000), key="k", method="robust"
        )
    assert not (tmp_path / "s.mp4").exists()


def test_cells_that_the_channel_scales_away_are_no_capacity(cover: Path, tmp_path: Path) -> None:
    most = vidstega.capacity(cover, method=Robust(survive="half")).payload_bytes
    assert 0 < most < vidstega.capacity(cover, method=Robust(psnr_db=45)).payload_bytes / 10
    data = np.random.default_rng(3).bytes(most + 1)
    with pytest.raises(CapacityError, match=f"{most:,} at the most .* if it is to survive half"):
        vidstega.embed(cover, tmp_path / "s.mp4", data, key="k", method=Robust(survive="half"))


def test_what_no_strength_brings_through_is_refused(cover: Path, tmp_path: Path) -> None:
    data, how = np.random.default_rng(1).bytes(700), Robust(survive="240p", preset="ultrafast")
    with pytest.raises(CapacityError, match="come through 240p with a margin of"):
        vidstega.embed(cover, tmp_path / "s.mp4", data, key="k", method=how)


def test_unknown_channels_and_decibels_are_named(cover: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="no channel 'telegram'; there are crf23"):
        vidstega.embed(cover, tmp_path / "s.mp4", MESSAGE, key="k", method=Robust(survive="telegram"))
    with pytest.raises(ParameterError, match="psnr_db=12"):
        vidstega.embed(cover, tmp_path / "s.mp4", MESSAGE, key="k", method=Robust(psnr_db=12))
    with pytest.raises(ParameterError, match="no channel"):
        channels.named("telegram")


@pytest.mark.parametrize("knobs", [{"psnr_db": "45"}, {"crf": 99}, {"preset": "nosuch"}, {"label": 5}])
def test_knobs_that_make_no_sense_are_named(knobs: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(knobs))):
        Robust(**knobs)


def test_auto_never_takes_it(cover: Path, tmp_path: Path) -> None:
    assert vidstega.embed(cover, tmp_path / "s.mp4", MESSAGE, key="k", progress=False).method != "robust"
