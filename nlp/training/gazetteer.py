"""Build the table of places that ships as nlp/data/places.tsv.xz, from public code lists.

    python -m nlp.training.gazetteer count DATA OUT.tsv     how bare names are used in real text
    python -m nlp.training.gazetteer build FOLDER OUT.tsv.xz

FOLDER holds provinces.csv, cities.csv, areas.csv, streets.csv (modood's Administrative-divisions-
of-China, WTFPL) and cpca_adcodes.csv (cpca, MIT; it adds Taiwan, Hong Kong and Macao and the names
of the years before). gazetteer_counts.tsv, beside this file, says how often each bare name was
seen and how often as a place; gazetteer.toml holds what was decided by reading.

The table has lines of two kinds: `code name`, and `form codes level` for every other written form;
no codes: the form is no place and hides what it contains.
"""

import csv
import lzma
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import jieba

from nlp.places import NEARBY, SURE, WORD, prefix
from nlp.training.place_names import TABLE_WORDS, short_form, traditional

COUNTS = Path(__file__).with_name("gazetteer_counts.tsv")
_PLACEHOLDERS = {"市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划"}
_STREET_ENDS = ("街道", "镇", "乡", "苏木")
SEEN = 15
"""From this many sightings on, the share of uses as a place decides; below, the dictionary."""
SURE_SHARE, NEARBY_SHARE = 0.25, 0.05


@dataclass
class Names:
    """The divisions: codes now in force, and names of older lists with the code that holds now."""

    now: dict[str, str] = field(default_factory=dict)
    """code -> name; 6 digits down to the county, 9 for streets and towns"""
    former: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def read(folder: Path) -> Names:
    """Read the code lists. A code that only the older list has becomes a former name."""
    found = Names()
    for name, width in (("provinces", 2), ("cities", 4), ("areas", 6), ("streets", 9)):
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                code = row["code"].ljust(6, "0") if width <= 6 else row["code"]
                if row["name"] not in _PLACEHOLDERS:
                    found.now.setdefault(code, row["name"])
    with (folder / "cpca_adcodes.csv").open(encoding="utf-8", newline="") as file:
        older = [(r["adcode"][:6], r["name"]) for r in csv.DictReader(file)]
    short: dict[tuple[str, str], str] = {}
    for code, name in found.now.items():
        if len(code) == 6:
            short.setdefault((code[:2], short_form(name)), code)
    for code, name in older:
        if code in found.now or name in _PLACEHOLDERS:
            continue
        if code[:2] in {"71", "81", "82"}:
            found.now[code] = name
        elif (code[:2], short_form(name)) in short:
            found.former[name].add(short[code[:2], short_form(name)])
    return found


def level(short: str, large: bool, seen: tuple[int, float]) -> int | None:
    """How much a short name needs to count: SURE, NEARBY, WORD; None = it never does.

    `large`: a province or city; `seen`: sightings in real text and the share of them as a place.
    """
    words = TABLE_WORDS
    for name, found in (("never", None), ("words", WORD), ("weak", NEARBY), ("sure", SURE)):
        if short in words[name]:
            return found
    if large:
        return SURE
    count, share = seen
    tag = tags().get(short)
    if count < SEEN:
        return SURE if tag in {None, "ns", "nr", "nrt", "nz"} else NEARBY
    if share >= SURE_SHARE:
        return SURE
    return NEARBY if share >= NEARBY_SHARE or tag == "ns" else WORD


def forms(names: Names, seen: dict[str, tuple[int, float]]) -> Iterator[tuple[str, str, int]]:
    """Yield (form, codes, level) of every written form that is not simply a division's name."""
    short: dict[str, list[str]] = defaultdict(list)
    for code, name in names.now.items():
        if len(code) == 6 and short_form(name) != name:
            short[short_form(name)].append(code)
    for form, codes in short.items():
        large = any(code.endswith("00") for code in codes)
        needed = level(form, large, seen.get(form, (0, 0.0)))
        if needed is None:
            continue
        joined = ",".join(upper_first(codes))
        yield form, joined, needed
        if large and (other := traditional(form)) != form:
            yield other, joined, needed
    for name, now in names.former.items():
        if name not in names.now.values():
            yield name, ",".join(sorted(now)), SURE if len(name) > 2 else NEARBY
    yield from _variants(names.now)
    yield from ((form, codes, SURE) for form, codes in TABLE_WORDS["aliases"].items())
    yield from ((form, code, SURE) for form, code in _letters())
    yield from ((form, "", SURE) for form in TABLE_WORDS["not_places"])


def _variants(now: dict[str, str]) -> Iterator[tuple[str, str, int]]:
    """Written forms of full names: 恩施州, 臺灣省; streets that are no proper names."""
    counties = {name for code, name in now.items() if len(code) == 6}
    many: dict[str, list[str]] = defaultdict(list)
    loose: dict[str, list[str]] = defaultdict(list)
    for code, name in now.items():
        form = short_form(name)
        if len(code) == 6:
            if form != name and name.endswith(("自治州", "自治县", "自治旗")):
                many[form + name[-1]].append(code)
            if code.endswith("00") and traditional(name) != name:
                many[traditional(name)].append(code)
            if name in TABLE_WORDS["words"] or (len(name) == 2 and name in TABLE_WORDS["weak"]):
                yield name, code, WORD
        elif name in counties:
            continue
        elif not name.endswith(_STREET_ENDS) or len(name) < 3:
            if len(name) > 3 or name.endswith(_STREET_ENDS):
                loose[name].append(code)
            else:
                yield name, "", SURE
    for form, codes in many.items():
        if form not in counties:
            yield form, ",".join(upper_first(codes)), SURE
    for form, codes in loose.items():
        yield form, ",".join(codes), NEARBY


def _letters() -> Iterator[tuple[str, str]]:
    letters = TABLE_WORDS["letters"]
    for letter, code in letters["of"].items():
        yield from ((word + letter, code) for word in letters["before"].split())
        yield letter + letters["after"], code


def upper_first(codes: Iterable[str]) -> list[str]:
    """Codes sorted, but the province or city first, whose short form smaller places share."""
    return sorted(set(codes), key=lambda code: (_size(code), code))


def _size(code: str) -> int:
    return 0 if code.endswith("0000") and len(code) == 6 else 1 if prefix(code) < code[:6] else 2


def count(texts: Iterable[str], names: Names) -> dict[str, tuple[int, int]]:
    """How often each short name occurs, and how often as a place: with its suffix or its parent."""
    full = {name for code, name in names.now.items() if len(code) == 6} | set(names.former)
    parents: dict[str, set[str]] = defaultdict(set)
    for code, name in names.now.items():
        if len(code) == 6:
            over = {names.now.get(c, "") for c in (code[:2] + "0000", code[:4] + "00")} - {name, ""}
            parents[short_form(name)] |= over | {short_form(p) for p in over}
    lengths: dict[str, set[int]] = defaultdict(set)
    for form in parents:
        lengths[form[:2]].add(len(form))
    found: Counter[str] = Counter()
    placed: Counter[str] = Counter()
    for text in texts:
        at = 0
        while at < len(text) - 1:
            sizes = sorted(lengths.get(text[at : at + 2], ()), reverse=True)
            form = next((f for n in sizes if (f := text[at : at + n]) in parents), "")
            if not form:
                at += 1
                continue
            end = at + len(form)
            found[form] += 1
            before = text[max(0, at - 8) : at].rstrip(" ·-市省")
            if text[at : end + 1] in full or before.endswith(tuple(parents[form]) or ("\0",)):
                placed[form] += 1
            at = end
    return {form: (number, placed[form]) for form, number in found.items()}


def real_texts(data: Path) -> Iterator[str]:
    """Yield the general texts that names are counted in: posts, titles, comments, messages."""
    from nlp.training.data import rows

    with lzma.open(data / "pretrain/short_texts.txt.xz", "rt", encoding="utf-8") as file:
        yield from (line.strip()[:300] for line in file)
    for name in ("gov_comments", "gov_posts", "message_board_unlabelled"):
        yield from (str(r["text"])[:300] for r in rows(data / f"streams/{name}.jsonl.gz"))


def build(folder: Path, out: Path) -> int:
    """Write the table; returns the number of divisions."""
    names = read(folder)
    with COUNTS.open(encoding="utf-8", newline="") as file:
        seen = {
            row["form"]: (int(row["seen"]), int(row["placed"]) / int(row["seen"]))
            for row in csv.DictReader(file, delimiter="\t")
        }
    merged: dict[str, tuple[str, int]] = {}
    for form, codes, needed in forms(names, seen):
        merged[form] = (codes, needed)  # a later source decides: aliases over short names
    with lzma.open(out, "wt", encoding="utf-8", preset=9) as table:
        table.writelines(f"{code}\t{name}\n" for code, name in sorted(names.now.items()))
        table.writelines(f"{f}\t{codes}\t{n}\n" for f, (codes, n) in sorted(merged.items()))
    return len(names.now)


_TAGS: dict[str, str] = {}


def tags() -> dict[str, str]:
    """Part of speech of each word in the segmenter's dictionary."""
    if not _TAGS:
        with jieba.get_dict_file() as file:
            for line in file:
                word, _, tag = line.decode("utf-8").split()
                _TAGS[word] = tag
    return _TAGS


def _write_counts(data: Path, out: Path) -> int:
    found = count(real_texts(data), read(data / "gazetteer"))
    with out.open("w", encoding="utf-8", newline="") as file:
        file.write("form\tseen\tplaced\n")
        file.writelines(f"{form}\t{n}\t{p}\n" for form, (n, p) in sorted(found.items()))
    return len(found)


if __name__ == "__main__":
    task, source, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    print({"count": _write_counts, "build": build}[task](source, target))
