"""Requests that start work: who may, what they send, and what of it is refused at once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request
from starlette.requests import ClientDisconnect

from vidstega import carriers
from vidstega.carriers import Robust
from vidstega.carriers.base import check_spread
from vidstega.channels import CHANNELS
from vidstega.errors import ParameterError
from vidstega.service import uploads, worker
from vidstega.service.jobs import Desk
from vidstega.service.limits import Client, RateLimits
from vidstega.service.metrics import Metrics
from vidstega.service.refused import Refused
from vidstega.service.settings import MAX_FIELD_BYTES, MAX_KEY_BYTES, Settings
from vidstega.service.store import Job
from vidstega.service.uploads import Field, Part

_FILES = {"video", "payload"}
_NOTES = {
    "video": "the video",
    "message": "a text to hide; either this or payload",
    "payload": "a file to hide; either this or message",
    "key": "the passphrase",
    "method": "how it is hidden; auto takes the quietest way that holds it, and does not look for robust",
    "survive": "with method=robust: the channel that the message has to come through",
    "spread": "fewest, all, or bits per luma sample (default: all with method=hill, or else fewest)",
}


def methods() -> list[str]:
    """What may be asked for as a method, the default first."""
    return [carriers.AUTO, *carriers.names()]


class Intake:
    """Where work comes in. `fields` is what the form of each operation may hold."""

    def __init__(self, settings: Settings, desk: Desk, rates: RateLimits, metrics: Metrics) -> None:
        self._settings, self._desk, self._rates, self._metrics = settings, desk, rates, metrics
        video = Field(settings.most_upload, worker.COVER)
        payload = Field(settings.most_payload, worker.PAYLOAD)
        key, word = Field(MAX_KEY_BYTES), Field(MAX_FIELD_BYTES)
        hidden = {"message": payload, "payload": payload}
        self.fields: dict[str, dict[str, Field]] = {
            "embed": {
                **{"video": video, **hidden, "key": key},
                **{"method": word, "spread": word, "survive": word},
            },
            "extract": {"video": video, "key": key, "method": word},
            "capacity": {"video": video},
            "detect": {"video": video},
        }

    async def start(self, request: Request, operation: str) -> Job:
        """Take a form in, and queue its job."""
        async with self._taken_in(request, operation) as (id, form):
            key = _key(form)
            task: dict[str, Any] = {"operation": operation, "folder": str(self._desk.folder(id))}
            task |= {"method": _method(form)}
            if operation == "embed":
                task |= _embedding(form)
            needs = await self._desk.probe(task | {"most_payload": self._settings.most_payload})
            return self._desk.submit(id, task, needs, key)

    async def measure(self, request: Request, operation: str) -> dict[str, Any]:
        """Take a video in, and answer how much it carries, or whether it shows a message."""
        async with self._taken_in(request, operation) as (id, _):
            return await self._desk.probe({"operation": operation, "folder": str(self._desk.folder(id))})

    @asynccontextmanager
    async def _taken_in(self, request: Request, operation: str) -> AsyncIterator[tuple[str, dict[str, Part]]]:
        """The id of an arrival, and its form; before a refusal, what the client is still sending is read."""
        try:
            await self._admit(request, operation)
            with self._desk.arrival() as id:
                yield id, await self._receive(request, operation, id)
        except Refused as refused:
            if refused.limit:
                self._metrics.rejections.labels(refused.limit).inc()
            await uploads.drain(request)
            raise
        except ClientDisconnect:
            raise Refused(499, "the client went away") from None

    async def _admit(self, request: Request, operation: str) -> None:
        if request.headers.get("sec-fetch-site") == "cross-site":
            raise Refused(403, "another web site may not send work here")
        known, api_key = self._settings.api_keys, request.headers.get("x-api-key")
        if known is not None and api_key is not None and api_key not in known:
            raise Refused(401, "this API key is not known here")
        client = Client.of(request.client.host if request.client else "unknown", api_key)
        if (wait := await self._rates.retry_after(client, operation)) is not None:
            text = f"too many requests; try again in {wait} s"
            raise Refused(429, text, limit="rate", retry_after=wait)

    async def _receive(self, request: Request, operation: str, id: str) -> dict[str, Part]:
        def reserve(size: int) -> None:
            self._desk.reserve(id, size)

        times = {"longest": self._settings.upload_timeout, "idle": self._settings.idle_timeout}
        folder, fields = self._desk.folder(id), self.fields[operation]
        form = await uploads.receive(request, folder, fields, reserve=reserve, **times)
        if "video" not in form:
            raise Refused(422, "no video was sent; put one in the field 'video'")
        if not form["video"].size:
            raise Refused(422, "the video is empty, 0 bytes; send one that plays")
        return form


def describe_form(fields: Mapping[str, Field]) -> dict[str, Any]:
    """What OpenAPI is told of a form that is read by hand."""
    properties: dict[str, Any] = {name: {"type": "string", "description": _NOTES[name]} for name in fields}
    for name in _FILES & fields.keys():
        properties[name]["format"] = "binary"
    if "method" in fields:
        properties["method"] |= {"enum": methods(), "default": carriers.AUTO}
    if "survive" in fields:
        properties["survive"] |= {"enum": list(CHANNELS), "default": Robust.survive}
    required = [name for name in ("video", "key") if name in fields]
    schema = {"type": "object", "properties": properties, "required": required}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


# -- fields ---------------------------------------------------------------------------------------------


def _key(form: Mapping[str, Part]) -> bytes:
    """The key as UTF-8; one from a file loses one trailing newline."""
    if "key" not in form or not form["key"].size:
        raise Refused(422, "no key was sent; put one in the field 'key'")
    part = form["key"]
    key = bytes(part.data)
    if part.file_name is not None:
        key = re.sub(rb"\r?\n\Z", b"", key)
    try:
        if not key or not key.decode():
            raise Refused(422, "the key is empty")
    except UnicodeDecodeError:
        raise Refused(422, "the key is not UTF-8 text") from None
    return key


def _embedding(form: Mapping[str, Part]) -> dict[str, Any]:
    if len({"message", "payload"} & form.keys()) != 1:
        raise Refused(422, "send either a 'message' or a 'payload' file")
    return {"spread": _spread(form), "survive": _survive(form)}


def _word(form: Mapping[str, Part], name: str, default: str) -> str:
    if name not in form:
        return default
    return bytes(form[name].data).decode("utf-8", "replace").strip()


def _method(form: Mapping[str, Part]) -> str:
    text = _word(form, "method", carriers.AUTO)
    if text not in methods():
        raise Refused(422, f"method={text!r} is none of {', '.join(methods())}")
    return text


def _survive(form: Mapping[str, Part]) -> str:
    if "survive" in form and _method(form) != Robust.method:
        raise Refused(422, "'survive' goes with method=robust; send that too, or leave it out")
    text = _word(form, "survive", Robust.survive)
    if text not in CHANNELS:
        raise Refused(422, f"survive={text!r} is none of {', '.join(CHANNELS)}")
    return text


def _spread(form: Mapping[str, Part]) -> str | float:
    text = _word(form, "spread", "usual")
    try:
        return check_spread(float(text) if re.fullmatch(r"[\d.]+(e-?\d+)?", text) else text)
    except (ParameterError, ValueError):
        raise Refused(422, f"spread={text!r} is none of fewest, all and a number, 0 < alpha <= 1") from None
