"""The family: planes of samples, carried raw in a spliced H.264 stream or in a lossless transcode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidstega import methods
from vidstega.carriers.base import Carrier, Failure, Room, Spread, Wish, Written
from vidstega.carriers.samples import predict
from vidstega.carriers.samples.bands import Bands
from vidstega.carriers.samples.find import FoundSamples, find
from vidstega.carriers.samples.groups import check_transcodable
from vidstega.carriers.samples.layout import FAMILY, Layout
from vidstega.carriers.samples.plan import (
    SamplesPlan,
    Stretch,
    make_plan,
    promise_of,
    room,
    stretches_of,
)
from vidstega.carriers.samples.tasks import CarryIn, read_stretch
from vidstega.errors import CapacityError, InputError, PayloadError, UnsupportedError, VerificationError
from vidstega.media.compare import Promise
from vidstega.media.decode import DecodeError
from vidstega.media.rewrite import piece_of, rewrite
from vidstega.media.source import Scan
from vidstega.methods import Method
from vidstega.methods.habits import habits_of
from vidstega.pool import Call, Work
from vidstega.results import Estimate
from vidstega.seal import Key, Sealed


@dataclass(frozen=True)
class Samples(Carrier):
    """Planes of samples by one method.

    Parameters
    ----------
    how : the method, one plane in and the same out
    """

    how: Method

    family = FAMILY
    plans_again = True

    @property
    def method(self) -> str:  # type: ignore[override]
        """Name of the method."""
        return self.how.name

    @property
    def loudness(self) -> int | None:  # type: ignore[override]
        """Only LSB matching is taken without being asked for."""
        return 50 if self.method == "lsb" else None

    @property
    def spreads(self) -> tuple[Spread, ...]:  # type: ignore[override]
        """Those of the method."""
        return habits_of(self.how).spreads

    @property
    def kernels(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of the method."""
        return habits_of(self.how).kernels

    def room(self, scan: Scan, spread: Spread) -> Room:
        return room(scan, self._bands(scan), spread)

    def plan(self, scan: Scan, wish: Wish) -> SamplesPlan:
        """See `Carrier.plan`: a splice that avoids what turned out damaged, or else a transcode."""
        if wish.failures and wish.failures[-1].mode == "transcode":
            raise wish.failures[-1].error
        return make_plan(scan, self._bands(scan), wish)

    def write(self, scan: Scan, plan: SamplesPlan, sealed: Sealed, target: Path, work: Work) -> Written:
        layout = Layout(self.method, plan.frame_bytes, plan.runs, plan.carrying, sealed.stream_bytes)
        threads = work.pool.workers if plan.mode == "splice" and len(plan.stretches) == 1 else 1
        bands, how = self._bands(scan), {"threads": threads, "digest": work.digest}
        pieces = [
            piece_of(scan, stretch.span, CarryIn(bands, layout, sealed, stretch), **how)
            for stretch in plan.stretches
        ]
        try:
            done = rewrite(scan, target, pieces, plan.recipe, work)
        except DecodeError as error:
            raise Failure(error, plan.mode, at=error.first) from None
        except (UnsupportedError, VerificationError) as error:
            raise Failure(error, plan.mode) from None
        return Written(done.left_out, done.digests, done.seconds)

    def locate(self, scan: Scan, key: Key, *, deep: bool = False) -> FoundSamples:
        """See `Carrier.locate`: the header says by which method, this one or one that is registered."""
        known = {self.method: self.how}
        return find(scan, key, lambda name: known.get(name) or methods.registered(name), deep=deep)

    def suspects(self, scan: Scan) -> bool:
        return bool(scan.raw_pictures.any())

    def read(
        self,
        scan: Scan,
        found: FoundSamples,
        spool: Path,
        work: Work,
        *,
        stage: str,
        plan: SamplesPlan | None = None,
    ) -> NDArray[np.uint64]:
        stretches = found.stretches
        if plan is not None and plan.mode == "transcode":  # frames that do not carry were coded too
            stretches = stretches_of(scan, found.bands, plan.carrying, plan.frame_bytes)
        digests = []
        with work.progress.stage(stage, sum(len(stretch.span.pts) for stretch in stretches)) as advance:
            calls = [_reading(scan, found, stretch, spool, plan is not None) for stretch in stretches]
            try:
                for stretch, read in zip(stretches, work.pool.in_order(calls), strict=True):
                    digests.append(read)
                    advance(len(stretch.span.pts))
            except (DecodeError, UnsupportedError):
                raise PayloadError from None
        return np.concatenate(digests)

    def promise(self, cover: Scan, stego: Scan, found: FoundSamples) -> tuple[str, Promise]:
        # noise coded without loss looks like raw pictures, but a splice adds a parameter set to the cover's
        ours, theirs = stego.sets, cover.sets
        spliced = found.spliced and set(theirs.sps) == set(ours.sps) and set(theirs.pps) < set(ours.pps)
        mode = "splice" if spliced else "transcode"
        return mode, promise_of(stego, found.stretches, spliced=spliced)

    def obstacle(self, scan: Scan) -> str | None:
        try:
            self._bands(scan).of(0, 0)
            check_transcodable(scan)
        except (CapacityError, InputError, UnsupportedError) as error:
            return str(error)
        return None

    def estimate(self, scan: Scan, plan: SamplesPlan, *, n_jobs: int = 1, verify: bool = True) -> Estimate:
        return predict.of_writing(scan, plan, n_jobs, verify, habits_of(self.how))

    def estimate_reading(self, scan: Scan, *, most_bytes: int | None = None) -> Estimate:
        """See `Carrier.estimate_reading`: as many frames as are raw carry, or all."""
        bands, space = self._bands(scan), self.room(scan, "all")
        frames = int(scan.raw_pictures.sum()) or space.frames
        most = bands.run_bytes(space.frame_bytes, 0, frames)
        most = most if most_bytes is None else min(most, most_bytes)
        return predict.of_reading(scan, frames, most)

    def _bands(self, scan: Scan) -> Bands:
        return Bands(self.how, scan.size, scan.depth)


def _reading(scan: Scan, found: FoundSamples, stretch: Stretch, spool: Path, digest: bool) -> Call:
    piece = piece_of(scan, stretch.span, digest=digest)
    return read_stretch, piece, found.bands, found.layout, found.keys, stretch, str(spool)
