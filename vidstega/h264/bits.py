"""Bits of headers: Exp-Golomb codes (clause 9.1), emulation prevention (7.4.1); the same in H.265."""

from __future__ import annotations

import re

from vidstega.errors import InputError

_NEEDS_ESCAPE = re.compile(rb"\x00\x00(?=[\x00-\x03])")


class Bits:
    """Big-endian bit reader with Exp-Golomb codes (9.1)."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._size = self._left = 8 * len(data)

    @property
    def position(self) -> int:
        """Bits read so far."""
        return self._size - self._left

    def more(self) -> bool:
        """Whether anything is left before the last 1 bit, which ends an RBSP (7.2, more_rbsp_data)."""
        rest = self._value & ((1 << self._left) - 1)
        return rest & (rest - 1) != 0

    def u(self, n: int) -> int:
        self._left -= n
        if self._left < 0:
            raise InputError("a header of coded pictures ends too early; the video is damaged")
        return (self._value >> self._left) & ((1 << n) - 1)

    def flag(self) -> bool:
        return self.u(1) == 1

    def ue(self) -> int:
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 32:
                raise InputError("a header of coded pictures makes no sense; the video is damaged")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


class BitWriter:
    """Collects bits as text; the headers written here are a few bytes long."""

    def __init__(self) -> None:
        self.bits = ""

    def u(self, n: int, value: int) -> BitWriter:
        self.bits += format(value, f"0{n}b") if n else ""
        return self

    def ue(self, value: int) -> BitWriter:
        code = format(value + 1, "b")
        self.bits += "0" * (len(code) - 1) + code
        return self

    def bytes(self) -> bytes:
        bits = self.bits + "0" * (-len(self.bits) % 8)
        return int(bits, 2).to_bytes(len(bits) // 8, "big")


def escape(rbsp: bytes) -> bytes:
    """Insert emulation prevention bytes (7.4.1)."""
    return _NEEDS_ESCAPE.sub(b"\x00\x00\x03", rbsp)


def unescape(nal: bytes) -> bytes:
    """Remove emulation prevention bytes."""
    return nal.replace(b"\0\0\3", b"\0\0")
