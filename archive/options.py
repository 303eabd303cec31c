"""What is said about an archive besides its address, and what an address of servers says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from huiyin.errors import ArchiveError

DEFAULT_PREFIX = "huiyin"
_PREFIX = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class ArchiveOptions:
    """How to reach servers and what to make there; SQLite needs none of it."""

    api_key: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    ca: Path | None = None
    """File with the certificate of the authority that signed the servers' ones."""
    verify: bool = True
    prefix: str = DEFAULT_PREFIX
    """Every index, alias and template begins with it; a path in the address wins."""
    posts_index: Literal["year", "month"] = "year"
    """One index of posts a year or a month, UTC."""
    replicas: str = "0-1"
    """`index.auto_expand_replicas`: fewest and most copies besides the first."""


@dataclass(frozen=True)
class Servers:
    """The servers of one cluster and the prefix of the archive there."""

    hosts: tuple[str, ...]
    prefix: str


def is_servers(url: str) -> bool:
    """True for an address of Elasticsearch servers."""
    return url.startswith(("http://", "https://"))


def read_servers(url: str, options: ArchiveOptions) -> Servers:
    """Read `https://es1:9200,https://es2:9200` or, with a prefix, `https://es1:9200/city-a`.

    Raises `ArchiveError`: no host, wrong prefix, or credentials over a network without TLS.
    """
    hosts, prefix = [], options.prefix
    for part in url.split(","):
        try:
            found = urlsplit(part.strip())
            port = found.port or (443 if found.scheme == "https" else 9200)
        except ValueError as error:
            raise ArchiveError(f"档案地址有误：{part}", "检查设置 archive.url") from error
        if found.scheme not in ("http", "https") or not found.hostname or found.username:
            raise ArchiveError(
                f"档案地址有误：{found.hostname or part}",
                "应写成 https://主机:9200，用逗号分隔；用户和密码另写在 archive.user 等设置里",
            )
        if (options.api_key or options.password) and found.scheme == "http" and (
            found.hostname not in _LOOPBACK
        ):  # fmt: skip
            raise ArchiveError(
                f"密码不能不加密地发给 {found.hostname}", "把 archive.url 改成 https:// 开头"
            )
        host = f"[{found.hostname}]" if ":" in found.hostname else found.hostname
        hosts.append(f"{found.scheme}://{host}:{port}")
        prefix = found.path.strip("/") or prefix
    if not _PREFIX.fullmatch(prefix):
        raise ArchiveError(
            f"索引前缀 {prefix} 不合规", "用小写字母、数字和连字符，以字母或数字开头，最多 60 个"
        )
    return Servers(tuple(hosts), prefix)
