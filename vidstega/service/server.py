"""uvicorn around the app: one process, no access log (its lines would hold job ids), loopback by default."""

from __future__ import annotations

import logging
import signal
import socket
import sys

import uvicorn

from vidstega.errors import OutputError
from vidstega.service.app import create_app
from vidstega.service.settings import MIB, Settings

_CONNECTIONS = 1024


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            name = f"[{host}]" if ":" in host else host
            print(f"vidstega is at http://{name}:{port}/ (Ctrl-C ends it)", flush=True)


def serve(settings: Settings) -> int:
    """Listen until SIGINT or SIGTERM; 0 if the server ended in good order."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    listening = _listen(settings)
    app = create_app(settings)
    config = uvicorn.Config(
        app, log_config=None, log_level="warning", access_log=False, server_header=False,
        limit_concurrency=_CONNECTIONS, timeout_keep_alive=30, timeout_graceful_shutdown=5, ws="none",
        proxy_headers=settings.trust_proxy is not None, forwarded_allow_ips=settings.trust_proxy or "",
    )  # fmt: skip
    server = _Server(config)
    logging.getLogger("vidstega.service").info(
        "%d workers, %.0f MiB for jobs, data in %s",
        settings.workers, settings.job_memory / MIB, settings.data,
    )  # fmt: skip
    for number in (signal.SIGINT, signal.SIGTERM):  # which uvicorn raises again after it has ended its work
        signal.signal(number, lambda *_: sys.exit(0))
    server.run(sockets=[listening])
    return 0 if server.started else 1


def _listen(settings: Settings) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=_CONNECTIONS)
    except OSError as error:
        raise OutputError(
            f"cannot listen at {settings.host}:{settings.port}: {error.strerror}; give another --port"
        ) from None
