"""The share of signs that are the smoother ones at their edges, of the pictures that `signs` uses first."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidstega.carriers.signs.decoded import margins_of
from vidstega.carriers.signs.walks import Walked, obstacle_of, pictures
from vidstega.carriers.signs.write import amplitudes_of
from vidstega.errors import VidstegaError
from vidstega.media.source import Scan
from vidstega.pool import Pool, Work
from vidstega.progress import Progress

LEAST_SIGNS = 200
"""Signs of a picture that is looked at."""
_PICTURES, _LISTED = 8, 64

Floats = NDArray[np.float32]
Looked = tuple[Walked, Floats, Floats]
"""A picture, the margins of its signs (see `carriers.signs.edges`) and their amplitudes."""


def margins(scan: Scan, some: list[Walked]) -> list[Looked]:
    """What is seen of those pictures that decode."""
    amplitudes = amplitudes_of(scan, some)
    found = margins_of(scan, some, amplitudes, Work(Pool(1), Path(), Progress(False)))
    pairs = zip(some, amplitudes, strict=True)
    return [(one, found[one.ordinal], amplitude) for one, amplitude in pairs if one.ordinal in found]


def smoother_share(scan: Scan) -> float | None:
    """The mean over the first pictures with signs enough; None where there are none."""
    try:
        if obstacle_of(scan) is not None:
            return None
        some = [one for one in islice(pictures(scan), _LISTED) if len(one.signs) >= LEAST_SIGNS]
        shares = [float((margin > 0).mean()) for _, margin, _ in margins(scan, some[:_PICTURES])]
    except VidstegaError:
        return None
    return float(np.mean(shares)) if shares else None
