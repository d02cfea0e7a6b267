"""Covers are repeatable, are shaped as asked for, and look like something a camera saw."""

from __future__ import annotations

import hashlib
import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from vidstega.errors import OutputError, ParameterError
from vidstega.lab.covers import cover_frames, make_cover, synth


def decode(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def stamps(path: Path) -> list[tuple[int, bool]]:
    """(pts, is key frame) of the video's packets in decode order."""
    with av.open(str(path)) as container:
        return [(p.pts or 0, p.is_keyframe) for p in container.demux(video=0) if p.size]


def first_shown(path: Path) -> list[bool]:
    """For each key frame, whether nothing after it in decode order is shown before it."""
    packets = stamps(path)
    return [pts == min(p for p, _ in packets[i:]) for i, (pts, key) in enumerate(packets) if key]


def digest(path: Path) -> str:
    """Over the samples alone: row padding is garbage."""
    sha = hashlib.sha256()
    for frame in decode(path):
        sha.update(frame.to_ndarray().tobytes())
    return sha.hexdigest()


def lumas(width: int = 320, height: int = 180, frames: int = 20, seed: int = 0) -> np.ndarray:
    return np.stack([y for y, _, _ in cover_frames(width, height, frames, seed)]).astype(float)


@pytest.fixture(scope="module")
def cover(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cover(tmp_path_factory.mktemp("synth") / "c.mp4", width=162, height=122, frames=50, gop_s=0.5)


# --- the same arguments, the same frames ------------------------------------------------------------------


def test_repeats_exactly(cover: Path, tmp_path: Path) -> None:
    """Several times: an x264 that decides by chance repeats itself now and then."""
    for _ in range(5):
        again = make_cover(tmp_path / "again.mp4", width=162, height=122, frames=50, gop_s=0.5)
        assert digest(again) == digest(cover)


def test_seed_changes_everything() -> None:
    a, b = lumas(seed=1), lumas(seed=3)  # both start by day
    assert np.mean(a != b) > 0.5


def test_planes_do_not_alias() -> None:
    first, *rest = cover_frames(64, 48, 6, 0)
    kept = first[0].copy()
    for y, _, _ in rest:
        y[:] = 0
    np.testing.assert_array_equal(first[0], kept)


# --- the file is what was asked for -----------------------------------------------------------------------


def test_frames_keys_and_b_frames(cover: Path) -> None:
    frames = decode(cover)
    assert len(frames) == 50
    assert [i for i, f in enumerate(frames) if f.key_frame] == [0, 15, 30, 45]  # none at the cut, 25
    assert sum(f.pict_type == PictureType.B for f in frames) > 10
    assert [f.time for f in frames] == pytest.approx([i / 30 for i in range(50)])


def test_colour_tags(cover: Path) -> None:
    frame = decode(cover)[0]
    assert (frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range) == (1, 1, 1, 1)


def test_closed_gops(cover: Path) -> None:
    assert first_shown(cover) == [True] * 4


def test_open_gops_on_request(tmp_path: Path) -> None:
    options = {"x264-params": "open-gop=1:b-adapt=0"}
    path = make_cover(tmp_path / "o.mp4", width=64, height=48, gop_s=0.5, options=options)
    assert not all(first_shown(path))


def test_sound_is_a_tone_as_long_as_the_video(cover: Path) -> None:
    with av.open(str(cover)) as container:
        stream = container.streams.audio[0]
        assert (stream.codec.name, stream.rate, stream.channels) == ("aac", 48_000, 1)
        samples = np.concatenate([f.to_ndarray()[0] for f in container.decode(stream)])
    assert len(samples) / 48_000 == pytest.approx(50 / 30, abs=0.05)
    assert 0.05 < np.sqrt(np.mean(samples**2)) < 0.3


def test_packets_lie_in_time_order(cover: Path) -> None:
    """As stored, sound is never far from the picture it belongs to."""
    with av.open(str(cover)) as container:
        packets = sorted((p for p in container.demux() if p.size), key=lambda p: p.pos or 0)
        times = [float((p.dts or 0) * (p.time_base or 1)) for p in packets]
    assert min(b - a for a, b in itertools.pairwise(times)) > -0.15


def test_no_sound(tmp_path: Path) -> None:
    with av.open(
        str(make_cover(tmp_path / "s.mp4", width=64, height=48, frames=3, sound=False))
    ) as container:
        assert not container.streams.audio


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("small.mp4", {"width": 64, "height": 48}),
        ("smallest.mp4", {"width": 16, "height": 16}),
        ("one.mp4", {"frames": 1}),
        ("ntsc.mov", {"fps": Fraction(30000, 1001)}),
        ("no-b.ts", {"bframes": 0}),
        ("interlaced.mp4", {"height": 48, "options": {"flags": "+ilme+ildct"}}),
        ("odd.mkv", {"width": 65, "height": 49, "codec": "ffv1"}),
        ("odd444.mp4", {"width": 65, "height": 49, "pix_fmt": "yuv444p"}),
        ("422.mkv", {"pix_fmt": "yuv422p"}),
        ("ten.mp4", {"pix_fmt": "yuv420p10le"}),
        ("gray.mkv", {"pix_fmt": "gray", "codec": "ffv1"}),
        ("rgb.mkv", {"pix_fmt": "rgb24", "codec": "libx264rgb"}),
        ("hevc.mp4", {"codec": "libx265"}),
        ("vp9.webm", {"codec": "libvpx-vp9"}),
        ("mpeg2.ts", {"codec": "mpeg2video"}),
    ],
)
def test_sizes_formats_and_codecs(name: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    arguments = {"width": 66, "height": 50, "frames": 8} | arguments
    if arguments.get("codec", "libx264") not in av.codecs_available:
        pytest.skip("this FFmpeg has no such encoder")
    frames = decode(make_cover(tmp_path / name, **arguments))
    assert len(frames) == arguments["frames"]
    assert (frames[0].width, frames[0].height) == (arguments["width"], arguments["height"])
    stored = {"rgb24": "gbrp"}.get(arguments.get("pix_fmt", "yuv420p"), arguments.get("pix_fmt", "yuv420p"))
    assert frames[0].format.name == stored


def test_lossless_file_holds_the_generated_planes(tmp_path: Path) -> None:
    path = make_cover(tmp_path / "l.mkv", width=65, height=49, frames=4, seed=5, codec="ffv1")
    for frame, planes in zip(decode(path), cover_frames(65, 49, 4, 5), strict=True):
        for plane, samples in zip(frame.planes, planes, strict=True):
            stored = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[
                :, : plane.width
            ]
            np.testing.assert_array_equal(stored, samples)


# --- natural statistics -----------------------------------------------------------------------------------


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_neighbours_are_alike(seed: int) -> None:
    for y in lumas(frames=2, seed=seed):
        assert correlation(y[:, 1:], y[:, :-1]) > 0.9
        assert correlation(y[1:], y[:-1]) > 0.9


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_spectrum_falls_with_frequency(seed: int) -> None:
    """Filmed pictures have most of their energy in the coarse; uniform noise has it everywhere."""
    y = lumas(frames=1, seed=seed)[0]
    power = np.abs(np.fft.fft2(y - y.mean())) ** 2
    radius = np.hypot(np.fft.fftfreq(y.shape[0])[:, None], np.fft.fftfreq(y.shape[1]))
    bands = [power[(radius >= low) & (radius < 2 * low)].mean() for low in (0.02, 0.06, 0.18)]
    assert bands[0] > 4 * bands[1] > 16 * bands[2]


def test_levels_and_chroma() -> None:
    for seed in range(3):
        for y, u, v in cover_frames(320, 180, 2, seed):
            assert y.min() >= 16
            assert y.max() <= 235
            assert y.std() > 15
            assert u.std() > 4  # not grey
            assert v.std() > 4
            assert len(np.unique(y)) > 100


def test_change_is_small_except_at_the_cut() -> None:
    change = np.abs(np.diff(lumas(frames=40), axis=0)).mean(axis=(1, 2))
    cut = change[19]
    rest = np.delete(change, 19)
    assert rest.min() > 0.5
    assert rest.max() < 10
    assert cut > 2.5 * rest.max()


def test_grain_is_new_in_every_frame() -> None:
    """The sky far from anything that moves still changes in its lowest bits."""
    y = lumas(frames=8)[:4]
    assert all(np.mean(b != a) > 0.5 for a, b in itertools.pairwise(y))


# --- failures leave nothing -------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_interruption_leaves_no_file(
    stop: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: int) -> Any:
        yield from cover_frames(64, 48, 5, 0)
        raise stop

    monkeypatch.setattr(synth, "cover_frames", broken)
    with pytest.raises(stop):
        make_cover(tmp_path / "c.mp4", width=64, height=48)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_the_old_file(tmp_path: Path) -> None:
    path = make_cover(tmp_path / "c.mp4", width=64, height=48, frames=2)
    before = path.read_bytes()
    with pytest.raises(ParameterError, match="refuses 65x49"):
        make_cover(path, width=65, height=49)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 4}, "width=4 .*16 to 16384"),
        ({"height": 99999}, "height=99999"),
        ({"frames": 0}, "frames=0 .*at least 1"),
        ({"fps": 0}, "fps=0"),
        ({"fps": float("nan")}, "fps=nan"),
        ({"seed": -1}, "seed=-1"),
        ({"gop_s": 0}, "gop_s=0"),
        ({"bframes": 17}, "bframes=17"),
        ({"crf": -1}, "crf=-1"),
        ({"codec": "nope"}, "nope"),
        ({"codec": "aac"}, "video encoder"),
        ({"pix_fmt": "nope"}, "pixel format"),
        ({"preset": "nope"}, "refuses"),
        ({"options": {"nope": "1"}}, "nope"),
    ],
)
def test_senseless_arguments(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=message):
        make_cover(tmp_path / "c.mp4", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_container_that_does_not_hold_the_codec(tmp_path: Path) -> None:
    for name in ("c.webm", "c.xyz", "c"):
        with pytest.raises(ParameterError, match=name):
            make_cover(tmp_path / name, width=64, height=48, frames=2)
    assert list(tmp_path.iterdir()) == []


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="create it first"):
        make_cover(tmp_path / "no" / "c.mp4", width=64, height=48, frames=2)
