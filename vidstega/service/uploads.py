"""Multipart forms, streamed: files go to disk as they come, and every size has a limit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from vidstega.service.jobs import Refused

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
    """A field that came. `named` tells a file from a text field."""

    name: str
    size: int = 0
    named: bool = False
    file_name: str = ""
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
    seconds: float,
    idle: float,
) -> dict[str, Part]:
    """Read a form into `folder`; fields may come in any order.

    Raises Refused for everything a client can do wrong: 400 malformed, 408 too slow, 413 too large, 415
    another kind of body, 422 other fields.
    """
    most = sum(field.most for field in fields.values()) + _OVERHEAD_BYTES
    length = _content_length(request)
    if length is not None and length > most:
        raise _too_large("the upload", most)
    reserve(length or 0)
    form = _Form(folder, fields, _boundary(request), reserve, length or 0)
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    try:
        async with asyncio.timeout_at(min(end, loop.time() + idle)) as deadline:
            async for chunk in _chunks(request):
                deadline.reschedule(min(end, loop.time() + idle))
                form.feed(chunk)
                if form.waiting >= _BUFFER_BYTES:
                    await to_thread.run_sync(form.write)
            await to_thread.run_sync(form.write)
            return form.finish()
    except TimeoutError:
        text = f"the upload stood still for {idle:g} s or took longer than {seconds:g} s"
        raise Refused(408, text) from None
    except FormParserError:
        raise Refused(400, "the form is malformed; send multipart/form-data") from None
    except FileExistsError:
        raise Refused(422, "send either a 'message' or a 'payload' file") from None
    except OSError:
        text = "the server's disk is full; try again later"
        raise Refused(503, text, limit="disk", retry_after=60) from None
    finally:
        form.close()


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes; notes its end, after which there is nothing to drain."""
    more = True
    while more:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        more = message.get("more_body", False)
        request.state.read = not more
        yield message.get("body", b"")


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


def _content_length(request: Request) -> int | None:
    text = request.headers.get("content-length", "")
    return int(text) if text.isdecimal() else None


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 200:
        raise Refused(415, "send a multipart/form-data form")
    return boundary


def _too_large(what: str, most: int) -> Refused:
    return Refused(413, f"{what} is too large; at most {most:,} bytes are taken", limit="size")


class _Form:
    """Follows the parser's callbacks; keeps what is to be written until `write` is called."""

    def __init__(
        self,
        folder: Path,
        fields: Mapping[str, Field],
        boundary: bytes,
        reserve: Callable[[int], None],
        reserved: int,
    ) -> None:
        self._folder, self._fields = folder, fields
        self._reserve, self._reserved = reserve, reserved
        self._parts: dict[str, Part] = {}
        self._part: Part | None = None
        self._header, self._value = bytearray(), bytearray()
        self._disposition = b""
        self._pending: list[tuple[Part, bytes]] = []
        self._ended = False
        self.waiting = 0
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._start,
                "on_part_data": self._on_data,
                "on_end": self._on_end,
            },
        )

    def feed(self, chunk: bytes) -> None:
        if chunk:
            self._parser.write(chunk)

    def write(self) -> None:
        """Put on disk what has come; may run in any thread while nothing is fed."""
        for part, data in self._pending:
            if part.out is None:
                name = self._fields[part.name].file
                assert name is not None
                part.out = (self._folder / name).open("xb", buffering=0)
            view = memoryview(data)
            while view:
                view = view[part.out.write(view) :]
        self._pending, self.waiting = [], 0

    def finish(self) -> dict[str, Part]:
        if not self._ended:
            raise Refused(400, "the form ends too early; send it again")
        return {name: part for name, part in self._parts.items() if not part.empty}

    def close(self) -> None:
        for part in self._parts.values():
            if part.out is not None:
                part.out.close()

    # -- what the parser calls

    def _begin(self) -> None:
        self._disposition = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _start(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name not in self._fields:
            raise Refused(422, f"there is no field {name[:40]!r}; use {', '.join(self._fields)}")
        if name in self._parts:
            raise Refused(422, f"the field {name!r} came twice")
        file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        self._part = self._parts[name] = Part(name, named=b"filename" in options, file_name=file_name)
        if self._fields[name].file and file_name:  # a file that was chosen may be empty
            self._pending.append((self._part, b""))

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        assert part is not None
        limit = self._fields[part.name]
        part.size += end - start
        if part.size > limit.most:
            raise _too_large(f"the field {part.name!r}", limit.most)
        if limit.file is None:
            part.data += data[start:end]
            return
        self._pending.append((part, data[start:end]))
        self.waiting += end - start
        total = sum(other.size for other in self._parts.values())
        if total > self._reserved:
            self._reserved = total + _STEP_BYTES
            self._reserve(self._reserved)

    def _on_end(self) -> None:
        self._ended = True
