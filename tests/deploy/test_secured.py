"""What deploy/compose.yaml says, tried without Docker: certificates, settings, the account.

One node of the same version with the settings of `es1`, certificates as its script makes them, the
user and role as its script sets them; then Huiyin with that account alone. It takes a minute or
two: `make test-long`.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from archive import open_archive
from archive.dump import dump
from archive.elastic.connection import Elastic
from archive.elastic.reindex import Reindex
from archive.elastic.templates import Schema
from archive.options import ArchiveOptions
from huiyin.errors import ArchiveDenied
from tests.archive.reindexer import changed
from tests.contracts.builders import post
from tests.elasticsearch import SCRIPT, free_port
from tests.keeping.test_moving import fill

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

COMPOSE: dict[str, Any] = yaml.safe_load(Path("deploy/compose.yaml").read_text("utf-8"))
PASSWORD, ADMINISTRATOR = "Huiyin12345678", "Elastic12345678"
TOOLS = {
    "certutil": "modules/x-pack-core,modules/x-pack-security,lib/tools/security-cli",
    "keystore": "lib/tools/keystore-cli",
}
OF_THE_CONTAINERS = {
    "cluster.name", "cluster.initial_master_nodes", "discovery.seed_hosts", "ELASTIC_PASSWORD",
    "bootstrap.memory_lock", "path.repo",
}  # fmt: skip
"""Settings that a node alone and without Docker cannot have."""


def load_server() -> Any:
    spec = importlib.util.spec_from_file_location("dev_server", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dev_server"] = module
    spec.loader.exec_module(module)
    return module


server = load_server()


@pytest.fixture(scope="module")
def software() -> Path:
    try:
        found: Path = server.software()
    except server.Problem as problem:
        pytest.skip(f"elasticsearch: {problem}")
    if shutil.which("java") is None or shutil.which("unzip") is None:
        pytest.skip("elasticsearch: no java or no unzip")
    return found


@pytest.fixture(scope="module")
def place(software: Path) -> Iterator[Path]:
    """A folder laid out as the image's, which the server's user can reach."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="huiyin-secured-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("bin", "config/certs", "snapshots"):
            (folder / part).mkdir(parents=True)
        tool = folder / "bin/elasticsearch-certutil"
        command = " ".join(java_tool(software, "certutil", software / "config"))
        # like the real one it goes to the server's own folder first
        tool.write_text(f'#!/bin/bash\ncd "{software}"\nexec {command} "$@"\n')
        tool.chmod(0o755)
        yield folder


def java_tool(software: Path, name: str, config: Path) -> list[str]:
    """The command line of one of the server's tools."""
    return [
        "java", "-Xms4m", "-Xmx64m", f"-Dcli.name={name if name == 'certutil' else ''}",
        f"-Dcli.script={software}/bin/elasticsearch-{name}", f"-Dcli.libs={TOOLS[name]}",
        f"-Des.path.home={software}", f"-Des.path.conf={config}", "-Des.distribution.type=tar",
        "-cp", f"'{software}/lib/*:{software}/lib/cli-launcher/*'" if name == "certutil"
        else f"{software}/lib/*:{software}/lib/cli-launcher/*",
        "org.elasticsearch.launcher.CliToolLauncher",
    ]  # fmt: skip


def script(service: str, *replaced: tuple[str, str]) -> str:
    text: str = COMPOSE["services"][service]["command"][2].replace("$$", "$")
    for was, becomes in replaced:
        assert was in text
        text = text.replace(was, becomes)
    return text


def run(text: str, place: Path, **environment: str) -> None:
    done = subprocess.run(
        ["bash", "-euc", text], cwd=place, env={**os.environ, **environment},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def certificates(place: Path, host: str) -> dict[str, bytes]:
    """Run the script; every certificate and key."""
    run(script("certificates", ("/snapshots", str(place / "snapshots"))), place, HOST_NAME=host)
    folder = place / "config/certs"
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*.*")
            if one.suffix in (".crt", ".key")}  # fmt: skip


@pytest.fixture(scope="module")
def made(place: Path) -> list[dict[str, bytes]]:
    """After the first run, a second, and one with another name."""
    if os.geteuid() != 0:
        pytest.skip("root: the script gives files to the server's user")
    return [certificates(place, host) for host in ("localhost", "localhost", "es.example.gov.cn")]


def test_certificates_are_made_once_and_anew_for_another_name(
    made: list[dict[str, bytes]], place: Path
) -> None:
    first, again, renamed = made
    names = {f"{one}/{one}" for one in ("ca", "es1", "es2", "es3")}
    assert first.keys() == {f"{name}.{kind}" for name in names for kind in ("crt", "key")}
    assert again == first
    assert {name for name in first if renamed[name] == first[name]} == {"ca/ca.crt", "ca/ca.key"}
    folder = place / "config/certs"
    assert (folder / "ca/ca.key").stat().st_mode & 0o777 == 0o600
    assert (folder / "es1/es1.key").stat().st_mode & 0o777 == 0o640


@pytest.fixture(scope="module")
def node(software: Path, place: Path, made: list[dict[str, bytes]]) -> Iterator[str]:
    """Address of a node with the settings of `es1` and the account."""
    port = free_port()
    folder = place / "n1"
    folder.mkdir()
    server.write_node(folder, 1, argparse.Namespace(port=port, nodes=1, heap="512m"), software)
    file = folder / "config/elasticsearch.yml"
    own = [one for one in file.read_text().splitlines() if not one.startswith(("xpack", "node.n"))]
    said = COMPOSE["services"]["es1"]["environment"]
    own += [f"{name}: {value}" for name, value in said.items() if name not in OF_THE_CONTAINERS]
    file.write_text("\n".join(own) + "\n")
    shutil.copytree(place / "config/certs", folder / "config/certs")
    keystore = java_tool(software, "keystore", folder / "config")
    subprocess.run([*keystore, "create"], cwd=software, check=True, capture_output=True)
    subprocess.run(
        [*keystore, "add", "-x", "bootstrap.password"], input=ADMINISTRATOR.encode(),
        cwd=software, check=True, capture_output=True,
    )  # fmt: skip
    server.own(folder)
    server.own(place / "snapshots")
    try:
        assert server.launch(folder, software).wait(200) == 0
        address = f"https://localhost:{port}"
        account = script("account", ("https://es1:9200", address))
        assert COMPOSE["services"]["account"]["restart"] == "on-failure"
        for again in reversed(range(30)):  # a node that has just started knows nobody yet
            try:
                run(account, place, ELASTIC_PASSWORD=ADMINISTRATOR, HUIYIN_PASSWORD=PASSWORD)
                break
            except AssertionError:
                if not again:
                    raise
                time.sleep(1)
        yield address
    finally:
        server.stop(argparse.Namespace(data=place, node=None, kill=True, remove=False, port=port))


def test_the_health_check_holds(node: str, place: Path) -> None:
    command: str = COMPOSE["services"]["es1"]["healthcheck"]["test"][1]
    run(command.replace("https://localhost:9200", node), place)


def test_nobody_gets_in_without_the_account(node: str, place: Path) -> None:
    trusted = ssl.create_default_context(cafile=str(place / "config/certs/ca/ca.crt"))
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(node, context=trusted)
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(node)


def huiyin(home: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "huiyin", *arguments], capture_output=True, text=True, timeout=120,
        env={**os.environ, "HUIYIN_HOME": str(home), "HUIYIN_ARCHIVE__PASSWORD": PASSWORD},
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_huiyin_does_all_with_that_account_alone(node: str, place: Path, tmp_path: Path) -> None:
    ca = place / "config/certs/ca/ca.crt"
    (tmp_path / "huiyin.toml").write_text(
        f'[archive]\nurl = "{node}"\nuser = "huiyin"\nca = "{ca}"\n'
        f'[backup]\nserver_folder = "{place}/snapshots"\n'
    )
    huiyin(tmp_path, "init")
    options = ArchiveOptions(user="huiyin", password=PASSWORD, ca=ca)
    archive = open_archive(node, options)
    fill(archive, 120)
    assert archive.put_posts([post(1, offices=("长" * 20_000,))]).rejected == 1
    huiyin(tmp_path, "archive", "backup", "--prove")
    before = list(dump(archive))
    archive.put_posts([post(5000)])
    huiyin(tmp_path, "archive", "restore", "--force")
    archive._es.refresh("huiyin-*")  # type: ignore[attr-defined]
    assert list(dump(archive)) == before

    es = Elastic(node, options)
    schema = Schema(es)
    schema.wanted = changed(schema.wanted, es.prefix)
    assert Reindex(es, schema, readers_seconds=10).run()
    es.close()
    assert "重写为" in huiyin(tmp_path, "init")
    huiyin(tmp_path, "archive", "copy", "--to", "sqlite:///var/file.db")
    huiyin(tmp_path, "archive", "switch")
    assert list(dump(open_archive(f"sqlite:///{tmp_path / 'var/file.db'}"))) == before
    huiyin(tmp_path, "archive", "switch", "--back")
    huiyin(tmp_path, "archive", "copy", "--stop")
    huiyin(tmp_path, "archive", "expire", "--before", "2026-03-02")
    huiyin(tmp_path, "archive", "daily")
    assert archive.check() == []
    archive.close()
    with pytest.raises(ArchiveDenied):
        open_archive(f"{node}/another", options).put_posts([post(1)])
