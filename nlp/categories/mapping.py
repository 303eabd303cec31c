"""An office's own classes in terms of the shared tree, so that a parent office can add up.

A CSV file that the office edits: own class, shared class, how it was found (同名, 相近, 人工), how
sure. A row that has a shared class stays as it is; only what is new or empty is proposed.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as File

import numpy as np

from huiyin.errors import InputError
from nlp.categories import default
from nlp.categories.classifier import Classifier, Floats
from nlp.categories.paths import NONE, Path, joined, parse, prefixes

MAIN = 0.7
"""Temperature of the main decision here, where the head does not speak beside the tree: gives the

300 labelled messages the highest likelihood.
"""
COLUMNS = ("本单位类别", "共用类别", "依据", "把握")
BY_NAME, BY_EXAMPLES, BY_PERSON, NOT_FOUND = "同名", "相近", "人工", "未对应"
SURE = 0.5
"""Least mean probability at which a shared class is proposed from a class's name and examples."""


@dataclass(frozen=True)
class Row:
    """One own class. `shared` None = not mapped; the empty path = 无."""

    own: Path
    shared: Path | None
    why: str
    sure: float = 1.0


def propose(
    own: Sequence[Path],
    names: Floats,
    vectors: Floats,
    paths: Sequence[Path],
    tree: Classifier,
) -> list[Row]:
    """A row for each own class, from its name and from what the tree makes of its examples.

    `names` (len(own), dims) are the vectors of `name_of` each; `vectors` (n, dims) and `paths` are
    the rows that the office's version was fitted on; `tree` is the shared tree for the same model.
    """
    tree = replace(tree, temperatures=(MAIN, *tree.temperatures[1:]))
    shared = tree.paths()
    by_last: dict[str, list[Path]] = {}
    for path in shared:
        by_last.setdefault(path[-1], []).append(path)
    of_names, of_rows = tree.decisions(names), tree.decisions(vectors)
    rows = []
    for number, one in enumerate(own):
        members = [row for row, path in enumerate(paths) if path[: len(one)] == one]
        means = {
            parent: (shares[number] + of_rows[parent][members].mean(0)) / 2
            if members
            else shares[number]
            for parent, shares in of_names.items()
        }
        rows.append(_row(one, shared, by_last, tree, means))
    return rows


def name_of(path: Path) -> str:
    """The words of a class's path, as they are read to find its like."""
    return " ".join(one for one in dict.fromkeys(path) if one != default.OTHER) or default.OTHER


def _row(
    own: Path,
    shared: Sequence[Path],
    by_last: Mapping[str, list[Path]],
    tree: Classifier,
    means: Mapping[Path, Floats],
) -> Row:
    if own in shared:
        return Row(own, own, BY_NAME)
    same = by_last.get(own[-1], []) if own[-1] != default.OTHER else []
    if same:  # of several classes of that name the one that its examples lean to
        leaning = max(same, key=lambda path: _share(tree, means, path))
        return Row(own, leaning, BY_NAME, round(_share(tree, means, leaning), 3))
    best = int(means[()].argmax())
    steps: list[tuple[Path, float]] = [((tree.mains[best],), float(means[()][best]))]
    nodes = {node.parent: node for node in tree.nodes}
    while (node := nodes.get(steps[-1][0])) is not None:
        child = int(np.argmax(means[node.parent]))
        path, before = steps[-1]
        steps.append(((*path, node.children[child]), before * float(means[node.parent][child])))
    sure = [(path, share) for path, share in steps if share >= SURE]
    if not sure:
        return Row(own, None, NOT_FOUND, round(steps[0][1], 3))
    path, share = sure[-1]
    return Row(own, () if path == (NONE,) else path, BY_EXAMPLES, round(share, 3))


def _share(tree: Classifier, means: Mapping[Path, Floats], path: Path) -> float:
    share = 1.0
    for node in tree.nodes:
        level = len(node.parent)
        if path[:level] == node.parent and level < len(path) and path[level] in node.children:
            share *= float(means[node.parent][node.children.index(path[level])])
    return share


def merged(proposed: Iterable[Row], kept: Iterable[Row]) -> list[Row]:
    """The proposals, with every row that has a shared class already, or was set by a person."""
    standing = {row.own: row for row in kept if row.shared is not None or row.why == BY_PERSON}
    rows = [standing.pop(row.own, row) for row in proposed]
    return [*rows, *standing.values()]


def write(file: File, rows: Iterable[Row]) -> None:
    """Write the file whole or not at all, with a mark that makes Excel read it as UTF-8."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    file.parent.mkdir(parents=True, exist_ok=True)
    with part.open("w", encoding="utf-8-sig", newline="") as out:
        table = csv.writer(out)
        table.writerow(COLUMNS)
        for row in rows:
            shared = "" if row.shared is None else joined(row.shared)
            table.writerow([joined(row.own), shared, row.why, f"{row.sure:.3f}"])
    part.replace(file)


def read(file: File) -> list[Row]:
    """The rows of the file.

    Raises InputError with file, line, column and mend for what cannot be used.
    """
    known = {*(p for path in default.paths() for p in prefixes(path)), ()}
    rows = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as table:
            reader = csv.DictReader(table)
            if not set(COLUMNS[:2]) <= set(reader.fieldnames or ()):
                raise InputError(
                    f"缺少列 {COLUMNS[0]} 或 {COLUMNS[1]}",
                    "用 huiyin categories map 重新写出", file=str(file), line=1,
                )  # fmt: skip
            for said in reader:
                rows.append(_read(said, known, str(file), reader.line_num))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"读不了：{error}", "另存为 UTF-8 的 CSV", file=str(file)) from error
    return rows


def _read(said: Mapping[str, str | None], known: set[Path], file: str, line: int) -> Row:
    try:
        own = parse(said[COLUMNS[0]] or "")
    except ValueError as error:
        raise InputError(
            f"列 {COLUMNS[0]}：{error}", "写成 城建/道路", file=file, line=line
        ) from error
    written = (said[COLUMNS[1]] or "").strip()
    why = (said.get(COLUMNS[2]) or "").strip() or BY_PERSON
    if not written:
        return Row(own, None, why if why == BY_PERSON else NOT_FOUND, 0.0)
    try:
        shared = parse(written)
    except ValueError as error:
        raise InputError(
            f"列 {COLUMNS[1]}：{error}", "写成 城乡建设/…", file=file, line=line
        ) from error
    if shared not in known:
        raise InputError(
            f"列 {COLUMNS[1]}：共用分类里没有“{written}”",
            "huiyin categories list --tree 列出共用分类", file=file, line=line,
        )  # fmt: skip
    return Row(own, shared, BY_PERSON if why == NOT_FOUND else why, _number(said.get(COLUMNS[3])))


def _number(text: str | None) -> float:
    try:
        return float(text or 1.0)
    except ValueError:
        return 1.0


def shared_of(path: Path, rows: Mapping[Path, Row], shared: set[Path]) -> Path | None:
    """The shared class of a post's path: its own row, else that of the nearest class above.

    A path of the shared tree itself stays. None = not mapped.
    """
    for level in range(len(path), 0, -1):
        row = rows.get(path[:level])
        if row is not None and row.shared is not None:
            return row.shared
        if row is not None and row.why == BY_PERSON:
            return None
    return path if path in shared or not path else None
