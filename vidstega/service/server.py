"""uvicorn around the app: one process, no access log (its lines would hold job ids), loopback by default."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import sys

import uvicorn
from fastapi import FastAPI

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
    server = _Server(_config(settings, app))
    about = (settings.workers, settings.job_memory / MIB, settings.data)
    logging.getLogger("vidstega.service").info("%d workers, %.0f MiB for jobs, data in %s", *about)
    for number in (signal.SIGINT, signal.SIGTERM):  # which uvicorn raises again after it has ended its work
        signal.signal(number, lambda *_: sys.exit(0))
    server.run(sockets=[listening])
    return 0 if server.started else 1


def _config(settings: Settings, app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
        ws="none",
        proxy_headers=settings.trust_proxy is not None,
        forwarded_allow_ips=settings.trust_proxy or "",
    )


def _listen(settings: Settings) -> socket.socket:
    where = f"cannot listen at {settings.host}:{settings.port}"
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=_CONNECTIONS)
    except OSError as error:
        other = "--port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "--host"
        reason = str(error.strerror).partition(" (")[0]  # the rest repeats the address
        raise OutputError(f"{where}: {reason}; give another {other}") from None
    except UnicodeError:
        raise OutputError(f"{where}: this is no host name; give another --host") from None
