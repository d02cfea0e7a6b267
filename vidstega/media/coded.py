"""What the pictures of a stream say of themselves, packet by packet, and what of a packet stays as it is.

A container's key flag is a hint: muxers get it wrong, and a file without a table of sync samples calls all of
them key. Whether decoding can start at a packet is asked of the picture.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import xxhash
from av.packet import Packet
from numpy.typing import NDArray

from vidstega import h264, hevc
from vidstega.errors import InputError
from vidstega.media.heads import Pairs, h264_fields, mpeg2_fields, shows_nothing, start_of
from vidstega.media.source import HIDDEN, IDR, NONREF, SAFE, InBand, ParameterSets

_EACH_ALONE = {"png", "cfhd", "tiff", "bmp", "webp", "dpx", "exr", "targa"}


class Pictures(ABC):
    """Takes the packets of one stream in their order."""

    def __init__(self) -> None:
        self._extra: ParameterSets | None = None
        self._sps: dict[bytes, None] = {}
        self._pps: dict[bytes, None] = {}
        self._in_band = False

    @property
    def length_size(self) -> int:
        """Bytes of length in front of a NAL unit, 0 for start codes and other codecs."""
        return self._extra.length_size if self._extra else 0

    @property
    def sets(self) -> InBand:
        """All distinct parameter sets; none of other codecs than H.264 and HEVC."""
        return InBand(self._extra, tuple(self._sps), tuple(self._pps), self._in_band)

    @property
    def alone(self) -> NDArray[np.int64]:
        """Numbers of pictures that no other refers to, as far as the others had to be seen to know that."""
        return np.zeros(0, np.int64)

    @abstractmethod
    def add(self, packet: Packet[Any], data: Any, key: bool) -> int:
        """Flags that the next packet has beside those of its container.

        Parameters
        ----------
        data : the packet's bytes, as bytes where they are NAL units
        key : whether its container calls it a key picture
        """


def pictures_of(codec: str, context: Any) -> Pictures:
    """For the stream of this codec context; InputError if its header makes no sense."""
    extradata = bytes(context.extradata or b"")
    if codec in ESSENTIAL:
        return (H264Pictures if codec == "h264" else HEVCPictures)(extradata)
    return _OtherPictures(codec, bool(context.codec.intra_only) or codec in _EACH_ALONE)


class _OtherPictures(Pictures):
    """Of a codec that says it in the first bits of a picture, or not at all."""

    def __init__(self, codec: str, each_alone: bool) -> None:
        super().__init__()
        self._codec, self._each_alone, self._pairs = codec, each_alone, Pairs()

    def add(self, packet: Packet[Any], data: Any, key: bool) -> int:
        if self._codec == "mpeg2video":
            hidden = self._pairs.completed_by(mpeg2_fields(bytes(data)))
        else:
            hidden = shows_nothing(self._codec, data)
        start = key and (self._each_alone or start_of(self._codec, data))
        return (HIDDEN if hidden else 0) | (SAFE if start else 0)


class H264Pictures(Pictures):
    """A picture starts decoding if it is an IDR or says that it recovers at once; it says if it is alone."""

    def __init__(self, extradata: bytes) -> None:
        super().__init__()
        self._pairs = Pairs()
        if extradata:
            self._extra = h264.ParameterSets.parse(extradata)
            self._sps, self._pps = dict.fromkeys(self._extra.sps), dict.fromkeys(self._extra.pps)

    def add(self, packet: Packet[Any], data: bytes, key: bool) -> int:
        head, first = h264.until_picture(data, self.length_size)
        idr = safe = bool(first) and first[0] & 31 == h264.NAL_IDR
        for nal in head:
            nal_type = nal[0] & 31 if nal else 0
            if nal_type in (h264.NAL_SPS, h264.NAL_PPS):
                (self._sps if nal_type == h264.NAL_SPS else self._pps).setdefault(nal)
                self._in_band = True
            elif nal_type == h264.NAL_SEI and key:
                safe = safe or h264.recovers_at_once(nal)
        alone = bool(first) and not h264.is_reference(first)
        if first and self._completes(data):
            return HIDDEN
        return (IDR if idr else 0) | (SAFE if safe and key else 0) | (NONREF if alone else 0)

    def _completes(self, data: bytes) -> bool:
        """Whether a packet is but the second field of a picture, and so shows nothing of its own."""
        with suppress(InputError):  # a damaged header pairs nothing
            sps = h264.parse_sps(next(reversed(self._sps))) if self._sps else None
            if sps is None or sps.frame_mbs_only:
                return False
            return self._pairs.completed_by(h264_fields(data, self.length_size, sps))
        return False


class HEVCPictures(Pictures):
    """A picture starts decoding if it is a random access point; alone are those that none refers to."""

    def __init__(self, extradata: bytes) -> None:
        super().__init__()
        self._force, self._references, self._seen = hevc.Sets({}, {}), hevc.References(), 0
        self._take_extradata(extradata)

    @property
    def alone(self) -> NDArray[np.int64]:
        """Numbers of the pictures that no other refers to, in the order they were given in."""
        return np.array(sorted(self._references.alone), np.int64)

    def add(self, packet: Packet[Any], data: bytes, key: bool) -> int:
        if packet.has_sidedata("new_extradata"):  # another sample description
            self._take_extradata(bytes(packet.get_sidedata("new_extradata")))
        first = b""
        for nal in h264.nals(data, self.length_size):
            if hevc.is_slice(nal):
                first = nal
                break
            if hevc.is_set(nal):
                self._in_band = True
                self._take(nal)
        self._references.add(self._seen, hevc.place_of(first, self._force) if first else None)
        self._seen += 1
        kind = hevc.kind_of(first)
        return (IDR if kind in hevc.RESETS else 0) | (SAFE if key and kind in hevc.IRAP else 0)

    def _take_extradata(self, extradata: bytes) -> None:
        if not extradata:
            return
        try:
            found = hevc.ParameterSets.parse(extradata)
        except InputError:
            return  # it has none, then
        self._extra = self._extra or found
        for nal in (*found.sps, *found.pps):
            self._take(nal)

    def _take(self, nal: bytes) -> None:
        """Remember a parameter set; the last one of an id is in force."""
        kind = hevc.kind_of(nal)
        if kind not in (hevc.NAL_SPS, hevc.NAL_PPS):
            return
        (self._sps if kind == hevc.NAL_SPS else self._pps).setdefault(nal)
        with suppress(InputError):  # pictures under it cannot be read, and may refer to anything
            if kind == hevc.NAL_SPS:
                sps = hevc.parse_sps(nal)
                self._force.sps[sps.id] = sps
            else:
                pps = hevc.parse_pps(nal)
                self._force.pps[pps.id] = pps


ESSENTIAL: dict[str, Callable[[bytes], bool]] = {
    "h264": lambda nal: bool(nal) and nal[0] & 31 not in (7, 8, 9, 12),
    "hevc": hevc.is_counted,
}
"""By codec, whether a NAL unit stays with its packet in whatever container."""


def essence(data: Any, codec: str, length_size: int) -> list[Any]:
    """What of a packet is neither added, taken away nor repacked by containers, in pieces."""
    if codec in ESSENTIAL:
        return list(filter(ESSENTIAL[codec], h264.nals(bytes(data), length_size)))
    if codec == "aac":
        view = memoryview(data)
        if len(view) > 7 and view[0] == 0xFF and view[1] & 0xF6 == 0xF0:  # ADTS
            return [view[7 if view[1] & 1 else 9 :]]
    return [data]


def essence_digest(data: Any, codec: str, length_size: int) -> int:
    """The digest that a packet has in the table of a scan."""
    digest = xxhash.xxh3_64()
    for part in essence(data, codec, length_size):
        digest.update(part)
    return digest.intdigest()
