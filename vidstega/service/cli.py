"""``vidstega serve``. Nothing heavy is imported before the server is really started."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidstega.service.settings import Settings


def add_parsers(subparsers: Any) -> None:
    """Add the command to the program's parser."""
    parser = subparsers.add_parser("serve", help="start the web page and the HTTP service")
    _add_arguments(parser)
    parser.set_defaults(run=run)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen at (default: this machine only)")
    add("--port", type=int, default=8000, help="port to listen at, 0 for any free one")
    add("--data", type=Path, default=Path("vidstega-data"), help="folder of uploads and results")
    add(
        "--memory-budget",
        metavar="SIZE",
        help="most the server and its jobs take, e.g. 4G (default: half of it)",
    )
    add("--workers", type=int, help="jobs that run at a time (default: one a core)")
    add("--scheduler", metavar="tcp://HOST:PORT", help="run jobs on this Dask cluster, over shared storage")
    add("--queue", type=int, default=100, help="jobs that may wait")
    add("--max-upload", metavar="SIZE", default="2G", help="largest video taken")
    add("--max-payload", metavar="SIZE", default="256M", help="largest payload taken")
    add("--disk-quota", metavar="SIZE", default="20G", help="most all jobs have on disk")
    add("--keep", type=float, default=3600, metavar="S", help="seconds a result can be fetched")
    add("--job-timeout", type=float, default=900, metavar="S", help="longest a job may run")
    add("--rate-embed", default="5 per minute", metavar="RATE", help='per client, "" for no limit')
    add("--rate-extract", default="5 per minute", metavar="RATE", help='per client, "" for no limit')
    add("--rate-work", default="20 per minute; 100 per hour", metavar="RATE", help="all that starts work")
    add("--rate-address", default="300 per minute; 3000 per hour", metavar="RATE",
        help="per address over all API keys, where --api-keys is not given")  # fmt: skip
    add("--rate-storage", default="memory://", metavar="URL", help="storage of the limits package")
    add("--api-keys", type=Path, metavar="FILE", help="known API keys, a line each; others are refused")
    add("--trust-proxy", metavar="ADDRESSES", help="proxies whose X-Forwarded-For is believed")


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    from vidstega.errors import VidstegaError

    try:
        from vidstega.service.server import serve
    except ImportError as error:
        print(f"vidstega serve needs {error.name}: pip install 'vidstega[service]'", file=sys.stderr)
        return 2
    try:
        return serve(settings_of(args))
    except VidstegaError as error:
        print(f"vidstega: {error}", file=sys.stderr)
        return 2


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings these arguments ask for."""
    from vidstega.service.settings import Settings, parse_size, read_api_keys

    more: dict[str, Any] = {}
    if args.memory_budget:
        more["memory_budget"] = parse_size(args.memory_budget)
    if args.workers is not None:
        more["workers"] = args.workers
    if args.api_keys:
        more["api_keys"] = read_api_keys(args.api_keys)
    return Settings(
        data=args.data.absolute(), host=args.host, port=args.port, scheduler=args.scheduler, queue=args.queue,
        most_upload=parse_size(args.max_upload), most_payload=parse_size(args.max_payload),
        disk_quota=parse_size(args.disk_quota), keep=args.keep, job_timeout=args.job_timeout,
        rate_embed=args.rate_embed, rate_extract=args.rate_extract, rate_work=args.rate_work,
        rate_address=args.rate_address, rate_storage=args.rate_storage, trust_proxy=args.trust_proxy, **more,
    )  # fmt: skip
