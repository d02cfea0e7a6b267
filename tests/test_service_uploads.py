"""Forms as they come: in any pieces, too slow, too large, cut off; and what of them is in memory."""

from __future__ import annotations

import asyncio
import tempfile
import tracemalloc
from collections.abc import AsyncIterator, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi")
pytest.importorskip("multipart")

from starlette.requests import ClientDisconnect, Request

from vidstega.service.refused import Refused
from vidstega.service.uploads import Field, Part, receive

MIB = 1 << 20
FIELDS = {"video": Field(64 * MIB, "cover"), "key": Field(64)}
VIDEO = b"--x\r\n-\r\n--\r\n-x--x--\r\n\r"
"""Bytes that look much like the form's own."""


def field(name: str, data: bytes, file_name: str | None = None) -> bytes:
    named = "" if file_name is None else f'; filename="{file_name}"'
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + data + b"\r\n"


FORM = field("key", b"k") + field("video", VIDEO, "ü 1.mp4") + b"--x--\r\n"


def received(
    chunks: Iterable[bytes],
    folder: Path,
    *,
    idle: float = 5,
    then: str = "end",
    reserved: list[int] | None = None,
) -> dict[str, Part]:
    """What `receive` makes of a body in these pieces, after which the client ends, stands still or leaves."""

    async def messages() -> AsyncIterator[dict[str, Any]]:
        for chunk in chunks:
            yield {"type": "http.request", "body": chunk, "more_body": True}
        if then == "wait":
            await asyncio.sleep(60)
        yield {"type": "http.request" if then == "end" else "http.disconnect"}

    headers = [(b"content-type", b"multipart/form-data; boundary=x")]
    request = Request({"type": "http", "headers": headers}, messages().__anext__)
    reserve = ([] if reserved is None else reserved).append
    return asyncio.run(receive(request, folder, FIELDS, reserve=reserve, longest=60, idle=idle))


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(1, len(FORM) - 1)))
def test_in_whatever_pieces_it_comes(cuts: set[int]) -> None:
    ends = [0, *sorted(cuts), len(FORM)]
    with tempfile.TemporaryDirectory() as folder:
        form = received((FORM[a:b] for a, b in pairwise(ends)), Path(folder))
        assert Path(folder, "cover").read_bytes() == VIDEO
    assert (bytes(form["key"].data), form["key"].file_name) == (b"k", None)
    assert (form["video"].size, form["video"].file_name) == (len(VIDEO), "ü 1.mp4")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(FORM) - 5))
def test_cut_off_it_is_refused(length: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.raises(Refused, match="ends too early") as caught:
        received([FORM[:length]], Path(folder))
    assert caught.value.status == 400


def test_a_client_that_stands_still_or_leaves(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"stood still for 0\.05 s") as caught:
        received([FORM[:40]], tmp_path, idle=0.05, then="wait")
    assert caught.value.status == 408
    with pytest.raises(ClientDisconnect):
        received([FORM[:40]], tmp_path, then="leave")


def test_a_large_file_is_never_in_memory_and_its_room_is_asked_for_first(tmp_path: Path) -> None:
    def body() -> Iterable[bytes]:
        yield field("video", b"", "v").removesuffix(b"\r\n")
        for _ in range(40 * 16):
            yield bytes(MIB // 16)
            assert size() <= reserved[-1]
        yield b"\r\n--x--"

    def size() -> int:
        return (tmp_path / "cover").stat().st_size if (tmp_path / "cover").exists() else 0

    reserved: list[int] = []
    tracemalloc.start()
    form = received(body(), tmp_path, reserved=reserved)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert form["video"].size == size() == 40 * MIB
    assert peak < 2 * MIB


@pytest.mark.parametrize(
    ("form", "status"),
    [
        (field("key", b"k" * 65), 413),
        (field("colour", b"red"), 422),
        (field("key", b"k") * 2, 422),
        (b"--x\r\n" + b"A: b\r\n" * 9, 400),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\n", 422),
        (b"--x\r\nContent-Type: text/plain\r\n\r\n", 400),
    ],
)
def test_is_refused_as_soon_as_it_is_wrong(tmp_path: Path, form: bytes, status: int) -> None:
    def body() -> Iterable[bytes]:
        yield form
        pytest.fail("it was read on")

    with pytest.raises(Refused) as caught:
        received(body(), tmp_path)
    assert caught.value.status == status
