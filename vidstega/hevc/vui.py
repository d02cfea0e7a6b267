"""What of a sequence parameter set is only passed over to get to what follows: profile, VUI, HRD."""

from __future__ import annotations

from vidstega.errors import InputError
from vidstega.h264.bits import Bits

_EXTENDED_SAR = 255
_MOST_CPB = 32


def pass_profile(bits: Bits, layers: int) -> None:
    """profile_tier_level( 1, layers - 1 ) (7.3.3)."""
    bits.u(88 + 8)
    told = [(bits.u(1), bits.u(1)) for _ in range(layers - 1)]
    if told:
        bits.u(2 * (8 - len(told)))
    for profile, level in told:
        bits.u(88 * profile + 8 * level)


def read_vui(bits: Bits, layers: int) -> bool:
    """vui_parameters( ) (E.2.1); gives field_seq_flag, whether pictures are fields."""
    if bits.u(1) and bits.u(8) == _EXTENDED_SAR:
        bits.u(32)
    if bits.u(1):  # overscan_info_present_flag
        bits.u(1)
    if bits.u(1):  # video_signal_type_present_flag
        bits.u(4)
        bits.u(24 * bits.u(1))
    if bits.u(1):  # chroma_loc_info_present_flag
        bits.ue(), bits.ue()
    _, fields, _ = bits.u(1), bits.u(1), bits.u(1)  # neutral chroma; field_seq; frame_field_info_present
    if bits.u(1):  # default_display_window_flag
        for _ in range(4):
            bits.ue()
    if bits.u(1):  # vui_timing_info_present_flag
        bits.u(64)
        if bits.u(1):
            bits.ue()
        if bits.u(1):
            _pass_hrd(bits, layers)
    if bits.u(1):  # bitstream_restriction_flag
        bits.u(3)
        for _ in range(5):
            bits.ue()
    return bool(fields)


def _pass_hrd(bits: Bits, layers: int) -> None:
    """hrd_parameters( 1, layers - 1 ) (E.2.2)."""
    nal, vcl, by_part = bits.u(1), bits.u(1), 0
    if nal or vcl:
        by_part = bits.u(1)
        bits.u(19 * by_part)
        bits.u(8)
        bits.u(4 * by_part)
        bits.u(15)
    for _ in range(layers):
        fixed, low_delay, count = bits.u(1), 0, 1
        fixed = fixed or bits.u(1)
        if fixed:
            bits.ue()
        else:
            low_delay = bits.u(1)
        if not low_delay:
            count = 1 + bits.ue()
        if count > _MOST_CPB:
            raise InputError("an HEVC sequence parameter set makes no sense; the video is damaged")
        for _ in range(count * (nal + vcl)):
            for _ in range(4 if by_part else 2):
                bits.ue()
            bits.u(1)
