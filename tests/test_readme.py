"""What the README says, done: its code, its commands, and what it promises a message survives."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import requires_ffmpeg

import vidstega

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
KEY = "correct horse"
MESSAGE = bytes(range(256)) * 4


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(cover: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with holiday.mp4 and secret.zip in it."""
    (tmp_path / "holiday.mp4").write_bytes(cover.read_bytes())
    (tmp_path / "secret.zip").write_bytes(b"PK" + MESSAGE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- code and commands -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(2))
def test_python_runs_as_printed(folder: Path, number: int) -> None:
    assert len(blocks("python")) == 2
    exec(compile(blocks("python")[number], "README.md", "exec"), {})
    if (folder / "back.zip").exists():
        assert (folder / "back.zip").read_bytes() == (folder / "secret.zip").read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="commands for a POSIX shell")
def test_commands_run_as_printed(folder: Path) -> None:
    (commands,) = blocks("sh")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    variables = os.environ | {"PATH": path, "VIDSTEGA_KEY": KEY}
    subprocess.run(["sh", "-ec", commands], env=variables, check=True, timeout=120)
    assert (folder / "found.zip").read_bytes() == (folder / "secret.zip").read_bytes()


def test_all_public_names_and_containers_are_there() -> None:
    from vidstega.media.tracks import MUXERS

    named = re.findall(r"^\| `(\w+)", README, re.MULTILINE)
    assert sorted(named) == sorted(vidstega.__all__)
    assert set(MUXERS) <= set(re.findall(r"\.\w+", README))


# --- what a message survives -----------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["fewest", "all"])
def stego(request: pytest.FixtureRequest, cover: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("survival") / f"{request.param}.mp4"
    result = vidstega.embed(cover, path, MESSAGE, key=KEY, spread=request.param, method="lsb")
    assert result.mode == ("splice" if request.param == "fewest" else "transcode")
    return path


def ffmpeg(*args: object) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, args)], check=True, timeout=120)


def survives(video: Path, *, deep: bool = False) -> bool:
    try:
        return vidstega.extract(video, key=KEY, deep=deep) == MESSAGE
    except vidstega.errors.PayloadError:
        return False


@requires_ffmpeg
@pytest.mark.parametrize("suffix", [".mkv", ".mov", ".mp4", ".ts", ".flv"])
def test_another_container(stego: Path, tmp_path: Path, suffix: str) -> None:
    ffmpeg("-i", stego, "-map", 0, "-c", "copy", out := tmp_path / f"o{suffix}")
    assert survives(out)


@requires_ffmpeg
@pytest.mark.parametrize(
    "options",
    [
        "-c copy -movflags +faststart",
        "-c copy -movflags frag_keyframe+empty_moov",
        "-c copy -an -map_metadata -1",
        "-c:v copy -c:a mp3 -strict -2",
    ],
)
def test_everything_but_the_video_changes(stego: Path, tmp_path: Path, options: str) -> None:
    ffmpeg(
        "-i", stego, *options.split(), out := tmp_path / "o.mkv" if "mp3" in options else tmp_path / "o.mp4"
    )
    assert survives(out)


@requires_ffmpeg
def test_joined_behind_another(cover: Path, stego: Path, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"file '{cover}'\nfile '{stego}'\n")
    ffmpeg("-f", "concat", "-safe", 0, "-i", tmp_path / "list", "-c", "copy", out := tmp_path / "o.mp4")
    assert survives(out, deep=True)
    assert survives(out) == (stego.stem == "fewest")


@requires_ffmpeg
def test_cut(cover: Path, stego: Path, tmp_path: Path) -> None:
    """The cover has three groups of 20 frames."""
    carries = stego.stem == "fewest" and [at for at in range(3) if carrying_group(stego) == at]
    ffmpeg("-ss", 20 / 30, "-i", stego, "-c", "copy", late := tmp_path / "late.mp4")
    ffmpeg("-i", stego, "-t", 20 / 30, "-c", "copy", early := tmp_path / "early.mp4")
    assert survives(late) == (carries in ([1], [2]))
    assert survives(early) == (carries == [0])


def carrying_group(stego: Path) -> int:
    """Which third of the packets of a spliced stego file the largest of them is in."""
    import av

    with av.open(str(stego)) as container:
        sizes = [packet.size for packet in container.demux(video=0) if packet.size]
    return 3 * sizes.index(max(sizes)) // len(sizes)


@requires_ffmpeg
def test_coded_again(stego: Path, tmp_path: Path) -> None:
    ffmpeg("-i", stego, "-c:v", "libx264", "-qp", 0, "-preset", "ultrafast", same := tmp_path / "same.mp4")
    ffmpeg("-i", stego, "-c:v", "libx264", "-crf", 18, "-preset", "ultrafast", near := tmp_path / "near.mp4")
    assert survives(same) == (stego.stem == "all")
    assert not survives(near) and not survives(near, deep=True)
