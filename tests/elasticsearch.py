"""One real Elasticsearch for all tests of a run; each test has its own prefix on it.

`HUIYIN_TEST_ELASTICSEARCH=http://127.0.0.1:9200` uses a server that runs already (quicker while
developing: `make elasticsearch`); without it one is started on free ports and stopped at the end.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "deploy" / "elasticsearch-dev" / "server.py"
STARTING_SECONDS = 420
"""Including the first fetch."""


def free_port() -> int:
    """A port with nothing on it, nor on those that `server.py` takes with it."""
    for _ in range(50):
        port = secrets.randbelow(20_000) + 20_000
        try:
            for used in (port, port + 1, port + 2, port + 100, port + 101, port + 102):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", used))
        except OSError:
            continue
        return port
    pytest.skip("elasticsearch: no free ports")


def dev_server(*arguments: str) -> str:
    """Run the developers' server script; what it says on failure becomes the reason of a skip."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True, text=True, check=False, timeout=STARTING_SECONDS,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"elasticsearch: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout


@pytest.fixture(scope="session")
def elasticsearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server, `http://127.0.0.1:PORT`; the test is skipped where none can run."""
    given = os.environ.get("HUIYIN_TEST_ELASTICSEARCH", "")
    if given:
        yield given.rstrip("/")
        return
    port = str(free_port())
    dev_server("start", "--port", port, "--fresh")
    yield f"http://127.0.0.1:{port}"
    dev_server("stop", "--port", port, "--remove")


@pytest.fixture(scope="session")
def _kept_prefix(elasticsearch: str) -> Iterator[str]:
    prefix = f"test-{secrets.token_hex(4)}"
    yield prefix
    remove(elasticsearch, prefix)


@pytest.fixture
def elastic_emptied_prefix(elasticsearch: str, _kept_prefix: str) -> Iterator[str]:
    """A prefix whose indices stay from test to test and are emptied: three times as quick."""
    yield _kept_prefix
    empty(elasticsearch, _kept_prefix)


@pytest.fixture
def elastic_prefix(elasticsearch: str) -> Iterator[str]:
    """A prefix of one's own; all that carries it is removed afterwards."""
    prefix = f"test-{secrets.token_hex(4)}"
    yield prefix
    remove(elasticsearch, prefix)


def remove(server: str, prefix: str) -> None:
    """Delete all indices, templates and component templates that carry the prefix."""
    names = ask(server, "GET", f"/_cat/indices/{prefix}-*?format=json&h=index&expand_wildcards=all")
    if names:
        ask(server, "DELETE", f"/{','.join(one['index'] for one in names)}")
    for kind, many in (
        ("_index_template", "index_templates"), ("_component_template", "component_templates"),
    ):  # fmt: skip
        found = [one["name"] for one in ask(server, "GET", f"/{kind}/{prefix}-*").get(many, [])]
        if found:
            ask(server, "DELETE", f"/{kind}/{','.join(found)}")


def empty(server: str, prefix: str) -> None:
    """Delete all documents of the prefix; indices and templates stay."""
    ask(server, "POST", f"/{prefix}-*/_refresh")
    ask(
        server, "POST", f"/{prefix}-*/_delete_by_query?refresh=true&conflicts=proceed",
        {"query": {"match_all": {}}},
    )  # fmt: skip


def ask(server: str, method: str, path: str, body: object = None) -> Any:
    """One request past the client under test; JSON of the answer, {} when there is nothing."""
    data = None if body is None else json.dumps(body).encode()
    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(server + path, method=method, data=data, headers=kind)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return {}
