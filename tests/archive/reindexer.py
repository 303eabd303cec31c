"""An upgrade of the indices to templates that differ, in a process that may be killed.

`python -m tests.archive.reindexer URL` says `began` and, at the end, the names of the new indices.
"""

from __future__ import annotations

import copy
import sys

from archive.elastic.connection import Elastic
from archive.elastic.reindex import Reindex
from archive.elastic.templates import MARK, Schema, Templates
from archive.options import ArchiveOptions


def changed(templates: Templates, prefix: str, *, platform: str = "keyword") -> Templates:
    """The templates of a later program: posts have one field more, and records too."""
    new = copy.deepcopy(templates)
    fields = new.components[f"{prefix}-post"]["template"]["mappings"]["properties"]
    fields["note"] = {"type": "keyword"}
    fields["platform"] = {"type": platform}
    states = new.indices[f"{prefix}-states"]["template"]["mappings"]["properties"]
    states["note"] = {"type": "keyword"}
    for body in (*new.indices.values(), *new.components.values()):
        body["_meta"][MARK]["digest"] = f"later-{platform}"
    for body in new.indices.values():
        body["template"]["mappings"]["_meta"][MARK]["digest"] = f"later-{platform}"
    return new


def upgrade(url: str, *, platform: str = "keyword", readers_seconds: float = 60.0) -> list[str]:
    es = Elastic(url, ArchiveOptions())
    schema = Schema(es)
    schema.wanted = changed(schema.wanted, es.prefix, platform=platform)
    try:
        return Reindex(es, schema, readers_seconds=readers_seconds).run()
    finally:
        es.close()


if __name__ == "__main__":
    print("began", flush=True)
    print(*upgrade(sys.argv[1]), flush=True)
