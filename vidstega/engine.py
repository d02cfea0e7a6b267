"""embed, extract, verify: what every carrier shares. Bytes do not depend on workers or backend."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import overload

from vidstega import carriers, files, payloads
from vidstega.attempts import Order, by_the_first_able, most_bytes
from vidstega.carriers import AUTO, How
from vidstega.carriers.base import Carrier, Found, Spread, Wish, check_spread
from vidstega.clock import Clock
from vidstega.errors import InputError, OutputError, ParameterError, VerificationError
from vidstega.files import PathLike
from vidstega.media import compare, kept
from vidstega.media.census import is_doubtful, take_census
from vidstega.media.mux import container_of
from vidstega.media.scan import scan as scan_file
from vidstega.media.source import Scan
from vidstega.payloads import Payload
from vidstega.pool import Pool, Work
from vidstega.progress import Progress, Report
from vidstega.reading import drained, locate, locate_in_the_second, read, unsealed
from vidstega.results import EmbedResult, ExtractResult, Verification
from vidstega.seal import Key

# -- embedding ------------------------------------------------------------------------------------------


def embed(
    cover: PathLike,
    stego: PathLike,
    payload: Payload,
    *,
    key: str | bytes,
    method: How = AUTO,
    spread: Spread = "usual",
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
    spread : "fewest" frames, "all" frames, or a number: at most so many bits per luma sample (alpha); "usual"
        is what the method has, "all" for hill and "fewest" for the others
    compress : deflate what becomes smaller by it
    n_jobs : workers; which kind is joblib's business (``joblib.parallel_config``), threads by default
    verify : read the result back and compare before it appears; "full" compares every frame
    overwrite : replace an existing file; nothing else is ever replaced
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
    source, target, secret = files.video_at(cover), Path(stego), Key(key)
    able = carriers.automatic() if method == AUTO else [carriers.get(method)]
    output = files.Output(stego, overwrite, source, *payloads.files_of(payload))
    container, asked, pool = container_of(target), check_spread(spread), Pool(n_jobs)
    clock = Clock()
    with clock.stage("probe"):
        scan = scan_file(source, digest=bool(verify))
        cover_bytes = files.size_of(source)
    with output.folder() as folder:
        work = Work(pool, folder, Progress(progress), digest=bool(verify))
        with clock.stage("seal"), payloads.opened(payload) as data:
            sealed = payloads.seal(data, secret, compress, most_bytes(able, scan, asked), work)
        short = None if sealed.short is None else sealed.short.packed_bytes
        wish = Wish(sealed.stream_bytes, asked, container, short_bytes=short)
        order = Order(scan, cover_bytes, target, secret, sealed, verify, work, clock)
        result, finished = by_the_first_able(able, order, wish)
        output.publish(finished)
    for note in result.notes:
        warnings.warn(note, stacklevel=2)
    return result


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
    out : file, pipe or device to stream the payload to once all of it is proved; without it the payload is
        returned
    method : only if it was your own object
    n_jobs : workers, as for `embed`
    deep : try every key frame as the start, for a video that was cut or joined since; of `robust` also look
        for more than 20 s cut off at the start, for crops, and for pictures stretched to another shape
    overwrite : replace an existing file `out`; pipes and devices are written to in any case

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
    source, secret, pool = files.video_at(stego), Key(key), Pool(n_jobs)
    output = None if out is None else files.Output(out, overwrite, source, streams=True)
    with files.private_folder(None) if output is None else output.folder() as folder:
        scan, spool = scan_file(source), folder / "sealed"
        carrier, found = locate(scan, secret, method, deep=deep)
        read(carrier, scan, found, spool, Work(pool, folder, Progress(progress)), stage="extract")
        with unsealed(spool, found) as pieces:
            if output is None:
                return b"".join(pieces)
            _write_out(pieces, folder / "payload")
        output.publish(folder / "payload")
    return ExtractResult(output.name, pieces.payload_bytes, pieces.digest)


def _write_out(pieces: Iterator[bytes], path: Path) -> None:
    try:
        with path.open("xb") as file:
            file.writelines(pieces)
    except OSError as error:
        raise OutputError(f"{path.parent.parent} cannot be written: {error.strerror}") from None


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
    report, pool, secret = Progress(progress), Pool(n_jobs), Key(key)
    before, after = (scan_file(files.video_at(one), digest=True) for one in (cover, stego))
    carrier, found = locate_in_the_second(before, after, secret, method)
    mode, promise = carrier.promise(before, after, found)
    copied = promise.packets is not None
    if not copied and (is_doubtful(before) or len(before.pts) != len(after.pts)):
        before = take_census(before, report)
        mode, promise = carrier.promise(before, after, found)
    if copied and len(before.packets) != len(after.packets):
        raise VerificationError(f"{len(after.packets)} video packets stand for {len(before.packets)}")
    notes = compare.compare_packets(before, after, promise)
    notes += kept.differences(before, after, copied=copied)
    with files.private_folder(None) as folder:
        read(carrier, after, found, folder / "sealed", Work(pool, folder, report), stage="verify")
        unsealer = drained(folder / "sealed", found)
    compared = ["times", "other streams", "payload", *(["copied packets"] if copied else [])]
    if full:
        before = _every_frame(carrier, before, after, found, promise, report)
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


def _every_frame(
    carrier: Carrier, before: Scan, after: Scan, found: Found, promise: compare.Promise, report: Progress
) -> Scan:
    """Compare all frames; gives the cover, whose packet table decoding may have shown to be wrong."""
    try:
        compare.compare_frames(before, after, promise, report)
    except (InputError, VerificationError):
        if promise.packets is not None or before.source.as_decoded:
            raise
        before = take_census(before, report)
        _, promise = carrier.promise(before, after, found)
        compare.compare_frames(before, after, promise, report)
    return before
