"""What Prometheus and the log are told. Labels are routes and outcomes, never ids, names or keys."""

from __future__ import annotations

import logging
import time
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("vidstega.service")

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 900)
_RATIO = (0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        count = partial(Counter, registry=self._registry)
        gauge = partial(Gauge, registry=self._registry)
        seconds = partial(Histogram, registry=self._registry, buckets=_SECONDS)
        ratio = partial(Histogram, registry=self._registry, buckets=_RATIO)
        self.requests = count("vidstega_requests", "HTTP requests", ["method", "route", "status"])
        self.rejections = count("vidstega_rejections", "Requests that a limit turned away", ["limit"])
        self.job_seconds = seconds("vidstega_job_seconds", "Seconds a job ran", ["operation", "outcome"])
        self.wait_seconds = seconds("vidstega_job_wait_seconds", "Seconds a job waited")
        self.memory_ratio = ratio(
            "vidstega_job_memory_ratio", "Peak resident memory of a job over its prediction"
        )
        self.queue_length = gauge("vidstega_queue_length", "Jobs that wait")
        self.running = gauge("vidstega_jobs_running", "Jobs that run")
        self.uploading = gauge("vidstega_uploads", "Uploads under way")
        self.memory_admitted = gauge("vidstega_memory_admitted_bytes", "Predicted memory of running jobs")
        self.memory_budget = gauge("vidstega_memory_budget_bytes", "Budget of all jobs")
        self.disk_reserved = gauge("vidstega_disk_reserved_bytes", "Disk the jobs may use")
        for limit in ("rate", "queue", "memory", "disk", "size"):
            self.rejections.labels(limit)

    def page(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)


_SAFE_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Observed:
    """Around all routes: headers that every answer has, one line in the log, one count.

    Requests go by their route, never by their address line: a job's id opens its result.
    """

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
