"""Pictures: where one stands, and pictures of I_PCM macroblocks, which store raw samples in every profile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidstega.h264.bits import Bits, BitWriter, escape, unescape
from vidstega.h264.nal import NAL_IDR, SLICE_HEAD
from vidstega.h264.sets import CHROMA_SHIFT, SPS

_IDR_PIC_ID = 65530  # far from where encoders count; + 0 or 1, so that neighbours differ


@dataclass(frozen=True)
class Moment:
    """Where a picture stands in decoding and in display: frame_num and pic_order_cnt_lsb (7.4.3)."""

    frame_num: int
    poc_lsb: int


def moment_of(nal: bytes, sps: SPS) -> Moment:
    """The place of the picture that a slice of a progressive stream belongs to."""
    bits, frame_num = _to_frame_num(nal, sps)
    if nal[0] & 31 == NAL_IDR:
        bits.ue()
    return Moment(frame_num, bits.u(sps.numbering.log2_poc_lsb))


@dataclass(frozen=True)
class Field:
    """One field of a picture that is coded as two (7.4.3): which, and of which picture."""

    bottom: bool
    frame_num: int

    def is_half_with(self, other: Field) -> bool:
        """Whether both are the two fields of one picture."""
        return self.bottom != other.bottom and self.frame_num == other.frame_num


def field_of(nal: bytes, sps: SPS) -> Field | None:
    """The field a slice belongs to; None if it belongs to a whole frame."""
    if sps.frame_mbs_only:
        return None
    bits, frame_num = _to_frame_num(nal, sps)
    return Field(bool(bits.u(1)), frame_num) if bits.u(1) else None


def _to_frame_num(nal: bytes, sps: SPS) -> tuple[Bits, int]:
    """A slice's header, read up to its frame_num, and that."""
    bits = Bits(unescape(nal[:SLICE_HEAD])[1:])
    bits.ue(), bits.ue(), bits.ue()  # first_mb_in_slice, slice_type, pic_parameter_set_id
    bits.u(2 if sps.separate_planes else 0)
    return bits, bits.u(sps.numbering.log2_frame_num)


def is_reference(nal: bytes) -> bool:
    """Whether other pictures may be predicted from the one this slice belongs to (nal_ref_idc)."""
    return bool(nal[0] & 0x60)


Planes = Iterable[NDArray[np.uint8]]


class PCMWriter:
    """Writes pictures of I_PCM macroblocks (7.3.5, mb_type 25) under one SPS and one PPS.

    Planes are uint8 of shape (height, width), luma first, cropped as displayed; the coded size is
    filled by repeating the edge.
    """

    def __init__(self, sps: SPS, pps: int) -> None:
        self._sps, self._pps = sps, pps

    def idr(self, planes: Planes, ordinal: int) -> bytes:
        """An IDR picture as one NAL unit, without start code or length. Neighbours have other ordinals."""
        start = Moment(0, 0)
        head = self._order(self._slice_header(start).ue(_IDR_PIC_ID + ordinal % 2), start)
        return b"\x65" + self._slice(head.u(2, 0), planes)  # reference marking

    def stand_in(self, planes: Planes, place: Moment) -> bytes:
        """The same for a picture that stands in for one nothing else is predicted from, at its place."""
        return b"\x01" + self._slice(self._order(self._slice_header(place), place), planes)

    def _slice_header(self, place: Moment) -> BitWriter:
        return BitWriter().ue(0).ue(7).ue(self._pps).u(self._sps.numbering.log2_frame_num, place.frame_num)

    def _order(self, head: BitWriter, place: Moment) -> BitWriter:
        head.u(self._sps.numbering.log2_poc_lsb, place.poc_lsb)
        if self._sps.numbering.poc_type == 1 and not self._sps.numbering.delta_poc_zero:
            head.ue(0)
        return head

    def _slice(self, head: BitWriter, planes: Planes) -> bytes:
        columns, rows = self._sps.mb_size
        size = 2 + self._sps.raw_bytes // (rows * columns)
        blocks = np.empty((rows, columns, size), np.uint8)
        blocks[..., 0], blocks[..., 1] = 0x0D, 0x00  # mb_type 25 as ue(v), then alignment
        at = 2
        for plane in planes if self._sps.chroma_format_idc else [next(iter(planes))]:
            edge_w, edge_h = self._block_size(at == 2)
            block = edge_w * edge_h
            tiled = _pad(plane, rows * edge_h, columns * edge_w).reshape(rows, edge_h, columns, edge_w)
            blocks[..., at : at + block].reshape(rows, columns, edge_h, edge_w)[:] = tiled.swapaxes(1, 2)
            at += block
        head.ue(0).ue(1).ue(25)  # qp delta, deblocking off, the first mb_type
        samples = blocks.reshape(-1)[2:].data
        return escape(b"".join((head.bytes(), samples, b"\x80")))

    def _block_size(self, luma: bool) -> tuple[int, int]:
        shift = None if luma else CHROMA_SHIFT[self._sps.chroma_format_idc]
        return (16, 16) if shift is None else (16 >> shift[0], 16 >> shift[1])


def _pad(plane: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    missing = (0, height - plane.shape[0]), (0, width - plane.shape[1])
    return np.pad(plane, missing, "edge") if plane.shape != (height, width) else plane
