"""Hide a payload in a video, get it back exactly, and measure what it costs."""

from vidstega.engine import capacity, embed, extract, frames, probe, verify
from vidstega.errors import VidstegaError
from vidstega.methods import Method
from vidstega.predict import estimate

__version__ = "0.1.0"
__all__ = [
    "Method",
    "VidstegaError",
    "capacity",
    "embed",
    "estimate",
    "extract",
    "frames",
    "probe",
    "verify",
]
