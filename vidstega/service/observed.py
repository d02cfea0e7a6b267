"""Around all routes: headers that every answer has, one line in the log, one count in the metrics."""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vidstega.service.metrics import Metrics

log = logging.getLogger("vidstega.service")

_SAFE_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Observed:
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
