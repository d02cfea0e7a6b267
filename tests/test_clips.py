"""Real videos made by others, whole ones and broken ones; skipped where their folder is absent."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from conftest import CLIPS

import vidstega
from vidstega.errors import InputError, ParameterError, PayloadError, UnsupportedError, VidstegaError
from vidstega.media import scan as scanning
from vidstega.media.decode import decode_span
from vidstega.media.open import reading
from vidstega.media.scan import scan as scan_file
from vidstega.media.source import Scan
from vidstega.results import EmbedResult

PAYLOAD = b"meet at noon, and bring the other half of the map"
SLOW = {"nat_hevc_4320p_8k24_aac.mp4", "nat_hevc10_1080p_editlist_rot90_opengop_aac.mp4"}
SPLICED = {path.name for path in CLIPS.glob("*_h264_*") if not {"1frame", "1080i"} & {*path.name.split("_")}}
SPLICED |= {"nat_multi_2video_2audio_2subs_nasa.mp4", "nat_phone_mebx_metadata_tracks.mov"}
PLAYABLE = sorted(path.name for path in CLIPS.glob("*.*") if path.suffix != ".md")
BROKEN = sorted(path.name for path in (CLIPS / "broken").glob("*.*"))

if not CLIPS.is_dir():
    pytest.skip(f"the folder of real clips, {CLIPS}, is not there", allow_module_level=True)


def embed(clip: Path, folder: Path, spread: str | float = "fewest") -> EmbedResult:
    """Into the clip's own container if that can hold the result without loss, else into Matroska."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return vidstega.embed(
                clip, folder / f"stego{clip.suffix}", PAYLOAD, key="k", spread=spread, method="lsb"
            )
        except (UnsupportedError, ParameterError):
            return vidstega.embed(clip, folder / "stego.mkv", PAYLOAD, key="k", spread=spread, method="lsb")


def rotation(scan: Scan) -> int:
    """Degrees by which the first frame is turned, as a player reads them."""
    return next(decode_span(scan.source, 0, scan.packets, scan.pts[:1])).rotation


@pytest.mark.parametrize("name", PLAYABLE)
def test_every_playable_clip_carries(name: str, tmp_path: Path) -> None:
    clip = CLIPS / name
    result = embed(clip, tmp_path)
    assert vidstega.extract(result.stego, key="k") == PAYLOAD
    assert result.mode == ("splice" if name in SPLICED else "transcode")
    before, after = scan_file(clip, digest=True), scan_file(result.stego, digest=True)
    assert len(before.pts) == len(after.pts) == result.frames
    named = " ".join(result.notes)
    for info in before.streams:
        if info.index in before.digests and before.digests[info.index] not in after.digests.values():
            assert info.kind in named, f"{info} is gone and nobody says so"
    if before.source.time_base == after.source.time_base:
        assert before.pts.tolist() == after.pts.tolist()
    assert rotation(before) == rotation(after) or "rotation" in named
    theirs, ours = before.source.look, after.source.look
    assert theirs.colour[1:] == ours.colour[1:] and (theirs.aspect or 1) == (ours.aspect or 1)
    assert (theirs.colour[0] or 1) == (ours.colour[0] or 1)  # unsaid is the limited range
    with pytest.raises(PayloadError):
        vidstega.extract(result.stego, key="another")


def test_the_head_of_a_picture_tells_what_decoding_it_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = {name: scan_file(CLIPS / name).source for name in PLAYABLE}
    monkeypatch.setattr(scanning, "_look_at_head", lambda path: None)
    assert heads == {name: scan_file(CLIPS / name).source for name in PLAYABLE}


@pytest.mark.parametrize("name", [name for name in PLAYABLE if name not in SLOW][::3])
def test_every_frame_of_some_carries(name: str, tmp_path: Path) -> None:
    result = embed(CLIPS / name, tmp_path, "all")
    assert result.mode == "transcode" and result.carrying == result.frames
    assert vidstega.extract(result.stego, key="k", n_jobs=2) == PAYLOAD


@pytest.mark.parametrize("name", BROKEN)
def test_broken_clips_carry_whole_or_give_one_error(name: str, tmp_path: Path) -> None:
    clip = CLIPS / "broken" / name
    try:
        result = embed(clip, tmp_path)
    except VidstegaError as error:
        assert "\n" not in str(error) and name.split(".")[0] in str(error)
        assert list(tmp_path.iterdir()) == []
    else:
        assert vidstega.extract(result.stego, key="k") == PAYLOAD
    with pytest.raises((PayloadError, InputError)):
        vidstega.extract(clip, key="k")


def test_the_larger_video_stream_carries() -> None:
    clip = CLIPS / "nat_multi_2video_2audio_2subs_nasa.mp4"
    streams = [info.index for info in vidstega.probe(clip).streams if info.carries]
    assert streams == [3]


def test_tags_languages_and_chapters_survive(tmp_path: Path) -> None:
    for name in ("nat_h264_chapters_aac.mp4", "nat_multi_2video_2audio_2subs_nasa.mp4"):
        result = embed(CLIPS / name, tmp_path)
        with reading(CLIPS / name) as before, reading(result.stego) as after:
            assert [c["metadata"] for c in before.chapters()] == [c["metadata"] for c in after.chapters()]
            kept = [s for s in before.streams if s.type != "data"]
            made = [s for s in after.streams if s.type != "data"]
            assert [s.language for s in kept] == [s.language for s in made]
            assert [s.disposition for s in kept] == [s.disposition for s in made]
        result.stego.unlink()
