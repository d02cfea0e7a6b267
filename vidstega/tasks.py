"""What a worker does: decode a part, carry or read the payload, code it, leave a file and a small record.

Tasks take paths and numbers alone, so that threads, processes and clusters run them alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from vidstega import h264, payload, splice, video
from vidstega.carrier import Carrier
from vidstega.clock import Clock
from vidstega.errors import OutputError, VerificationError
from vidstega.payload import Area, Keys, Layout
from vidstega.plan import Part
from vidstega.splice import Row
from vidstega.video import KEY, PACKET, Encoder, Lossless, Packets, Source


@dataclass(frozen=True)
class Message:
    """What every task of one message needs to know. `spool` is written by readers and read by writers."""

    carrier: Carrier
    keys: Keys
    layout: Layout
    spool: Path


@dataclass(frozen=True)
class Coder:
    """How frames become packets: a lossless codec, or raw pictures under the source's own SPS."""

    container: str
    lossless: Lossless | None = None
    sps: h264.SPS | None = None
    pps_id: int = 0
    length_size: int = 0
    in_band: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Job:
    """One part and the rows of the packet table it decodes."""

    source: Source
    part: Part
    packets: Packets
    message: Message
    threads: int = 1
    digest: bool = False


@dataclass(frozen=True)
class Written:
    """A part on disk, packet after packet in `path`. Iterating gives them and deletes the file."""

    path: Path
    packets: Packets
    extradata: bytes
    digests: NDArray[np.uint64]
    seconds: dict[str, float]

    def __iter__(self) -> Iterator[tuple[Row, bytes]]:
        with self.path.open("rb") as part:
            for row in self.packets.tolist():
                yield row, part.read(row[5])
        self.path.unlink()


def _writable(path: Path) -> BinaryIO:
    try:
        return path.open("xb")
    except OSError as error:
        raise OutputError(f"a part cannot be written: {error.strerror}") from None


class Coding:
    """A part being coded: iterating decodes its frames, embeds, and gives packets as they come.

    ``digests`` (of the frames as they were coded, if the job asks for them) and ``seconds`` are complete
    when the iteration is.
    """

    def __init__(self, job: Job, coder: Coder) -> None:
        _make_room(job)
        self._job = job
        self._sink = _CodedFrames(job, coder, coder.lossless) if coder.lossless else _RawPictures(job, coder)
        self._clock = Clock()
        self._digests: list[int] = []
        self.extradata = self._sink.extradata

    @property
    def digests(self) -> NDArray[np.uint64]:
        return np.array(self._digests, np.uint64)

    @property
    def seconds(self) -> dict[str, float]:
        return self._clock.seconds

    def __iter__(self) -> Iterator[tuple[Row, Any]]:
        job, clock, times = self._job, self._clock, []
        clock.start()
        for number, frame in enumerate(_frames(job, self._sink.on_packet)):
            if number == 0:
                video.check_format(frame)
            clock.lap("decode")
            if number < job.part.carrying:
                _carry(job, number, frame)
                clock.lap("embed")
            if job.digest:
                self._digests.append(video.frame_digest(frame))
                clock.lap("digest")
            packets = self._sink.put(frame)
            clock.lap("encode")
            times += [row[0] for row, _ in packets]
            yield from packets
            clock.start()
        del frame
        packets = self._sink.finish()
        clock.lap("encode")
        times += [row[0] for row, _ in packets]
        yield from packets
        if not np.array_equal(np.sort(times), job.part.pts):
            raise VerificationError(
                f"part {job.part.index}: {len(job.part.pts)} frames were coded as {len(times)} packets "
                "with other times"
            )


def write_part(job: Job, coder: Coder, path: Path) -> Written:
    """Code a part into a file."""
    coding, rows = Coding(job, coder), []
    with _writable(path) as out:
        for row, data in coding:
            rows.append(row)
            try:
                out.write(data)
                out.flush()
            except OSError as error:
                raise OutputError(f"a part cannot be written: {error.strerror}") from None
    return Written(path, np.array(rows, PACKET), coding.extradata, coding.digests, coding.seconds)


def read_part(job: Job) -> NDArray[np.uint64]:
    """Decode a part's frames, put what they carry in its place in the spool, and give their digests."""
    digests, part, message = [], job.part, job.message
    _make_room(job)
    wanted = part.pts if job.digest else part.pts[: part.carrying]
    with message.spool.open("r+b") as spool:
        spool.seek(part.offset)
        for number, frame in enumerate(_frames(job, pts=wanted, alone=part.stand_in)):
            if number < part.carrying:
                luma = video.planes(frame)[0]
                spool.write(
                    message.carrier.read_body(
                        luma, message.keys, part.run, part.frame + number, message.layout.frame_bytes
                    )
                )
            if job.digest:
                digests.append(video.frame_digest(frame))
    return np.array(digests, np.uint64)


def _make_room(job: Job) -> None:
    """Give back what was decoded before, but for the few frames of a single picture: it takes its time."""
    if job.part.index or not job.part.stand_in:
        video.let_go()


def _frames(
    job: Job, on_packet: Any = None, pts: NDArray[np.int64] | None = None, alone: bool = False
) -> Iterator[VideoFrame]:
    wanted = job.part.pts if pts is None else pts
    first, rows = job.part.first, job.packets
    return video.decode_span(job.source, first, rows, wanted, job.threads, on_packet, alone=alone)


def _carry(job: Job, number: int, frame: VideoFrame) -> None:
    part, message = job.part, job.message
    layout, keys, carrier = message.layout, message.keys, message.carrier
    at = part.frame + number
    before = carrier.run_bytes(layout.frame_bytes, part.run, at)
    start = part.offset + before - carrier.run_bytes(layout.frame_bytes, part.run, part.frame)
    size = carrier.body_bytes(layout.frame_bytes, part.run, at)
    contents = {Area.BODY: payload.read_stream(message.spool, start, size, keys)}
    if at == 0:
        contents[Area.MARK] = payload.seal_mark(keys, part.run, layout.runs, part.run_frames)
    if at == 0 and part.run == 0:
        contents[Area.SALT] = keys.salt
        contents[Area.HEADER] = payload.seal_header(keys, layout)
    frame.make_writable()
    carrier.write(video.planes(frame)[0], keys, part.run, at, contents)


class _RawPictures:
    """Writes each frame as one picture of raw samples, with the times of the packets it replaces."""

    def __init__(self, job: Job, coder: Coder) -> None:
        assert coder.sps is not None
        start, stop = job.part.replaced
        rows = job.packets[start - job.part.first : stop - job.part.first]
        self._times = iter(zip(np.sort(rows["pts"]).tolist(), np.sort(rows["dts"]).tolist(), strict=True))
        self._durations = dict(zip(rows["pts"].tolist(), rows["duration"].tolist(), strict=True))
        self._writer = h264.PCMWriter(coder.sps, coder.pps_id)
        self._coder, self._ordinal = coder, start
        self._stand_in, self._sps = job.part.stand_in, coder.sps
        self._replaced: dict[int, tuple[list[bytes], bytes]] = {}
        self.extradata = b""

    def on_packet(self, packet: Packet[Any]) -> None:
        """Keep of a packet what the picture that takes its place needs: its captions and its slice's head."""
        if packet.pts is not None and packet.pts in self._durations:
            head, first = h264.until_picture(bytes(packet), self._coder.length_size)
            captions = [nal for nal in map(h264.captions_of, head) if nal]
            self._replaced[packet.pts] = captions, first[: h264.SLICE_HEAD]

    def put(self, frame: VideoFrame) -> list[tuple[Row, Any]]:
        pts, dts = next(self._times)
        captions, first = self._replaced.pop(pts)
        planes = video.planes(frame)
        if self._stand_in:
            picture = self._writer.stand_in(planes, h264.moment_of(first, self._sps))
        else:
            picture = self._writer.idr(planes, self._ordinal)
        data = h264.pack([*self._coder.in_band, *captions, picture], self._coder.length_size)
        self._ordinal += 1
        return [((pts, dts, self._durations[pts], -1, 0, len(data), 0 if self._stand_in else KEY), data)]

    def finish(self) -> list[tuple[Row, Any]]:
        return []


class _CodedFrames:
    """Feeds a lossless encoder and gives what comes out of it."""

    on_packet = None

    def __init__(self, job: Job, coder: Coder, lossless: Lossless) -> None:
        self._encoder: Encoder | None = Encoder(job.source, lossless, splice.wants_header(coder.container))
        rows = job.packets
        self._durations = dict(zip(rows["pts"].tolist(), rows["duration"].tolist(), strict=True))
        self.extradata = self._encoder.extradata

    def put(self, frame: VideoFrame | None) -> list[tuple[Row, Any]]:
        packets: list[tuple[Row, Any]] = []
        assert self._encoder is not None
        for packet in self._encoder.encode(frame):
            assert packet.pts is not None
            dts = packet.pts if packet.dts is None else packet.dts
            duration = self._durations.get(packet.pts, 0)
            flags = KEY if packet.is_keyframe else 0
            packets.append(((packet.pts, dts, duration, -1, 0, packet.size, flags), packet))
        return packets

    def finish(self) -> list[tuple[Row, Any]]:
        packets = self.put(None)
        self._encoder = None  # its frames are let go before the next part makes its own
        return packets
