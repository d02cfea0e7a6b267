"""A channel code for few bits under much noise: a systematic irregular repeat-accumulate code.

Every message bit takes part in 3 or 16 checks, two message bits to a check, and the checks run through an
accumulator: parity bit j is the sum of the message bits of the checks up to j (H. Jin, A. Khandekar, R.
McEliece, "Irregular repeat-accumulate codes", 2nd Int. Symp. on Turbo Codes, 2000). Five code bits come from
one message bit. They are sent in a random order that starts again when it has ended, so that a short channel
punctures and a long one repeats. Decoding is sum-product, check after check along the accumulator and back.

What the code is, frozen as part of the carried format
------------------------------------------------------
All randomness is a keystream under SHA-256("vidstega ira | seed as u64 | k as u64", both big-endian), nonces
"edges" and "order"; a permutation is the stable argsort of little-endian u64s. Of `k` message bits the first
round(5k/13) have degree 16, the others 3; if that gives an odd number of edges the last bit gets one more.
The edges (bit 0 first) are permuted and `_spread_out`; edges 2j and 2j + 1 belong to check j.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vidstega.errors import ParameterError
from vidstega.jit import lazy
from vidstega.seal.keystream import KeyStream

ROUNDS = 60
CLASSES = 64
_CLASS_0_BYTES = 16
_LIMIT = 28.0  # log likelihood ratios beyond this say nothing new and cost precision
_NEAR = 6


def class_bytes(index: int) -> int:
    """Bytes of a message of size class `index`, 0 to 63: four classes to the octave, the first 16 bytes.

    >>> [class_bytes(i) for i in (0, 1, 2, 3, 4, 63)]
    [16, 19, 22, 26, 32, 881747]
    """
    if not 0 <= index < CLASSES:
        raise ParameterError(f"no size class {index}; there are 0 to {CLASSES - 1}")
    octave, quarter = divmod(index, 4)
    # in integers, as the last bit of a float power differs between machines
    return (_CLASS_0_BYTES * (1 << octave) * (10000, 11892, 14142, 16818)[quarter]) // 10000


def class_for(size: int) -> int:
    """The smallest size class that holds so many bytes."""
    for index in range(CLASSES):
        if class_bytes(index) >= size:
            return index
    raise ParameterError(f"{size:,} bytes are more than the largest size class, {class_bytes(CLASSES - 1):,}")


@dataclass(frozen=True)
class Decoded:
    """What a decoder found: packed bits, whether every check holds, and after how many rounds."""

    data: bytes
    ok: bool
    rounds: int


@dataclass(frozen=True, eq=False)
class Code:
    """The code for messages of `k` bits; `order` says which code bit is sent at which place.

    Examples
    --------
    >>> code = code_for(16)
    >>> sent = code.encode(b"sixteen bytes ok")[code.order]
    >>> code.decode(code.gather(4.0 - 8.0 * sent)).data
    b'sixteen bytes ok'
    """

    k: int
    checks: NDArray[np.int32] = field(repr=False)
    """Shape (checks, 2): the message bits of each check."""
    order: NDArray[np.int32] = field(repr=False)

    @property
    def n(self) -> int:
        """Code bits: message bits, then one parity bit a check."""
        return self.k + len(self.checks)

    def encode(self, data: bytes) -> NDArray[np.uint8]:
        """Code bits of a message of k / 8 bytes, message first, shape (n,)."""
        bits = np.unpackbits(np.frombuffer(data, np.uint8))
        if len(bits) != self.k:
            raise ParameterError(f"the message has {len(bits)} bits; this code takes {self.k}")
        sums = bits[self.checks[:, 0]] ^ bits[self.checks[:, 1]]
        return np.concatenate([bits, np.bitwise_xor.accumulate(sums)])

    def at(self, start: int, count: int) -> NDArray[np.int32]:
        """Which code bits are sent at the places `start` to `start + count`."""
        return self.order[np.arange(start, start + count) % self.n]

    def gather(self, llr: NDArray[np.float64], start: int = 0) -> NDArray[np.float64]:
        """Sum what was received from place `start` on up for each code bit, shape (n,)."""
        return np.asarray(np.bincount(self.at(start, len(llr)), llr, self.n), np.float64)

    def decode(self, llr: NDArray[np.float64], rounds: int = ROUNDS) -> Decoded:
        """Decode log(P(0) / P(1)) of all code bits, 0 where nothing was received.

        It ends after `rounds` at the latest. `ok` says that what was found is a code word, not that it is
        the right one: with wrong assumptions that happens by chance at most, and the seal has the last word.
        """
        if len(llr) != self.n:
            raise ParameterError(f"{len(llr)} values for {self.n} code bits")
        belief = np.clip(llr, -_LIMIT, _LIMIT).astype(np.float64)
        done = _sum_product(belief, self.checks, rounds, self.k)
        bits = np.packbits(belief[: self.k] < 0)
        return Decoded(bits.tobytes(), done > 0, abs(done))


@lru_cache(maxsize=4)
def code_for(size: int, seed: int = 0) -> Code:
    """The code for messages of `size` bytes, the same for ever for one `seed`."""
    k = 8 * size
    if k < 64:
        raise ParameterError(f"no code for {size} bytes; it takes 8 or more")
    key = hashlib.sha256(b"vidstega ira" + seed.to_bytes(8, "big") + k.to_bytes(8, "big")).digest()
    degrees = np.full(k, 3)
    degrees[: (10 * k + 13) // 26] = 16
    degrees[-1] += degrees.sum() % 2
    edges = np.repeat(np.arange(k, dtype=np.int32), degrees)
    edges = edges[permutation(KeyStream(key, b"edges"), len(edges))]
    _spread_out(edges, np.full(k, -(1 << 30)))
    checks = edges.reshape(-1, 2)
    order = permutation(KeyStream(key, b"order"), k + len(checks)).astype(np.int32)
    return Code(k, checks, order)


def permutation(stream: KeyStream, n: int) -> NDArray[np.int64]:
    """A keyed permutation of 0 to n - 1, drawing 8 n bytes."""
    return np.argsort(stream.bytes(8 * n).view("<u8"), kind="stable")


@lazy
def _spread_out(edges: NDArray[np.int32], last: NDArray[np.int64]) -> None:
    """Move edges so that no bit is in a check twice or in near ones: short loops feed on themselves."""
    n = len(edges)
    for i in range(n):
        check = i // 2
        swap = i
        for step in range(64):
            if check - last[edges[swap]] > _NEAR:
                break
            swap = i + 1 + (step * 37) % (n - i - 1) if i + 1 < n else i
        edges[i], edges[swap] = edges[swap], edges[i]
        last[edges[i]] = check


@lazy
def _sum_product(belief: NDArray[np.float64], checks: NDArray[np.int32], rounds: int, k: int) -> int:
    """Layered belief propagation in place; the number of rounds, negative if checks are left open."""
    m = len(checks)
    told = np.zeros((m, 4), np.float32)
    for number in range(1, rounds + 1):
        for i in range(m):
            # against the accumulator every second time, so that news travels both ways
            j = i if number & 1 else m - 1 - i
            _update(belief, told[j], checks[j, 0], checks[j, 1], k + j, j > 0)
        if _all_hold(belief, checks, k):
            return number
    return -rounds


@lazy
def _update(
    belief: NDArray[np.float64], told: NDArray[np.float32], a: int, b: int, p: int, inner: bool
) -> None:
    """What one check tells its two message bits, its parity bit and, but for the first, the one before."""
    xa, xb, xp = belief[a] - told[0], belief[b] - told[1], belief[p] - told[2]
    ta, tb, tp, tq = _half_tanh(xa), _half_tanh(xb), _half_tanh(xp), 1.0
    if inner:
        xq = belief[p - 1] - told[3]
        tq = _half_tanh(xq)
        told[3] = _twice_atanh(ta * tb * tp)
        belief[p - 1] = xq + told[3]
    told[0], told[1], told[2] = (
        _twice_atanh(tb * tp * tq),
        _twice_atanh(ta * tp * tq),
        _twice_atanh(ta * tb * tq),
    )
    belief[a], belief[b], belief[p] = xa + told[0], xb + told[1], xp + told[2]


@lazy
def _half_tanh(x: float) -> float:
    return 1.0 - 2.0 / (math.exp(min(max(x, -_LIMIT), _LIMIT)) + 1.0)


@lazy
def _twice_atanh(t: float) -> float:
    return math.log((1.0 + t) / (1.0 - t))


@lazy
def _all_hold(belief: NDArray[np.float64], checks: NDArray[np.int32], k: int) -> bool:
    """Whether hard decisions satisfy every check; a bit that nothing is known of satisfies none."""
    before = False
    for j in range(len(checks)):
        a, b, p = belief[checks[j, 0]], belief[checks[j, 1]], belief[k + j]
        if a == 0.0 or b == 0.0 or p == 0.0:
            return False
        now = p < 0.0
        if ((a < 0.0) != (b < 0.0)) != (before != now):
            return False
        before = now
    return True
