"""Labels set by hand on real posts: the rows name texts by their hash, the data folder has them.

A file in `labels/` has the first 16 hex digits of SHA-256 of each text in `sha256_16` and its
labels in columns read by name, so that passes and remarks may stand beside them.
"""

import csv
import gzip
import hashlib
import json
import lzma
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from nlp.text import clean
from nlp.training.config import LABELS
from nlp.training.data import Example

LABELS_FOLDER = Path(__file__).parent / "labels"
_KEY = "sha256_16"
_STREAMS = (
    "gov_comments.jsonl.gz", "gov_posts.jsonl.gz", "event_posts.jsonl.gz",
    "event_reactions.jsonl.gz", "flood_2021.jsonl.gz", "cascades_posts.jsonl.xz",
    "cascades_reposts.jsonl.xz",
)  # fmt: skip
"""Where texts with hand labels come from, the large one last."""


def rows(name: str, folder: Path = LABELS_FOLDER) -> dict[str, dict[str, str]]:
    """The rows of `labels/<name>.csv` by text hash; none when there is no such file."""
    path = folder / f"{name}.csv"
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row[_KEY]: row for row in csv.DictReader(file)}


def texts(data: Path, wanted: set[str]) -> dict[str, str]:
    """The raw texts of the data folder whose hashes are wanted; reads no further than needed."""
    found: dict[str, str] = {}
    for name in _STREAMS:
        if len(found) == len(wanted):
            break
        for row in _lines(data / "streams" / name):
            text = str(row.get("text") or "")
            key = hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
            if key in wanted:
                found[key] = text
                if len(found) == len(wanted):
                    break
    return found


def mentions(data: Path, folder: Path = LABELS_FOLDER) -> dict[str, list[Example]]:
    """`intent/mentions` and `needs_answer/mentions`: what an office would have to sort."""
    labelled = rows("mentions", folder)
    known = texts(data, set(labelled))
    found: dict[str, list[Example]] = {}
    for task in ("intent", "needs_answer"):
        examples = [
            Example(clean(text), {task: labelled[key][task]}, {}, "hand")
            for key, text in known.items()
            if labelled[key].get(task) in LABELS[task]
        ]
        if examples:
            found[f"{task}/mentions"] = examples
    return found


def scored(
    name: str, column: str, data: Path, score: Callable[[str], float], folder: Path = LABELS_FOLDER
) -> tuple[list[bool], list[float]]:
    """Whether each text of `labels/<name>.csv` is "yes" in a column, and its score."""
    labelled = rows(name, folder)
    known = texts(data, set(labelled))
    pairs = [(labelled[key].get(column), text) for key, text in known.items()]
    sure = [(label == "yes", score(text)) for label, text in pairs if label in ("yes", "no")]
    return [is_yes for is_yes, _ in sure], [value for _, value in sure]


def _lines(path: Path) -> Iterator[Mapping[str, object]]:
    if not path.exists():
        return
    opened = lzma.open if path.suffix == ".xz" else gzip.open
    with opened(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
