"""``vidstega serve``. Nothing heavy is imported before the server is really started."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidstega.errors import UnsupportedError

if TYPE_CHECKING:
    from vidstega.service.settings import Settings


def add_parsers(subparsers: Any) -> None:
    """Add the command to the program's parser."""
    parser = subparsers.add_parser("serve", help="start the web page and the HTTP service")
    _add_arguments(parser)
    parser.set_defaults(run=run)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    """Each argument but --api-keys goes by the name of its setting, and what is not given is left to that."""
    add = parser.add_argument
    add("--host", help="address to listen at (default: this machine only)")
    add("--port", type=int, help="port to listen at, 0 for any free one")
    add("--data", type=Path, default=Path("vidstega-data"), help="folder of uploads and results")
    most = "most the server and its jobs take, e.g. 4G (default: half of it)"
    add("--memory-budget", metavar="SIZE", help=most)
    add("--workers", type=int, help="jobs that run at a time (default: one a core)")
    add("--scheduler", metavar="tcp://HOST:PORT", help="run jobs on this Dask cluster, over shared storage")
    add("--queue", type=int, help="jobs that may wait")
    add("--max-upload", dest="most_upload", metavar="SIZE", help="largest video taken")
    add("--max-payload", dest="most_payload", metavar="SIZE", help="largest payload taken")
    add("--disk-quota", metavar="SIZE", help="most all jobs have on disk")
    add("--keep", type=float, metavar="S", help="seconds a result can be fetched")
    add("--job-timeout", type=float, metavar="S", help="longest a job may run")
    add("--rate-embed", metavar="RATE", help='per client, "" for no limit')
    add("--rate-extract", metavar="RATE", help='per client, "" for no limit')
    add("--rate-work", metavar="RATE", help="all that starts work")
    address = "per address over all API keys, where --api-keys is not given"
    add("--rate-address", metavar="RATE", help=address)
    add("--rate-storage", metavar="URL", help="storage of the limits package")
    add("--api-keys", type=Path, metavar="FILE", help="known API keys, a line each; others are refused")
    add("--trust-proxy", metavar="ADDRESSES", help="proxies whose X-Forwarded-For is believed")


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    if os.name != "posix":
        raise UnsupportedError("vidstega serve needs Linux or macOS, whose limits hold its jobs in bounds")
    from vidstega.service.server import serve

    return serve(settings_of(args))


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings these arguments ask for; what is not given is left to their defaults."""
    from dataclasses import fields

    from vidstega.service.settings import Settings, parse_size, read_api_keys

    given = {field.name: getattr(args, field.name, None) for field in fields(Settings)}
    settings = {name: value for name, value in given.items() if value is not None}
    for name in ("memory_budget", "most_upload", "most_payload", "disk_quota"):
        if name in settings:
            settings[name] = parse_size(settings[name])
    if args.api_keys:
        settings["api_keys"] = read_api_keys(args.api_keys)
    return Settings(**settings | {"data": args.data.absolute()})
