"""The routes. Errors are JSON with one sentence; nothing here opens what was sent."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import vidstega
from vidstega.carriers.base import check_spread
from vidstega.errors import ParameterError
from vidstega.service import uploads, worker
from vidstega.service.child import warm_up
from vidstega.service.jobs import Desk, Refused
from vidstega.service.limits import Client, RateLimits, Unavailable
from vidstega.service.metrics import Metrics
from vidstega.service.settings import MAX_FIELD_BYTES, MAX_KEY_BYTES, Settings
from vidstega.service.store import DONE, FAILED, QUEUED, RUNNING, Job, Store
from vidstega.service.uploads import Field, Part

log = logging.getLogger("vidstega.service")

_PAGE = Path(__file__).with_name("page.html")
_LONGEST_WAIT_S = 30
_SAFE_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


def create_app(settings: Settings) -> FastAPI:
    """The whole service over one data folder."""
    metrics, rates = Metrics(), RateLimits(settings)
    store = Store(settings.data)
    desk = Desk(settings, store, metrics)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        modules = [worker.__name__, *(["distributed"] if settings.scheduler else [])]
        await run_in_threadpool(warm_up, *modules)
        await desk.start()
        yield
        await desk.stop()
        store.close()

    app = FastAPI(
        title="vidstega",
        version=vidstega.__version__,
        description="Hide a payload in a video, and get it back exactly.",
        lifespan=lifespan,
    )
    app.add_middleware(_Observed, metrics=metrics)
    app.add_exception_handler(Refused, _refuse)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    _add_work(app, settings, desk, rates, metrics)
    _add_jobs(app, settings, desk)
    _add_pages(app, settings, desk, metrics)
    return app


# -- requests that start work ---------------------------------------------------------------------------


def _add_work(app: FastAPI, settings: Settings, desk: Desk, rates: RateLimits, metrics: Metrics) -> None:
    video, payload = Field(settings.most_upload, worker.COVER), Field(settings.most_payload, worker.PAYLOAD)
    fields = {
        "embed": {
            "video": video,
            "message": payload,
            "payload": payload,
            "key": Field(MAX_KEY_BYTES),
            "spread": Field(MAX_FIELD_BYTES),
        },
        "extract": {"video": video, "key": Field(MAX_KEY_BYTES)},
        "capacity": {"video": video},
    }

    async def receive(request: Request, operation: str, id: str) -> dict[str, Part]:
        form = await uploads.receive(
            request, desk.folder(id), fields[operation], reserve=lambda size: desk.reserve(id, size),
            seconds=settings.upload_timeout, idle=settings.idle_timeout,
        )  # fmt: skip
        if "video" not in form or not form["video"].size:
            raise Refused(422, "no video was sent; put one in the field 'video'")
        return form

    async def start(request: Request, operation: str) -> Job:
        await _admit(request, operation, settings, rates)
        with desk.arrival() as id:
            form = await receive(request, operation, id)
            key = _key(form)
            task: dict[str, Any] = {"operation": operation, "folder": str(desk.folder(id))}
            if operation == "embed":
                if len({"message", "payload"} & form.keys()) != 1:
                    raise Refused(422, "send either a 'message' or a 'payload' file")
                task["spread"] = _spread(form)
            needs = await desk.probe(task | {"most_payload": settings.most_payload})
            return desk.submit(id, operation, task, needs, key)

    @app.post("/embed", status_code=202, summary="Hide a payload", openapi_extra=_form(fields["embed"]))
    async def embed(request: Request) -> JSONResponse:
        return _accepted(await _drained(request, start(request, "embed"), metrics), desk)

    @app.post("/extract", status_code=202, summary="Recover", openapi_extra=_form(fields["extract"]))
    async def extract(request: Request) -> JSONResponse:
        return _accepted(await _drained(request, start(request, "extract"), metrics), desk)

    async def measure(request: Request) -> dict[str, Any]:
        await _admit(request, "capacity", settings, rates)
        with desk.arrival() as id:
            await receive(request, "capacity", id)
            return await desk.probe({"operation": "capacity", "folder": str(desk.folder(id))})

    @app.post("/capacity", summary="How much a video takes", openapi_extra=_form(fields["capacity"]))
    async def capacity(request: Request) -> JSONResponse:
        return JSONResponse(await _drained(request, measure(request), metrics))


async def _drained(request: Request, work: Any, metrics: Metrics) -> Any:
    """The work's answer; before a refusal, what the client is still sending is read."""
    try:
        return await work
    except Refused as refused:
        if refused.limit:
            metrics.rejections.labels(refused.limit).inc()
        await uploads.drain(request)
        raise
    except ClientDisconnect:
        raise Refused(499, "the client went away") from None


async def _admit(request: Request, operation: str, settings: Settings, rates: RateLimits) -> None:
    if request.headers.get("sec-fetch-site") == "cross-site":
        raise Refused(403, "another web site may not send work here")
    api_key = request.headers.get("x-api-key")
    if settings.api_keys is not None and api_key is not None and api_key not in settings.api_keys:
        raise Refused(401, "this API key is not known here")
    client = Client.of(request.client.host if request.client else "unknown", api_key)
    try:
        wait = await rates.retry_after(client, operation)
    except Unavailable as error:
        log.error("the rate limits' storage fails: %s", error)
        raise Refused(503, "the rate limits cannot be counted; try again later", retry_after=10) from None
    if wait is not None:
        text = f"too many requests; try again in {wait} s"
        raise Refused(429, text, limit="rate", retry_after=wait)


def _key(form: dict[str, Part]) -> bytes:
    """The key as UTF-8; one from a file loses one trailing newline."""
    if "key" not in form or not form["key"].size:
        raise Refused(422, "no key was sent; put one in the field 'key'")
    part = form["key"]
    key = bytes(part.data)
    if part.named:
        key = re.sub(rb"\r?\n\Z", b"", key)
    try:
        if not key or not key.decode():
            raise Refused(422, "the key is empty")
    except UnicodeDecodeError:
        raise Refused(422, "the key is not UTF-8 text") from None
    return key


def _spread(form: dict[str, Part]) -> str | float:
    if "spread" not in form:
        return "fewest"
    text = bytes(form["spread"].data).decode("utf-8", "replace").strip()
    try:
        return check_spread(float(text) if re.fullmatch(r"[\d.]+(e-?\d+)?", text) else text)
    except (ParameterError, ValueError):
        raise Refused(422, f"spread={text!r} is none of fewest, all and a number, 0 < alpha <= 1") from None


# -- jobs -----------------------------------------------------------------------------------------------


def _add_jobs(app: FastAPI, settings: Settings, desk: Desk) -> None:
    def find(id: str) -> Job:
        job = desk.get(id)
        if job is None:
            raise Refused(404, "there is no such job; it may have expired")
        return job

    @app.get("/jobs/{id}", summary="State, progress and place in the queue")
    async def state(id: str, wait: Annotated[float, Query(ge=0, le=_LONGEST_WAIT_S)] = 0) -> JSONResponse:
        find(id)
        if wait:
            await desk.wait(id, wait)
        return JSONResponse(_describe(find(id), desk, settings))

    @app.get("/jobs/{id}/result", summary="The stego video, or the payload", response_class=FileResponse)
    async def result(id: str) -> FileResponse:
        job = find(id)
        if job.state == FAILED:
            raise Refused(job.outcome["status"], job.outcome["error"])
        path = desk.folder(id) / job.outcome.get("file", "-")
        if job.state != DONE:
            raise Refused(409, f"the job is {job.state}; its result is not there yet", retry_after=1)
        if not path.is_file():
            raise Refused(404, "there is no such job; it may have expired")
        return FileResponse(path, media_type="application/octet-stream", filename=job.outcome["name"])

    @app.delete("/jobs/{id}", status_code=204, summary="End a job and forget it")
    async def delete(id: str) -> Response:
        desk.delete(find(id))
        return Response(status_code=204)


def _describe(job: Job, desk: Desk, settings: Settings) -> dict[str, Any]:
    told: dict[str, Any] = {"id": job.id, "operation": job.operation, "state": job.state, "progress": 0.0}
    if job.state == QUEUED:
        told["place"] = desk.place(job.id)
    if job.state == RUNNING:
        told |= desk.progress(job.id)
    if job.state == DONE:
        told |= {"progress": 1.0, "result_url": f"/jobs/{job.id}/result"}
        told["result"] = {k: v for k, v in job.outcome.items() if k not in ("file", "status", "error")}
    if job.state == FAILED:
        told["error"] = job.outcome["error"]
    if job.finished and job.ended is not None:
        told["seconds"] = round(job.ended - (job.started or job.ended), 3)
        told["expires_in"] = max(0, round(job.ended + settings.keep - time.time()))
    return told


def _accepted(job: Job, desk: Desk) -> JSONResponse:
    now = desk.get(job.id) or job
    body = {
        "id": job.id, "operation": job.operation, "state": now.state, "place": desk.place(job.id),
        "predicted_memory_bytes": job.memory, "url": f"/jobs/{job.id}",
    }  # fmt: skip
    return JSONResponse(body, 202, {"Location": f"/jobs/{job.id}"})


# -- pages ----------------------------------------------------------------------------------------------


def _add_pages(app: FastAPI, settings: Settings, desk: Desk, metrics: Metrics) -> None:
    html = _PAGE.read_text()
    policy = _policy(html)

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(html, headers={"Content-Security-Policy": policy})

    @app.get("/health", summary="Whether the server works, and its limits")
    async def health() -> dict[str, Any]:
        limits = {
            "upload_bytes": settings.most_upload,
            "payload_bytes": settings.most_payload,
            "memory_budget_bytes": settings.memory_budget,
            "job_memory_bytes": settings.job_memory,
            "queue": settings.queue,
            "workers": settings.workers,
            "keep_s": settings.keep,
        }
        return {"status": "ok", "version": vidstega.__version__, **desk.counts(), "limits": limits}

    @app.get("/metrics", include_in_schema=False)
    async def prometheus() -> Response:
        return Response(metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _policy(html: str) -> str:
    """A content security policy under which only the page's own script and style run."""

    def digest(tag: str) -> str:
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert inside is not None
        return base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()

    return (
        f"default-src 'none'; script-src 'sha256-{digest('script')}'; style-src 'sha256-{digest('style')}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _form(fields: dict[str, Field]) -> dict[str, Any]:
    """What OpenAPI is told of a form that is read by hand."""
    notes = {
        "video": "the video",
        "message": "a text to hide; either this or payload",
        "payload": "a file to hide; either this or message",
        "key": "the passphrase",
        "spread": "fewest (default), all, or bits per luma sample",
    }
    files = {"video", "payload"}
    properties = {
        name: {"type": "string", "description": notes[name]} | ({"format": "binary"} if name in files else {})
        for name in fields
    }
    required = [name for name in ("video", "key") if name in fields]
    schema = {"type": "object", "properties": properties, "required": required}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


# -- errors and observation -----------------------------------------------------------------------------


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return JSONResponse({"error": error.text}, error.status, headers)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail).lower()}, error.status_code, error.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    names = ", ".join(str(problem["loc"][-1]) for problem in error.errors())
    return JSONResponse({"error": f"a parameter makes no sense: {names}"}, 422)


class _Observed:
    """Counts and logs requests by route, never by address line: a job's id opens its result."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                caching = [] if scope["path"] == "/" else [(b"cache-control", b"no-store")]
                message["headers"] = [*message["headers"], *_SAFE_HEADERS, *caching]
            await send(message)

        try:
            await self._app(scope, receive, observed)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "DELETE") else "other"
            self._metrics.requests.labels(method, route, str(status)).inc()
            level = logging.INFO if route not in ("/jobs/{id}", "/health", "/metrics") else logging.DEBUG
            log.log(level, "%s %s %d %.3f s", method, route, status, time.perf_counter() - started)
