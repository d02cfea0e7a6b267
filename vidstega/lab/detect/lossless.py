"""Whether a stream is coded without loss, as far as its headers tell."""

from __future__ import annotations

from contextlib import suppress

from vidstega import h264, hevc
from vidstega.errors import InputError
from vidstega.h264.bits import Bits
from vidstega.media.open import reading, solid
from vidstega.media.source import Scan

_WITHOUT_LOSS = {"ffv1", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "rawvideo", "png", "v210", "lagarith"}
_HEAD = 4096
_START_CODE = 0x498342


def lossless_by(scan: Scan) -> str:
    """By what the headers say that nothing is lost; empty if they do not.

    Read are names of codecs that lose nothing, the transform bypass of H.264 (7.4.2.1.1) and HEVC
    (7.4.3.3.1), and the quantizer of VP9's first picture (VP9 bitstream specification, 7.2). AV1's is not.
    """
    if scan.codec in _WITHOUT_LOSS:
        return scan.codec
    if scan.codec == "h264":
        return "H.264 with transform bypass" if _bypassed(scan) else ""
    with suppress(InputError):
        if scan.codec == "hevc" and any(hevc.parse_pps(pps).lossless_blocks for pps in scan.sets.pps):
            return "HEVC with transquant bypass"
        if scan.codec == "vp9" and _vp9(_heads(scan)[1]):
            return "VP9 with quantizer 0"
    return ""


def head_of(scan: Scan) -> bytes:
    """The stream's header and the first bytes of its first packet, where encoders leave their notes."""
    return b"".join(_heads(scan))


def _heads(scan: Scan) -> tuple[bytes, bytes]:
    with reading(scan.path, skip_frame="all") as container:
        stream = container.streams[scan.index]
        first = bytes(next(solid(container, stream), b""))
        return bytes(stream.codec_context.extradata or b""), first[:_HEAD]


def _bypassed(scan: Scan) -> bool:
    with suppress(InputError):
        return any(h264.parse_sps(sps).tools.lossless for sps in scan.sets.sps)
    return False


def _vp9(frame: bytes) -> bool:
    """Whether the uncompressed header of a key frame has quantizer 0 and no deltas (6.2)."""
    bits = Bits(frame[:64])
    bits.u(2)
    profile = bits.u(1) | bits.u(1) << 1
    if profile == 3:
        bits.u(1)
    if bits.u(1) or bits.u(1):  # shows another, or is no key frame
        return False
    bits.u(1)
    resilient = bits.u(1)
    if bits.u(24) != _START_CODE:
        return False
    if profile >= 2:
        bits.u(1)
    if bits.u(3) != 7:  # not sRGB: a range, and for odd profiles subsampling
        bits.u(4 if profile & 1 else 1)
    elif profile & 1:
        bits.u(1)
    bits.u(32)
    if bits.u(1):
        bits.u(32)
    bits.u(2 if resilient else 4)  # contexts: which is refreshed, whether in parallel, which is taken
    bits.u(9)  # loop filter: level, sharpness
    if bits.u(1) and bits.u(1):
        for _ in range(6):  # deltas of four references and two modes
            if bits.u(1):
                bits.u(7)
    quantizer = bits.u(8)
    return quantizer == 0 and not any([bits.u(1), bits.u(1), bits.u(1)])
