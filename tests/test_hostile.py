"""What a hostile reviewer tried: forged and damaged stego files, failing covers, methods and disks."""

from __future__ import annotations

import contextlib
import io
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import vidstega
from vidstega import h264
from vidstega.carriers import Samples
from vidstega.carriers.base import Failure, Wish
from vidstega.carriers.samples.plan import SamplesPlan
from vidstega.errors import InputError, PayloadError, VerificationError, VidstegaError
from vidstega.lab.covers import make_cover
from vidstega.media import decode
from vidstega.media.scan import scan as scan_file
from vidstega.media.source import Scan
from vidstega.methods.lsb import LSB
from vidstega.seal import Key

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

KEY = "k"
DATA = np.random.default_rng(7).bytes(100_000)


@pytest.fixture(scope="module")
def grouped(covers: Path) -> Path:
    """160x128, 240 frames in 20 groups of 12."""
    return make_cover(covers / "grouped.mp4", width=160, height=128, frames=240, fps=30, gop_s=0.4)


@pytest.fixture(scope="module")
def small(covers: Path) -> Path:
    """96x80, 30 frames in 3 groups."""
    return make_cover(covers / "small.mp4", width=96, height=80, frames=30, fps=30, gop_s=10 / 30)


@pytest.fixture(scope="module")
def several(grouped: Path, covers: Path) -> Path:
    """A stego file of several runs."""
    return _embed(grouped, covers / "several.mp4")


def _embed(cover: Path, target: Path, data: Any = DATA, **options: Any) -> Path:
    options = {"key": KEY, "compress": False, "progress": False, "overwrite": True, **options}
    vidstega.embed(cover, target, data, **options)
    return target


@dataclass(frozen=True)
class _Watched(Samples):
    """LSB matching that starts with failures, or fails by itself at first, and notes what it was told of."""

    how: LSB = field(default_factory=LSB)
    known: tuple[Failure, ...] = ()
    to_come: list[Failure] = field(default_factory=list)
    told: list[tuple[str, int | None]] = field(default_factory=list)

    def plan(self, scan: Scan, wish: Wish) -> SamplesPlan:
        self.told[:] = [(failure.mode, failure.at) for failure in wish.failures]
        return super().plan(scan, replace(wish, failures=(*self.known, *wish.failures)))

    def write(self, *arguments: Any) -> Any:
        if self.to_come:
            raise self.to_come.pop()
        return super().write(*arguments)


def _packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def _remux(source: Path, target: Path, contents: Sequence[bytes]) -> Path:
    """The video of `source` with other contents of its packets."""
    with av.open(str(source)) as before, av.open(str(target), "w") as after:
        stream = before.streams.video[0]
        copy = after.add_stream_from_template(stream, opaque=True)
        old = (packet for packet in before.demux(stream) if packet.size)
        for packet, data in zip(old, contents, strict=True):
            new: Any = av.Packet(data)
            new.pts, new.dts, new.duration = packet.pts, packet.dts, packet.duration
            new.time_base, new.is_keyframe = packet.time_base, packet.is_keyframe
            new.stream = copy
            after.mux(new)
    return target


def _runs(stego: Path) -> list[tuple[int, int]]:
    found = Samples(LSB()).locate(scan_file(stego), Key(KEY))
    return [(stretch.span.first, stretch.span.stop) for stretch in found.stretches]


# -- the format -----------------------------------------------------------------------------------------


def test_a_retry_reads_a_file_object_from_where_it_stood(small: Path, tmp_path: Path) -> None:
    """It has been read once, for all attempts."""
    failing = _Watched(to_come=[Failure(VerificationError("forced"), "splice")])
    data = io.BytesIO(b"read already, payload")
    data.seek(14)
    _embed(small, tmp_path / "s.mp4", data, method=failing)
    assert failing.told == [("splice", None)]
    assert vidstega.extract(tmp_path / "s.mp4", key=KEY) == b"payload"


@pytest.mark.parametrize(("count", "raises"), [(3, False), (4, True)])
def test_a_plan_is_made_again_three_times_at_the_most(
    count: int, raises: bool, grouped: Path, tmp_path: Path
) -> None:
    failing = _Watched(to_come=[Failure(VerificationError(f"no. {n}"), "splice", at=n) for n in range(count)])
    if raises:
        with pytest.raises(VerificationError, match=r"no\. 0"):
            _embed(grouped, tmp_path / "s.mp4", b"x", method=failing)
        assert list(tmp_path.iterdir()) == []
    else:
        _embed(grouped, tmp_path / "s.mp4", b"x", method=failing)
        assert vidstega.extract(tmp_path / "s.mp4", key=KEY) == b"x"
    assert failing.told == [("splice", 3 - n if raises else 2 - n) for n in range(3)]


def _swapped(packets: list[bytes], other: list[bytes], runs: list[tuple[int, int]]) -> list[bytes]:
    (a, b), (c, d) = runs[1], runs[2]
    return [*packets[:a], *packets[c:d], *packets[a:b], *packets[d:]]


def _foreign_run(packets: list[bytes], other: list[bytes], runs: list[tuple[int, int]]) -> list[bytes]:
    a, b = runs[1]
    return [*packets[:a], *other[a:b], *packets[b:]]


def _foreign_frame(packets: list[bytes], other: list[bytes], runs: list[tuple[int, int]]) -> list[bytes]:
    a = runs[1][0] + 1
    return [*packets[:a], other[a], *packets[a + 1 :]]


def _repeated(packets: list[bytes], other: list[bytes], runs: list[tuple[int, int]]) -> list[bytes]:
    (a, b), (c, d) = runs[1], runs[2]
    return [*packets[:a], *packets[c:d], *packets[b:]]


def _frames_swapped(packets: list[bytes], other: list[bytes], runs: list[tuple[int, int]]) -> list[bytes]:
    a = runs[0][0] + 3
    return [*packets[:a], packets[a + 1], packets[a], *packets[a + 2 :]]


@pytest.mark.parametrize("forge", [_swapped, _foreign_run, _foreign_frame, _repeated, _frames_swapped])
def test_rearranged_runs_give_the_payload_or_the_one_error(
    forge: Callable[..., list[bytes]], several: Path, grouped: Path, tmp_path: Path
) -> None:
    """Runs of another message with the same key, at the same places, are not taken for this one's."""
    other = _embed(grouped, tmp_path / "other.mp4", DATA[::-1])
    runs = _runs(several)
    assert runs == _runs(other) and len({b - a for a, b in runs[:3]}) == 1
    forged = _remux(several, tmp_path / "forged.mp4", forge(_packets(several), _packets(other), runs))
    try:
        assert vidstega.extract(forged, key=KEY) == DATA
        assert forge is _swapped, "runs are addressed by their marks, so only whole ones may move"
    except PayloadError:
        assert forge is not _swapped


def test_a_message_cut_short_does_not_hide_a_whole_one(several: Path, grouped: Path, tmp_path: Path) -> None:
    """Same key; the front of one stego file, ending within a run, and then all of another."""
    early = tuple(Failure(VerificationError("too early"), "splice", at=packet) for packet in range(150))
    _embed(grouped, tmp_path / "late.mp4", b"whole", method=_Watched(known=early))
    assert _runs(tmp_path / "late.mp4")[0][0] >= 150
    cut = _runs(several)[1][0] + 5
    joined = [*_packets(several)[:cut], *_packets(tmp_path / "late.mp4")[cut:]]
    _remux(tmp_path / "late.mp4", tmp_path / "joined.mp4", joined)
    assert vidstega.extract(tmp_path / "joined.mp4", key=KEY) == b"whole"


@pytest.mark.parametrize(
    ("container", "spread"), [("mp4", "fewest"), ("mkv", "fewest"), ("ts", "fewest"), ("mp4", "all")]
)
def test_single_byte_changes(container: str, spread: str, small: Path, tmp_path: Path) -> None:
    message = b"hello " * 20
    stego = _embed(small, tmp_path / f"s.{container}", message, spread=spread)
    data, flipped = stego.read_bytes(), tmp_path / f"f.{container}"
    draw = random.Random(f"{container} {spread}")
    near = [draw.randrange(900) for _ in range(8)] + [len(data) - 1 - draw.randrange(2000) for _ in range(8)]
    for at in near + [draw.randrange(len(data)) for _ in range(8)]:
        change = draw.randrange(1, 256)
        flipped.write_bytes(data[:at] + bytes([data[at] ^ change]) + data[at + 1 :])
        with contextlib.suppress(PayloadError, InputError):
            assert vidstega.extract(flipped, key=KEY) == message, (at, change)


# -- bad input ------------------------------------------------------------------------------------------


def test_errors_logged_by_decoder_threads_do_not_deadlock(clips: Path, tmp_path: Path) -> None:
    """FFmpeg's threads log errors; a Python log callback would wait for the lock their joiner holds."""
    clip = clips / "broken" / "rotation_garbage_no_timescale.mp4"
    code = (
        "import sys, vidstega\n"
        "for i in range(6):\n"
        "    vidstega.embed(sys.argv[1], sys.argv[2], b'hi', key='k', verify='full', overwrite=True)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(clip), str(tmp_path / "o.mkv")]
    subprocess.run(command, timeout=60, check=True)
    assert vidstega.extract(tmp_path / "o.mkv", key="k") == b"hi"


@pytest.mark.parametrize("method", ["auto", "signs", "lsb", "robust"])
def test_damage_in_the_sound_costs_no_picture(clips: Path, tmp_path: Path, method: str) -> None:
    """Read with all its streams the file ends there, of which nothing tells but the count."""
    data = bytearray((clips / "nat_h264_480p_crystal_aac.mp4").read_bytes())
    entry = data.index(b"stsz", data.index(b"stsz") + 4) + 16 + 4 * 60  # a sample of the sound
    data[entry : entry + 4] = (0x800064).to_bytes(4, "big")
    (path := tmp_path / "damaged.mp4").write_bytes(data)
    assert vidstega.probe(path).frames == 359
    with pytest.raises(InputError, match=r"a stream beside the video is damaged, only \d+ of 359 frames"):
        vidstega.embed(path, tmp_path / "s.mp4", b"hi", key="k", method=method, progress=False)
    assert [one.name for one in tmp_path.iterdir()] == ["damaged.mp4"]


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    command = [sys.executable, "-m", "vidstega", "probe", str(tmp_path / "pipe.mp4")]
    run = subprocess.run(command, timeout=60, capture_output=True, text=True)
    assert run.returncode == 1 and len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "name",
    [
        "a" * 300 + ".mp4",
        "a\0b.mp4",
    ],
)
def test_impossible_names(name: str, small: Path, tmp_path: Path) -> None:
    with pytest.raises(VidstegaError):
        vidstega.probe(tmp_path / name)
    with pytest.raises(VidstegaError):
        vidstega.embed(small, tmp_path / name, b"", key=KEY)
    with pytest.raises(VidstegaError):
        vidstega.embed(small, tmp_path / "o.mp4", tmp_path / name, key=KEY)
    assert list(tmp_path.iterdir()) == []


def test_a_huge_parameter_set_is_refused_by_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading bits of one large integer is quadratic: 50 KB took ten seconds, ten times that an hour."""
    bits = h264.BitWriter().u(8, 66).u(8, 0xC0).u(8, 30).ue(0).ue(0).ue(1).u(1, 0).ue(0).ue(0)
    bits.ue(8 * 60_000).bits += "1" * (8 * 60_000)
    read, calls = h264.Bits.u, [0]

    def counted(self: h264.Bits, n: int) -> int:
        calls[0] += 1
        assert calls[0] < 100_000
        return read(self, n)

    monkeypatch.setattr(h264.Bits, "u", counted)
    with pytest.raises(InputError):
        h264.parse_sps(b"\x67" + h264.escape(bits.bytes()))


def test_monochrome_h264(tmp_path: Path) -> None:
    cover = make_cover(
        tmp_path / "gray.mp4", width=160, height=128, frames=24, gop_s=0.4, pix_fmt="gray", sound=False
    )
    _embed(cover, tmp_path / "s.mp4", b"gray", verify="full")
    assert vidstega.extract(tmp_path / "s.mp4", key=KEY) == b"gray"


def test_interlacing_is_kept_or_named(tmp_path: Path) -> None:
    cover = make_cover(
        tmp_path / "fields.mp4",
        width=160,
        height=128,
        frames=24,
        gop_s=0.4,
        sound=False,
        options={"x264-params": "interlaced=1:tff=1"},
    )
    result = vidstega.embed(cover, tmp_path / "s.mp4", b"", key=KEY)
    flags = []
    for path in (cover, tmp_path / "s.mp4"):
        with av.open(str(path)) as container:
            flags.append(next(container.decode(video=0)).interlaced_frame)
    assert flags[0] and (flags[1] or any("interlac" in note for note in result.notes))


def test_the_cover_vanishes_at_the_last_packet(small: Path, tmp_path: Path) -> None:
    cover = tmp_path / "cover.mp4"
    cover.write_bytes(small.read_bytes())

    def remove(stage: str, done: int, total: int) -> None:
        if stage == "embed" and done == total:
            cover.unlink(missing_ok=True)

    try:
        vidstega.embed(cover, tmp_path / "s.mp4", b"here", key=KEY, verify=False, progress=remove)
    except VidstegaError:
        assert list(tmp_path.iterdir()) == []
    else:  # all of it had been read by then
        assert vidstega.extract(tmp_path / "s.mp4", key=KEY) == b"here"


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_only_the_damaged_group_is_avoided(n_jobs: int, grouped: Path, tmp_path: Path) -> None:
    """Whichever task fails first; else the bytes depend on the workers, and healthy groups are used up."""
    packets = _packets(grouped)
    packets[26] = packets[26][:4] + b"\x41" + b"\xff" * (len(packets[26]) - 5)
    damaged = _remux(grouped, tmp_path / "damaged.mp4", packets)
    for _ in range(3):
        watched = _Watched()
        _embed(damaged, tmp_path / "s.mp4", DATA, n_jobs=n_jobs, method=watched)
        assert watched.told == [("splice", 24)]
        assert vidstega.extract(tmp_path / "s.mp4", key=KEY) == DATA


def test_noise_fits_webm(tmp_path: Path) -> None:
    """Real-time VP9 drops frames of a noisy cover, and the embedding fails its own checks."""
    noise = tmp_path / "noise.mkv"
    rng = np.random.default_rng(1)
    with av.open(str(noise), "w") as output:
        stream: Any = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 80, "yuv420p"
        for _ in range(30):
            frame = av.VideoFrame.from_ndarray(rng.integers(0, 256, (120, 96), np.uint8), "yuv420p")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    _embed(noise, tmp_path / "s.webm", b"hi")
    assert vidstega.extract(tmp_path / "s.webm", key=KEY) == b"hi"


def test_transport_streams_are_not_read_once_per_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cover = make_cover(tmp_path / "c.ts", width=96, height=80, frames=600, gop_s=1, sound=False)
    solid, read = decode.solid, [0]

    def counted(*arguments: Any) -> Any:
        for packet in solid(*arguments):
            read[0] += 1
            yield packet

    monkeypatch.setattr(decode, "solid", counted)
    _embed(cover, tmp_path / "s.ts", b"", spread="all", verify=False)
    assert 600 <= read[0] < 4 * 600


# -- methods of one's own -------------------------------------------------------------------------------


class _Raising(LSB):
    name = "raising"
    error: Exception = OSError("my table is missing")

    def embed(self, *arguments: Any) -> None:
        raise self.error


class _Short(LSB):
    name = "short"

    def extract(self, *arguments: Any) -> Any:
        return super().extract(*arguments)[:-1]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_error_of_a_method_is_not_blamed_on_the_disk(n_jobs: int, small: Path, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="my table is missing"):
        vidstega.embed(small, tmp_path / "s.mp4", b"", key=KEY, method=_Raising(), n_jobs=n_jobs)
    assert list(tmp_path.iterdir()) == []


def test_a_method_that_returns_too_little(small: Path, tmp_path: Path) -> None:
    with pytest.raises(VidstegaError):
        vidstega.embed(small, tmp_path / "s.mp4", b"", key=KEY, method=_Short())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("field,number", [(12, 1 << 31), (20, (1 << 31) - 1)])
def test_a_fragment_that_points_nowhere_is_one_error(
    small: Path, tmp_path: Path, field: int, number: int
) -> None:
    """Its data offset, then a sample's size (ISO/IEC 14496-12, 8.8.8): the demuxer itself gives up."""
    cover = tmp_path / "fragmented.mp4"
    flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    with av.open(str(small)) as source, av.open(str(cover), "w", options=flags) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    data = bytearray(cover.read_bytes())
    at = data.find(b"trun") + field
    data[at : at + 4] = number.to_bytes(4, "big")
    cover.write_bytes(data)
    for ask in (vidstega.probe, lambda path: vidstega.extract(path, key=KEY)):
        with pytest.raises(InputError, match="damaged and cannot be read"):
            ask(cover)
