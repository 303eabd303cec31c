"""Fit the two weakly labelled heads again, on the frozen encoder, with the short texts they meet.

Citizens' messages are long and formal, posts to an account short and plain; fine-tuned on messages
alone, a head takes a short complaint for chatter. Titles and opening sentences of messages are
short complaints, questions and requests, so they join here, with the anonymised place names
("A市A1区") taken out, and official and news posts join as what wants no answer.
"""

import logging
import random
import re
from collections.abc import Iterator

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import BertModel

from nlp.heads import Heads
from nlp.text import clean, join, tokenise
from nlp.training import batches, data, weak
from nlp.training.config import LABELS, TrainConfig
from nlp.training.data import Data, Example

log = logging.getLogger(__name__)

TASKS = ("intent", "needs_answer")
_MASKED_PLACE = re.compile(r"[A-Z]\d*(?:市|区|县|镇|乡|街道)")
_SENTENCE = re.compile(r"[。！？!?\n；;]")
_GREETING = re.compile(
    r"^(?:尊敬的|敬爱的)?.{0,12}(?:书记|市长|县长|区长|局长|领导|省长|厅长|主任)[^，,：:。！!]{0,6}"
    r"[，,：:。！!\s]*(?:您好|你好)?|^(?:您好|你好)"
)
_SOURCES = {"comment", "flood", "fuzhou"}
_KNOWN = 3.0
"""Weight of an intent that an office itself set."""
_PRIOR = 0.2
"""Weight of 投诉 for a message that does not say outright what it is: most are complaints."""


def refit(
    encoder: BertModel, heads: Heads, tokenizer: Tokenizer, sets: Data, config: TrainConfig
) -> None:
    """Replace the weights of the intent and needs_answer heads, in place."""
    examples = [*short_messages(config), *_others(sets, config)]
    held = {item.text for items in sets.dev.values() for item in items}
    examples = [item for item in examples if item.text and item.text not in held]
    tokens = tokenise(tokenizer, [item.text for item in examples], config.max_length)
    log.info("refitting %s on %d texts", TASKS, len(examples))
    features = pooled(encoder, heads, tokens, config)
    for task in TASKS:
        rows = [row for row, item in enumerate(examples) if item.labels.get(task) in LABELS[task]]
        known = [examples[row] for row in rows]
        target = torch.tensor([LABELS[task].index(item.labels[task]) for item in known])
        weight = torch.tensor([item.weights.get(task, 1.0) for item in known])
        _fit(heads.layers[task], features[rows], target, weight)


def short_messages(config: TrainConfig) -> Iterator[Example]:
    """Titles and opening sentences of the messages that are not held out for measuring."""
    labelled, streams = config.data / "labelled", config.data / "streams"
    for path, held in (
        (labelled / "appeals_with_replies.jsonl.gz", 0.25),
        (labelled / "category_full.jsonl.gz", data.CATEGORY_DEV_SHARE),
        (streams / "message_board_unlabelled.jsonl.gz", 0.0),
    ):
        for row in data.rows(path):
            title, text = str(row.get("title") or ""), str(row["text"])
            if data.bucket(clean(join(title, text))) < held:
                continue
            known = row.get("kind")
            intent = str(known) if known else weak.intent_of_title(title)
            labels = {"needs_answer": "yes", "intent": intent or "投诉"}
            weights = {"intent": _KNOWN if known else (0.6 if intent else _PRIOR)}
            for short in dict.fromkeys((_plain(title), _plain(_opening(text)))):
                if 4 <= len(short) <= 80:
                    own = dict(labels)
                    if "表扬" in (intent, weak.intent_of_title(short)):
                        own |= {"needs_answer": "no", "intent": "表扬"}
                    yield Example(short, own, weights, "short")


def pooled(
    encoder: BertModel, heads: Heads, tokens: list[list[int]], config: TrainConfig
) -> Tensor:
    """What the heads read of each text, (n, 2 * hidden) float32."""
    from nlp.training.finetune import autocast

    found = torch.zeros((len(tokens), 2 * encoder.config.hidden_size))
    encoder.eval()  # type: ignore[no-untyped-call]
    with torch.inference_mode(), autocast(config):
        for rows in batches.plan(tokens, config.batch_tokens, None):
            ids, mask = batches.pad([tokens[row] for row in rows])
            states = encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            found[rows] = heads.pool(states, mask)
    return found.clone()


def _others(sets: Data, config: TrainConfig) -> Iterator[Example]:
    """The weakly labelled texts of the training set, and posts of offices and newspapers."""
    order = random.Random(config.seed)
    for item in sets.train:
        is_message = item.source in ("message", "message-board")
        is_chatter = item.source == "emotion" and "intent" in item.labels
        if item.source in _SOURCES or is_chatter or (is_message and order.random() < 0.25):
            yield item
        elif item.source == "post":
            labels = {"intent": "其他", "needs_answer": "no"}
            yield Example(item.text, labels, dict.fromkeys(labels, 0.5), "post")


def _fit(layer: nn.Module, features: Tensor, target: Tensor, weight: Tensor) -> None:
    """Weighted logistic regression with a little L2, by L-BFGS, from the layer's own weights."""
    assert isinstance(layer, nn.Linear)  # noqa: S101
    classes = torch.zeros(layer.out_features).index_add(0, target, weight)
    balance = (weight.sum() / classes.clamp(min=1)).sqrt()
    weight = weight * balance[target]
    weight = weight / weight.sum()
    layer.requires_grad_(True)
    solver = torch.optim.LBFGS(
        layer.parameters(), max_iter=150, history_size=20, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        solver.zero_grad()
        each = nn.functional.cross_entropy(layer(features), target, reduction="none")
        total = (each * weight).sum() + 2e-4 * layer.weight.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    solver.step(loss)  # type: ignore[no-untyped-call]


def _opening(text: str) -> str:
    """The first sentence that says something, without the greeting."""
    for part in _SENTENCE.split(_GREETING.sub("", text.strip())):
        sentence = part.strip(" ，,：:、")
        if len(sentence) >= 8:
            return sentence
    return ""


def _plain(text: str) -> str:
    return clean(_MASKED_PLACE.sub("", text))
