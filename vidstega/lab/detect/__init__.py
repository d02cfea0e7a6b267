"""What gives a stego away: a verdict on one file without its cover, and detectors trained on many.

``verdict`` (packets and headers of a file, and of a stream without loss its flat places, see ``lonely``)
needs no more than the package itself. The rest belongs to the lab: ``pixels`` (features of planes),
``tiles`` (what of which clip they are taken of), ``learn`` (a linear detector and its errors), ``trials``
(what is trained and tried on what), ``experiment`` (all of it), ``rows`` (what is written, and claims),
``uses`` (whole files), ``signs`` (features of coefficients) and ``coded`` (`robust` beside the same encode).
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "Experiment": "experiment",
    "Forensics": "verdict",
    "copy_features": "pixels",
    "flat_features": "pixels",
    "forensics": "verdict",
    "load_detection": "rows",
    "measure_robust": "coded",
    "measure_signs": "signs",
    "smoke_clips": "smoke",
    "spam": "pixels",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"vidstega.lab.detect has no {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
