"""What vidstega reads of HEVC (ITU-T H.265, clause numbers in the code).

Read: parameter sets, slice segment headers, reference picture sets. `walk`, which reads slice data and needs
numba, is imported by those who want it. Bits and packagings are those of `h264`. No file is opened here.
All but the types of NAL units is imported when it is asked for: most videos are H.264.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vidstega.hevc.nal import (
    IRAP,
    NAL_PPS,
    NAL_SPS,
    RESETS,
    is_counted,
    is_of_layer,
    is_slice,
    kind_of,
    layer_of,
    tells_hash,
)

if TYPE_CHECKING:
    from vidstega.hevc.references import Place, References
    from vidstega.hevc.sets import PPS, SPS, ParameterSets, is_set, parse_pps, parse_sps
    from vidstega.hevc.slices import Sets, place_of

__all__ = [
    "IRAP",
    "NAL_PPS",
    "NAL_SPS",
    "PPS",
    "RESETS",
    "SPS",
    "ParameterSets",
    "Place",
    "References",
    "Sets",
    "is_counted",
    "is_of_layer",
    "is_set",
    "is_slice",
    "kind_of",
    "layer_of",
    "parse_pps",
    "parse_sps",
    "place_of",
    "tells_hash",
]

_HOME = {
    "references": ("Place", "References"),
    "sets": ("PPS", "SPS", "ParameterSets", "is_set", "parse_pps", "parse_sps"),
    "slices": ("Sets", "place_of"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__} has no {name!r}")
