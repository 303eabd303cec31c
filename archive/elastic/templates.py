"""What the server is told about each kind of record: read, compared with what it has, installed.

The JSON files lie in index_templates/. A template bears in `_meta` a digest of itself and of the
components that it is made of; an index bears the digest of the template that it was made from. So
a change in a file shows as a template to be put and as indices to be written anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from archive.elastic.analysis import analysis, text_mapping
from archive.elastic.connection import Elastic
from huiyin.errors import SchemaError
from huiyin.records import STATE_RECORDS

Json = dict[str, Any]

SCHEMA = 1
"""Raised with every change of index_templates/ that older programs cannot work with."""
KINDS = tuple(sorted(kind.kind for kind in STATE_RECORDS))
DEAD_LETTERS = "dead-letters"
MARK = "huiyin"
_GENERATION = re.compile(r"-(\d{6})$")
_POSTS = re.compile(r"posts-\d{4}(-\d{2})?")


@dataclass(frozen=True)
class Change:
    """Something that `init` would do. `kind`: component, template or index (written anew)."""

    kind: str
    name: str
    said: str


@dataclass(frozen=True)
class Templates:
    """All of them for one prefix, ready to be put."""

    components: dict[str, Json]
    indices: dict[str, Json]

    def digest(self, template: str) -> str:
        """What an index of this template bears."""
        return str(self.indices[template]["_meta"][MARK]["digest"])


@cache
def read_templates(prefix: str, replicas: str) -> Templates:
    """The templates that this program works with."""
    folder = files("index_templates")
    values = {"prefix": prefix, "replicas": replicas}
    components = {f"{prefix}-text": {"template": _text_component()}}
    for file in folder.joinpath("components").iterdir():
        if file.name.endswith(".json"):
            name = f"{prefix}-{file.name.removesuffix('.json')}"
            components[name] = _filled(json.loads(file.read_text("utf-8")), values)
    indices = {}
    for file in folder.iterdir():
        if file.name.endswith(".json"):
            body = _filled(json.loads(file.read_text("utf-8")), values)
            parts = [components[name] for name in body["composed_of"]]
            mark = {"schema": SCHEMA, "digest": _digest([body, *parts])}
            body["_meta"] = {MARK: mark}
            body["template"].setdefault("mappings", {})["_meta"] = {MARK: mark}
            indices[f"{prefix}-{file.name.removesuffix('.json')}"] = body
    for body in components.values():
        body["_meta"] = {MARK: {"schema": SCHEMA, "digest": _digest(body)}}
    return Templates(components, indices)


def _text_component() -> Json:
    return {
        "settings": {"index": {"analysis": analysis()}},
        "mappings": {"properties": {"text": text_mapping(), "title": text_mapping()}},
    }


def _filled(value: Any, values: dict[str, str]) -> Any:
    if isinstance(value, str):
        for name, put in values.items():
            value = value.replace(f"{{{name}}}", put)
        return value
    if isinstance(value, dict):
        return {key: _filled(one, values) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, values) for one in value]
    return value


def _digest(value: Any) -> str:
    body = json.dumps(value, sort_keys=True, ensure_ascii=False).encode()
    return hashlib.sha256(body).hexdigest()[:16]


class Schema:
    """The templates and indices of one archive on its server."""

    def __init__(self, es: Elastic) -> None:
        self._es = es
        self.wanted = read_templates(es.prefix, es.options.replicas)

    def prepare(self) -> None:
        """On an empty server install all; otherwise see that the templates are this program's.

        Raises `SchemaError` when another version's are there.
        """
        found = self._found("_index_template")
        if not found:
            self.install()
            return
        if any(mark.get("schema", 0) > SCHEMA for mark in found.values()):
            raise SchemaError("档案由更新版本的程序写成", "请升级 huiyin")
        if any(
            found.get(name, {}).get("digest") != self.wanted.digest(name)
            for name in self.wanted.indices
        ):
            raise SchemaError("档案的结构要升级", "运行 huiyin init，它会先说清要改什么")

    def changes(self) -> list[Change]:
        """What `install` and a writing anew of indices would change; empty = all is as wanted."""
        left = [Change("left", one, f"删除旧索引 {one}") for one in self.left_over()]
        return [*self._template_changes(), *self.outdated(), *left]

    def _template_changes(self) -> Iterator[Change]:
        for kind, path, wanted in (
            ("component", "_component_template", self.wanted.components),
            ("template", "_index_template", self.wanted.indices),
        ):
            found = self._found(path)
            for name, body in sorted(wanted.items()):
                has = found.get(name)
                if has is None:
                    yield Change(kind, name, f"新建模板 {name}")
                elif has.get("digest") != body["_meta"][MARK]["digest"]:
                    yield Change(kind, name, f"更新模板 {name}")

    def outdated(self) -> list[Change]:
        """Indices in use that were made from another version of their template."""
        out = []
        used = self._used()
        for index, mark in sorted(self._marks().items()):
            template = self.template_of(index)
            if template is None or index not in used:
                continue
            if mark.get("digest") != self.wanted.digest(template):
                new = next_generation(index)
                out.append(Change("index", index, f"把索引 {index} 重写为 {new}"))
        return out

    def template_of(self, index: str) -> str | None:
        """Name of the template that an index of ours is made from."""
        kind = _GENERATION.sub("", index).removeprefix(f"{self._es.prefix}-")
        if kind in KINDS:
            return f"{self._es.prefix}-states"
        if kind == DEAD_LETTERS:
            return f"{self._es.prefix}-{DEAD_LETTERS}"
        return f"{self._es.prefix}-posts" if _POSTS.fullmatch(kind) else None

    def install(self) -> None:
        """Put every template; doing it again changes nothing."""
        for name, body in self.wanted.components.items():
            self._es.request("PUT", f"/_component_template/{name}", body=body)
        for name, body in self.wanted.indices.items():
            self._es.request("PUT", f"/_index_template/{name}", body=body)

    def _found(self, path: str) -> dict[str, Json]:
        """Name and mark of the installed templates of one sort."""
        many, one = path.removeprefix("_") + "s", path.removeprefix("_")
        answer = self._es.request(
            "GET", f"/{path}/{self._es.prefix}-*",
            params={"filter_path": f"{many}.name,{many}.{one}._meta"}, missing={},
        )  # fmt: skip
        names = {*self.wanted.components, *self.wanted.indices}
        return {
            found["name"]: found.get(one, {}).get("_meta", {}).get(MARK, {})
            for found in answer.get(many, [])
            if found["name"] in names  # another archive's prefix may begin with ours
        }

    def left_over(self) -> list[str]:
        """Older generations that no alias names any more."""
        numbers: dict[str, int] = {}
        unused = []
        for index, used in self._behind_aliases().items():
            if used:
                numbers[index.rpartition("-")[0]] = generation(index)
            elif self.template_of(index):  # another archive's prefix may begin with ours
                unused.append(index)
        return [one for one in unused if generation(one) < numbers.get(one.rpartition("-")[0], 0)]

    def _used(self) -> set[str]:
        """Indices behind an alias: the others are begun or left over by a writing anew."""
        return {index for index, used in self._behind_aliases().items() if used}

    def _behind_aliases(self) -> dict[str, bool]:
        found = self._es.request(
            "GET", f"/{self._es.prefix}-*/_alias", params={"expand_wildcards": "all"}, missing={}
        )
        return {index: bool(what["aliases"]) for index, what in sorted(found.items())}

    def _marks(self) -> dict[str, Json]:
        answer = self._es.request(
            "GET", f"/{self._es.prefix}-*/_mapping",
            params={"filter_path": "*.mappings._meta", "expand_wildcards": "all"}, missing={},
        )  # fmt: skip
        return {
            index: found["mappings"].get("_meta", {}).get(MARK, {})
            for index, found in answer.items()
        }


def next_generation(index: str) -> str:
    """`huiyin-case-000001` becomes `huiyin-case-000002`."""
    return f"{_GENERATION.sub('', index)}-{generation(index) + 1:06d}"


def generation(index: str) -> int:
    """The number at the end of a concrete index's name."""
    found = _GENERATION.search(index)
    return int(found[1]) if found else 0


def make_index(es: Elastic, alias: str, *more: str) -> None:
    """Make the first index behind an alias (and further aliases); nothing when it is there."""
    if es.request("HEAD", f"/_alias/{alias}", missing=False) is not False:
        return
    body = {"aliases": {alias: {"is_write_index": True}, **{name: {} for name in more}}}
    try:
        es.request("PUT", f"/{alias}-000001", body=body)
    except Exception as error:
        if "already exists" not in str(error):
            raise
