"""What `signs` asks of a codec, and the two that answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidstega import h264, hevc
from vidstega.carriers.signs.cost import MAY_ROUGHEN
from vidstega.errors import InputError, UnsupportedError
from vidstega.h264 import slices as h264_slices
from vidstega.media.source import Scan
from vidstega.residual import Blocks, Picture, Signs

Places = tuple[tuple[int, int], ...]
Floats = NDArray[np.float32]

_VIEWS = {14, 15, 20, 21}
"""NAL types of H.264 of several views or layers, which predict pictures from each other's."""
_SEVERAL = "its pictures are of several views or layers"


@dataclass(frozen=True)
class Units:
    """The NAL units of a packet.

    Parameters
    ----------
    slices : where in the packet its slices lie, as [start, stop)
    obstacle : empty, or why the picture carries nothing
    """

    slices: Places
    obstacle: str = ""


class Codec(ABC):
    """How one codec's pictures are read; the sets of parameter sets are its own."""

    kernels: tuple[str, ...]
    """Modules that are compiled when they are first imported."""
    tells_all: bool
    """Whether every picture that no other refers to is known, not only those that say so themselves."""
    may_roughen: float
    """Of signs turned, those that roughen edges less those that smooth them; see `cost.steepness_for`."""

    @abstractmethod
    def parse(self, sps: Sequence[bytes], pps: Sequence[bytes]) -> Any:
        """Read them; of two with one id the later holds. InputError if one makes no sense."""

    @abstractmethod
    def refusal(self, sets: Any) -> str | None:
        """Why slices under these sets are not read."""

    @abstractmethod
    def units(self, packet: bytes, length_size: int) -> Units:
        """Find the slices of a packet."""

    @abstractmethod
    def walk(self, units: Sequence[bytes], sets: Any) -> tuple[Picture, NDArray[np.bool_]]:
        """A picture walked through, and which of its signs may be turned."""

    @abstractmethod
    def quanta(self, signs: Signs, units: Sequence[bytes], sets: Any) -> Floats:
        """The size in samples of a level of 1 at each sign."""

    @abstractmethod
    def blocks(self, signs: Signs, sets: Any) -> Blocks:
        """Where the blocks of signs lie."""

    @abstractmethod
    def coded_size(self, sets: Any) -> tuple[int, int] | None:
        """(width, height) of coded pictures; None if what is shown does not begin in their corner."""

    @abstractmethod
    def is_other(self, nal: bytes) -> bool:
        """Whether a unit is no slice, but one that containers leave alone."""

    def sets(self, scan: Scan) -> Any:
        """The parameter sets of a video, which are the same from its first picture to its last.

        Raises
        ------
        UnsupportedError
            If they are not.
        """
        if "sets" not in scan.memo:
            seen = scan.sets
            sets = self.parse(seen.sps, seen.pps)
            if self.parse(seen.sps[::-1], seen.pps[::-1]) != sets:
                raise UnsupportedError("its parameter sets change in mid-stream")
            scan.memo["sets"] = sets
        return scan.memo["sets"]

    def obstacle(self, scan: Scan) -> str | None:
        """Why no picture under the video's parameter sets carries."""
        seen = scan.sets
        if seen.extra is None:
            return "it has no parameter sets"
        try:
            if (why := self.refusal(self.parse(seen.sps, seen.pps))) is not None:
                return why
            self.sets(scan)
        except (InputError, UnsupportedError) as error:
            return str(error)
        return None


class _H264(Codec):
    kernels = ("vidstega.h264.cabac", "vidstega.h264.cavlc")
    tells_all = False
    may_roughen = MAY_ROUGHEN

    def parse(self, sps: Sequence[bytes], pps: Sequence[bytes]) -> h264_slices.Sets:
        return h264_slices.Sets.parse(sps, pps)

    def refusal(self, sets: h264_slices.Sets) -> str | None:
        pairs = [(sets.sps[pps.sps_id], pps) for pps in sets.pps.values() if pps.sps_id in sets.sps]
        return next(filter(None, (h264_slices.refusal(*pair) for pair in pairs)), None)

    def units(self, packet: bytes, length_size: int) -> Units:
        places = list(h264.places(packet, length_size))
        kinds = [packet[start] & 31 if stop > start else 0 for start, stop in places]
        slices = tuple(place for place, kind in zip(places, kinds, strict=True) if kind in range(1, 6))
        return Units(slices, _SEVERAL if _VIEWS & set(kinds) else "")

    def walk(self, units: Sequence[bytes], sets: h264_slices.Sets) -> tuple[Picture, NDArray[np.bool_]]:
        from vidstega.h264.walk import usable, walk_picture

        picture = walk_picture(units, sets)
        return picture, usable(picture)

    def quanta(self, signs: Signs, units: Sequence[bytes], sets: h264_slices.Sets) -> Floats:
        from vidstega.h264.scaling import quanta

        return quanta(signs, units, sets)

    def blocks(self, signs: Signs, sets: h264_slices.Sets) -> Blocks:
        from vidstega.h264.scaling import blocks_of

        return blocks_of(signs, next(iter(sets.sps.values())).mb_size[0])

    def coded_size(self, sets: h264_slices.Sets) -> tuple[int, int] | None:
        sps = next(iter(sets.sps.values()))
        return None if sps.crop[0] or sps.crop[2] else (16 * sps.mb_size[0], 16 * sps.mb_size[1])

    def is_other(self, nal: bytes) -> bool:
        return nal[0] & 31 not in range(1, 6)


class _HEVC(Codec):
    kernels = ("vidstega.hevc.cabac",)
    tells_all = True
    may_roughen = 0.1

    def parse(self, sps: Sequence[bytes], pps: Sequence[bytes]) -> hevc.Sets:
        return hevc.Sets.parse(sps, pps)

    def refusal(self, sets: hevc.Sets) -> str | None:
        from vidstega.hevc.slices import refusal

        pairs = [(sets.sps[pps.sps_id], pps) for pps in sets.pps.values() if pps.sps_id in sets.sps]
        return next(filter(None, (refusal(*pair) for pair in pairs)), None)

    def units(self, packet: bytes, length_size: int) -> Units:
        places = list(h264.places(packet, length_size))
        units = [packet[start:stop] for start, stop in places]
        slices = tuple(place for place, nal in zip(places, units, strict=True) if hevc.is_slice(nal))
        if any(map(hevc.is_of_layer, units)):
            return Units(slices, _SEVERAL)
        told = hevc.tells_hash(units)
        return Units(slices, "its pictures come with a digest of what they decode to (SEI)" if told else "")

    def walk(self, units: Sequence[bytes], sets: hevc.Sets) -> tuple[Picture, NDArray[np.bool_]]:
        from vidstega.hevc.walk import usable, walk_picture

        picture = walk_picture(units, sets)
        return picture, usable(picture)

    def quanta(self, signs: Signs, units: Sequence[bytes], sets: hevc.Sets) -> Floats:
        from vidstega.hevc.quanta import quanta

        return quanta(signs, units, sets)

    def blocks(self, signs: Signs, sets: hevc.Sets) -> Blocks:
        from vidstega.hevc.walk import blocks_of

        return blocks_of(signs, next(iter(sets.sps.values())))

    def coded_size(self, sets: hevc.Sets) -> tuple[int, int] | None:
        sps = next(iter(sets.sps.values()))
        return None if sps.crop[0] or sps.crop[2] else sps.size

    def is_other(self, nal: bytes) -> bool:
        return not hevc.is_slice(nal)


CODECS: dict[str, Codec] = {"h264": _H264(), "hevc": _HEVC()}
"""By FFmpeg's names."""


def codec_of(scan: Scan) -> Codec:
    """The codec of a video that has one of these."""
    return CODECS[scan.codec]
