"""What `signs` asks of a codec, and the two that answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidstega import h264, hevc
from vidstega.carriers.signs.cost import MAY_ROUGHEN
from vidstega.errors import InputError, UnsupportedError
from vidstega.h264 import scaling as h264_scaling
from vidstega.h264 import slices as h264_slices
from vidstega.h264 import walk as h264_walk
from vidstega.hevc import quanta as hevc_quanta
from vidstega.hevc import slices as hevc_slices
from vidstega.hevc import walk as hevc_walk
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


@dataclass(frozen=True, kw_only=True)
class Codec:
    """How one codec's pictures are read; the sets of parameter sets are its own.

    Parameters
    ----------
    kernels : modules that are compiled when they are first imported
    tells_all : whether every picture that no other refers to is known, not only those that say so themselves
    may_roughen : of signs turned, those that roughen edges less those that smooth them; see
        `cost.steepness_for`
    parse : read parameter sets; of two with one id the later holds. InputError if one makes no sense
    refused : why slices under two sets are not read
    walk_picture, usable : a picture walked through, and which of its signs may be turned
    quanta : the size in samples of a level of 1 at each sign
    blocks_of : where the blocks of signs lie
    is_slice : whether a NAL unit is a slice
    unread : why a picture of these units carries nothing, or nothing
    """

    kernels: tuple[str, ...]
    tells_all: bool
    may_roughen: float
    parse: Callable[[Sequence[bytes], Sequence[bytes]], Any]
    refused: Callable[[Any, Any], str | None]
    walk_picture: Callable[[Sequence[bytes], Any], Picture]
    usable: Callable[[Picture], NDArray[np.bool_]]
    quanta: Callable[[Signs, Sequence[bytes], Any], Floats]
    blocks_of: Callable[[Signs, Any], Blocks]
    is_slice: Callable[[bytes], bool]
    unread: Callable[[list[bytes]], str]

    def units(self, packet: bytes, length_size: int) -> Units:
        """Find the slices of a packet."""
        places = list(h264.places(packet, length_size))
        units = [packet[start:stop] for start, stop in places]
        slices = tuple(place for place, nal in zip(places, units, strict=True) if self.is_slice(nal))
        return Units(slices, self.unread(units))

    def walk(self, units: Sequence[bytes], sets: Any) -> tuple[Picture, NDArray[np.bool_]]:
        """A picture walked through, and which of its signs may be turned."""
        picture = self.walk_picture(units, sets)
        return picture, self.usable(picture)

    def blocks(self, signs: Signs, sets: Any) -> Blocks:
        """Where the blocks of signs lie."""
        return self.blocks_of(signs, next(iter(sets.sps.values())))

    def coded_size(self, sets: Any) -> tuple[int, int] | None:
        """(width, height) of coded pictures; None if what is shown does not begin in their corner."""
        sps = next(iter(sets.sps.values()))
        size: tuple[int, int] = sps.size
        return None if sps.crop[0] or sps.crop[2] else size

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
        if scan.sets.extra is None:
            return "it has no parameter sets"
        try:
            sets = self.parse(scan.sets.sps, scan.sets.pps)
            pairs = [(sets.sps[pps.sps_id], pps) for pps in sets.pps.values() if pps.sps_id in sets.sps]
            if (why := next(filter(None, (self.refused(*pair) for pair in pairs)), None)) is not None:
                return why
            self.sets(scan)
        except (InputError, UnsupportedError) as error:
            return str(error)
        return None


def _unread_h264(units: list[bytes]) -> str:
    return _SEVERAL if any(nal[0] & 31 in _VIEWS for nal in units if nal) else ""


def _unread_hevc(units: list[bytes]) -> str:
    if any(map(hevc.is_of_layer, units)):
        return _SEVERAL
    return "its pictures come with a digest of what they decode to (SEI)" if hevc.tells_hash(units) else ""


CODECS = {
    "h264": Codec(
        kernels=("vidstega.h264.cabac", "vidstega.h264.cavlc"),
        tells_all=False,
        may_roughen=MAY_ROUGHEN,
        parse=h264_slices.Sets.parse,
        refused=h264_slices.refusal,
        walk_picture=h264_walk.walk_picture,
        usable=h264_walk.usable,
        quanta=h264_scaling.quanta,
        blocks_of=h264_scaling.blocks_of,
        is_slice=lambda nal: bool(nal) and nal[0] & 31 in range(1, 6),
        unread=_unread_h264,
    ),
    "hevc": Codec(
        kernels=("vidstega.hevc.cabac",),
        tells_all=True,
        may_roughen=0.1,
        parse=hevc_slices.Sets.parse,
        refused=hevc_slices.refusal,
        walk_picture=hevc_walk.walk_picture,
        usable=hevc_walk.usable,
        quanta=hevc_quanta.quanta,
        blocks_of=hevc_walk.blocks_of,
        is_slice=hevc.is_slice,
        unread=_unread_hevc,
    ),
}
"""By FFmpeg's names."""


def codec_of(scan: Scan) -> Codec:
    """The codec of a video that has one of these."""
    return CODECS[scan.codec]
