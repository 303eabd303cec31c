"""Errors, settings, secret, start-up checks."""

from __future__ import annotations

import inspect
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from huiyin import errors
from huiyin.errors import HuiyinError, SettingsError
from huiyin.secret import author_secret, fingerprint
from huiyin.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]


def test_every_error_stands_in_the_tree_of_the_docstring() -> None:
    classes = {
        name
        for name, value in inspect.getmembers(errors, inspect.isclass)
        if issubclass(value, HuiyinError)
    }
    drawn = set(re.findall(r"([A-Z][A-Za-z]+(?:Error)?)(?=\s{2,}|$)", errors.__doc__ or "", re.M))
    assert classes <= drawn | {"HuiyinError"}, classes - drawn


def test_all_wrong_settings_are_reported_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "huiyin.toml").write_text(
        '[office]\nregion = "12"\n[weibo]\nevery_seconds = -1\nwrong = 1\n', encoding="utf-8"
    )
    monkeypatch.setenv("HUIYIN_CONSOLE__PORT", "99999")
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path)
    named = {name for name, _what, _mend in caught.value.problems}
    assert named == {"office.region", "weibo.every_seconds", "weibo.wrong", "console.port"}
    assert all(mend for _name, _what, mend in caught.value.problems)


def test_broken_toml_is_a_settings_error(tmp_path: Path) -> None:
    (tmp_path / "huiyin.toml").write_text("[office\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"huiyin\.toml"):
        load_settings(tmp_path)


def test_environment_wins_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "huiyin.toml").write_text('[office]\nname = "甲"\n', encoding="utf-8")
    assert load_settings(tmp_path).office.name == "甲"
    monkeypatch.setenv("HUIYIN_OFFICE__NAME", "乙")
    assert load_settings(tmp_path).office.name == "乙"


def test_secrets_do_not_show_in_settings(tmp_path: Path) -> None:
    (tmp_path / "huiyin.toml").write_text('[weibo.tokens]\n"1" = "hush"\n', encoding="utf-8")
    settings = load_settings(tmp_path)
    assert settings.weibo.tokens["1"].get_secret_value() == "hush"
    assert "hush" not in repr(settings) + settings.model_dump_json()


def _leaves(model: type[BaseModel], prefix: str = "") -> set[str]:
    names = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            names |= _leaves(kind, f"{prefix}{name}.")
        else:
            names.add(prefix + name)
    return names


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `([a-z_.]+)`", page, re.M))
    assert documented == _leaves(Settings)


def test_author_secret_is_random_private_and_stable(tmp_path: Path) -> None:
    first = author_secret(tmp_path / "a", create=True)
    assert first == author_secret(tmp_path / "a", create=True) and len(first) == 32
    assert first != author_secret(tmp_path / "b", create=True)
    assert stat.S_IMODE((tmp_path / "a/author.key").stat().st_mode) == 0o600
    assert fingerprint(first) not in first.hex()


@pytest.mark.parametrize("harm", ["missing", "short", "garbage", "readable"])
def test_author_secret_problems_name_the_mend(tmp_path: Path, harm: str) -> None:
    file = tmp_path / "author.key"
    if harm != "missing":
        author_secret(tmp_path, create=True)
    if harm == "short":
        file.write_text("abcd")
    if harm == "garbage":
        file.write_bytes(b"\xff\xfe zz")
    if harm == "readable":
        file.chmod(0o644)
    with pytest.raises(SettingsError) as caught:
        author_secret(tmp_path)
    assert caught.value.problems[0][2]


def test_a_strangers_package_first_on_the_path_gives_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "responder").mkdir()
    (tmp_path / "responder/__init__.py").write_text("raise RuntimeError('stranger ran')\n")
    done = subprocess.run(
        [sys.executable, "-m", "huiyin", "--version"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd="/",
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "responder" in done.stderr and str(tmp_path) in done.stderr
    assert "stranger ran" not in done.stderr


def test_help_imports_neither_torch_nor_scrapy() -> None:
    code = (
        "import sys; sys.argv=['huiyin','--help']\n"
        "from huiyin.__main__ import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "bad={'torch','scrapy','transformers','streamlit','twisted'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "import" in done.stdout and "doctor" in done.stdout
