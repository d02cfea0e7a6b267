"""How often a client may ask for work: per API key where one is sent, per address otherwise."""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from anyio import to_thread
from limits import RateLimitItem, parse_many
from limits.storage import Storage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

from vidstega.errors import ParameterError
from vidstega.service.refused import Refused
from vidstega.service.settings import Settings

log = logging.getLogger("vidstega.service")


@dataclass(frozen=True)
class Client:
    """Who asks. `key` is a digest, so that no storage ever sees an API key."""

    address: str
    key: str | None

    @classmethod
    def of(cls, address: str, api_key: str | None) -> Client:
        """An IPv6 client is its /64, which one household or machine has to itself."""
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return cls(address, _digest(api_key))
        if isinstance(ip, ipaddress.IPv6Address):
            ip = ip.ipv4_mapped or ip
        if isinstance(ip, ipaddress.IPv6Address):
            return cls(str(ipaddress.ip_network((ip, 64), strict=False)), _digest(api_key))
        return cls(str(ip), _digest(api_key))


def _digest(api_key: str | None) -> str | None:
    return hashlib.sha256(api_key.encode()).hexdigest() if api_key else None


_PATIENCE_S = 3  # with a storage elsewhere


class RateLimits:
    """The rates of one server, counted in moving windows."""

    def __init__(self, settings: Settings) -> None:
        try:
            self._rates = {
                "embed": _parse(settings.rate_embed),
                "extract": _parse(settings.rate_extract),
                "work": _parse(settings.rate_work),
                "address": _parse(settings.rate_address),
            }
        except ValueError as error:
            raise ParameterError(f"the rate limits cannot be used: {error}") from None
        self._limiter = MovingWindowRateLimiter(_storage(settings.rate_storage))
        self._known_keys = settings.api_keys is not None

    async def retry_after(self, client: Client, operation: str) -> int | None:
        """Count a request that starts work. None if it may go on, else seconds to wait."""
        try:
            return await to_thread.run_sync(self._count, client, operation)
        except Exception as error:
            log.error("the rate limits' storage fails: %s", type(error).__name__)
            raise Refused(503, "the rate limits cannot be counted; try again later", retry_after=10) from None

    def _count(self, client: Client, operation: str) -> int | None:
        rates = list(self._applying(client, operation))
        waits = [self._wait(*rate) for rate in rates if not self._limiter.test(*rate)]
        if waits:
            return max(waits)
        for rate in rates:
            if not self._limiter.hit(*rate):
                return self._wait(*rate)
        return None

    def _applying(self, client: Client, operation: str) -> Iterator[tuple[RateLimitItem, str, str]]:
        who = f"key:{client.key}" if client.key else f"address:{client.address}"
        for name in (operation, "work"):
            for rate in self._rates.get(name, []):
                yield rate, name, who
        if client.key and not self._known_keys:
            for rate in self._rates["address"]:
                yield rate, "address", client.address

    def _wait(self, rate: RateLimitItem, name: str, who: str) -> int:
        reset = self._limiter.get_window_stats(rate, name, who).reset_time
        return max(1, math.ceil(reset - time.time()))


def _storage(url: str) -> Storage:
    """The storage of the counters, if it answers. Messages hold no password."""
    shown = re.sub(r"//[^/]*@", "//", url)
    quick = {"socket_timeout": _PATIENCE_S, "socket_connect_timeout": _PATIENCE_S}
    try:
        storage = storage_from_string(url, **(quick if url.startswith(("redis", "valkey")) else {}))
        if not isinstance(storage, Storage):
            raise ValueError("it is an asynchronous one")
        alive = storage.check()
    except Exception as error:  # of a kind that differs from storage to storage
        reason = str(error).replace(url, shown).rstrip(".")
        raise ParameterError(
            f"the storage of the rate limits, {shown!r}, cannot be used: {reason}; give memory:// or another"
        ) from None
    if not alive:
        raise ParameterError(f"the storage of the rate limits, {shown}, does not answer; is it running?")
    return storage


def _parse(text: str) -> list[RateLimitItem]:
    return parse_many(text) if text.strip() else []
