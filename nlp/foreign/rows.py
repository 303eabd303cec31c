"""Texts as rows of tokens for a model of others: cut to its limit, padded the same in any batch."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from nlp.model import plan
from nlp.text import head_and_tail

_WITHOUT_LIMIT = 512
"""Tokens, where neither tokenizer nor configuration says a limit."""
_STEP = 16
"""Padded widths are multiples of it (see `nlp.model.plan`)."""


def limit_of(tokenizer: Any, config: Any) -> int:
    """Most tokens of a text, its marks included: a multiple of 16 unless it is less than that."""
    known = [int(tokenizer.model_max_length)] if tokenizer.model_max_length < 1_000_000 else []
    positions = getattr(config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        # RoBERTa and its kin count positions from behind the padding's number
        offset = (config.pad_token_id or 0) + 1 if "roberta" in config.model_type else 0
        known.append(positions - offset)
    limit = min(known, default=_WITHOUT_LIMIT)
    return limit - limit % _STEP or limit


def tokens_of(tokenizer: Any, texts: Sequence[str], limit: int) -> list[list[int]]:
    """Token ids with the model's own marks; of longer texts, beginning and end are kept."""
    found = tokenizer(list(texts), truncation=False, return_special_tokens_mask=True, verbose=False)
    pairs = zip(found["input_ids"], found["special_tokens_mask"], strict=True)
    return [_cut(list(ids), list(marks), limit) for ids, marks in pairs]


def _cut(ids: list[int], marks: list[int], limit: int) -> list[int]:
    if len(ids) <= limit:
        return ids
    first = next((n for n, mark in enumerate(marks) if not mark), len(ids))
    last = next((n for n, mark in enumerate(reversed(marks)) if not mark), 0)
    before, after = ids[:first], ids[len(ids) - last :]
    inner = ids[first : len(ids) - last]
    return [*before, *head_and_tail(inner, max(1, limit - len(before) - len(after))), *after]


def run(
    tokenizer: Any,
    rows: Sequence[list[int]],
    limit: int,
    device: torch.device,
    forward: Callable[[dict[str, Tensor]], Tensor],
) -> Tensor:
    """`forward` over all rows in batches of one padded width each; (n, k) float32 on the CPU."""
    found: list[Tensor | None] = [None] * len(rows)
    with torch.inference_mode():
        for members, width in plan([len(row) for row in rows]):
            padded = tokenizer.pad(
                {"input_ids": [rows[row] for row in members]},
                padding="max_length", max_length=min(width, limit), return_tensors="pt",
            )  # fmt: skip
            values = forward({name: value.to(device) for name, value in padded.items()})
            for row, value in zip(members, values.float().cpu(), strict=True):
                found[row] = value
    return torch.stack([value for value in found if value is not None])
