"""deploy/compose.yaml: as the Compose specification says, and as safe as it should be.

It is not run here. `compose-spec.json` is the specification's own schema (Compose Specification,
Apache-2.0), unchanged.
"""

from __future__ import annotations

import copy
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

FILE = Path("deploy/compose.yaml")
NODES = ("es1", "es2", "es3")
PINNED = re.compile(r"docker\.elastic\.co/elasticsearch/elasticsearch:8\.19\.\d+")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
    return loaded


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(Path(__file__).with_name("compose-spec.json").read_text())
    return loaded


def test_it_is_what_the_specification_allows(
    compose: dict[str, Any], schema: dict[str, Any]
) -> None:
    jsonschema.validate(compose, schema)


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [("es1", "helthcheck", {}), ("es2", "ports", 9200), ("account", "restart", 1)],
)
def test_the_schema_refuses_mistakes(
    compose: dict[str, Any], schema: dict[str, Any], where: str, name: str, value: object
) -> None:
    wrong = copy.deepcopy(compose)
    wrong["services"][where][name] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)


def test_it_says_that_it_was_not_run() -> None:
    assert "NOT RUN HERE" in FILE.read_text("utf-8")


def test_every_service_is_pinned_and_bounded(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert PINNED.fullmatch(service["image"]), name
        assert service["mem_limit"], name


def test_nodes_speak_tls_only_and_find_each_other(compose: dict[str, Any]) -> None:
    for name in NODES:
        node = compose["services"][name]
        settings = node["environment"]
        assert settings["node.name"] == name
        for key in ("discovery.seed_hosts", "cluster.initial_master_nodes"):
            assert settings[key].split(",") == list(NODES)
        assert settings["xpack.security.enabled"] == "true"
        for layer in ("http", "transport"):
            assert settings[f"xpack.security.{layer}.ssl.enabled"] == "true"
            assert settings[f"xpack.security.{layer}.ssl.key"] == f"certs/{name}/{name}.key"
            assert settings[f"xpack.security.{layer}.ssl.certificate"] == f"certs/{name}/{name}.crt"
        assert node["healthcheck"]["test"]
        assert node["depends_on"] == {
            "certificates": {"condition": "service_completed_successfully"}
        }


def test_no_default_password_and_nothing_open_to_others(compose: dict[str, Any]) -> None:
    text = FILE.read_text("utf-8")
    uses = re.findall(r"\$\{(\w*PASSWORD\w*)([^}]*)\}", text)
    assert {name for name, _ in uses} == {"ELASTIC_PASSWORD", "HUIYIN_PASSWORD"}
    assert all(rest.startswith(":?") for _, rest in uses)
    ports = [port for name in NODES for port in compose["services"][name]["ports"]]
    assert len({port.split(":")[-2] for port in ports}) == 3
    assert all(port.startswith("${LISTEN:-127.0.0.1}:") for port in ports)


def test_each_node_keeps_its_own_data(compose: dict[str, Any]) -> None:
    named: list[str] = []
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source, target = volume.split(":")[:2]
            assert source in compose["volumes"]
            if target.endswith("/data"):
                named.append(source)
            if target.endswith("/certs") and service.get("user") != "0":
                assert volume.endswith(":ro")
    assert sorted(named) == ["data1", "data2", "data3"]


def test_its_scripts_are_shell(compose: dict[str, Any]) -> None:
    for name in ("certificates", "account"):
        shell, options, script = compose["services"][name]["command"]
        assert (shell, options) == ("bash", "-euc")
        checked = subprocess.run(
            ["bash", "-n"], input=script.replace("$$", "$"), text=True, capture_output=True,
            check=False,
        )  # fmt: skip
        assert checked.returncode == 0, checked.stderr


def test_the_role_holds_what_the_archive_asks_for(compose: dict[str, Any]) -> None:
    script = compose["services"]["account"]["command"][2]
    role = json.loads(script.split("<<'END'\n")[1].split("END")[0])
    assert role["indices"] == [{"names": ["huiyin-*"], "privileges": ["all"]}]
    assert {"monitor", "manage_index_templates"} <= set(role["cluster"])
