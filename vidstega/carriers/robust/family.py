"""The family: all frames coded anew with losses, carrying what survives to be coded again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidstega.carriers import memory
from vidstega.carriers.base import Carrier, Found, Plan, Room, Spread, Wish, Written
from vidstega.errors import CapacityError, ParameterError, PayloadError, UnsupportedError
from vidstega.media.coders import Encoding
from vidstega.media.compare import Promise
from vidstega.media.encode import lossy_for
from vidstega.media.source import Scan
from vidstega.pool import Work
from vidstega.results import Estimate
from vidstega.seal import Key, Sealed
from vidstega.seal.short import TAG_BYTES

_HELD_FRAMES = 116
"""Of an x264 encoder at medium, looking ahead, with its references; and of the decoder before it."""
_BYTES_A_PIXEL = 0.12
_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_MISSING = "method robust needs numba, which cannot be imported here"


@dataclass(frozen=True)
class Robust(Carrier):
    """A message that survives an upload.

    Parameters
    ----------
    survive : name of a channel (see `vidstega.channels`) that the message has to come through with a
        margin; after writing it is tried, and the margin is ``result.measured["margin"]``: 1 is the end
    psnr_db : luma PSNR of the embedding, 40 (loud) to 60, instead of trying what `survive` takes; a change
        of contrast is looked for at 45, 48, 51, 53 and 55.6 only, as `survive` takes
    crf, preset : of the x264 encoder that codes all frames anew
    label : a name for the video, which a reader has to give as well; one key and label on many videos put
        the same dither into all of them
    """

    survive: str = "480p"
    psnr_db: float | None = None
    crf: float = 17
    preset: str = "medium"
    label: str = ""

    def __post_init__(self) -> None:
        numbers = [one for one in (self.crf, self.psnr_db) if one is not None]
        if not all(isinstance(one, int | float) for one in numbers) or not 0 <= self.crf <= 51:
            raise ParameterError(
                f"crf={self.crf!r}, psnr_db={self.psnr_db!r}; give numbers, crf from 0 to 51"
            )
        if self.preset not in _PRESETS:
            raise ParameterError(f"preset={self.preset!r} is none of {', '.join(_PRESETS)}")
        if not isinstance(self.label, str):
            raise ParameterError(f"label={self.label!r} is no text")

    family = "robust"
    method = "robust"
    searched = False  # looking for it takes many seconds
    spreads = ("all",)

    def room(self, scan: Scan, spread: Spread) -> Room:
        """See `Carrier.room`: what the finest cells take that the channel's scaling leaves whole.

        It is a bound: how much of it survives is found by trying when it is written.
        """
        from vidstega.channels import named

        scale = named(self.survive).shrinks_to(scan.size) if self.psnr_db is None else 1.0
        most = _work().Timeline.of(scan).most_bytes(scan.size, scale)
        return Room(len(scan.pts), most // max(1, len(scan.pts)), most, short=True)

    def most_bytes(self, scan: Scan, spread: Spread) -> int:
        """See `Carrier.most_bytes`."""
        return scan.size[0] * scan.size[1] * len(scan.pts) // 256

    def plan(self, scan: Scan, wish: Wish) -> Plan:
        """See `Carrier.plan`."""
        from vidstega.channels import named

        named(self.survive)
        so = f"survives {self.survive}" if self.psnr_db is None else f"is there at {self.psnr_db:g} dB"
        room = self.room(scan, wish.spread)
        if wish.short_bytes is None or wish.short_bytes > room.sealed_bytes:
            said = "more than 1,000,000" if wish.short_bytes is None else f"{wish.short_bytes - TAG_BYTES:,}"
            scaled = f" if it is to survive {self.survive}" if self.psnr_db is None else ""
            raise CapacityError(
                f"the payload takes {said} bytes, robust holds {room.payload_bytes:,} at the most in this "
                f"video{scaled}; use a longer or larger video, or a method that does not have to survive"
            )
        frames, everywhere = len(scan.pts), _all_frames(scan)
        recipe = Encoding(*lossy_for(scan.source.pix_fmt, scan.size, wish.container, self.crf, self.preset))
        return RobustPlan(
            mode="recode",
            reason=f"all is coded anew, with losses, so that the message {so}; an earlier message "
            "in robust or signs, if there was one, is gone",
            frames=frames,
            carrying=frames,
            alpha=8 * wish.short_bytes / (frames * scan.size[0] * scan.size[1]),
            stream_bytes=wish.short_bytes,
            promise=everywhere,
            coded=frames,
            new_bytes=scan.path.stat().st_size,
            least_bytes=0,
            recipe=recipe,
        )

    def write(self, scan: Scan, plan: Any, sealed: Sealed, target: Path, work: Work) -> Written:
        """See `Carrier.write`."""
        done: Written = _work().write(self, scan, plan, sealed, target, work)
        return done

    def locate(self, scan: Scan, key: Key, *, deep: bool = False) -> Found:
        """See `Carrier.locate`: finding it is reading it."""
        try:
            payload = _work().read(scan, key, self.label, deep=deep).message
        except UnsupportedError:
            raise PayloadError from None
        if payload is None:
            raise PayloadError
        return Found(method=self.method, carrying=len(scan.pts), payload=payload)

    def estimate(self, scan: Scan, plan: Any, *, n_jobs: int = 1, verify: bool = True) -> Estimate:
        """See `Carrier.estimate`: what an x264 encoder holds for each worker is nearly all of it."""
        pixels = scan.size[0] * scan.size[1]
        coder = round(_HELD_FRAMES * 1.5 * pixels * (2 if scan.depth > 8 else 1))
        workers = max(1, min(n_jobs, round(scan.duration_s / 4)))
        output = round(_BYTES_A_PIXEL * pixels * len(scan.pts)) + scan.path.stat().st_size
        return Estimate(
            memory_bytes=_memory(scan, workers, coder),
            output_bytes=output,
            disk_bytes=2 * output,
            mode=plan.mode,
            reason=plan.reason,
            frames=plan.frames,
            coded=plan.coded,
        )

    def estimate_reading(self, scan: Scan, *, n_jobs: int = 1, most_bytes: int | None = None) -> Estimate:
        """See `Carrier.estimate_reading`: some frames, and the means of 20 s of cells."""
        held = 12 * scan.size[0] * scan.size[1] * (4 if scan.depth > 8 else 2)
        most = self.room(scan, "all").sealed_bytes
        return Estimate(_memory(scan, 1, held), most, most, "extract", "robust", len(scan.pts), 0)

    def promise(self, cover: Scan, stego: Scan, found: Found) -> tuple[str, Promise]:
        """See `Carrier.promise`: times and other streams; no frame is as it was."""
        return "recode", _all_frames(stego)


@dataclass(frozen=True, kw_only=True)
class RobustPlan(Plan):
    """Nothing is decided beyond how frames are coded; how strong is found by trying."""

    recipe: Any


def _all_frames(scan: Scan) -> Promise:
    import numpy as np

    return Promise(None, np.ones(len(scan.pts), bool), luma_only=False)


def _memory(scan: Scan, workers: int, held: int) -> int:
    fixed = memory.SCRYPT_BYTES + memory.NUMBA_BYTES + memory.WORKER_BYTES
    return memory.total(scan, fixed + workers * (memory.WORKER_BYTES + held))


def _work() -> Any:
    try:
        from vidstega.carriers.robust import files
    except ImportError:
        raise UnsupportedError(_MISSING) from None
    return files
