"""Text as the model sees it: the same in training, in use and for the cache of copies."""

import re
from collections.abc import Sequence

from tokenizers import Tokenizer

_URL = re.compile(r"https?://\S+|\bt\.cn/\w+", re.IGNORECASE)
_MENTION = re.compile(
    r"(?:回复\s*)?@(?:某用户|u[0-9a-f]{5,12}|[\w\-·]{1,30}?)(?=[\s:：,，。!！?？]|$)"
)
_SPACE = re.compile(r"\s+")
_RUN = re.compile(r"(.)\1{3,}")
_PLAIN: dict[int, int | None] = {
    **{0xFF10 + i: 0x30 + i for i in range(10)},
    **{0xFF21 + i: 0x41 + i for i in range(26)},
    **{0xFF41 + i: 0x61 + i for i in range(26)},
    0x3000: 0x20,
    0x200B: None,
    0xFE0F: None,
}
"""Full-width letters and digits to plain ones; Chinese punctuation stays as the base saw it."""

HEAD_SHARE = 0.75
"""Share of a long message's tokens taken from its beginning; the rest comes from its end."""
_MOST_CHARACTERS = 4000
"""Longer texts lose their middle before they are cleaned: no more than this can reach the model."""


def join(title: str | None, text: str) -> str:
    """Put a title before its text, unless the text already begins with it."""
    title = (title or "").strip()
    if not title or text.lstrip().startswith(title):
        return text
    return f"{title}\n{text}"


def clean(text: str) -> str:
    """Normalise a post for the model.

    Links and handles go, since they carry no meaning and would let the model learn names;
    full-width letters become plain ones; a character repeated more than three times keeps three.
    """
    if len(text) > _MOST_CHARACTERS:
        head = int(_MOST_CHARACTERS * HEAD_SHARE)
        text = f"{text[:head]} {text[head - _MOST_CHARACTERS :]}"
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = _URL.sub(" ", text)
    text = _MENTION.sub(" ", text)
    text = text.translate(_PLAIN)
    text = _RUN.sub(lambda match: match.group(1) * 3, text)
    return _SPACE.sub(" ", text).strip()


def head_and_tail(tokens: list[int], limit: int) -> list[int]:
    """Keep `limit` tokens: the beginning and the end, where messages say what they want."""
    if len(tokens) <= limit:
        return tokens
    head = max(1, int(limit * HEAD_SHARE))
    return tokens[:head] + tokens[len(tokens) - (limit - head) :]


def tokenise(tokenizer: Tokenizer, texts: Sequence[str], limit: int) -> list[list[int]]:
    """Token ids of cleaned texts with [CLS] and [SEP], at most `limit` each, head and tail kept."""
    first, last = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    found = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    assert first is not None and last is not None  # noqa: S101
    return [[first, *head_and_tail(item.ids, limit - 2), last] for item in found]
