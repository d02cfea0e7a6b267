"""The control arm is a fair opponent: what it writes is really read back, and from the file alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vidstega.errors import CapacityError, OutputError, PayloadError

pytest.importorskip("cv2")
from vidstega.lab.arms import ARMS, codec, control
from vidstega.lab.arms.base import MissingError
from vidstega.lab.covers import make_cover

KEY = "key"


@pytest.fixture(scope="module")
def cover(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cover(tmp_path_factory.mktemp("control") / "c.mp4", width=96, height=64, frames=24)


@pytest.mark.parametrize("variant", ["read_all", "streaming", "parallel"])
@pytest.mark.parametrize("size", [0, 1, 2292, 20_000])
def test_comes_back(cover: Path, tmp_path: Path, variant: str, size: int) -> None:
    message, stego = np.random.default_rng([size, 1]).bytes(size), tmp_path / "s.mkv"
    done = control.hide(cover, stego, message, KEY, fourcc="HFYU", variant=variant, batch=5, workers=2)
    assert done.frames == 24
    assert done.frames_used == -(-8 * (size + control.OVERHEAD_BYTES) // (3 * 96 * 64))
    assert control.recover(stego, KEY) == message
    assert control.recover(stego, KEY, batch=7) == message


def test_variants_write_the_same_but_for_the_seal(cover: Path, tmp_path: Path) -> None:
    """Apart from samples' lowest bits all frames are the cover's."""
    frames = ARMS["current"].frames
    assert frames is not None
    for variant in ("read_all", "streaming", "parallel"):
        path = tmp_path / f"{variant}.mkv"
        control.hide(cover, path, b"x" * 5000, KEY, fourcc="HFYU", variant=variant, workers=2)
        pairs = zip(frames(str(cover)), frames(str(path)), strict=True)
        for number, ((before, _), (after, _)) in enumerate(pairs):
            for a, b in zip(before, after, strict=True):
                assert np.array_equal(a >> 1, b >> 1)
            assert all(map(np.array_equal, before, after)) == (number > 2)


def test_capacity_is_exact(cover: Path, tmp_path: Path) -> None:
    most = 24 * 96 * 64 * 3 // 8 - control.OVERHEAD_BYTES
    done = control.hide(cover, tmp_path / "full.mkv", bytes(most), KEY, fourcc="HFYU")
    assert (done.capacity_bytes, done.frames_used) == (most, 24)
    assert control.recover(tmp_path / "full.mkv", KEY) == bytes(most)
    with pytest.raises(CapacityError, match="capacity is"):
        control.hide(cover, tmp_path / "over.mkv", bytes(most + 1), KEY, fourcc="HFYU")


def test_a_wrong_key_a_clean_video_and_a_lossy_codec_give_nothing(cover: Path, tmp_path: Path) -> None:
    stego = tmp_path / "s.mkv"
    control.hide(cover, stego, b"secret", KEY, fourcc="HFYU")
    with pytest.raises(PayloadError):
        control.recover(stego, "another")
    with pytest.raises(PayloadError):
        control.recover(cover, KEY)
    control.hide(cover, tmp_path / "lossy.avi", b"secret" * 100, KEY, fourcc="MJPG")
    with pytest.raises(PayloadError):
        control.recover(tmp_path / "lossy.avi", KEY)


def test_the_codec_is_the_fastest_exact_one() -> None:
    best = codec.pick_codec()
    exact = [trial for trial in best.trials if trial.exact]
    assert best.fourcc in [trial.fourcc for trial in exact]
    assert all(best.write_s + best.read_s <= trial.write_s + trial.read_s for trial in exact)


def test_an_inexact_codec_is_never_picked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "CODECS", (("MJPG", ".avi"), ("XXXX", ".mkv")))
    with pytest.raises(OutputError, match="without loss"):
        codec.pick_codec()


def test_a_library_that_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str, *rest: object) -> object:
        if name == "cv2":
            raise ImportError("libGL.so.1: cannot open shared object file")
        return real(name, *rest)

    import builtins
    import sys

    real = builtins.__import__
    monkeypatch.delitem(sys.modules, "cv2")
    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(MissingError, match=r"libGL\.so\.1.*apt-get install") as caught:
        control.load_opencv()
    assert "\n" not in str(caught.value)
