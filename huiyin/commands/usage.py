"""What is wrong with a command as it was typed, in Chinese; typer says it in English."""

from __future__ import annotations

import re
from typing import Any

_WORDS = (
    (r"Missing argument '?(.+?)'?\.(?: .*)?$", r"缺少参数 \1"),
    (r"Missing option '?(.+?)'?\.(?: .*)?$", r"缺少选项 \1"),
    (r"No such option:? '?(.+?)'?(?:[.(\s].*)?$", r"没有 \1 这个选项"),
    (r"No such command '(.+?)'.*$", r"没有 \1 这个命令"),
    (r"Got unexpected extra argument(?:s|\(s\))? \((.+)\)$", r"多出了参数 \1"),
    (r"Option '?(.+?)'? requires an argument\.?$", r"选项 \1 后面要写值"),
    (r"Invalid value for '(.+?)': (?:Value error, )?'(.+?)' is not one of (.+?)\.?$",
     r"\1 不能是“\2”，可用的是 \3"),
    (r"Invalid value for '(.+?)': '(.+?)' is not a valid .+$", r"\1 不能是“\2”"),
    (r"Invalid value for '?(.+?)'?: (.+)$", r"\1 的值不对：\2"),
)  # fmt: skip


def usage_error(error: Any) -> str:
    """A sentence in Chinese for what typer refused; its own words where it has others."""
    said = " ".join(str(error.format_message()).split())
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "huiyin"
    mend = f"（看用法：{path.replace('python -m huiyin', 'huiyin')} -h）"
    for pattern, words in _WORDS:
        if re.match(pattern, said):
            return re.sub(pattern, words, said) + mend
    return said + mend
