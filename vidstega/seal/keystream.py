"""Keyed randomness: AES-256 in counter mode, drawn as NumPy bytes.

The stream is part of the sealed format (it decides which samples carry), so it is defined by bytes
alone and never by the distribution code of a library.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

_ZEROS = bytes(1 << 16)


class KeyStream:
    """An endless stream of uniform bytes under one key and one nonce.

    Parameters
    ----------
    key : bytes
        32 bytes.
    nonce : bytes
        At most 8 bytes; the other half of the AES block counts blocks of 16 bytes (NIST SP 800-38A).
    """

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._cipher = Cipher(algorithms.AES(key), modes.CTR(nonce.ljust(16, b"\0"))).encryptor()

    def bytes(self, n: int) -> NDArray[np.uint8]:
        """Draw the next `n` bytes as a fresh uint8 array of shape (n,)."""
        out = np.empty(n + 15, np.uint8)  # update_into() wants a block of slack
        done = 0
        while done < n:
            take = min(n - done, len(_ZEROS))
            done += self._cipher.update_into(memoryview(_ZEROS)[:take], out.data[done:])
        return out[:n]


@dataclass(frozen=True)
class KeyedRandom:
    """What a method draws from: `positions` again when extracting, `signs` only when embedding."""

    positions: KeyStream
    signs: KeyStream
