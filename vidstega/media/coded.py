"""What the NAL units of a packet tell: what of it stays as it is, and which pictures of HEVC are free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xxhash
from av.packet import Packet
from numpy.typing import NDArray

from vidstega import h264, hevc
from vidstega.errors import InputError
from vidstega.media.source import IDR, InBand


class HEVCPictures:
    """Collects parameter sets, and which pictures no other refers to.

    Parameters
    ----------
    extradata : of the stream
    """

    def __init__(self, extradata: bytes) -> None:
        self._extra: hevc.ParameterSets | None = None
        self._sps: dict[bytes, None] = {}
        self._pps: dict[bytes, None] = {}
        self._in_band, self._sets = False, hevc.Sets({}, {})
        self._references, self._seen = hevc.References(), 0
        self._take_extradata(extradata)

    @property
    def length_size(self) -> int:
        """Bytes of length in front of a NAL unit, 0 for start codes."""
        return self._extra.length_size if self._extra else 0

    @property
    def alone(self) -> NDArray[np.int64]:
        """Numbers of the pictures that no other refers to, in the order they were given in."""
        return np.array(sorted(self._references.alone), np.int64)

    def sets(self) -> InBand[hevc.ParameterSets]:
        """All distinct parameter sets."""
        return InBand(self._extra, tuple(self._sps), tuple(self._pps), self._in_band)

    def add(self, packet: Packet[Any], data: bytes) -> int:
        """Take the next packet; the flag of one that no later picture refers back across."""
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
        self._references.add(self._seen, hevc.place_of(first, self._sets) if first else None)
        self._seen += 1
        return IDR if first and hevc.kind_of(first) in hevc.RESETS else 0

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
        try:
            if kind == hevc.NAL_SPS:
                sps = hevc.parse_sps(nal)
                self._sets.sps[sps.id] = sps
            else:
                pps = hevc.parse_pps(nal)
                self._sets.pps[pps.id] = pps
        except InputError:
            return  # pictures under it cannot be read, and may refer to anything


ESSENTIAL: dict[str, Callable[[bytes], bool]] = {
    "h264": lambda nal: bool(nal) and nal[0] & 31 not in (7, 8, 9, 12),
    "hevc": hevc.is_counted,
}
"""By codec, whether a NAL unit stays with its packet in whatever container."""


def essence(data: bytes, codec: str, length_size: int) -> list[bytes]:
    """The NAL units of a packet of H.264 or HEVC without what containers add, take away or repack."""
    return list(filter(ESSENTIAL[codec], h264.nals(data, length_size)))


def essence_digest(data: bytes, codec: str, length_size: int) -> int:
    """The digest that a packet of H.264 or HEVC has in the table of a scan."""
    return short_digest(essence(data, codec, length_size))


def length_size_of(codec: str, extradata: bytes) -> int:
    """Bytes of length in front of a NAL unit of either, 0 for start codes and other codecs."""
    if codec == "h264" and extradata:
        return h264.ParameterSets.parse(extradata).length_size
    return HEVCPictures(extradata).length_size if codec == "hevc" else 0


def short_digest(parts: Any) -> int:
    """Of one or several buffers."""
    digest = xxhash.xxh3_64()
    for part in parts if isinstance(parts, list) else (parts,):
        digest.update(part)
    return digest.intdigest()
