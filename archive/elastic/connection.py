"""Requests to one Elasticsearch cluster: retried while it may help, and with our own errors."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import elasticsearch
import tenacity
from elastic_transport import TlsError, TransportError
from elasticsearch import ApiError, Elasticsearch

from archive.options import ArchiveOptions, read_servers
from huiyin.errors import (
    ArchiveAway,
    ArchiveDenied,
    ArchiveError,
    Conflict,
    HuiyinError,
    SchemaError,
)

T = TypeVar("T")
Json = dict[str, Any]

REQUEST_SECONDS = 60.0
"""Longest wait for one answer."""
SHARD_SECONDS = 10
"""How long the server lets a write wait for a part that just lost its node."""
AWAY_SECONDS = 6.0
"""How long an act is tried again while nobody answers; then it is for the spool."""
BUSY_SECONDS = 30.0
"""The same while the cluster answers that it has too much to do or elects a new head."""
PART_SECONDS = 15.0
"""How long a search is repeated while only a part of the archive answers."""
LONGEST_PAUSE = 3.0
PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""Answers after which trying again may help."""
LONGEST_ID = 512
"""Bytes in UTF-8; the server's own limit."""


class _PartAway(ArchiveAway):
    """Some shards did not answer."""


def _whole_answers() -> tenacity.Retrying:
    """Ask again while a part is missing: a new index takes a second until it can be searched, and

    the copies of a lost node take a few seconds until one of them stands in.
    """
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_PartAway),
        stop=tenacity.stop_after_delay(PART_SECONDS),
        wait=tenacity.wait_random_exponential(0.1, 1.0),
        reraise=True,
    )


class Elastic:
    """One cluster and the prefix of the archive there. Safe for threads; forks connect anew."""

    def __init__(self, url: str, options: ArchiveOptions | None = None) -> None:
        """Connects to nothing yet. Raises `ArchiveError` for a wrong address."""
        self.options = options or ArchiveOptions()
        servers = read_servers(url, self.options)
        self.hosts = servers.hosts
        self.prefix = servers.prefix
        self._lock = threading.Lock()
        self._client: Elasticsearch | None = None
        self._pid = 0
        self._first = threading.RLock()
        self.before_first: Callable[[], None] | None = None
        """To be done before anything else as soon as the cluster answers."""

        self.when_blocked: Callable[[], None] = lambda: None
        """Called when the server takes no writes just now; may raise what ends the trying."""

    # ---- names

    @property
    def posts(self) -> str:
        """The alias over all indices of posts."""
        return f"{self.prefix}-posts"

    def name(self, kind: str) -> str:
        """The alias of another kind's index."""
        return f"{self.prefix}-{kind}"

    # ---- requests

    @property
    def client(self) -> Elasticsearch:
        """This process's client; its connections are pooled, a thread takes one at a time."""
        with self._lock:
            client = self._client
            if client is None or self._pid != os.getpid():
                with errors():
                    client = self._connect()
                self._client, self._pid = client, os.getpid()
            return client

    def _connect(self) -> Elasticsearch:
        options = self.options
        more: Json = {}
        if options.api_key:
            more["api_key"] = options.api_key
        elif options.user or options.password:
            told = f"{options.user}:{options.password}".encode()  # the client encodes ASCII only
            more["basic_auth"] = base64.b64encode(told).decode()
        if any(host.startswith("https") for host in self.hosts):
            more["verify_certs"] = options.verify
            more["ssl_show_warn"] = False
            if options.ca is not None and options.verify:
                more["ca_certs"] = str(options.ca)
        return Elasticsearch(
            list(self.hosts), request_timeout=REQUEST_SECONDS, max_retries=len(self.hosts),
            retry_on_status=(), retry_on_timeout=False, connections_per_node=16, **more,
        )  # fmt: skip

    def call(self, act: Callable[[Elasticsearch], T]) -> T:
        """Do one request, again while that may help. Raises only `ArchiveError`s.

        A write may so be done twice: callers write such that this changes nothing.
        """
        with errors():
            client = self.client
            for attempt in _attempts():
                with attempt:
                    return act(client)
        raise AssertionError("unreachable")

    def request(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None,
        body: Any = None, lines: bool = False, missing: Any = ...,
    ) -> Any:  # fmt: skip
        """One request by path; the answer's JSON. `lines`: the body is lines of JSON.

        `missing`: what to return instead of `SchemaError` when there is no such index or thing.
        """
        if self.before_first is not None:
            self._do_first()
        kind = "x-ndjson" if lines else "json"
        headers = {
            "accept": "application/vnd.elasticsearch+json; compatible-with=8",
            "content-type": f"application/vnd.elasticsearch+{kind}; compatible-with=8",
        }
        if body is None:
            del headers["content-type"]
        try:
            return self.call(
                lambda client: (
                    client.perform_request(
                        method, path, params=params, headers=headers, body=body
                    ).body
                )
            )
        except SchemaError:
            if missing is ...:
                raise
            return missing

    def _do_first(self) -> None:
        with self._first:
            first, self.before_first = self.before_first, None
            if first is None:  # another thread has just done it, or this one is doing it
                return
            try:
                first()
            except BaseException:
                self.before_first = first
                raise

    def search(self, index: str, body: Mapping[str, Any], **params: Any) -> Json:
        """The answer to a search; an index that is not there yet holds nothing.

        With `pit` in the body, `index` is not used.
        """
        self.before_search(index)
        path = "/_search" if "pit" in body else f"/{index}/_search"
        if "pit" not in body:
            params = {"ignore_unavailable": "true", **params}
        for attempt in _whole_answers():
            with attempt:
                found: Json = self.request("POST", path, params=params, body=dict(body))
                if found.get("timed_out") or found.get("_shards", {}).get("failed"):
                    raise _PartAway(
                        "档案的一部分没有回答，结果不全", "请稍后再试；一直如此请运行 huiyin doctor"
                    )
        return found

    def count(self, index: str, query: Mapping[str, Any] | None = None) -> int:
        """How many documents match."""
        self.before_search(index)
        body = {"query": query} if query is not None else None
        found = self.request(
            "POST", f"/{index}/_count", params={"ignore_unavailable": "true"}, body=body
        )
        return int(found["count"])

    def before_search(self, index: str) -> None:
        """Nothing: what was written is seen within a second. Tests look for all at once."""

    def refresh(self, index: str) -> None:
        """Let searches see everything written so far."""
        self.request("POST", f"/{index}/_refresh", params={"ignore_unavailable": "true"})

    def close(self) -> None:
        """Close this process's connections; a later request connects again."""
        with self._lock:
            if self._client is not None and self._pid == os.getpid():
                self._client.close()
            self._client = None


# ---------------------------------------------------------------- retrying


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, ApiError):
        wrong_folder = str(_cause(error).get("type", "")).startswith("repository_")
        return error.status_code in PASSING and not wrong_folder
    return isinstance(error, TransportError) and not isinstance(error, TlsError)


class _Stop(tenacity.stop.stop_base):
    """A server that answers gets more patience than one that does not."""

    def __call__(self, state: tenacity.RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        limit = BUSY_SECONDS if isinstance(error, ApiError) else AWAY_SECONDS
        return (state.seconds_since_start or 0.0) >= limit


def _attempts() -> tenacity.Retrying:
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(_may_pass), stop=_Stop(), wait=pauses(), reraise=True
    )


def pauses() -> tenacity.wait.wait_base:
    """Growing pauses with chance in them, so that many writers do not come back at once."""
    return tenacity.wait_random_exponential(multiplier=0.2, max=LONGEST_PAUSE)


# ---------------------------------------------------------------- errors


@contextmanager
def errors() -> Iterator[None]:
    """Turn every error of elasticsearch-py into one of ours."""
    try:
        yield
    except HuiyinError:
        raise
    except (ApiError, TransportError) as error:
        raise translated(error) from error
    except OSError as error:  # the certificate's file
        raise ArchiveDenied(
            f"读不了证书文件：{error.strerror or error}", "检查设置 archive.ca"
        ) from error
    except ValueError as error:
        raise ArchiveError(f"档案地址有误：{error}", "检查设置 archive.url") from error


def translated(error: ApiError | TransportError) -> ArchiveError:
    """Our error for one of elasticsearch-py's, with what the reader can do about it."""
    if isinstance(error, elasticsearch.UnsupportedProductError):
        return ArchiveError("那头不是 Elasticsearch", "检查设置 archive.url")
    if isinstance(error, ApiError):
        return refused(error.status_code, _cause(error))
    if isinstance(error, TlsError):
        return ArchiveDenied(
            f"档案服务器的证书不可信：{error.message}",
            "检查设置 archive.ca、archive.verify 和服务器的证书",
        )
    if isinstance(error, elasticsearch.SerializationError):
        return ArchiveAway("档案服务器的回答读不懂", "检查中间的代理，或稍后再试")
    return ArchiveAway(
        f"连不上档案服务器：{error.message}", "检查网络和服务器；采集到的帖文会先存在本机"
    )


def refused(status: int, cause: Mapping[str, Any]) -> ArchiveError:
    """Our error for an answer's status and its `error` part."""
    kind, reason = str(cause.get("type", "")), str(cause.get("reason", ""))
    if kind == "cluster_block_exception":
        return ArchiveAway(
            f"档案暂时不接受写入：{reason}", "多为正在迁移或磁盘将满，运行 huiyin doctor 查看"
        )
    if status in (401, 403):
        return ArchiveDenied(
            f"档案服务器拒绝了我们：{reason or status}",
            "检查 archive.api_key 或 archive.user、archive.password 及其权限",
        )
    if status == 409:
        return Conflict("记录在读取之后被别人改过，或编号已存在", "请刷新后再操作")
    if status in PASSING:
        return ArchiveAway(
            f"档案服务器忙或正在恢复：{reason or status}", "请稍后再试；采集到的帖文会先存在本机"
        )
    if kind in ("index_not_found_exception", "strict_dynamic_mapping_exception") or status == 404:
        return SchemaError(
            f"档案结构不完整：{reason or kind}", "运行 huiyin init，再运行 huiyin doctor"
        )
    return ArchiveError(
        f"档案服务器不接受：{reason or kind or status}",
        "请运行 huiyin doctor，并把此信息交给管理员",
    )


def _cause(error: ApiError) -> Mapping[str, Any]:
    body = error.body
    cause = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(cause, Mapping):
        return {"reason": error.message}
    roots = cause.get("root_cause") or []
    inner = cause.get("caused_by")
    reason = str(cause.get("reason", ""))
    if cause.get("type") == "search_phase_execution_exception" and roots:
        return roots[0] if isinstance(roots, Sequence) else cause
    if isinstance(inner, Mapping) and inner.get("reason"):
        reason = f"{reason}: {inner['reason']}"
    return {"type": cause.get("type", ""), "reason": reason}
