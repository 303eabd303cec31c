"""What only an archive on servers has: places, refusals, templates, answers that are lost."""

from __future__ import annotations

import fnmatch
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elastic_transport import ApiResponseMeta, ConnectionError, ConnectionTimeout, HttpHeaders
from elasticsearch import ApiError
from pydantic_core import from_json, to_json

from archive import ArchiveOptions, Filters, PutReport, open_archive
from archive.elastic import ElasticArchive
from archive.elastic.connection import Elastic, translated
from archive.elastic.documents import document, to_post, to_vector, vector_field
from archive.elastic.templates import KINDS, read_templates
from archive.elastic.writing import _Put
from archive.merging import first_counted
from archive.options import read_servers
from archive.setup import apply_changes, pending_changes
from huiyin.errors import (
    ArchiveAway,
    ArchiveDenied,
    ArchiveError,
    Conflict,
    HuiyinError,
    SchemaError,
)
from huiyin.records import Author, AuthorKind, Lease, Media, Post
from tests.archive.indices import indices, seen
from tests.contracts.builders import ALL, MODEL, analysis, at, counts, post, stored
from tests.elasticsearch import ask

IMMENSE = "长" * 20_000
"""A value of more bytes than the server takes in one field."""


@pytest.fixture
def url(elasticsearch: str, elastic_prefix: str) -> str:
    return f"{elasticsearch}/{elastic_prefix}"


@pytest.fixture
def archive(url: str) -> Iterator[ElasticArchive]:
    made = ElasticArchive(url)
    yield made
    made.close()


# ---------------------------------------------------------------- documents


def test_a_document_gives_the_post_back() -> None:
    one = post(
        1, "正文", title="题", url="https://weibo.com/detail/1", mentions=("a", "b"), parent="p",
        root="r", region="410100", metrics=counts(5, likes=0), media=(Media(kind="p", url="u"),),
        author=Author(key="k", kind=AuthorKind.MEDIA, region="河南", name="某报"),
        created_at=at(0.123456),
    )  # fmt: skip
    assert to_post(from_json(to_json(document(one)))) == one
    assert first_counted(one.metrics) == (None, None, at(5))


def test_every_number_of_a_vector_comes_back() -> None:
    every = np.arange(2**16, dtype=np.uint16).view("<f2")
    for values in np.array_split(every[np.isfinite(every)], 20):
        key, numbers = vector_field(values.tobytes())
        document = from_json(to_json({"vector_key": key, "vectors": {key: numbers}}))
        assert to_vector(document) == values.tobytes()


@pytest.mark.parametrize("vector", [b"", b"\0\0\0\0", b"abc", b"\0|" * 4, b"\1\1" * 5000])
def test_a_vector_that_cannot_be_compared_is_kept(archive: ElasticArchive, vector: bytes) -> None:
    """None, without length, cut off, infinite, too long."""
    archive.put_posts([post(1, "文")])
    one = analysis("文").model_copy(update={"vector": vector})
    assert archive.write_analyses([("weibo:1", one)]) == 1
    assert stored(archive, "weibo:1").analysis == one
    again = analysis("文", vector=[1.0, 0.0])
    archive.write_analyses([("weibo:1", again)])
    assert stored(archive, "weibo:1").analysis == again
    archive._es.refresh(archive._es.posts)
    assert [hit.post.id for hit in archive.similar(again.vector, MODEL, ALL)] == ["weibo:1"]


def test_models_of_two_sizes_lie_in_one_index(archive: ElasticArchive) -> None:
    archive.put_posts([post(1, "文"), post(2, "文")])
    long = analysis("文", model="long", vector=[1.0] * 9)
    archive.write_analyses([("weibo:1", analysis("文")), ("weibo:2", analysis("文"))])
    archive.write_analyses([("weibo:2", long)])
    assert stored(archive, "weibo:2").analysis == long
    archive._es.refresh(archive._es.posts)
    assert [hit.post.id for hit in archive.similar(long.vector, "long", ALL)] == ["weibo:2"]
    [only] = archive.similar(analysis("文").vector, MODEL, ALL)
    assert only.post.id == "weibo:1"


# ---------------------------------------------------------------- what is refused


def test_what_the_server_refuses_is_kept_apart_and_listed(archive: ElasticArchive) -> None:
    refused = [
        post(1, offices=(IMMENSE,)), post(2, created_at=datetime(1960, 1, 1, tzinfo=UTC)),
        post(3, id="weibo:" + "9" * 600),
    ]  # fmt: skip
    assert archive.put_posts([*refused, post(4)]) == PutReport(new=1, rejected=3)
    assert archive.put_posts([post(4, offices=(IMMENSE,))]) == PutReport(rejected=1)
    assert [one.offices for one in seen(archive)] == [post(4).offices]
    assert indices(archive) == ["2026"]
    archive._es.refresh(archive._es.name("dead-letters"))
    found = {one.post_id: one for one in archive.failures()}
    assert set(found) == {one.id for one in (*refused, post(4))}
    assert all(one.final and one.stage == "put" for one in found.values())
    assert "immense term" in found["weibo:1"].reason
    assert "1970" in found["weibo:2"].reason
    assert archive.pending_counts(MODEL)["failed"] == 4
    assert archive.clear_failures("put") == 0
    assert len(archive.failures()) == 4


def test_accepted_after_all_it_leaves_the_list(archive: ElasticArchive) -> None:
    archive.put_posts([post(1, offices=(IMMENSE,))])
    alias = archive._es.name("dead-letters")
    archive._es.refresh(alias)
    [hit] = archive._es.search(alias, {})["hits"]["hits"]
    source = {**hit["_source"], "document": to_json(document(post(1, "好"))).decode()}
    archive._es.request("PUT", f"/{alias}/_doc/{hit['_id']}", body=source)
    assert archive.clear_failures("put") == 1
    assert stored(archive, "weibo:1").text == "好"
    archive._es.refresh(alias)
    assert archive.failures() == []


def test_a_field_that_the_mapping_does_not_know_is_no_dead_letter(archive: ElasticArchive) -> None:
    """It would be every post: the archive must be upgraded first."""
    archive.put_posts([post(1)])
    run = _Put(archive._es, archive._bulk, archive._editor)
    body = to_json({**document(post(2)), "unknown": 1})
    with pytest.raises(SchemaError, match="huiyin init"):
        for outcome in archive._bulk.send(
            run.writes([(one := next(iter(_packed(post(2)))))._replace(body=body)])
        ):
            assert one
            run.look_at(outcome)


def _packed(one: Post) -> Iterator[Any]:
    from archive.elastic.writing import packed

    yield packed(one)


# ---------------------------------------------------------------- answers that are lost


class Lossy:
    """Loses the answer of the first request that matches, after the server did it."""

    def __init__(self, es: Elastic, part: str) -> None:
        self._was, self._part, self.lost = es.client.perform_request, part, 0
        es.client.perform_request = self  # type: ignore[method-assign, assignment]

    def __call__(self, method: str, path: str, **more: Any) -> Any:
        answer = self._was(method, path, **more)
        if self._part in path and not self.lost:
            self.lost += 1
            raise ConnectionTimeout("lost")
        return answer


def test_a_record_written_without_answer_is_not_taken_for_anothers(archive: ElasticArchive) -> None:
    lossy = Lossy(archive._es, "/_create/")
    made = archive.create(Lease(id="l", owner="x"))
    assert lossy.lost
    assert archive.get(Lease, "l", ALL) == made
    with pytest.raises(Conflict):
        archive.create(Lease(id="l", owner="x"))
    lossy = Lossy(archive._es, "/_doc/l")
    written = archive.replace(made, Lease(id="l", owner="y"))
    assert lossy.lost
    assert archive.get(Lease, "l", ALL) == written
    with pytest.raises(Conflict):
        archive.replace(made, Lease(id="l", owner="y"))


def test_posts_written_without_answer_are_there_once(archive: ElasticArchive) -> None:
    archive.put_posts([post(1, "旧")])
    lossy = Lossy(archive._es, "/_bulk")
    archive.put_posts([post(n, "新", read_at=at(5)) for n in range(1, 50)])
    assert lossy.lost
    assert {one.text for one in seen(archive)} == {"新"}
    assert len(seen(archive)) == 49


# ---------------------------------------------------------------- errors


def api_error(status: int, kind: str = "some_exception", reason: str = "why") -> ApiError:
    meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.0, None)  # type: ignore[arg-type]
    return ApiError("m", meta, {"error": {"type": kind, "reason": reason}, "status": status})


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (api_error(400), ArchiveError),
        (api_error(401), ArchiveDenied),
        (api_error(403, "security_exception"), ArchiveDenied),
        (api_error(403, "cluster_block_exception"), ArchiveAway),
        (api_error(404, "index_not_found_exception"), SchemaError),
        (api_error(409), Conflict),
        (api_error(429), ArchiveAway),
        (api_error(503), ArchiveAway),
        (ConnectionError("gone"), ArchiveAway),
        (ConnectionTimeout("slow"), ArchiveAway),
    ],
)
def test_every_error_of_the_client_is_one_of_ours(
    error: ApiError | ConnectionError, ours: type[HuiyinError]
) -> None:
    found = translated(error)
    assert type(found) is ours
    assert found.mend


@pytest.mark.parametrize(
    "bad",
    [
        "https://", "https://es1:99999", "https://u:p@es1:9200", "https://es1:9200/UPPER",
        "https://es1:9200/a/b", "https://es1:9200,ftp://es2",
    ],
)  # fmt: skip
def test_wrong_addresses(bad: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        open_archive(bad)
    assert "p@" not in str(caught.value)


def test_addresses() -> None:
    several = read_servers("https://es1,https://es2:9201/city-a", ArchiveOptions(prefix="x"))
    assert several.hosts == ("https://es1:443", "https://es2:9201")
    assert several.prefix == "city-a"
    assert read_servers("http://[::1]:9200", ArchiveOptions()).prefix == "huiyin"


# ---------------------------------------------------------------- templates


def test_every_kind_of_record_has_a_template() -> None:
    patterns = read_templates("p", "0-1").indices["p-states"]["index_patterns"]
    for kind in KINDS:
        assert any(fnmatch.fnmatch(f"p-{kind}-000001", one) for one in patterns), kind
    for body in read_templates("p", "0-1").indices.values():
        assert body["allow_auto_create"] is False


def test_init_says_what_it_changes_and_changes_it_once(elasticsearch: str, url: str) -> None:
    prefix = url.rpartition("/")[2]
    names = [*read_templates(prefix, "0-1").components, *read_templates(prefix, "0-1").indices]
    said = pending_changes(url)
    assert sorted(one.removeprefix("新建模板 ") for one in said) == sorted(names)
    apply_changes(url)
    state = ask(elasticsearch, "GET", f"/_index_template/{prefix}-*")
    version = ask(elasticsearch, "GET", "/_cluster/state/version")["version"]
    assert pending_changes(url) == []
    apply_changes(url)
    assert ask(elasticsearch, "GET", f"/_index_template/{prefix}-*") == state
    assert ask(elasticsearch, "GET", "/_cluster/state/version")["version"] == version
    archive = open_archive(url)
    archive.put_posts([post(1)])
    archive.create(Lease(id="l", owner="x"))
    assert pending_changes(url) == []
    assert archive.check() == []
    archive.close()


@pytest.mark.parametrize(
    ("schema", "mend"), [(99, "升级 huiyin"), (0, "huiyin init")], ids=["newer", "older"]
)
def test_templates_of_another_version_are_refused(
    elasticsearch: str, url: str, schema: int, mend: str
) -> None:
    apply_changes(url)
    name = f"{url.rpartition('/')[2]}-posts"
    [found] = ask(elasticsearch, "GET", f"/_index_template/{name}")["index_templates"]
    body = found["index_template"]
    body["_meta"]["huiyin"] = {"schema": schema, "digest": "other"}
    ask(elasticsearch, "PUT", f"/_index_template/{name}", body)
    with pytest.raises(SchemaError, match=mend):
        open_archive(url)
    assert pending_changes(url) == [f"更新模板 {name}"]


def test_two_prefixes_see_nothing_of_each_other(elasticsearch: str, elastic_prefix: str) -> None:
    one = open_archive(f"{elasticsearch}/{elastic_prefix}")
    other = open_archive(f"{elasticsearch}/{elastic_prefix}-posts")  # looks like one's own alias
    one.put_posts([post(1)])
    other.put_posts([post(2)])
    other.create(Lease(id="l", owner="x"))
    assert set(one.get_posts(["weibo:1", "weibo:2"], ALL)) == {"weibo:1"}
    assert set(other.get_posts(["weibo:1", "weibo:2"], ALL)) == {"weibo:2"}
    assert pending_changes(f"{elasticsearch}/{elastic_prefix}") == []
    for made in (one, other):
        made._es.refresh("*")  # type: ignore[attr-defined]
        assert len(list(made.iter_posts(ALL, Filters()))) == 1
        made.close()


def test_an_embedded_archive_needs_no_client(tmp_path: Path) -> None:
    code = (
        "import sys, huiyin.cli; from archive import open_archive;"
        f"open_archive('sqlite:///{tmp_path}/a.db').close();"
        "sys.exit('elasticsearch' in sys.modules or 'elastic_transport' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
