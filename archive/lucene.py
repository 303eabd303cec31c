"""Lucene's syntax to our tree; luqum reads it. Imported only when somebody searches."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any, NoReturn

from luqum import thread, tree
from luqum.exceptions import ParseError

from archive import query as q
from huiyin.errors import QueryError

_UNESCAPE = re.compile(r"\\(.)", re.DOTALL)
_WILD = re.compile(r"(?<!\\)(?:\\\\)*[*?]")
_POSITION = re.compile(r"at position (\d+)")
_OPERATORS = {"&&": "AND", "||": "OR", "!": "NOT"}
_NOT_READ = {
    tree.Fuzzy: "近似查找（~）", tree.Proximity: "邻近查找（~）", tree.Boost: "加权（^）",
    tree.Regex: "正则表达式（/…/）",
}  # fmt: skip


def translate(text: str) -> q.Node:
    """Read `text` (not empty); raises `QueryError`."""
    try:
        parsed = thread.parse(text)
    except ParseError as error:
        _refuse_syntax(text, str(error))
    except RecursionError:
        raise QueryError("检索式嵌套太深", text, 0, "请减少括号") from None
    return _Translator(text).node(parsed, "text", 0)


def _refuse_syntax(text: str, message: str) -> NoReturn:
    found = _POSITION.search(message)
    position = int(found[1]) if found else len(text)
    if position < len(text) and text[position] == '"':
        raise QueryError("引号没有配对", text, position, '请补上另一个英文双引号 "')
    if found is None:
        raise QueryError("检索式没有写完", text, position, "请检查括号、引号和运算符是否配对")
    raise QueryError(
        f"这里不应出现 {text[position : position + 10]}", text, position,
        "请检查语法；要查找特殊符号，请在前面加反斜线或用引号括起来",
    )  # fmt: skip


class _Translator:
    def __init__(self, text: str) -> None:
        self.text = text

    def node(self, item: Any, field: str, depth: int) -> q.Node:
        """One of luqum's items inside `field` as a node of ours."""
        if depth > q.DEEPEST_QUERY:
            self.refuse("检索式嵌套太深", item, "请减少括号")
        deeper = depth + 1
        if isinstance(item, tree.AndOperation | tree.UnknownOperation):
            return q.And(tuple(self.node(child, field, deeper) for child in item.children))
        if isinstance(item, tree.OrOperation):
            return q.Or(tuple(self.node(child, field, deeper) for child in item.children))
        if isinstance(item, tree.Not | tree.Prohibit):
            return q.Not(self.node(item.children[0], field, deeper))
        if isinstance(item, tree.Plus | tree.Group | tree.FieldGroup):
            return self.node(item.children[0], field, deeper)
        if isinstance(item, tree.SearchField):
            return self.in_field(item, field, deeper)
        if isinstance(item, tree.Word | tree.Phrase):
            return self.term(item, field)
        if isinstance(item, tree.Range | tree.From | tree.To):
            return self.range(item, field)
        what = _NOT_READ.get(type(item), type(item).__name__)
        return self.refuse(f"不支持{what}", item, "请改用普通的词、引号短语或范围")

    def in_field(self, item: Any, outer: str, depth: int) -> q.Node:
        name = item.name
        if outer != "text" and outer in q.VALUE_FIELDS:
            # `id:weibo:123`: the value itself has a colon
            value = self.text[item.pos : item.pos + item.size]
            if _WILD.search(value):
                return q.Prefix(outer, _unescape(value[:-1]))
            return q.Equals(outer, _unescape(value))
        if name not in q.FIELDS:
            self.refuse(
                f"没有 {name} 这个字段", item,
                f"可用的字段：{' '.join(q.FIELDS)}；要查找冒号，请用引号括起来",
            )  # fmt: skip
        return self.node(item.children[0], name, depth)

    def term(self, item: Any, field: str) -> q.Node:
        quoted = isinstance(item, tree.Phrase)
        raw = item.value[1:-1] if quoted else item.value
        if not quoted and raw in _OPERATORS:
            self.refuse(f"不支持运算符 {raw}", item, f"请写 {_OPERATORS[raw]}")
        wild = None if quoted else _WILD.search(raw)
        if wild and raw == "*":
            if field == "has":
                self.refuse("has 后面不能写 *", item, f"可用：{' '.join(q.HAS)}")
            return q.Everything() if field == "text" else q.Exists(field)
        if wild and (wild.end() != len(raw) or raw.endswith("?")):
            self.refuse("通配符只能是词尾的 *", item, "请改用词尾的 *，或用引号括起来")
        value = _unescape(raw[:-1] if wild else raw)
        if field in q.TEXT_FIELDS:
            if not q.findable(value):
                self.refuse("这里没有可以查找的字词", item, "请输入汉字、字母或数字")
            return q.Words(field, value, prefix=bool(wild))
        if field in q.VALUE_FIELDS:
            return q.Prefix(field, value) if wild else q.Equals(field, value)
        if field == "has":
            if wild or value not in q.HAS:
                self.refuse(f"has 后面不能写 {raw}", item, f"可用：{' '.join(q.HAS)}")
            return q.Replied()
        if wild:
            self.refuse(f"{field} 不能用通配符", item, "请写成范围，例如 [10 TO *]")
        low, high = self.ends(item, value, field)
        return q.Range(field, low, high, include_high=field in q.NUMBER_FIELDS)

    def range(self, item: Any, field: str) -> q.Node:
        if field not in q.NUMBER_FIELDS + q.TIME_FIELDS:
            self.refuse(
                f"{field} 不能用范围",
                item,
                "范围只用于 created_at、reposts、comments、likes、urgency",
            )
        if isinstance(item, tree.Range):
            low, include_low = self.end(item.low, field, item.include_low, upper=False)
            high, include_high = self.end(item.high, field, item.include_high, upper=True)
        elif isinstance(item, tree.From):
            low, include_low = self.end(item.children[0], field, item.include, upper=False)
            high, include_high = None, True
        else:
            low, include_low = None, True
            high, include_high = self.end(item.children[0], field, item.include, upper=True)
        return q.Range(field, low, high, include_low, include_high)

    def end(
        self, item: Any, field: str, include: bool, *, upper: bool
    ) -> tuple[float | datetime | None, bool]:
        """One end of a range and whether it belongs to it.

        A time names a stretch (a day): `[d` begins at its start, `{d` after its end, `d]` runs to
        its end, `d}` to its start.
        """
        sign = "-" if isinstance(item, tree.Prohibit) else ""
        leaf = item.children[0] if sign else item
        raw = leaf.value[1:-1] if isinstance(leaf, tree.Phrase) else leaf.value
        if raw == "*":
            return None, True
        first, last = self.ends(leaf, sign + _unescape(raw), field)
        if field in q.NUMBER_FIELDS:
            return first, include
        if upper:
            return (last if include else first), False
        return (first if include else last), True

    def ends(self, item: Any, value: str, field: str) -> tuple[Any, Any]:
        """[start, end) of a time, or a number twice."""
        if field in q.TIME_FIELDS:
            found = q.times(value)
            if found is None:
                self.refuse(f"{value} 不是日期", item, "请写成 2026-11-22 或 2026-11-22T08:30")
            return found
        try:
            number = float(value)
        except ValueError:
            self.refuse(f"{value} 不是数字", item, f"{field} 只能与数字比较")
        if math.isnan(number):
            self.refuse(f"{value} 不是数字", item, f"{field} 只能与数字比较")
        return number, number

    def refuse(self, message: str, item: Any, mend: str) -> NoReturn:
        raise QueryError(message, self.text, getattr(item, "pos", 0) or 0, mend)


def _unescape(value: str) -> str:
    return _UNESCAPE.sub(r"\1", value)
