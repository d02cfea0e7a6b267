"""What a pass over the packets of an HEVC stream tells of its pictures, by the heads of their slices."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.packet import Packet
from numpy.typing import NDArray

from vidstega import hevc
from vidstega.errors import InputError
from vidstega.h264.nal import nals
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
        for nal in nals(data, self.length_size):
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
