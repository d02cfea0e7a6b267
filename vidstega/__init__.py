"""Hide a payload in a video, get it back exactly, and measure what it costs."""

from vidstega.ask import capacity, estimate, frames, probe
from vidstega.engine import embed, extract, verify
from vidstega.errors import VidstegaError
from vidstega.methods import Method
from vidstega.survival import survive

__version__ = "0.2.0"
__all__ = [
    "Method",
    "VidstegaError",
    "capacity",
    "embed",
    "estimate",
    "extract",
    "frames",
    "probe",
    "survive",
    "verify",
]
