"""Whatever a player reads is kept, or is named; each test makes a file of one kind and reads the result."""

from __future__ import annotations

import json
import shutil
import subprocess
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from conftest import requires_ffmpeg

import vidstega
from vidstega.media import boxes, ebml, kept
from vidstega.media.boxes import Box
from vidstega.media.describe import describe_file, light
from vidstega.media.light import Light, side_data
from vidstega.media.scan import scan

PICTURES = ("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=1")
SOUND = ("-f", "lavfi", "-i", "sine=r=8000:d=1")
H264 = ("-c:v", "libx264", "-g", "5", "-pix_fmt", "yuv420p")
HEVC = ("-c:v", "libx265", "-x265-params", "log-level=none", "-tag:v", "hvc1")
GRADED = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
EXTENSIONS = (".mp4", ".mov", ".mkv")
READS = "default=nw=1:nk=1"


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def ffprobe(path: Path, *arguments: str) -> dict[str, Any]:
    command = [
        "ffprobe",
        "-v",
        "error",
        "-of",
        "json",
        "-show_streams",
        "-show_format",
        *arguments,
        str(path),
    ]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))


def embed(cover: Path, stego: Path) -> tuple[str, ...]:
    """Embed in samples, which writes packets anew, verify, extract; all that is noted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = vidstega.embed(cover, stego, b"meet at noon", key="k", method="lsb", verify="full")
    told = vidstega.verify(cover, stego, key="k", full=True)
    assert vidstega.extract(stego, key="k") == b"meet at noon"
    return tuple(dict.fromkeys((*result.notes, *told.notes)))


def lost(notes: tuple[str, ...]) -> list[str]:
    """Notes but those on times, which Matroska and MPEG-TS round and shift."""
    return [note for note in notes if not note.startswith(("times are rounded", "the video starts"))]


def heard(path: Path) -> bytes:
    """Sound as the `ffmpeg` program decodes it."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:a", "-f", "s16le", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def spliced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kept") / "h264.mp4"
    ffmpeg(*PICTURES, *SOUND, *H264, "-c:a", "aac", path)
    return path


@pytest.fixture(scope="module")
def transcoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kept") / "hevc.mp4"
    ffmpeg(*PICTURES, *SOUND, *HEVC, "-c:a", "aac", path)
    return path


def change_movie(path: Path, change: Any) -> None:
    movie = boxes.read_movie(path)
    assert movie is not None
    change(movie)
    assert boxes.write_movie(path, movie)


# -- pictures -------------------------------------------------------------------------------------------


@requires_ffmpeg
@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("source", [".mp4", ".mkv"])
@pytest.mark.parametrize("kind", ["spliced", "transcoded"])
def test_the_aspect_ratio_of_the_container_is_kept(
    kind: str, source: str, extension: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cover, stego = tmp_path / f"a{source}", tmp_path / f"s{extension}"
    ffmpeg("-i", request.getfixturevalue(kind), "-c", "copy", "-aspect", "4:1", cover)
    assert lost(embed(cover, stego)) == []
    picture = ffprobe(stego)["streams"][0]
    assert (picture["sample_aspect_ratio"], picture["display_aspect_ratio"]) == ("3:1", "4:1")


@requires_ffmpeg
def test_an_aspect_ratio_that_cannot_be_kept_is_named(spliced: Path, tmp_path: Path) -> None:
    ffmpeg("-i", spliced, "-c", "copy", "-aspect", "4:1", tmp_path / "a.mp4")
    assert "the video: the sample aspect ratio is 1, it was 3" in embed(tmp_path / "a.mp4", tmp_path / "s.ts")


def with_boxes(cover: Path, path: Path, *told: Box) -> Path:
    """A copy whose video's sample description tells more."""
    shutil.copy(cover, path)
    change_movie(path, lambda m: boxes.sample_entries(boxes.tracks(m)[0])[0].children.extend(told))
    return path


def spherical() -> list[Box]:
    """An equirectangular picture over a side-by-side pair (Google's Spherical Video V2)."""
    head = Box(b"prhd", bytes(4) + (15 << 16).to_bytes(4, "big") + bytes(8))
    projection = Box(b"proj", b"", [head, Box(b"equi", bytes(20))])
    return [
        Box(b"st3d", bytes(4) + b"\2"),
        Box(b"sv3d", b"", [Box(b"svhd", bytes(4) + b"lens\0"), projection]),
    ]


@requires_ffmpeg
@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("kind", ["spliced", "transcoded"])
def test_spherical_and_stereo_marks_are_kept(
    kind: str, extension: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cover = with_boxes(request.getfixturevalue(kind), tmp_path / "a.mp4", *spherical())
    stego = tmp_path / f"s{extension}"
    assert lost(embed(cover, stego)) == []
    told = {data["side_data_type"]: data for data in ffprobe(stego)["streams"][0]["side_data_list"]}
    assert told["Spherical Mapping"]["projection"] == "equirectangular"
    assert told["Spherical Mapping"]["yaw"] == 15
    assert told["Stereo 3D"]["type"] == "side by side"


@requires_ffmpeg
def test_what_is_spherical_is_named_where_it_cannot_be_kept(spliced: Path, tmp_path: Path) -> None:
    cover = with_boxes(spliced, tmp_path / "a.mp4", *spherical())
    notes = embed(cover, tmp_path / "s.ts")
    assert {"the video: the spherical projection is not carried"} < set(notes)


@requires_ffmpeg
@pytest.mark.parametrize("extension", [*EXTENSIONS, ".ts"])
def test_the_light_of_hdr10_is_kept_when_it_is_said_in_the_stream(extension: str, tmp_path: Path) -> None:
    options = f"log-level=none:hdr10=1:repeat-headers=1:master-display={GRADED}:max-cll=1000,400"
    cover, stego = tmp_path / "hdr.mp4", tmp_path / f"s{extension}"
    ffmpeg(*PICTURES, "-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-x265-params", options, cover)
    assert lost(embed(cover, stego)) == []
    assert light(scan(stego)) == light(scan(cover)) != Light()
    if extension != ".ts":
        told = ffprobe(stego)["streams"][0]["side_data_list"]
        assert {"max_content": 1000, "max_average": 400}.items() <= {
            k: v for d in told for k, v in d.items()
        }.items()


def test_light_is_told_to_x264_in_its_own_units() -> None:
    numbers = [13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450]
    mastering = np.array(numbers, ">u2").tobytes() + np.array([10_000_000, 50], ">u4").tobytes()
    told = Light(mastering, np.array([1000, 400], ">u2").tobytes()).x264()
    assert told == f":mastering-display={GRADED}:cll=1000,400"


@requires_ffmpeg
@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("kind", ["spliced", "transcoded"])
@pytest.mark.parametrize("matrix", [(0, 1, -1, 0), (-1, 0, 0, 1), (0, 1, 1, 0)])
def test_rotation_and_mirroring_are_kept(
    matrix: tuple[int, ...], kind: str, extension: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cover, stego = tmp_path / "a.mp4", tmp_path / f"s{extension}"
    shutil.copy(request.getfixturevalue(kind), cover)
    a, b, c, d = (value << 16 for value in matrix)
    told = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()

    def turn(movie: Box) -> None:
        head = boxes.tracks(movie)[0].children[0]
        head.data = head.data[:-44] + told + head.data[-8:]

    change_movie(cover, turn)
    notes = lost(embed(cover, stego))
    assert notes == [] or notes == ["the video: the rotation or mirroring is another"]
    if extension != ".mkv":
        assert notes == [] and ffprobe(stego)["streams"][0]["side_data_list"]


@requires_ffmpeg
@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_crop_of_the_container_is_kept(spliced: Path, extension: str, tmp_path: Path) -> None:
    crop = Box(b"clap", b"".join(n.to_bytes(4, "big") for n in (100, 1, 80, 1, 0, 1, 0, 1)))
    cover = with_boxes(spliced, tmp_path / "a.mp4", crop)
    assert lost(embed(cover, tmp_path / f"s{extension}")) == []


@requires_ffmpeg
def test_side_data_that_pyav_has_no_name_for_is_passed_over(spliced: Path) -> None:
    from av.sidedata.sidedata import Type

    with av.open(str(spliced)) as source:
        side_data(next(source.decode(video=0)))
    assert Type(29).name == "KIND_29"


def test_spatial_video_is_taken_and_what_is_lost_is_named(clips: Path, tmp_path: Path) -> None:
    cover = clips / "nat_mvhevc_spatial_side_data.mp4"
    notes = embed(cover, tmp_path / "s.mov")
    assert "the video: the second view is not carried" in notes


@requires_ffmpeg
def test_odd_sizes_are_coded_in_as_many_slices_as_the_codec_likes(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "odd.ivf"), "w", format="ivf") as output:
        stream = output.add_stream("libvpx", rate=30)
        stream.width, stream.height, stream.pix_fmt = 175, 143, "yuv420p"
        for number in range(6):
            frame = av.VideoFrame(175, 143, "yuv420p")
            for plane in frame.planes:
                plane.update(np.full(plane.buffer_size, 40 * number, np.uint8).tobytes())
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert lost(embed(tmp_path / "odd.ivf", tmp_path / "s.mkv")) == []


# -- sound ----------------------------------------------------------------------------------------------

SOUNDS = {
    "pcm_mulaw": (),
    "pcm_alaw": (),
    "g722": ("-ar", "16000"),
    "g726": ("-b:a", "32k"),
    "adpcm_ms": (),
    "adpcm_ima_wav": (),
    "wmav2": ("-ar", "44100"),
    "alac": (),
}


@requires_ffmpeg
@pytest.mark.parametrize("codec", SOUNDS)
def test_sound_of_cameras_is_kept_in_matroska(codec: str, tmp_path: Path) -> None:
    cover, stego = tmp_path / "a.mkv", tmp_path / "s.mkv"
    ffmpeg(*PICTURES, *SOUND, *H264, "-c:a", codec, *SOUNDS[codec], "-metadata:s:a", "title=Hall", cover)
    assert lost(embed(cover, stego)) == []
    assert heard(stego) == heard(cover) != b""
    before, after = (ffprobe(path)["streams"][1] for path in (cover, stego))
    same = ("codec_name", "codec_tag", "sample_rate", "channels", "bits_per_sample")
    assert [before.get(name) for name in same] == [after.get(name) for name in same]
    assert after["tags"]["title"] == "Hall"


@requires_ffmpeg
@pytest.mark.parametrize("codec", ["pcm_mulaw", "adpcm_ms"])
@pytest.mark.parametrize("source", [".mov", ".avi"])
def test_such_sound_gets_into_matroska_from_elsewhere(codec: str, source: str, tmp_path: Path) -> None:
    cover, stego = tmp_path / f"a{source}", tmp_path / "s.mkv"
    ffmpeg(*PICTURES, *SOUND, "-c:v", "mpeg4", "-bf", "0", "-c:a", codec, cover)
    assert not [note for note in embed(cover, stego) if "audio" in note]
    assert heard(stego) == heard(cover) != b""


@requires_ffmpeg
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_mulaw", "flac", "alac"])
def test_sound_that_no_reader_of_a_ts_would_know_is_left_out_by_name(codec: str, tmp_path: Path) -> None:
    ffmpeg(*PICTURES, *SOUND, *H264, "-c:a", codec, "-strict", "-2", tmp_path / "a.mkv")
    notes = embed(tmp_path / "a.mkv", tmp_path / "s.ts")
    assert f"stream #1 audio {codec}: left out, as .ts has no way to hold such sound" in notes
    assert [s["codec_type"] for s in ffprobe(tmp_path / "s.ts")["streams"]] == ["video"]


@requires_ffmpeg
def test_sound_of_a_kind_that_libav_does_not_write_stays_in_its_mp4(tmp_path: Path) -> None:
    cover, stego = tmp_path / "a.mp4", tmp_path / "s.mp4"
    ffmpeg(*PICTURES, *SOUND, *H264, "-c:a", "pcm_mulaw", "-f", "mov", "-brand", "mp42", cover)
    assert embed(cover, stego) == ()
    assert heard(stego) == heard(cover) != b""


def phone_recording(path: Path) -> None:
    """H.264 and AMR, as phones write them."""
    with av.open(str(path), "w", format="3gp") as output:
        video: Any = output.add_stream("libx264", rate=25, options={"g": "5"})
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        sound: Any = output.add_stream("libopencore_amrnb", rate=8000)
        sound.codec_context.layout, sound.codec_context.format = "mono", "s16"
        sound.codec_context.bit_rate = 12_200
        for number in range(20):
            picture = av.VideoFrame.from_ndarray(np.full((180, 160), 9 * number, np.uint8), "yuv420p")
            picture.pts = number
            output.mux(video.encode(picture))
        for number in range(40):
            wave = (8000 * np.sin(np.arange(160) * 0.3 + number)).astype(np.int16)
            chunk = av.AudioFrame.from_ndarray(wave[None], "s16", "mono")
            chunk.sample_rate, chunk.pts = 8000, 160 * number
            output.mux(sound.encode(chunk))
        output.mux(video.encode(None))
        output.mux(sound.encode(None))


@requires_ffmpeg
@pytest.mark.parametrize("extension", [*EXTENSIONS, ".3gp"])
def test_the_sound_of_old_phones_is_kept(extension: str, tmp_path: Path) -> None:
    cover, stego = tmp_path / "a.3gp", tmp_path / f"s{extension}"
    phone_recording(cover)
    assert lost(embed(cover, stego)) == []
    assert ffprobe(stego)["streams"][1]["codec_name"] == "amr_nb"
    assert heard(stego).endswith(heard(cover))  # Matroska plays what leads in to it as well


@requires_ffmpeg
@pytest.mark.parametrize("extension", EXTENSIONS)
def test_packets_of_sound_that_were_rounded_to_one_time_are_kept(extension: str, tmp_path: Path) -> None:
    cover, stego = tmp_path / "a.mkv", tmp_path / f"s{extension}"
    sound = ("-f", "lavfi", "-i", "sine=r=48000:d=1", "-af", "asetnsamples=24")
    ffmpeg(*PICTURES, *sound, *H264, "-c:a", "pcm_s16le", cover)
    assert lost(embed(cover, stego)) == []
    assert heard(stego) == heard(cover)


# -- tracks of data, time code, names of files ----------------------------------------------------------


@requires_ffmpeg
@pytest.mark.parametrize("extension", [".mov", ".mp4"])
@pytest.mark.parametrize("codec", [H264, HEVC, ("-c:v", "prores_ks")], ids=["h264", "hevc", "prores"])
@pytest.mark.parametrize("source", [".mov", ".mp4"])
def test_a_track_of_time_code_is_kept(
    source: str, codec: tuple[str, ...], extension: str, tmp_path: Path
) -> None:
    if codec[1] == "prores_ks" and source == ".mp4":
        pytest.skip("MP4 does not hold ProRes")
    cover, stego = tmp_path / f"a{source}", tmp_path / f"s{extension}"
    ffmpeg(*PICTURES, *codec, "-timecode", "01:02:03:04", cover)
    assert embed(cover, stego) == ()
    before, after = ffprobe(cover), ffprobe(stego)
    assert [s["codec_tag_string"] for s in after["streams"]][1:] == ["tmcd"]
    assert all(s["tags"]["timecode"] == "01:02:03:04" for s in after["streams"])
    assert float(after["format"]["duration"]) == pytest.approx(float(before["format"]["duration"]), abs=0.002)


@requires_ffmpeg
@pytest.mark.parametrize("extension", [".mov", ".mp4"])
def test_data_of_any_kind_keep_their_sample_description(
    spliced: Path, extension: str, tmp_path: Path
) -> None:
    cover, stego = tmp_path / "a.mov", tmp_path / f"s{extension}"
    ffmpeg("-i", spliced, "-c", "copy", "-timecode", "01:02:03:04", cover)
    mine = Box(b"mebx", bytes(6) + b"\0\1" + Box(b"keys", b"something of a camera's own").pack())

    def become_another(movie: Box) -> None:
        track = boxes.tracks(movie)[2]
        described, handler = (track.get(b"mdia", *path) for path in ((b"minf", b"stbl", b"stsd"), (b"hdlr",)))
        assert described is not None and handler is not None
        described.children = [mine]
        handler.data = handler.data[:8] + b"meta" + handler.data[12:]
        track.put(Box(b"tref", b"", [Box(b"cdsc", (1).to_bytes(4, "big"))]))

    change_movie(cover, become_another)
    assert embed(cover, stego) == ()
    movie = boxes.read_movie(stego)
    assert movie is not None
    track = boxes.tracks(movie)[2]
    assert boxes.sample_entries(track)[0].pack() == mine.pack() and boxes.handler(track) == b"meta"
    assert track.get(b"tref", b"cdsc") is not None
    assert "data" in " ".join(embed(cover, tmp_path / "s.mkv"))


@requires_ffmpeg
def test_what_cameras_keep_beside_tags_is_kept(spliced: Path, tmp_path: Path) -> None:
    cover, stego = tmp_path / "a.mp4", tmp_path / "s.mp4"
    shutil.copy(spliced, cover)
    change_movie(cover, lambda m: m.put(Box(b"udta", b"", [Box(b"HMMT", b"\0\0\0\1\0\0\1\0")])))
    embed(cover, stego)
    movie = boxes.read_movie(stego)
    assert movie is not None and movie.get(b"udta", b"HMMT") is not None


@requires_ffmpeg
@pytest.mark.parametrize("extension", [".mp4", ".mov", ".mkv", ".ts"])
def test_edit_lists_in_mid_stream_are_played_out(spliced: Path, extension: str, tmp_path: Path) -> None:
    cover = tmp_path / "a.mov"
    shutil.copy(spliced, cover)

    def cut(movie: Box) -> None:
        for track in boxes.tracks(movie):
            scale = Fraction(int.from_bytes(track.get(b"mdia", b"mdhd").data[12:16], "big"))  # type: ignore[union-attr]
            edits = b"".join(
                (boxes.timescale(movie) // 5).to_bytes(4, "big")
                + int(at * scale).to_bytes(4, "big")
                + b"\0\1\0\0"
                for at in (Fraction(8, 100), Fraction(28, 100), Fraction(68, 100))
            )
            track.put(Box(b"edts", b"", [Box(b"elst", bytes(4) + b"\0\0\0\3" + edits)]))

    change_movie(cover, cut)
    assert lost(embed(cover, tmp_path / f"s{extension}")) == []


@requires_ffmpeg
def test_sound_ends_where_its_edit_list_ends(spliced: Path, tmp_path: Path) -> None:
    cover, stego = tmp_path / "a.mp4", tmp_path / "s.mp4"
    shutil.copy(spliced, cover)

    def trim(movie: Box) -> None:
        boxes.shorten(boxes.tracks(movie)[1], boxes.timescale(movie) // 20)
        boxes.end_with_tracks(movie)

    change_movie(cover, trim)
    assert embed(cover, stego) == ()
    assert ffprobe(stego)["streams"][1]["duration"] == ffprobe(cover)["streams"][1]["duration"]


@requires_ffmpeg
@pytest.mark.parametrize("extension", [".mts", ".m2ts", ".m2t", ".m4v", ".m4a", ".3gp", ".qt"])
def test_other_names_of_a_container_are_taken(spliced: Path, extension: str, tmp_path: Path) -> None:
    stego = tmp_path / f"s{extension}"
    assert lost(embed(spliced, stego)) == []
    packet_bytes = 192 if extension in (".mts", ".m2ts") else 188
    if extension in (".mts", ".m2ts", ".m2t"):
        data = stego.read_bytes()
        assert {data[at + packet_bytes - 188] for at in range(0, 10 * packet_bytes, packet_bytes)} == {0x47}


@requires_ffmpeg
def test_webm_says_what_would_have_kept_its_h264(spliced: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="left out"):
        result = vidstega.embed(spliced, tmp_path / "s.webm", b"hi", key="k")
    assert ".mkv would keep it" in result.reason


@requires_ffmpeg
def test_marks_languages_chapters_and_attachments_are_kept(spliced: Path, tmp_path: Path) -> None:
    chapters, font = tmp_path / "chapters.txt", tmp_path / "a.ttf"
    chapters.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/10\nSTART=0\nEND=5\ntitle=One\n")
    font.write_bytes(b"no font, but a file")
    cover = tmp_path / "a.mkv"
    streams = ("-map", "0:v", "-map", "0:a", "-map", "0:a", "-disposition:a:1", "hearing_impaired")
    named = ("-metadata:s:a:0", "language=dan", "-metadata:s:a:1", "language=fin")
    attached = ("-attach", font, "-metadata:s:t", "mimetype=application/x-font-ttf")
    ffmpeg(
        "-i", spliced, "-i", chapters, *streams, "-map_chapters", "1", "-c", "copy", *named, *attached, cover
    )
    assert lost(embed(cover, tmp_path / "s.mkv")) == []
    after = ffprobe(tmp_path / "s.mkv", "-show_chapters")
    assert [s["tags"]["language"] for s in after["streams"][1:3]] == ["dan", "fin"]
    assert after["streams"][2]["disposition"]["hearing_impaired"] == 1
    assert after["chapters"][0]["tags"]["title"] == "One"
    notes = embed(cover, tmp_path / "s.ts")
    assert {"0 of 1 chapters are carried", "the attachment a.ttf is not carried"} <= set(notes)


@requires_ffmpeg
def test_verify_names_what_was_changed_in_a_stego_file(spliced: Path, tmp_path: Path) -> None:
    stego, other = tmp_path / "s.mp4", tmp_path / "other.mp4"
    assert embed(spliced, stego) == ()
    shape = ("-aspect", "4:1", "-metadata:s:a", "language=fin")
    ffmpeg("-i", stego, "-c", "copy", *shape, other)
    notes = vidstega.verify(spliced, other, key="k").notes
    assert "the video: the sample aspect ratio is 3, it was 1" in notes


# -- headers --------------------------------------------------------------------------------------------


@requires_ffmpeg
def test_boxes_are_packed_as_they_were(spliced: Path) -> None:
    with spliced.open("rb") as file:
        found = boxes.walk(file, 0, spliced.stat().st_size)
        at, end = next((at, end) for kind, at, _, end in found if kind == b"moov")
        file.seek(at)
        data = file.read(end - at)
    movie = boxes.read_movie(spliced)
    assert movie is not None and movie.pack() == data


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\0\7moov", b"\xff\xff\xff\xffmoov", b"\0\0\0\x10moov\0\0\0\xffmvhd"]
)
def test_boxes_that_make_no_sense_are_left_alone(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(data)
    movie = boxes.read_movie(path)
    assert movie is None or movie.pack() == data


@pytest.mark.parametrize("size", [2, 3, 9, 10, 11, 200, 20_000])
def test_room_in_matroska_is_filled_to_the_byte(size: int, tmp_path: Path) -> None:
    entry = [(ebml.NUMBER, b"\1"), (ebml.NAME, bytes(size + 100))]
    path = tmp_path / "x.mkv"
    path.write_bytes(ebml.file_of(entry))
    before = ebml.read_tracks(path)
    assert before is not None and before.entries == [entry]
    before.entries[0][1] = (ebml.NAME, b"short")
    ebml.write_tracks(path, before)
    after = ebml.read_tracks(path)
    assert after is not None and after.entries == [[(ebml.NUMBER, b"\1"), (ebml.NAME, b"short")]]
    assert after.size == before.size


@pytest.mark.parametrize("data", [b"", b"\0", b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67\xff" + b"\0" * 9])
def test_elements_that_make_no_sense_are_no_tracks(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    path.write_bytes(data)
    assert ebml.read_tracks(path) is None


@requires_ffmpeg
def test_a_file_says_of_itself_what_it_says(spliced: Path) -> None:
    cover = scan(spliced, digest=True)
    assert kept.differences(cover, cover, copied=True) == []
    assert describe_file(cover).streams[0]["sample aspect ratio"] == 1


def test_boxes_nested_without_end_are_left_alone(tmp_path: Path) -> None:
    data = b""
    for _ in range(5000):
        data = (8 + len(data)).to_bytes(4, "big") + b"moov" + data
    (tmp_path / "x.mp4").write_bytes(data)
    movie = boxes.read_movie(tmp_path / "x.mp4")
    assert movie is not None and movie.pack() == data
