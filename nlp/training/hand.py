"""Labels set by readers of real posts: the rows name texts by hash, the data folder has them.

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

from nlp.base import Text
from nlp.text import clean
from nlp.training.config import LABELS
from nlp.training.data import Example

LABELS_FOLDER = Path(__file__).parent / "labels"
_KEY = "sha256_16"
_FILES = (
    "streams/gov_comments.jsonl.gz", "streams/gov_posts.jsonl.gz", "streams/event_posts.jsonl.gz",
    "streams/flood_2021.jsonl.gz", "streams/message_board_unlabelled.jsonl.gz",
    "labelled/appeals_with_replies.jsonl.gz", "labelled/emotion.jsonl.gz",
    "labelled/emotion7_covid.jsonl.gz", "streams/event_reactions.jsonl.gz",
    "streams/cascades_posts.jsonl.xz", "streams/cascades_reposts.jsonl.xz",
)  # fmt: skip
"""Where the labelled texts come from, the large one last."""


def rows(name: str, folder: Path = LABELS_FOLDER) -> dict[str, dict[str, str]]:
    """The rows of `labels/<name>.csv` by text hash; none when there is no such file."""
    path = folder / f"{name}.csv"
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row[_KEY]: row for row in csv.DictReader(file)}


def texts(data: Path, wanted: set[str]) -> dict[str, Text]:
    """The texts of the data folder whose hashes are wanted; reads no further than needed."""
    found: dict[str, Text] = {}
    for name in _FILES:
        if len(found) == len(wanted):
            break
        for row in _lines(data / name):
            text = str(row.get("text") or "")
            key = hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
            if key in wanted and key not in found:
                title = row.get("title")
                found[key] = Text(text, str(title) if title else None)
                if len(found) == len(wanted):
                    break
    return found


def mentions(
    data: Path,
    folder: Path = LABELS_FOLDER,
    *,
    answers: Callable[[str], bool] = lambda text: True,
) -> dict[str, list[Example]]:
    """`intent/mentions` and `needs_answer/mentions`: what an office would have to sort.

    `answers`: texts whose wish for an answer is measured; from others it may have been learned.
    """
    labelled = rows("mentions", folder)
    known = texts(data, set(labelled))
    found: dict[str, list[Example]] = {}
    for task in ("intent", "needs_answer"):
        examples = [
            Example(clean(one.text), {task: labelled[key][task]}, {}, "hand")
            for key, one in known.items()
            if labelled[key].get(task) in LABELS[task]
            and (task != "needs_answer" or answers(one.text))
        ]
        if examples:
            found[f"{task}/mentions"] = examples
    return found


def scored(
    name: str,
    column: str,
    data: Path,
    score: Callable[[str], float],
    measured: Callable[[str], bool],
    folder: Path = LABELS_FOLDER,
) -> tuple[list[bool], list[float]]:
    """Whether each text of `labels/<name>.csv` is "yes" in a column, and its score.

    Only texts for which `measured` holds: others may have been learned from.
    """
    labelled = rows(name, folder)
    known = texts(data, set(labelled))
    pairs = [
        (labelled[key].get(column), one.text) for key, one in known.items() if measured(one.text)
    ]
    sure = [(label == "yes", score(text)) for label, text in pairs if label in ("yes", "no")]
    return [is_yes for is_yes, _ in sure], [value for _, value in sure]


def _lines(path: Path) -> Iterator[Mapping[str, object]]:
    if not path.exists():
        return
    opened = lzma.open if path.suffix == ".xz" else gzip.open
    with opened(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
