"""The office's fitted trees on disk: numbered versions, one of them switched on.

    <folder>/current            name of the version in use; absent = default
    <folder>/history.jsonl      each switch: when, to what, why
    <folder>/v0001/classifier.npz   the tree, with where it comes from
    <folder>/v0001/rows.npz     vectors and paths it was fitted on, to fit it again with corrections
    <folder>/cache/             the default tree for models that were not shipped

No texts are kept: a person's words lie in the archive alone, where a deletion reaches them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path as File
from zipfile import BadZipFile

import numpy as np

from huiyin.errors import InputError, ModelError
from nlp.categories.classifier import Classifier, Floats
from nlp.categories.default import NAME as DEFAULT
from nlp.categories.paths import Path

_NAME = re.compile(r"v\d{4,}")


@dataclass(frozen=True)
class Versions:
    """The versions in a folder, which need not exist yet."""

    folder: File

    def current(self) -> str:
        """Name of the version in use: `default` when none was switched on."""
        try:
            return (self.folder / "current").read_text(encoding="utf-8").strip() or DEFAULT
        except FileNotFoundError:
            return DEFAULT
        except OSError as error:
            raise ModelError(f"读不到 {self.folder / 'current'}：{error}", "检查权限") from error

    def names(self) -> list[str]:
        """The office's own versions, oldest first."""
        if not self.folder.is_dir():
            return []
        found = [
            one.name
            for one in self.folder.iterdir()
            if _NAME.fullmatch(one.name) and (one / "classifier.npz").is_file()
        ]
        return sorted(found, key=lambda name: int(name[1:]))

    def load(self, name: str) -> Classifier:
        """A version by name. Raises ModelError when it is missing or broken."""
        return Classifier.load(self.folder / name / "classifier.npz")

    def rows(self, name: str) -> tuple[Floats, list[Path]]:
        """Vectors (n, dims) and paths that a version was fitted on. Raises ModelError."""
        file = self.folder / name / "rows.npz"
        try:
            with np.load(file, allow_pickle=False) as kept:
                paths = json.loads(kept["paths"].tobytes().decode())
                return kept["vectors"].astype(np.float32), [tuple(path) for path in paths]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise ModelError(
                f"{file} 无法读取：{error}", "用原来的 CSV 重新运行 huiyin train categories"
            ) from error

    def add(self, classifier: Classifier, vectors: Floats, paths: Sequence[Path]) -> str:
        """Keep a new version, not switched on; returns its name. Raises InputError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = self._next()
            part = self.folder / f".{name}"
            part.mkdir(exist_ok=True)
            named = dict(classifier.about) | {"name": name}
            Classifier(
                classifier.vectors, classifier.nodes, classifier.weights, classifier.bias,
                classifier.temperatures, named,
            ).save(part / "classifier.npz")  # fmt: skip
            said = json.dumps(paths, ensure_ascii=False).encode()
            with (part / "rows.npz").open("wb") as out:
                np.savez(out, vectors=vectors.astype("<f2"), paths=np.frombuffer(said, np.uint8))
            part.rename(self.folder / name)
        except OSError as error:
            raise InputError(
                f"无法写入：{error.strerror or error}",
                "检查设置 nlp.categories 的文件夹是否可写、有空间",
                file=str(self.folder),
            ) from error
        return name

    def _next(self) -> str:
        taken = [int(one.name.lstrip(".")[1:]) for one in self.folder.glob("*v[0-9]*")
                 if _NAME.fullmatch(one.name.lstrip("."))]  # fmt: skip
        return f"v{max(taken, default=0) + 1:04d}"

    def switch_on(self, name: str, why: str, at: datetime) -> None:
        """Use a version from now on. Raises InputError when there is none of that name."""
        if name != DEFAULT and name not in self.names():
            known = "、".join([DEFAULT, *self.names()])
            raise InputError(f"没有分类版本 {name}", f"可用的有：{known}")
        was = self.current()
        part = self.folder / ".current"
        self.folder.mkdir(parents=True, exist_ok=True)
        line = {"at": at.isoformat(timespec="seconds"), "to": name, "from": was, "why": why}
        history = self.folder / "history.jsonl"
        torn = history.is_file() and not history.read_bytes().endswith(b"\n")
        with history.open("a", encoding="utf-8") as out:
            out.write("\n" * torn + json.dumps(line, ensure_ascii=False) + "\n")
        part.write_text(name + "\n", encoding="utf-8")
        part.replace(self.folder / "current")

    def history(self) -> list[dict[str, str]]:
        """Each switch, oldest first: at, to, from, why."""
        file = self.folder / "history.jsonl"
        if not file.is_file():
            return []
        found = []
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:  # the power went in the middle of it: that switch did not happen
                continue
        return found

    def back(self, at: datetime) -> str:
        """Return to the version that was in use before; twice = to the one before that.

        Raises InputError when there was none.
        """
        trail = [DEFAULT]
        for one in self.history():
            if one["why"] == BACK:
                trail.pop()
            elif one["to"] != trail[-1]:
                trail.append(one["to"])
        if len(trail) < 2:
            raise InputError("没有可以退回的版本", "huiyin categories list 列出版本")
        self.switch_on(trail[-2], BACK, at)
        return trail[-2]


BACK = "back"
