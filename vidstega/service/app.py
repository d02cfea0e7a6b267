"""The routes. Errors are JSON with one sentence; nothing here opens what was sent."""

from __future__ import annotations

import base64
import contextlib
import hashlib
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

import vidstega
from vidstega import carriers
from vidstega.channels import CHANNELS
from vidstega.service import worker
from vidstega.service.child import warm_up
from vidstega.service.intake import Intake, describe_form, methods
from vidstega.service.jobs import Desk
from vidstega.service.limits import RateLimits
from vidstega.service.metrics import Metrics, Observed
from vidstega.service.refused import Refused
from vidstega.service.settings import Settings
from vidstega.service.store import DONE, FAILED, QUEUED, RUNNING, Job, Store

_PAGE = Path(__file__).with_name("page.html")
_LONGEST_WAIT_S = 30


def create_app(settings: Settings) -> FastAPI:
    """The whole service over one data folder."""
    metrics, rates = Metrics(), RateLimits(settings)
    store = Store(settings.data)
    desk = Desk(settings, store, metrics)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        kernels = [name for carrier in carriers.automatic() for name in carrier.kernels]
        modules = [worker.__name__, *kernels, *(["distributed"] if settings.scheduler else [])]
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
    app.add_middleware(Observed, metrics=metrics)
    app.add_exception_handler(Refused, _refuse)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    _add_work(app, Intake(settings, desk, rates, metrics), desk)
    _add_jobs(app, settings, desk)
    _add_pages(app, settings, desk, metrics)
    return app


# -- requests that start work ---------------------------------------------------------------------------


def _add_work(app: FastAPI, intake: Intake, desk: Desk) -> None:
    forms = {operation: describe_form(fields) for operation, fields in intake.fields.items()}

    @app.post("/embed", status_code=202, summary="Hide a payload", openapi_extra=forms["embed"])
    async def embed(request: Request) -> JSONResponse:
        return _accepted(await intake.start(request, "embed"), desk)

    @app.post("/extract", status_code=202, summary="Recover", openapi_extra=forms["extract"])
    async def extract(request: Request) -> JSONResponse:
        return _accepted(await intake.start(request, "extract"), desk)

    @app.post("/capacity", summary="How much a video takes", openapi_extra=forms["capacity"])
    async def capacity(request: Request) -> JSONResponse:
        return JSONResponse(await intake.measure(request, "capacity"))

    @app.post("/detect", summary="Whether a video shows a message", openapi_extra=forms["detect"])
    async def detect(request: Request) -> JSONResponse:
        return JSONResponse(await intake.measure(request, "detect"))


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
        "id": job.id,
        "operation": job.operation,
        "state": now.state,
        "place": desk.place(job.id),
        "predicted_memory_bytes": job.memory,
        "url": f"/jobs/{job.id}",
    }
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
        about = {
            "status": "ok",
            "version": vidstega.__version__,
            "methods": methods(),
            "channels": list(CHANNELS),
        }
        return {**about, **desk.counts(), "limits": limits}

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


# -- errors ----------------------------------------------------------------------------------------------


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
