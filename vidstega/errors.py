"""Everything vidstega raises on purpose.

::

    VidstegaError
    ├── ParameterError     an argument makes no sense (also a ValueError)
    ├── InputError         a file cannot be read as the video it should be
    ├── UnsupportedError   readable, but it cannot be carried exactly
    ├── CapacityError      the payload does not fit
    ├── PayloadError       nothing can be read with this key: the one error of extraction
    ├── OutputError        the result cannot be written (exists, read-only, disk full)
    └── VerificationError  what was written is not what was meant; nothing is left behind

Every message gives the value that is wrong and the way out, on one line.
"""

from __future__ import annotations


class VidstegaError(Exception):
    """Base of every error a caller may want to handle."""


class ParameterError(VidstegaError, ValueError):
    """An argument makes no sense: a negative alpha, an empty key, an unknown method."""


class InputError(VidstegaError):
    """A file is missing, is not a video, or cannot be decoded."""


class UnsupportedError(VidstegaError):
    """The video can be read but not be carried exactly, or the container cannot hold the result."""


class CapacityError(VidstegaError):
    """The payload needs more bits than the cover has."""


class PayloadError(VidstegaError):
    """No payload can be read with this key.

    A wrong key, a clean video, a foreign file and a stego file that was changed all give this one
    error with one text, so that nothing can be learned from it.
    """

    TEXT = (
        "no payload can be read with this key: the key is wrong, the video carries none, it was changed "
        "since (coding it again with losses destroys all but robust), or it is robust, which has to be named"
    )

    def __init__(self, text: str = TEXT) -> None:
        super().__init__(text)


class OutputError(VidstegaError):
    """The result cannot be written; whatever stood at the target before is untouched."""


class VerificationError(VidstegaError):
    """Reading back what was written gave something else; the output was discarded."""
