"""How well and how fast places are found: entity labels of others, hand labels, posts a second.

    HUIYIN_REAL_DATA=DIR python benchmarks/places.py [--rounds 3]

Entities: a found span is right when it overlaps a named place (GPE.NAM, LOC.NAM) of the Weibo NER
set; one inside a named organisation or person is counted apart; recall is over the named places
that the table knows by exactly that name. Codes: nlp/training/labels/places.csv, six digits, a
parent of another code left out. Prints a table; a note of the load average says how quiet it was.
"""

import argparse
import gzip
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from nlp.places import _table, find
from nlp.training import hand
from nlp.training.reading import codes

Span = tuple[int, int]


def sentences(path: Path) -> Iterator[tuple[str, list[tuple[Span, str]]]]:
    """Yield (text, [((start, end), type)]) of a file in the set's column form."""
    text, spans, start, kind = "", [], -1, ""
    for line in itertools.chain(path.read_text(encoding="utf-8").splitlines(), [""]):
        tag = line.split("\t")[1] if line.strip() else "O"
        if tag[0] in "BO" and start >= 0:
            spans.append(((start, len(text)), kind))
            start = -1
        if not line.strip():
            if text:
                yield text, spans
            text, spans = "", []
            continue
        if tag[0] == "B":
            start, kind = len(text), tag[2:]
        text += line[0]


def entities(path: Path) -> str:
    """Precision and recall of spans on one file."""
    right = wrong = inside = missed = 0
    for text, spans in sentences(path):
        places = [span for span, kind in spans if kind in {"GPE.NAM", "LOC.NAM"}]
        names = [span for span, kind in spans if kind[:3] in {"ORG", "PER"}]
        found, at = [], 0
        for place in find(text):
            at = max(text.find(place.text, at), text.find(place.text))
            found.append((at, at + len(place.text)))
        for span in found:
            right += _meets(span, places)
            inside += not _meets(span, places) and _meets(span, names)
            wrong += not _meets(span, places + names)
        known = [s for s in places if (form := _table().forms.get(text[slice(*s)])) and form.codes]
        repeated = {text[slice(*s)] for s in places if _meets(s, found)}
        missed += sum(not _meets(s, found) and text[slice(*s)] not in repeated for s in known)
    precision, recall = right / (right + wrong), right / (right + missed)
    return (
        f"{path.suffix[1:]}: precision {precision:.3f}, recall of known names {recall:.3f}, "
        f"F1 {2 * precision * recall / (precision + recall):.3f} "
        f"({right} right, {wrong} wrong, {inside} inside names of others, {missed} missed)"
    )


def _meets(span: Span, others: list[Span]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in others)


def labelled(data: Path) -> str:
    """Precision, recall and F1 of codes on the hand labels."""
    rows = hand.rows("places")
    texts = hand.texts(data, set(rows))
    right = wanted = given = same = 0
    for key, text in texts.items():
        gold = {code for code in rows[key]["adcodes"].split("|") if code}
        said = codes(find(f"{text.title}\n{text.text}" if text.title else text.text))
        right, wanted, given = right + len(gold & said), wanted + len(gold), given + len(said)
        same += gold == said
    precision, recall = right / given, right / wanted
    return (
        f"codes on {len(texts)} posts: precision {precision:.3f}, recall {recall:.3f}, "
        f"F1 {2 * precision * recall / (precision + recall):.3f}, all codes right {same}"
    )


def speed(data: Path, name: str, rounds: int) -> str:
    """Posts a second of processor time, best of some rounds."""
    with gzip.open(data / f"streams/{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [str(json.loads(line)["text"]) for line in itertools.islice(file, 20_000)]
    best = 0.0
    for _ in range(rounds):
        start = time.process_time()
        for text in texts:
            find(text)
        best = max(best, len(texts) / (time.process_time() - start))
    return f"{name}: {best:,.0f} posts/s of {sum(map(len, texts)) / len(texts):.0f} characters"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    data = Path(os.environ.get("HUIYIN_REAL_DATA", ""))
    if not (data / "streams").is_dir():
        raise SystemExit("set HUIYIN_REAL_DATA to the folder of real data")
    find("")
    for split in ("train", "dev"):
        print(entities(data / f"ner/weiboNER_2nd_conll.{split}"))
    print(labelled(data))
    for name in ("gov_comments", "flood_2021"):
        print(speed(data, name, rounds))
    print("load", *(f"{one:.1f}" for one in os.getloadavg()))


if __name__ == "__main__":
    main()
