"""Named channels: each codes a small video again, within bounds, as its command says."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest

from vidstega.channels import CHANNELS, Channel, chosen, named
from vidstega.errors import InputError, OutputError, ParameterError

FFMPEG = shutil.which("ffmpeg")
BT709, LIMITED = 1, 1  # of ISO/IEC 23091-2, as FFmpeg counts
SMALL = {"hevc28", "vp9-35", "av1-40", "480p-vp9"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """2 s of 320x192 at 30 frames a second: a moving pattern with grain, in colours of a larger picture."""
    path = tmp_path_factory.mktemp("channels") / "clip.mp4"
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:192, :320]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv420p"
        stream.options = {"crf": "12", "preset": "veryfast"}
        stream.codec_context.colorspace, stream.codec_context.color_range = BT709, LIMITED
        for i in range(60):
            frame = av.VideoFrame(320, 192, "yuv420p")
            luma = 120 + 60 * np.sin((x + 2 * i) / 23) * np.cos((y - i) / 17) + rng.normal(0, 4, y.shape)
            for plane, values in zip(frame.planes, (luma, 90, 170), strict=True):
                view = np.ndarray((plane.height, plane.line_size), np.uint8, buffer=plane)
                view[:, : plane.width] = np.clip(values, 16, 235)
            frame.pts, frame.time_base = i, Fraction(1, 30)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def frames(path):
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]


def psnr(a, b):
    error = np.mean([np.square(x.astype(int) - y).mean() for (_, x), (_, y) in zip(a, b, strict=True)])
    return 10 * np.log10(255**2 / max(error, 1e-6))


@pytest.mark.parametrize("name", sorted(set(CHANNELS) - SMALL) + sorted(SMALL))
def test_every_channel_gives_a_video(name, clip, tmp_path):
    named(name).run(clip, tmp_path / "out.mkv")
    found = frames(tmp_path / "out.mkv")
    width, height = {"half": (160, 96), "crop": (304, 182)}.get(name, (320, 192))
    assert found[0][1].shape == (height, width)
    count = {"25fps": 50, "trim": 21}.get(name, 60)
    assert abs(len(found) - count) <= 1
    assert found[0][0] == pytest.approx(0, abs=0.03)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mkv"]


def test_a_lower_quality_is_smaller_and_further_away(clip, tmp_path):
    before = frames(clip)
    sizes, quality = [], []
    for crf in (23, 28, 35, 40):
        out = tmp_path / f"{crf}.mkv"
        named(f"crf{crf}").run(clip, out)
        sizes.append(out.stat().st_size)
        quality.append(psnr(before, frames(out)))
    assert sizes == sorted(sizes, reverse=True)
    assert quality == sorted(quality, reverse=True)


def test_a_second_generation_is_further_away_than_the_first(clip, tmp_path):
    named("crf28").run(clip, tmp_path / "once.mkv")
    named("twice").run(clip, tmp_path / "twice.mkv")
    before = frames(clip)
    assert psnr(before, frames(tmp_path / "twice.mkv")) < psnr(before, frames(tmp_path / "once.mkv"))


def test_light_adds_three_percent_of_the_range_and_of_contrast(clip, tmp_path):
    named("light").run(clip, tmp_path / "light.mkv")
    x, y = (
        np.array([luma.reshape(24, 8, 40, 8).mean(axis=(1, 3)) for _, luma in frames(path)]).ravel()
        for path in (clip, tmp_path / "light.mkv")
    )
    slope, _ = np.polyfit(x, y, 1)
    assert slope == pytest.approx(1.03, abs=0.01)
    middle, span = (16 + 235) / 2, 235 - 16
    assert (y - x).mean() == pytest.approx(0.03 * span + 0.03 * (x.mean() - middle), abs=0.3)


def test_trim_starts_later(clip, tmp_path):
    named("trim").run(clip, tmp_path / "out.mkv")
    found, before = frames(tmp_path / "out.mkv"), frames(clip)
    assert psnr(found, before[39:]) > 30
    assert found[0][0] == pytest.approx(0, abs=0.002)


def test_scaling_takes_the_shorter_side_and_never_enlarges(clip, tmp_path):
    Channel("small", short_side=96).run(clip, tmp_path / "small.mkv")
    assert frames(tmp_path / "small.mkv")[0][1].shape == (96, 160)


def test_only_the_first_seconds_are_taken(clip, tmp_path):
    named("crf35").run(clip, tmp_path / "out.mkv", stop_s=0.5)
    assert len(frames(tmp_path / "out.mkv")) == 15


def test_odd_sizes_are_one_error(tmp_path):
    cover = make_odd(tmp_path / "odd.mkv")
    with pytest.raises(InputError, match="libx264 does not take frames of 65x47"):
        named("crf28").run(cover, tmp_path / "out.mkv")
    assert not (tmp_path / "out.mkv").exists()


def make_odd(path):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 65, 47, "yuv420p"
        out.mux(stream.encode(av.VideoFrame(65, 47, "yuv420p")))
        out.mux(stream.encode(None))
    return path


def test_channels_are_chosen_by_one_name_by_several_or_all():
    assert chosen("crf23") == [named("crf23")]
    assert chosen(["half", "trim"]) == [named("half"), named("trim")]
    assert chosen(None) == list(CHANNELS.values())


def test_what_cannot_be_is_said_and_leaves_nothing(clip, tmp_path):
    with pytest.raises(ParameterError, match="no channel 'tape'; there are crf23"):
        named("tape")
    with pytest.raises(InputError, match="does not exist"):
        named("crf28").run(tmp_path / "none.mp4", tmp_path / "out.mkv")
    with pytest.raises(InputError, match="take a longer video"):
        Channel("late", trim_s=9).run(clip, tmp_path / "out.mkv")
    assert not list(tmp_path.iterdir())
    (tmp_path / "there.mkv").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists"):
        named("crf28").run(clip, tmp_path / "there.mkv")
    assert (tmp_path / "there.mkv").read_bytes() == b"mine"


@pytest.mark.parametrize("failures", [1, 2])
def test_an_encoder_that_stops_is_asked_once_more(failures, clip, tmp_path, monkeypatch):
    run, tried = Channel._run, []

    def stops(self, source, target, *more):
        tried.append(target)
        run(self, source, target, *more)
        if len(tried) <= failures:
            raise av.error.ArgumentError(22, "Invalid argument", str(target))

    monkeypatch.setattr(Channel, "_run", stops)
    if failures == 1:
        named("crf35").run(clip, tmp_path / "out.mkv")
        assert len(frames(tmp_path / "out.mkv")) == len(frames(clip))
    else:
        with pytest.raises(OutputError, match=r"libx264 stops in the channel crf35 \(Invalid argument\)"):
            named("crf35").run(clip, tmp_path / "out.mkv")
        assert not list(tmp_path.glob("out*"))


def test_what_a_decoder_refuses_is_said_of_the_source(clips, tmp_path):
    huge = clips / "broken" / "hugesize_vp9_12336x12336.webm"
    with pytest.raises(InputError, match=r"hugesize_vp9_12336x12336.webm cannot be decoded"):
        named("crf40").run(huge, tmp_path / "out.mkv")
    assert not list(tmp_path.iterdir())


def test_commands_name_what_the_channel_is():
    command = named("480p").command("my clip.mp4", "out.mkv")
    assert "'my clip.mp4'" in command
    assert "-b:v 1000k" in command
    assert "-crf" not in command
    assert named("twice").command("a.mp4", "b.mkv").count("-crf 28") == 2
    assert "-b:v 0 -deadline good" in named("vp9-35").command("a", "b.mkv")


@pytest.mark.skipif(FFMPEG is None, reason="the ffmpeg program is not installed")
@pytest.mark.parametrize(
    "name", ["crf28", "hevc28", "vp9-35", "av1-40", "480p", "25fps", "trim", "half", "light"]
)
def test_the_command_does_closely_the_same(name, clip, tmp_path):
    ours, theirs = tmp_path / "ours.mkv", tmp_path / "theirs.mkv"
    named(name).run(clip, ours)
    words = shlex.split(named(name).command(clip, theirs))
    subprocess.run([FFMPEG, "-loglevel", "error", *words[1:]], check=True, timeout=120, cwd=tmp_path)
    a, b = frames(ours), frames(theirs)
    assert len(a) == len(b)
    assert psnr(a, b) > 36
    assert max(abs(x.mean() - y.mean()) for (_, x), (_, y) in zip(a, b, strict=True)) < 0.5
    assert ours.stat().st_size == pytest.approx(theirs.stat().st_size, rel=0.12)
    assert [time for time, _ in a] == pytest.approx([time for time, _ in b], abs=0.002)
