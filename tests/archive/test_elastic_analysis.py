"""The server cuts every text into exactly our tokens, and `starts` stands at the same places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from archive.elastic.analysis import LONGEST_START, STARTS, WORDS, analysis, text_mapping
from archive.tokens import index_tokens
from tests.archive.texts import VARIANTS, texts

POSTS = 20_000
AT_ONCE = 40


@pytest.fixture
def index(elasticsearch: str, elastic_prefix: str) -> Iterator[tuple[Elasticsearch, str]]:
    client, name = Elasticsearch(elasticsearch), f"{elastic_prefix}-words"
    client.indices.create(
        index=name,
        settings={"index": {"analyze.max_token_count": 1_000_000}, "analysis": analysis()},
        mappings={"properties": {"text": text_mapping()}},
    )
    yield client, name
    client.close()


def server_tokens(index: tuple[Elasticsearch, str], analyzer: str, part: list[str]) -> list[Any]:
    client, name = index
    wanted = [text for text in part if text]
    answer = client.indices.analyze(index=name, analyzer=analyzer, text=wanted) if wanted else {}
    return list(answer.get("tokens", []))


def test_the_servers_tokens_are_ours(index: tuple[Elasticsearch, str]) -> None:
    """Differences are listed; at most 0.1 % of the posts (none when this was written)."""
    different: list[tuple[str, list[str], list[str]]] = []
    for part in _parts(texts(POSTS)):
        together = [one["token"] for one in server_tokens(index, WORDS, part)]
        if together == [token for text in part for token in index_tokens(text).split()]:
            continue
        for text in part:
            got = [one["token"] for one in server_tokens(index, WORDS, [text])]
            if got != index_tokens(text).split():
                different.append((text, got, index_tokens(text).split()))
    for text, got, ours in different:
        print(f"{text[:60]!r}: server {set(got) - set(ours)}, ours {set(ours) - set(got)}")
    assert len(different) <= POSTS // 1000


def _parts(all_texts: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(all_texts), AT_ONCE):
        yield all_texts[start : start + AT_ONCE]


def test_beginnings_stand_where_the_tokens_stand(index: tuple[Elasticsearch, str]) -> None:
    for text in (*VARIANTS, *texts(400)):
        starts = defaultdict(set)
        for one in server_tokens(index, STARTS, [text]):
            starts[one["position"]].add(one["token"])
        tokens = {one["position"]: one["token"] for one in server_tokens(index, WORDS, [text])}
        assert starts.keys() == tokens.keys(), text
        for position, token in tokens.items():
            longest = 1 if token[0] >= "⌀" and not token[0].isascii() else LONGEST_START
            expected = {token[:end] for end in range(1, min(len(token), longest) + 1)}
            assert starts[position] == expected, (text, token)


def test_a_long_word_is_no_reason_to_refuse_a_post(index: tuple[Elasticsearch, str]) -> None:
    client, name = index
    client.index(index=name, document={"text": "甲" * 50_000 + "ж" * 40_000}, refresh=True)
    assert client.count(index=name, query={"term": {"text.starts": "ж" * 20}})["count"] == 1
