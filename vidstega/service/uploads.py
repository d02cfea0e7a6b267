"""Multipart forms, streamed: files go to disk as they come, and every size has a limit.

`multipart` parses without reading or storing anything itself. Parsers that do so (Starlette's,
streaming-form-data) know no limit for each field and no quota, and put files where those do not hold.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread
from fastapi import Request
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from vidstega.service.refused import Refused

_BUFFER_BYTES = 256 << 10
_STEP_BYTES = 16 << 20
_DRAIN_BYTES, _DRAIN_S = 64 << 20, 10.0
_OVERHEAD_BYTES = 64 << 10  # of a form around its files


@dataclass(frozen=True)
class Field:
    """A field a form may have: its most bytes, and the file it goes to (none: memory)."""

    most: int
    file: str | None = None


@dataclass
class Part:
    """A field that came. `file_name` is None for a text field, "" where no file was chosen."""

    limit: Field
    file_name: str | None = None
    size: int = 0
    data: bytearray = field(default_factory=bytearray)
    out: BinaryIO | None = field(default=None, repr=False)

    @property
    def empty(self) -> bool:
        """Nothing was typed, or no file was chosen."""
        return not self.size and not self.file_name


async def receive(
    request: Request,
    folder: Path,
    fields: Mapping[str, Field],
    *,
    reserve: Callable[[int], None],
    longest: float,
    idle: float,
) -> dict[str, Part]:
    """Read a form into `folder`; fields may come in any order.

    `reserve` is told how many bytes are to come, and refuses them where there is no room; an upload may take
    `longest` seconds, and stand still for `idle`. Raises Refused for everything a client can do wrong: 400
    malformed, 408 too slow, 413 too large, 415 another kind of body, 422 other fields.
    """
    most = sum(field.most for field in fields.values()) + _OVERHEAD_BYTES
    length = _content_length(request)
    if length > most:
        raise _too_large("the upload", most)
    reserve(length)
    form = _Form(folder, fields, reserve, length)
    loop = asyncio.get_running_loop()
    end = loop.time() + longest
    try:
        async with asyncio.timeout_at(min(end, loop.time() + idle)) as deadline:
            with PushMultipartParser(_boundary(request), header_charset="latin1") as parser:
                async for chunk in _chunks(request, most):
                    deadline.reschedule(min(end, loop.time() + idle))
                    for event in parser.parse(chunk):
                        form.take(event)
                    if form.waiting >= _BUFFER_BYTES:
                        await to_thread.run_sync(form.write)
            await to_thread.run_sync(form.write)
            return form.parts()
    except TimeoutError:
        text = f"the upload stood still for {idle:g} s or took longer than {longest:g} s"
        raise Refused(408, text) from None
    except MultipartError:
        raise Refused(400, "the form is malformed or ends too early; send multipart/form-data") from None
    except FileExistsError:
        raise Refused(422, "send either a 'message' or a 'payload' file") from None
    except OSError:
        text = "the server's disk is full; try again later"
        raise Refused(503, text, limit="disk", retry_after=60) from None
    finally:
        form.close()


async def _chunks(request: Request, most: int) -> AsyncIterator[bytes]:
    """The body as it comes, without empty pieces; notes its end, after which there is nothing to drain."""
    more, seen = True, 0
    while more:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        more = message.get("more_body", False)
        request.state.read = not more
        chunk = message.get("body", b"")
        seen += len(chunk)
        if seen > most:
            raise _too_large("the upload", most)
        if chunk:
            yield chunk


async def drain(request: Request) -> None:
    """Read on for a while, so that a client that is still sending gets to read the answer."""
    seen = 0
    if getattr(request.state, "read", False):
        return
    with contextlib.suppress(ClientDisconnect, RuntimeError, TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            while seen < _DRAIN_BYTES:
                message = await request.receive()
                seen += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return


def _content_length(request: Request) -> int:
    text = request.headers.get("content-length", "")
    return int(text) if text.isdecimal() else 0


def _boundary(request: Request) -> str:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary: str = options.get("boundary", "")
    if kind != "multipart/form-data" or not (boundary.isascii() and 0 < len(boundary) <= 200):
        raise Refused(415, "send a multipart/form-data form")
    return boundary


def _too_large(what: str, most: int) -> Refused:
    return Refused(413, f"{what} is too large; at most {most:,} bytes are taken", limit="size")


class _Form:
    """What the parser found so far; keeps what is to be written until `write` is called."""

    def __init__(
        self, folder: Path, fields: Mapping[str, Field], reserve: Callable[[int], None], reserved: int
    ) -> None:
        self._folder, self._fields = folder, fields
        self._reserve, self._reserved = reserve, reserved
        self._parts: dict[str, Part] = {}
        self._name = ""
        self._pending: list[tuple[Part, bytearray]] = []
        self.waiting = 0

    def take(self, event: MultipartSegment | bytes | None) -> None:
        """The head of a field, a piece of it, or (None) its end."""
        if isinstance(event, MultipartSegment):
            self._begin(_text(event.name), None if event.filename is None else _text(event.filename))
        elif event is not None:
            self._add(event)

    def write(self) -> None:
        """Put on disk what has come; may run in any thread while nothing is taken."""
        for part, data in self._pending:
            if part.out is None:
                assert part.limit.file is not None
                part.out = (self._folder / part.limit.file).open("xb", buffering=0)
            view = memoryview(data)
            while view:
                view = view[part.out.write(view) :]
        self._pending, self.waiting = [], 0

    def parts(self) -> dict[str, Part]:
        """What came, without fields that were left empty."""
        return {name: part for name, part in self._parts.items() if not part.empty}

    def close(self) -> None:
        """Close all files."""
        for part in self._parts.values():
            if part.out is not None:
                part.out.close()

    def _begin(self, name: str, file_name: str | None) -> None:
        if name not in self._fields:
            raise Refused(422, f"there is no field {name[:40]!r}; use {', '.join(self._fields)}")
        if name in self._parts:
            raise Refused(422, f"the field {name!r} came twice")
        self._name = name
        part = self._parts[name] = Part(self._fields[name], file_name)
        if part.limit.file and file_name:  # a file that was chosen may be empty
            self._pending.append((part, bytearray()))

    def _add(self, data: bytes) -> None:
        part = self._parts[self._name]
        part.size += len(data)
        if part.size > part.limit.most:
            raise _too_large(f"the field {self._name!r}", part.limit.most)
        if part.limit.file is None:
            part.data += data
            return
        if not self._pending or self._pending[-1][0] is not part:
            self._pending.append((part, bytearray()))
        self._pending[-1][1].extend(data)
        self.waiting += len(data)
        total = sum(other.size for other in self._parts.values())
        if total > self._reserved:
            self._reserved = total + _STEP_BYTES
            self._reserve(self._reserved)


def _text(header: str | None) -> str:
    """A name as browsers send it, in UTF-8; the parser reads all heads as Latin-1, which never fails."""
    return (header or "").encode("latin1").decode("utf-8", "replace")
