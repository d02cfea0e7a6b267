"""embed, extract, verify, capacity, probe: the whole way of a payload, in parallel and in bounded memory.

The only module that imports joblib. How a video is cut into tasks is fixed by the plan, so the bytes that
come out do not depend on workers or backend.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from pickle import PicklingError
from typing import Any, BinaryIO, overload

import joblib
import numpy as np
from joblib.externals.loky.process_executor import TerminatedWorkerError
from numpy.typing import NDArray

from vidstega import compare, h264, methods, payload, plan, search, splice, tasks, video
from vidstega.carrier import Carrier
from vidstega.errors import (
    InputError,
    OutputError,
    ParameterError,
    PayloadError,
    UnsupportedError,
    VerificationError,
)
from vidstega.methods import Method
from vidstega.payload import Layout
from vidstega.plan import Part, Plan, Spread
from vidstega.progress import Progress, Report
from vidstega.results import Capacity, EmbedResult, ExtractResult, Frame, Probe, Room, Verification
from vidstega.search import Found
from vidstega.tasks import Coder, Coding, Job, Message, Written
from vidstega.video import DecodeError, Scan

PathLike = str | os.PathLike[str]
Payload = bytes | bytearray | memoryview | PathLike | BinaryIO

_ATTEMPTS = 4  # at embedding, each with another plan and a new salt
_RETRIES = 3  # of tasks whose worker was killed
_MARGIN_BYTES = 1 << 20


# -- embedding ------------------------------------------------------------------------------------------


def embed(
    cover: PathLike,
    stego: PathLike,
    payload: Payload,
    *,
    key: str | bytes,
    method: str | Method = "lsb",
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
    method : name of a method, or your own object (see `vidstega.methods.Method`)
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
    call = _Embedding(
        Path(cover), Path(stego), payload, key, methods.get(method), plan.check_spread(spread),
        compress, _workers(n_jobs), verify, overwrite, Progress(progress),
    )  # fmt: skip
    result = call.run()
    for note in result.notes:
        warnings.warn(note, stacklevel=2)
    return result


class _Redo(Exception):
    """This plan cannot be carried out, another may: one that avoids a group, or does not splice."""

    def __init__(self, error: Exception, avoid: int | None = None) -> None:
        super().__init__(str(error))
        self.error, self.avoid = error, avoid


@dataclass
class _Embedding:
    """One call of `embed`, and what its attempts find out."""

    cover: Path
    stego: Path
    data: Payload
    key: str | bytes
    method: Method
    spread: Spread
    compress: bool
    n_jobs: int
    verify: bool | str
    overwrite: bool
    progress: Progress
    cover_bytes: int = 0
    start: int | None = None
    salt: bytes | None = None  # for tests: a salt must never be used twice
    seconds: dict[str, float] = field(default_factory=dict)
    avoid: frozenset[int] = frozenset()
    no_splice: str | None = None

    def run(self) -> EmbedResult:
        container = splice.container_of(self.stego)
        if self.verify not in (True, False, "full"):
            raise ParameterError(f'verify={self.verify!r} is none of True, False and "full"')
        _check_target(self.cover, self.stego, self.overwrite)
        with self._timed("probe"):
            scan = video.scan(self.cover, digest=bool(self.verify))
            self.cover_bytes = _size_of(self.cover)
        with _workshop(self.stego) as workshop:
            for attempt in range(_ATTEMPTS):
                try:
                    result, target = self._attempt(scan, container, workshop / str(attempt), attempt)
                except _Redo as redo:
                    if attempt == _ATTEMPTS - 1 or self.no_splice:
                        raise redo.error from None
                    self.avoid |= {redo.avoid} if redo.avoid is not None else set()
                    self.no_splice = None if redo.avoid is not None else f"a splice failed: {redo.error}"
                    shutil.rmtree(workshop / str(attempt))
                else:
                    _publish(target, self.stego, self.overwrite)
                    return result
        raise AssertionError("unreachable")

    def _attempt(self, scan: Scan, container: str, workshop: Path, attempt: int) -> tuple[EmbedResult, Path]:
        workshop.mkdir()
        carrier = Carrier(self.method, scan.size, scan.depth)
        spool, target = workshop / "payload", workshop / f"stego{self.stego.suffix}"
        with self._timed("seal"), self._payload() as source:
            salt = self.salt if self.salt and not attempt else secrets.token_bytes(payload.SALT_BYTES)
            keys = payload.derive_keys(self.key, salt)
            most = plan.room(scan, carrier, self.spread).sealed_bytes
            sealed = payload.seal(source, spool, keys, self.method.name, self.compress, most=most)
        with self._timed("plan"):
            made = plan.make_plan(
                scan, carrier, sealed.stream_bytes, self.spread, container,
                avoid=self.avoid, no_splice=self.no_splice,
            )  # fmt: skip
            layout = Layout(self.method.name, made.frame_bytes, made.runs, made.carrying, sealed.stream_bytes)
            payload.finish(sealed, keys, layout)
            coder = _coder(scan, made, container)
            _check_disk(workshop, scan, made, self.cover_bytes)
        message = Message(carrier, keys, layout, spool)
        left_out, digests = self._write(scan, made, message, coder, workshop, target)
        notes = [f"stream {s}: {container} cannot hold it" for s in scan.streams if s.index in left_out]
        compared = "no"
        if self.verify:
            with self._timed("verify"):
                notes += self._check(scan, target, made, message, sealed, digests, left_out)
                compared = "every frame" if self.verify == "full" else "packets, times, streams, payload"
        result = EmbedResult(
            stego=self.stego, mode=made.mode, reason=made.reason, frames=made.frames,
            carrying=made.carrying, payload_bytes=sealed.payload_bytes, sealed_bytes=sealed.stream_bytes,
            alpha=8 * made.frame_bytes / (scan.size[0] * scan.size[1]),
            bytes_before=self.cover_bytes, bytes_after=target.stat().st_size,
            seconds=dict(self.seconds), digest=sealed.digest, notes=tuple(dict.fromkeys(notes)),
            verified=compared,
        )  # fmt: skip
        return result, target

    def _write(
        self, scan: Scan, made: Plan, message: Message, coder: Coder, workshop: Path, target: Path
    ) -> tuple[set[int], NDArray[np.uint64]]:
        """Code the parts and mux them as they come; streams left out, digests of the frames as coded."""
        started = time.perf_counter()
        workers = joblib.effective_n_jobs(self.n_jobs)
        threads = workers if coder.lossless is None and len(made.parts) == 1 else 1
        jobs = _jobs(scan, made.parts, message, threads, bool(self.verify))
        digests: list[NDArray[np.uint64]] = []
        spent: dict[str, float] = {}

        def parts() -> Iterator[tuple[tuple[int, int], Coding | Written]]:
            header = None
            for job, part in zip(jobs, self._parts(jobs, coder, workshop), strict=True):
                if header not in (None, part.extradata):
                    raise VerificationError(f"part {job.part.index} was coded under another header")
                header = part.extradata
                yield job.part.replaced, part
                digests.append(part.digests)
                for stage, seconds in part.seconds.items():
                    spent[stage] = spent.get(stage, 0.0) + seconds

        extradata = None
        if scan.sets is not None and coder.sps is not None:
            extradata = scan.sets.with_pps(h264.write_pps(coder.pps_id, coder.sps.id))
        matrix = compare.display_matrix(scan) if coder.lossless is not None else None
        try:
            with self.progress.stage("embed", len(scan.packets)) as advance:
                left_out = splice.mux(
                    scan, target, coder.container, parts(), extradata=extradata,
                    lossless=coder.lossless, matrix=matrix, progress=advance,
                )  # fmt: skip
        except DecodeError as error:
            if made.mode == "splice":
                raise _Redo(error, avoid=error.first) from None
            raise
        except UnsupportedError as error:
            if made.mode == "splice":
                raise _Redo(error) from None
            raise
        # stages of workers add up to more than the wall clock; scale them to the time that passed
        wall = time.perf_counter() - started
        total = sum(spent.values())
        scale = min(1.0, wall / total) if total else 0.0
        for stage, seconds in spent.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + scale * seconds
        self.seconds["mux"] = self.seconds.get("mux", 0.0) + max(0.0, wall - scale * total)
        return left_out, np.concatenate(digests)

    def _parts(self, jobs: Sequence[Job], coder: Coder, workshop: Path) -> Iterator[Coding | Written]:
        """One worker codes straight into the output; several leave their parts on disk."""
        if _alone(self.n_jobs):
            return (Coding(job, coder) for job in jobs)
        calls = [(tasks.write_part, job, coder, workshop / f"part-{job.part.index}") for job in jobs]
        return _in_order(self.n_jobs, calls)

    def _check(
        self,
        scan: Scan,
        target: Path,
        made: Plan,
        message: Message,
        sealed: payload.Sealed,
        digests: NDArray[np.uint64],
        left_out: set[int],
    ) -> list[str]:
        """Read back what was written, with the key alone, and compare; notes on what had to give."""
        try:
            stego = video.scan(target, digest=True, copied=made.mode == "splice")
            replaced = _replaced(made.parts, len(scan.packets)) if made.mode == "splice" else None
            notes = compare.compare_streams(scan, stego, replaced, left_out)
            found = search.find(stego, self.key, [self.method], derived=message.keys)
            parts = list(found.parts)
            if made.mode == "transcode":
                parts = plan.all_segments(stego, found.carrier, made.carrying, made.frame_bytes)
            read, spool = self._read_back(stego, found, parts, target.parent)
            if read.digest != sealed.digest:
                raise VerificationError("the payload that was read back differs")
            if not np.array_equal(spool, digests):
                raise VerificationError(f"{int((spool != digests).sum())} frames decode to other samples")
            if self.verify == "full":
                carrying = compare.carrying_frames(scan.pts, (p.pts[: p.carrying] for p in made.parts))
                compare.compare_frames(scan, stego, carrying, self.progress)
        except (VerificationError, InputError, PayloadError) as error:
            failure = VerificationError(f"{self.stego.name} would not read back as it should: {error}")
            if made.mode == "splice":
                raise _Redo(failure) from None
            raise failure from None
        return notes + compare.lost_tags(scan, stego, spliced=made.mode == "splice")

    def _read_back(
        self, stego: Scan, found: Found, parts: Sequence[Part], workshop: Path
    ) -> tuple[payload.Unsealer, NDArray[np.uint64]]:
        spool = workshop / "read-back"
        digests = _read(stego, found, parts, spool, self.n_jobs, self.progress, "verify", digest=True)
        return _unsealed(spool, found), digests

    @contextlib.contextmanager
    def _payload(self) -> Iterator[BinaryIO]:
        """The payload as a file, from where it started."""
        data = self.data
        if isinstance(data, bytes | bytearray | memoryview):
            yield io.BytesIO(data)
        elif isinstance(data, str | os.PathLike):
            try:
                file = Path(data).open("rb")  # noqa: SIM115
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                raise InputError(f"the payload {data} cannot be read: {reason}") from None
            with file:
                yield file
        elif hasattr(data, "read"):
            try:
                self.start = data.tell() if self.start is None else data.seek(self.start)
            except (OSError, ValueError, AttributeError):
                if self.start is not None:
                    raise InputError(
                        "another plan was needed, but the payload can be read only once; give a file or bytes"
                    ) from None
                self.start = -1
            yield data
        else:
            raise ParameterError(
                f"the payload is a {type(data).__name__}; give bytes, a path or a binary file"
            )

    @contextlib.contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started


def _coder(scan: Scan, made: Plan, container: str) -> Coder:
    if made.mode == "transcode":
        return Coder(container, video.lossless_for(scan.pix_fmt, scan.size, container))
    pps_id = plan.free_pps_id(scan)
    assert scan.sets is not None and pps_id is not None
    sps = h264.parse_sps(scan.sps[0])
    # Where sets travel with the packets, all go along: FFmpeg repeats the last ones it saw at each IDR.
    in_band = () if splice.wants_header(container) and not scan.sets_in_band else (scan.sps[0], *scan.pps)
    if in_band:
        in_band += (h264.write_pps(pps_id, sps.id),)
    return Coder(container, None, sps, pps_id, scan.sets.length_size, in_band)


def _replaced(parts: Sequence[Part], packets: int) -> NDArray[np.bool_]:
    mask = np.zeros(packets, bool)
    for part in parts:
        mask[slice(*part.replaced)] = True
    return mask


# -- extracting -----------------------------------------------------------------------------------------


@overload
def extract(
    stego: PathLike, *, key: str | bytes, out: None = None, method: Method | str | None = None,
    n_jobs: int = 1, deep: bool = False, overwrite: bool = False, progress: bool | Report | None = None,
) -> bytes: ...  # fmt: skip
@overload
def extract(
    stego: PathLike, *, key: str | bytes, out: PathLike, method: Method | str | None = None,
    n_jobs: int = 1, deep: bool = False, overwrite: bool = False, progress: bool | Report | None = None,
) -> ExtractResult: ...  # fmt: skip
def extract(
    stego: PathLike,
    *,
    key: str | bytes,
    out: PathLike | None = None,
    method: Method | str | None = None,
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
    target = None if out is None else Path(out)
    if target is not None:
        _check_target(Path(stego), target, overwrite)
    scan = video.scan(stego)
    found = search.find(scan, key, _to_try(method), deep=deep)
    with _workshop(target) as workshop:
        spool, plain = workshop / "sealed", workshop / "payload"
        _read(scan, found, found.parts, spool, _workers(n_jobs), Progress(progress), "extract")
        with spool.open("rb") as file:
            unsealer = payload.unseal(file, found.keys, found.layout)
            if target is None:
                return b"".join(unsealer)
            try:
                with plain.open("xb") as file_out:
                    file_out.writelines(unsealer)
            except OSError as error:
                raise OutputError(f"{target.parent} cannot be written: {error.strerror}") from None
        _publish(plain, target, overwrite)
    return ExtractResult(target, unsealer.payload_bytes, unsealer.digest)


def _read(
    scan: Scan,
    found: Found,
    parts: Sequence[Part],
    spool: Path,
    n_jobs: int,
    progress: Progress,
    stage: str,
    digest: bool = False,
) -> NDArray[np.uint64]:
    """Read the sealed stream into `spool`, cut to its length; the digests of all frames if asked for."""
    try:
        spool.touch(0o600, exist_ok=False)
        os.truncate(spool, found.layout.stream_bytes)
        message = Message(found.carrier, found.keys, found.layout, spool)
        jobs = _jobs(scan, parts, message, 1, digest)
        digests = []
        with progress.stage(stage, sum(len(part.pts) for part in parts)) as advance:
            calls = [(tasks.read_part, job) for job in jobs]
            for job, read in zip(jobs, _in_order(n_jobs, calls), strict=True):
                digests.append(read)
                advance(len(job.part.pts))
        os.truncate(spool, found.layout.stream_bytes)
    except OSError as error:
        raise OutputError(f"{spool.parent.parent} cannot be written: {error.strerror}") from None
    except (DecodeError, UnsupportedError):
        raise PayloadError from None
    return np.concatenate(digests)


def _unsealed(spool: Path, found: Found) -> payload.Unsealer:
    """Unseal to the end, for the digest alone."""
    with spool.open("rb") as file:
        unsealer = payload.unseal(file, found.keys, found.layout)
        for _ in unsealer:
            pass
    return unsealer


# -- verifying, asking ----------------------------------------------------------------------------------


def verify(
    cover: PathLike,
    stego: PathLike,
    *,
    key: str | bytes,
    method: Method | str | None = None,
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
    report = Progress(progress)
    before, after = video.scan(cover, digest=True), video.scan(stego, digest=True)
    found = search.find(after, key, _to_try(method))
    # noise coded without loss looks like raw pictures, but a splice adds a parameter set to the cover's own
    same_sets = set(before.sps) == set(after.sps) and set(before.pps) < set(after.pps)
    spliced = found.spliced and same_sets
    replaced = _replaced(found.parts, len(after.packets)) if spliced else None
    if len(before.packets) != len(after.packets) and spliced:
        raise VerificationError(f"{len(after.packets)} video packets stand for {len(before.packets)}")
    notes = compare.compare_streams(before, after, replaced)
    with _workshop(None) as workshop:
        _read(after, found, found.parts, workshop / "sealed", _workers(n_jobs), report, "verify")
        unsealer = _unsealed(workshop / "sealed", found)
    compared = ["times", "other streams", "payload", *(["copied packets"] if spliced else [])]
    if full:
        carrying = compare.carrying_frames(after.pts, (p.pts[: p.carrying] for p in found.parts))
        compare.compare_frames(before, after, carrying, report)
        compared.append("every frame")
    mode = "splice" if spliced else "transcode"
    return Verification(
        mode, len(after.pts), found.layout.frames, unsealer.payload_bytes, unsealer.digest,
        tuple(compared), tuple(notes),
    )  # fmt: skip


def capacity(cover: PathLike, *, method: Method | str | None = None) -> Capacity:
    """How much a cover takes, by method and spread."""
    scan = video.scan(cover)
    rows = []
    for one in _to_try(method):
        carrier = Carrier(one, scan.size, scan.depth)
        for spread in ("fewest", 0.5, 0.1, "all"):
            room = plan.room(scan, carrier, spread)
            rows.append(
                Room(
                    one.name, spread, 8 * room.frame_bytes, room.frames, 8 * room.sealed_bytes,
                    payload.largest_payload(room.sealed_bytes),
                )
            )  # fmt: skip
    return Capacity(Path(cover), tuple(rows))


def _to_try(method: Method | str | None) -> list[Method]:
    return [methods.get(name) for name in ([method] if method is not None else methods.names())]


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


def probe(cover: PathLike) -> Probe:
    """What a file is, and whether it can be spliced and why not."""
    scan = video.scan(cover)
    obstacle = plan.splice_obstacle(scan)
    return Probe(
        path=Path(cover), format=scan.format, codec=scan.codec, pix_fmt=scan.pix_fmt,
        width=scan.size[0], height=scan.size[1], frames=int(scan.shown.sum()), rate=scan.rate,
        duration_s=scan.duration_s, bytes=_size_of(Path(cover)),
        key_frames=int((scan.packets["flags"] & video.KEY != 0).sum()), streams=scan.streams,
        splice=obstacle is None, reason=obstacle or plan.CAN_SPLICE,
    )  # fmt: skip


def frames(path: PathLike, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
    """Decode frames [start, stop) of the carrying stream, one at a time.

    Examples
    --------
    >>> lumas = [frame.luma.mean() for frame in vidstega.frames("holiday.mp4", 0, 10)]  # doctest: +SKIP
    """
    scan = video.scan(path)
    count = len(scan.pts)
    stop = count if stop is None else min(stop, count)
    if start < 0 or stop < 0:
        raise ParameterError(f"frames [{start}, {stop}) cannot be counted from the end; there are {count}")
    if start >= stop:
        return
    part = plan.part_around(scan, start, stop)
    rows = scan.packets[part.first : part.stop]
    decoded = video.decode_span(scan.source, part.first, rows, part.pts)
    for index, frame in enumerate(decoded, start):
        time_s = float(part.pts[index - start] * scan.time_base)
        yield Frame(index, time_s, scan.depth, tuple(video.planes(frame)))


# -- running tasks --------------------------------------------------------------------------------------


def _workers(n_jobs: int) -> int:
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0:
        raise ParameterError(
            f"n_jobs={n_jobs!r} is no number of workers; give 1 or more, or -1 for all cores"
        )
    return n_jobs


def _jobs(scan: Scan, parts: Sequence[Part], message: Message, threads: int, digest: bool) -> list[Job]:
    source = scan.source
    return [
        Job(source, part, scan.packets[part.first : part.stop], message, threads, digest) for part in parts
    ]


def _in_order(n_jobs: int, calls: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
    """Results of (function, arguments...) calls, in their order, as they come.

    A killed worker costs the tasks that were unfinished another try, not the ones that are done.
    """
    done = 0
    for attempt in range(_RETRIES + 1):
        # a cluster may have few workers now and many soon: it is told of all tasks at once
        pool = joblib.Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator", pre_dispatch="all")
        try:
            for result in pool(joblib.delayed(_fresh)(*call) for call in calls[done:]):
                done += 1
                yield result
            return
        except PicklingError as error:
            raise ParameterError(
                f"the method cannot be sent to worker processes ({error}); define it in a module"
            ) from None
        except (TerminatedWorkerError, BrokenProcessPool):
            if attempt == _RETRIES:
                raise OutputError(
                    f"workers were killed {_RETRIES + 1} times; is there enough memory for n_jobs={n_jobs}?"
                ) from None
        except Exception as error:
            if type(error).__name__ != "KilledWorker":  # of distributed, which tries again by itself
                raise
            raise OutputError("the cluster's workers were killed; have they enough memory?") from None


def _alone(n_jobs: int) -> bool:
    """Whether this process is the only worker; never so where joblib was told of processes or a cluster."""
    backend, _ = joblib.parallel.get_active_backend(prefer="threads")
    shared = getattr(backend, "supports_sharedmem", False)  # joblib's Dask backend does not say
    return bool(shared and joblib.effective_n_jobs(n_jobs) == 1)


def _fresh(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a task; a part file it is to write gets a new name at every try, ours or a cluster's."""
    name = f".{secrets.token_hex(4)}"
    return function(*(a.with_name(a.name + name) if isinstance(a, Path) else a for a in arguments))


# -- files ----------------------------------------------------------------------------------------------


def _check_target(source: Path, target: Path, overwrite: bool) -> None:
    try:
        if target.is_dir():
            raise OutputError(f"{target} is a directory; give a file name")
        if target.exists() and source.exists() and target.samefile(source):
            raise OutputError(f"{target} is the input itself; write somewhere else")
        if target.exists() and not overwrite:
            raise OutputError(f"{target} exists; pass overwrite=True (--overwrite) to replace it")
        if not target.absolute().parent.is_dir():
            raise OutputError(f"{target.parent} is no directory; create it first")
    except (OSError, ValueError) as error:
        raise OutputError(f"{target} cannot be a file: {error}") from None


@contextlib.contextmanager
def _workshop(target: Path | None) -> Iterator[Path]:
    """A private folder beside the target (so that it can be renamed into place), gone in the end."""
    beside = None if target is None else target.absolute().parent
    try:
        made = tempfile.mkdtemp(prefix=".vidstega-", dir=beside)
    except OSError as error:
        raise OutputError(f"{beside} cannot be written: {error.strerror}") from None
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _publish(finished: Path, target: Path, overwrite: bool) -> None:
    """Let the finished file appear under its name, whole, in one step."""
    try:
        with finished.open("rb+") as file:
            os.fsync(file.fileno())
        if not overwrite:
            with contextlib.suppress(OSError):  # where hard links exist, nothing can slip in between
                os.link(finished, target)
                return
            if target.exists():
                raise OutputError(f"{target} exists by now; pass overwrite=True (--overwrite) to replace it")
        finished.replace(target)
    except (OSError, ValueError) as error:
        raise OutputError(f"{target} cannot be written: {error}") from None


def _check_disk(workshop: Path, scan: Scan, made: Plan, cover_bytes: int) -> None:
    """Refuse early what cannot fit: parts and output, at a cautious guess of what is coded."""
    raw = scan.size[0] * scan.size[1] * 3 // 2 * (1 if scan.depth == 8 else 2)
    coded = made.coded * raw * (1.0 if made.mode == "splice" else plan.LOSSLESS_RATIO / 4)
    needed = int(cover_bytes + coded) + _MARGIN_BYTES
    free = shutil.disk_usage(workshop).free
    if free < needed:
        raise OutputError(
            f"the disk has {free:,} bytes free, at least {needed:,} are needed; free some or write elsewhere"
        )
