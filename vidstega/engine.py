"""embed, extract, verify: what every carrier shares. Bytes do not depend on workers or backend."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, overload

import numpy as np
from numpy.typing import NDArray

from vidstega import carriers, files, seal
from vidstega.carriers import AUTO, Carrier
from vidstega.carriers.base import Failure, Found, Plan, Spread, Wish, Written, check_spread
from vidstega.clock import Clock
from vidstega.errors import (
    CapacityError,
    InputError,
    OutputError,
    ParameterError,
    PayloadError,
    UnsupportedError,
    VerificationError,
)
from vidstega.media import compare
from vidstega.media.census import is_doubtful, take_census
from vidstega.media.mux import container_of
from vidstega.media.scan import scan as scan_file
from vidstega.media.source import Scan
from vidstega.methods import Method
from vidstega.pool import Pool, Work
from vidstega.progress import Progress, Report
from vidstega.results import EmbedResult, ExtractResult, Verification
from vidstega.seal import Key, Sealed

PathLike = str | os.PathLike[str]
Payload = bytes | bytearray | memoryview | PathLike | BinaryIO
How = str | Method | Carrier

_ATTEMPTS = 4  # by one carrier, each with another plan


# -- embedding ------------------------------------------------------------------------------------------


def embed(
    cover: PathLike,
    stego: PathLike,
    payload: Payload,
    *,
    key: str | bytes,
    method: How = AUTO,
    spread: Spread = "fewest",
    compress: bool = True,
    n_jobs: int = 1,
    verify: bool | str = True,
    overwrite: bool = False,
    progress: bool | Report | None = None,
) -> EmbedResult:
    """Hide a payload in a video. The output appears whole, or not at all.

    Parameters
    ----------
    cover : path of a video
    stego : path to write; its extension says the container
    payload : bytes, the path of a file (str or Path), or a binary file object; it may exceed memory
    key : passphrase, or bytes taken as they are
    method : name of a method, your own object (see `vidstega.methods.Method`), or "auto": the quietest that
        holds the payload
    spread : "fewest" frames, "all" frames, or a number: at most so many bits per luma sample (alpha)
    compress : deflate what becomes smaller by it
    n_jobs : workers; which kind is joblib's business (``joblib.parallel_config``), threads by default
    verify : read the result back and compare before it appears; "full" compares every frame
    overwrite : replace an existing output
    progress : None shows bars on a terminal, True and False force, a callable gets (stage, done, total)

    Raises
    ------
    VidstegaError
        One of its kinds, see `vidstega.errors`; nothing is left behind then.

    Examples
    --------
    >>> vidstega.embed("holiday.mp4", "stego.mp4", b"meet at noon", key="correct horse")  # doctest: +SKIP
    """
    if verify not in (True, False, "full"):
        raise ParameterError(f'verify={verify!r} is none of True, False and "full"')
    source, target, secret = Path(cover), Path(stego), Key(key)
    able = carriers.automatic() if method == AUTO else [carriers.get(method)]
    container, asked, pool = container_of(target), check_spread(spread), Pool(n_jobs)
    files.check_target(source, target, overwrite)
    clock = Clock()
    with clock.stage("probe"):
        scan = scan_file(source, digest=bool(verify))
        cover_bytes = files.size_of(source)
    with files.private_folder(target) as folder:
        with clock.stage("seal"), _opened(payload) as data:
            keys, most = secret.at(seal.new_salt()), _most(able, scan, asked)
            sealed = seal.seal(data, folder / "payload", keys, compress=compress, most=most)
        work = Work(pool, folder, Progress(progress), digest=bool(verify))
        wish = Wish(sealed.stream_bytes, asked, container)
        job = _Job(scan, cover_bytes, target, secret, sealed, verify, work, clock)
        result, finished = _by_the_first_able(able, job, wish)
        files.publish(finished, target, overwrite)
    for note in result.notes:
        warnings.warn(note, stacklevel=2)
    return result


@dataclass(frozen=True)
class _Job:
    """What all attempts of one embedding share."""

    scan: Scan
    cover_bytes: int
    stego: Path
    key: Key = field(repr=False)
    sealed: Sealed
    verify: bool | str
    work: Work
    clock: Clock


def _most(able: Sequence[Carrier], scan: Scan, spread: Spread) -> int:
    """Bytes of the largest stream that one of the carriers takes."""
    rooms, refusal = [], None
    for carrier in able:
        try:
            rooms.append(carrier.room(scan, spread).sealed_bytes)
        except (CapacityError, UnsupportedError) as error:
            refusal = error
    if refusal is not None and not rooms:
        raise refusal
    return max(rooms, default=0)


def _by_the_first_able(able: Sequence[Carrier], job: _Job, wish: Wish) -> tuple[EmbedResult, Path]:
    declined: list[str] = []
    for carrier in able[:-1]:
        try:
            return _embed_by(carrier, job, wish, declined)
        except (CapacityError, UnsupportedError, VerificationError) as error:
            declined.append(f"{carrier.method}: {error}")
    return _embed_by(able[-1], job, wish, declined)


def _embed_by(carrier: Carrier, job: _Job, wish: Wish, declined: list[str]) -> tuple[EmbedResult, Path]:
    """Try plans of one carrier until one can be carried out."""
    while True:
        folder = job.work.folder / f"{carrier.method}-{len(wish.failures)}"
        folder.mkdir()
        try:
            return _attempt(carrier, job, wish, declined, folder)
        except Failure as failure:
            if _may_be_the_table(job.scan, failure):
                with job.clock.stage("look"):
                    job = replace(job, scan=take_census(job.scan, job.work.progress))
            elif not carrier.plans_again or len(wish.failures) == _ATTEMPTS - 1:
                raise failure.error from None
            else:
                wish = replace(wish, failures=(*wish.failures, failure))
            shutil.rmtree(folder)


def _may_be_the_table(scan: Scan, failure: Failure) -> bool:
    """Whether what is shown may be another thing than the packets tell; decoding once says what it is."""
    errors = InputError | VerificationError
    return failure.mode == "transcode" and not scan.source.as_decoded and isinstance(failure.error, errors)


def _attempt(
    carrier: Carrier, job: _Job, wish: Wish, declined: list[str], folder: Path
) -> tuple[EmbedResult, Path]:
    target, work, clock = folder / f"stego{job.stego.suffix}", replace(job.work, folder=folder), job.clock
    with clock.stage("plan"):
        plan = carrier.plan(job.scan, wish)
        if plan.promise.packets is None and is_doubtful(job.scan):
            raise Failure(InputError(f"{job.scan.path}: its packets do not say what is shown"), plan.mode)
        files.check_disk(folder, job.cover_bytes + plan.least_bytes)
    written = carrier.write(job.scan, plan, job.sealed, target, work)
    clock.add(written.seconds)
    left_out = [s for s in job.scan.streams if s.index in written.left_out]
    notes, compared = [f"stream {s}: {wish.container} cannot hold it" for s in left_out], "no"
    notes += job.scan.notes
    if job.verify:
        with clock.stage("verify"):
            notes += _check(carrier, job, plan, written, target)
            compared = "every frame" if job.verify == "full" else "packets, times, streams, payload"
    result = EmbedResult(
        stego=job.stego,
        method=carrier.method,
        mode=plan.mode,
        reason="; ".join([plan.reason, *declined]),
        frames=plan.frames,
        carrying=plan.carrying,
        payload_bytes=job.sealed.payload_bytes,
        sealed_bytes=job.sealed.stream_bytes,
        alpha=plan.alpha,
        bytes_before=job.cover_bytes,
        bytes_after=target.stat().st_size,
        seconds=dict(clock.seconds),
        digest=job.sealed.digest,
        notes=tuple(dict.fromkeys(notes)),
        verified=compared,
    )
    return result, target


def _check(carrier: Carrier, job: _Job, plan: Plan, written: Written, target: Path) -> list[str]:
    """Read back what was written, with the key alone, and compare; notes on what had to give."""
    copied = plan.promise.packets is not None
    try:
        stego = scan_file(target, digest=True, copied=copied)
        notes = compare.compare_streams(job.scan, stego, plan.promise, written.left_out)
        found = carrier.locate(stego, job.key)
        spool = target.with_name("read-back")
        digests = _read(carrier, stego, found, spool, job.work, stage="verify", plan=plan)
        if _drained(spool, found).digest != job.sealed.digest:
            raise VerificationError("the payload that was read back differs")
        if not np.array_equal(digests, written.digests):
            differ = int((digests != written.digests).sum())
            raise VerificationError(f"{differ} frames decode to other samples")
        if job.verify == "full":
            compare.compare_frames(job.scan, stego, plan.promise, job.work.progress)
    except (VerificationError, InputError, PayloadError) as error:
        other = "" if job.stego.suffix.lower() == ".mkv" else "; use another container, such as .mkv"
        failure = VerificationError(f"{job.stego.name} would not read back as it should: {error}{other}")
        raise Failure(failure, plan.mode) from None
    return notes + compare.lost_tags(job.scan, stego, spliced=copied)


@contextlib.contextmanager
def _opened(payload: Payload) -> Iterator[BinaryIO]:
    """The payload as a file."""
    if isinstance(payload, bytes | bytearray | memoryview):
        yield io.BytesIO(payload)
    elif isinstance(payload, str | os.PathLike):
        try:
            file = Path(payload).open("rb")  # noqa: SIM115
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise InputError(f"the payload {payload} cannot be read: {reason}") from None
        with file:
            yield file
    elif hasattr(payload, "read"):
        yield payload
    else:
        kind = type(payload).__name__
        raise ParameterError(f"the payload is a {kind}; give bytes, a path or a binary file")


# -- extracting -----------------------------------------------------------------------------------------


@overload
def extract(
    stego: PathLike,
    *,
    key: str | bytes,
    out: None = None,
    method: How | None = None,
    n_jobs: int = 1,
    deep: bool = False,
    overwrite: bool = False,
    progress: bool | Report | None = None,
) -> bytes: ...
@overload
def extract(
    stego: PathLike,
    *,
    key: str | bytes,
    out: PathLike,
    method: How | None = None,
    n_jobs: int = 1,
    deep: bool = False,
    overwrite: bool = False,
    progress: bool | Report | None = None,
) -> ExtractResult: ...
def extract(
    stego: PathLike,
    *,
    key: str | bytes,
    out: PathLike | None = None,
    method: How | None = None,
    n_jobs: int = 1,
    deep: bool = False,
    overwrite: bool = False,
    progress: bool | Report | None = None,
) -> bytes | ExtractResult:
    """Get a payload back, exactly.

    Parameters
    ----------
    stego : path of a video that carries
    key : the key it was embedded with
    out : file to stream the payload to; without it the payload is returned
    method : only if it was your own object
    n_jobs : workers, as for `embed`
    deep : try every key frame as the start, for a video that was cut or joined since
    overwrite : replace an existing `out`

    Raises
    ------
    PayloadError
        If nothing can be read with this key, whatever the reason.
    InputError, OutputError
        If a file cannot be read or written.

    Examples
    --------
    >>> vidstega.extract("stego.mp4", key="correct horse")  # doctest: +SKIP
    b'meet at noon'
    """
    target, secret, pool = None if out is None else Path(out), Key(key), Pool(n_jobs)
    if target is not None:
        files.check_target(Path(stego), target, overwrite)
    scan = scan_file(stego)
    carrier, found = _locate(scan, secret, method, deep=deep)
    with files.private_folder(target) as folder:
        spool = folder / "sealed"
        _read(carrier, scan, found, spool, Work(pool, folder, Progress(progress)), stage="extract")
        with spool.open("rb") as file:
            unsealer = seal.unseal(file, found.keys, found.stream_bytes)
            if target is None:
                return b"".join(unsealer)
            _write_out(unsealer, folder / "payload", target)
        files.publish(folder / "payload", target, overwrite)
    return ExtractResult(target, unsealer.payload_bytes, unsealer.digest)


def _locate(scan: Scan, key: Key, method: How | None, *, deep: bool = False) -> tuple[Carrier, Found]:
    for carrier in carriers.to_search(method):
        with contextlib.suppress(PayloadError):
            return carrier, carrier.locate(scan, key, deep=deep)
    raise PayloadError


def _read(
    carrier: Carrier,
    scan: Scan,
    found: Found,
    spool: Path,
    work: Work,
    *,
    stage: str,
    plan: Plan | None = None,
) -> NDArray[np.uint64]:
    """Read the sealed stream into a new spool, cut to its length; digests too if it is told of the plan."""
    try:
        spool.touch(0o600, exist_ok=False)
        os.truncate(spool, found.stream_bytes)
        digests = carrier.read(scan, found, spool, work, stage=stage, plan=plan)
        os.truncate(spool, found.stream_bytes)
    except OSError as error:
        raise OutputError(f"{spool.parent.parent} cannot be written: {error.strerror}") from None
    return digests


def _write_out(pieces: seal.Unsealer, path: Path, target: Path) -> None:
    try:
        with path.open("xb") as file:
            file.writelines(pieces)
    except OSError as error:
        raise OutputError(f"{target.parent} cannot be written: {error.strerror}") from None


def _drained(spool: Path, found: Found) -> seal.Unsealer:
    """Unseal to the end, for the digest alone."""
    with spool.open("rb") as file:
        unsealer = seal.unseal(file, found.keys, found.stream_bytes)
        for _ in unsealer:
            pass
    return unsealer


# -- verifying ------------------------------------------------------------------------------------------


def verify(
    cover: PathLike,
    stego: PathLike,
    *,
    key: str | bytes,
    method: How | None = None,
    full: bool = False,
    n_jobs: int = 1,
    progress: bool | Report | None = None,
) -> Verification:
    """Check a stego file against its cover: packets, times, other streams, payload; all frames if `full`.

    Raises
    ------
    VerificationError
        Naming what differs.
    PayloadError
        If no payload can be read with this key.
    """
    report, pool = Progress(progress), Pool(n_jobs)
    before, after = scan_file(cover, digest=True), scan_file(stego, digest=True)
    carrier, found = _locate(after, Key(key), method)
    mode, promise = carrier.promise(before, after, found)
    copied = promise.packets is not None
    if not copied and (is_doubtful(before) or len(before.pts) != len(after.pts)):
        before = take_census(before, report)
        mode, promise = carrier.promise(before, after, found)
    if copied and len(before.packets) != len(after.packets):
        raise VerificationError(f"{len(after.packets)} video packets stand for {len(before.packets)}")
    notes = compare.compare_streams(before, after, promise)
    with files.private_folder(None) as folder:
        _read(carrier, after, found, folder / "sealed", Work(pool, folder, report), stage="verify")
        unsealer = _drained(folder / "sealed", found)
    compared = ["times", "other streams", "payload", *(["copied packets"] if copied else [])]
    if full:
        compare.compare_frames(before, after, promise, report)
        compared.append("every frame")
    return Verification(
        method=found.method,
        mode=mode,
        frames=len(after.pts),
        carrying=found.carrying,
        payload_bytes=unsealer.payload_bytes,
        digest=unsealer.digest,
        compared=tuple(compared),
        notes=(*before.notes, *notes),
    )
