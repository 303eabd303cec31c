"""What no fetch may do: reach inside addresses, follow for ever, read without end.

A source's address comes from a person and a page's links from strangers; either may point into the
office's own network. Addresses are judged twice: as written, before a request is sent (each
redirect and each robots.txt is a request of its own), and as the name was resolved, at the moment
of connecting, so that a name cannot change its meaning in between.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, Self
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.exceptions import IgnoreRequest
from twisted.internet.interfaces import IHostnameResolver, IResolutionReceiver
from zope.interface import implementer  # type: ignore[import-untyped]

from huiyin.errors import SourceRefused

LARGEST_PAGE = 16 << 20
"""Bytes of one answer, also after it was unpacked."""
LONGEST_FETCH = 30
"""Seconds from asking to the last byte."""
MOST_REDIRECTS = 5
_MEND = "若确是本单位内网的站点，请管理员把它写进 collect.allow_hosts"
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class RefusedAddress(IgnoreRequest):
    """A request that must not be sent; its text is a sentence in Chinese."""


def is_public(address: str) -> bool:
    """True for an address of the open internet; what carries another address inside is judged by

    that one.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in _NAT64:
            inner = ipaddress.ip_address(int(ip) & 0xFFFFFFFF)  # type: ignore[assignment]
        if inner is not None:
            return inner.is_global and not inner.is_multicast
        if ip.teredo is not None:
            return False
    return ip.is_global and not ip.is_multicast


class Guard:
    """Decides by host and address. `allowed`: hosts that may lie inside, `host` or `host:port`."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = frozenset(one.strip().lower().rstrip(".") for one in allowed)
        self.refused: set[str] = set()
        """Names whose address was refused; the error of a failed connection does not say so."""

    def allows(self, host: str, port: int) -> bool:
        """True when the operator has allowed this host (on this port)."""
        host = host.strip("[]").lower().rstrip(".")
        return host in self._allowed or f"{host}:{port}" in self._allowed

    def check_url(self, url: str) -> None:
        """Raise `SourceRefused` for an address that must not be asked, as far as it is written."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise SourceRefused("网址的写法不对", "改正网址") from error
        if parts.scheme not in ("http", "https") or not host:
            raise SourceRefused("只采集 http 和 https 的网址", "改正网址")
        if parts.username or parts.password:
            raise SourceRefused("网址里写了用户名或密码", "去掉网址里 @ 前的部分")
        if self.allows(host, port or (443 if parts.scheme == "https" else 80)):
            return
        if _is_address(host) and not is_public(host):
            raise SourceRefused("网址指向内部网络，没有去读", _MEND)

    def check_address(self, host: str, port: int, address: str) -> bool:
        """True when a connection to `address`, which `host` stands for, may be made."""
        if self.allows(host, port) or is_public(address):
            return True
        self.refused.add(host)
        return False

    def why(self, failed: str) -> SourceRefused | None:
        """The reason when a lookup that failed with these words was refused here."""
        if any(failed.rstrip(".").endswith(f" {host}") for host in self.refused):
            return SourceRefused("网址的域名指向内部网络，没有去读", _MEND)
        return None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


# ---------------------------------------------------------------- in Scrapy


class GuardMiddleware:
    """Stops requests by their address, and puts the guard in front of the name resolver."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Made by Scrapy; allowed hosts stand in `HUIYIN_ALLOWED_HOSTS`."""
        return cls(install(crawler.settings.getlist("HUIYIN_ALLOWED_HOSTS")))

    def process_request(self, request: Request) -> None:
        """Called for every request, those of redirects and of robots.txt too."""
        try:
            self.guard.check_url(request.url)
        except SourceRefused as error:
            raise RefusedAddress(str(error)) from error


def guard_settings(allowed: Iterable[str]) -> dict[str, Any]:
    """Scrapy settings that every spider runs with."""
    nothing = dict.fromkeys(("data", "file", "ftp", "s3"))
    return {
        "DOWNLOADER_MIDDLEWARES": {"crawler.guard.GuardMiddleware": 50},
        "HUIYIN_ALLOWED_HOSTS": list(allowed),
        "DOWNLOAD_HANDLERS": nothing,
        "DOWNLOAD_VERIFY_CERTIFICATES": True,
        "HTTPPROXY_ENABLED": False,  # behind a proxy it is the proxy that resolves names
        "REDIRECT_MAX_TIMES": MOST_REDIRECTS,
        "DOWNLOAD_TIMEOUT": LONGEST_FETCH,
        "DOWNLOAD_MAXSIZE": LARGEST_PAGE,
        "DOWNLOAD_WARNSIZE": 0,
    }


@implementer(IResolutionReceiver)
class _Filter:
    """Passes on the addresses that may be connected to."""

    def __init__(self, receiver: Any, guards: list[Guard], host: str, port: int) -> None:
        self._receiver = receiver
        self._guards = guards
        self._host = host
        self._port = port

    def resolutionBegan(self, resolution: Any) -> None:  # noqa: N802 - Twisted's name
        self._receiver.resolutionBegan(resolution)

    def addressResolved(self, address: Any) -> None:  # noqa: N802
        told = [one.check_address(self._host, self._port, address.host) for one in self._guards]
        if any(told):
            self._receiver.addressResolved(address)

    def resolutionComplete(self) -> None:  # noqa: N802
        self._receiver.resolutionComplete()


@implementer(IHostnameResolver)
class GuardedResolver:
    """A name resolver that leaves out addresses that every guard refuses."""

    def __init__(self, original: Any) -> None:
        self._original = original
        self.guards: list[Guard] = []

    def why(self, failed: str) -> SourceRefused | None:
        """The reason when a lookup that failed with these words was refused here."""
        return next((told for one in self.guards if (told := one.why(failed))), None)

    def resolveHostName(  # noqa: N802
        self,
        resolutionReceiver: Any,  # noqa: N803
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        addressTypes: Any = None,  # noqa: N803
        transportSemantics: str = "TCP",  # noqa: N803
    ) -> Any:
        """As in `IHostnameResolver`."""
        return self._original.resolveHostName(
            _Filter(resolutionReceiver, self.guards, hostName, portNumber),
            hostName, portNumber, addressTypes, transportSemantics,
        )  # fmt: skip


def install(allowed: Iterable[str]) -> Guard:
    """Guard the reactor's names from now on. Each spider has a guard for what is written in its

    requests; names are looked up for all of them, so a name that the operator allowed one kind of
    spider (the platform's own address) resolves for the others too.
    """
    from twisted.internet import reactor as installed

    reactor: Any = installed
    guard = Guard(allowed)
    if not isinstance(reactor.nameResolver, GuardedResolver):
        reactor.installNameResolver(GuardedResolver(reactor.nameResolver))
    reactor.nameResolver.guards.append(guard)
    return guard
