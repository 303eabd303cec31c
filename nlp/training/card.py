"""Write docs/model-card.md: the fixed words are here, the figures come from the evaluation."""

import json
from pathlib import Path

from nlp.model import Model
from nlp.training.evaluate import Report

_HEAD = """# Model card: the shipped understanding model

Written by `huiyin evaluate --card docs/model-card.md`; figures are of the weights in `nlp/model`
(id `{model}`), measured through the code that users run.

## What it is

One Chinese encoder (BERT, {layers} layers, hidden {hidden}, {vocabulary} pieces,
{megabytes:.1f} MB with its heads in float16) with five heads and a sentence vector of {hidden}
dimensions, all from one forward pass: sentiment (3), emotion (6), intent (7), category (7 main
classes of government messages), and whether a post wants an answer. Texts are read up to {length}
tokens; of longer ones the first three quarters of that and the end. Where the folder holds
`model.int8.onnx` (8-bit weights and activations with a scale a token, so that a text's answer does
not depend on its batch) that is read, on every processor; otherwise bfloat16 or float32 by the
processor's flags. The id says which. Beside the encoder answers a linear model over hashed
character 1-3-grams (`ngrams.npz`), task by task with a share chosen on the
development rows: {shares}.
Urgency, places and what lies below the main category are not this model's: `nlp/urgency.py`,
`nlp/places.py`, `nlp/categories/`.

It comes from **BAAI/bge-small-zh-v1.5** (MIT; C-Pack, Xiao et al. 2023, arXiv 2309.07597), 4x512,
whose vocabulary of 21,128 was cut to the pieces that our texts use, with 200 emoji added:
1. masked-language training went on with about 70 million characters of posts and messages;
2. a **teacher** of that shape learned all tasks together (2 epochs, to 256 tokens);
3. a first **student** (4x256) was taught the teacher's probabilities, mixed with the n-grams', and
   the base model's sentence vectors on 593,007 texts, once, beside the labels themselves; its
   vectors also learned by contrast (a title with its text, an appeal with its reply, a piece of a
   message with the rest, two posts of one event, two reposts of one root);
4. the **student that ships** (5x256) began as the first one with a layer more and went on so for
   13,000 batches.

## How it was made

    export HUIYIN_REAL_DATA=DIR
    huiyin train encoder --base BASE -o build/encoder
    huiyin train heads --base build/encoder -o build/teacher1
    huiyin train student build/teacher1 --vectors-base BASE -o build/student-4x256
    huiyin train student build/teacher1 --vectors-base BASE --start build/student-4x256 \\
        --layers 5 --epochs 2 --steps 13000 --learning-rate 5e-4 --pair-every 8 -o nlp/model
    huiyin train categories --shipped
    huiyin evaluate --card docs/model-card.md

Settings: the defaults in `nlp/training/config.py` and `nlp/training/student.py`, seed 1 (the
teacher's too), on two processor cores. Departures: the teacher's reading of the texts for the
student was made at 128 tokens and made again at 256 for the 55,344 texts that are longer; and the
second student was planned for 19,883 batches with pairs every 16th, changed at batch 2,400 to
15,000 with every 8th and at batch 4,100 to the 13,000, so that up to there its learning rate fell
more slowly than a fresh run's would.

"""

_DATA = """## Data

None of it is in the project; most sets come without a licence, for research. Training and
development rows share no text, and segmented copies of held-out messages were dropped. A tenth
of the full texts was made to look segmented (without stop words), so that both kinds are read.

| set | rows | used for | development rows | source |
| --- | --- | --- | --- | --- |
| emotion | 39,112 | emotion; weakly sentiment | its own `dev` split, by domain | SMP2020-EWECT |
| emotion, seven | 10,964 | emotion, at a fifth of the weight | none: trained on | 2020 Weibo |
| sentiment (segmented) | 19,983 | sentiment | none: trained on | 2020 epidemic Weibo task |
| sentiment (hand-labelled) | 1,000 | sentiment | 40 %, by hash of the text | 2020 Weibo posts |
| citizens' messages, full | 817 | category | 40 %, by hash of the text | 2020 Teddy Cup C |
| citizens' messages, segmented | 8,686 | category | none: trained on | 2020 Teddy Cup C |
| appeals with replies | 3,614 | intent, wants an answer | a quarter of Fuzhou | Fuzhou, Teddy |
| message board, unlabelled | 2,681 | intent by rule from titles; vectors | none | Teddy Cup |
| comments under official posts | 9,000 of 45,240 | both, by rule | a tenth | Weibo |
| flood posts, July 2021 | 2,454 | help wanted or offered | a tenth | henan-rescue (MIT) |
| event and official posts | 1,851 | vectors alone | none | 2020 Weibo |

Phone numbers, handles and names of ordinary people were masked before we got the data.

## Figures

Macro-F1 with its 95 % bootstrap interval (1,000 resamples of the rows), beside two yardsticks on
the same rows: TF-IDF of character 1-3-grams with a linear SVM trained on the same hand-labelled
rows, and SnowNLP, naive Bayes from reviews of goods, its one number cut into three classes at the
thresholds best for these very rows. ECE is the calibration error of the top label (15 equal-mass
bins). One temperature a head was fitted on development rows, so their ECE is a little flattering.

**`needs_answer` alone is measured against labels made by rule**: that figure says how well the head
repeats the rules. The sets called `mentions`, and those for danger, places and the tree, are real
posts **labelled by two readers that are language-model assistants, not people**; how, and how far
they agreed, is in `nlp/training/labels/README.md`. Most mentions were drawn so that no intent is
absent, so rare intents are commoner there than in a day's mentions. There, the rules that correct
the head are measured with it; the weights of the cues for wanting an answer were set on half of
these mentions (`nlp/answering.py`), so `needs_answer/mentions` is measured on the other half.

"""

_TAIL = """
## Known weaknesses

- Sarcasm, dialect, homophones and the slang of the 2010s are often misread; praise meant as mockery
  counts as praise.
- Intent was learned from messages to offices and from what titles say outright. Among such
  messages 投诉 and 咨询 can be used; on short mentions see `intent/mentions` above before trusting
  any class.
- Category: seven main classes come from the trained head; the other eight, 无 and the lower levels
  from likeness of vectors to names and examples, which is worth much less: see the tree's levels.
- Sentiment was learned mostly from epidemic posts of 2020 and from texts that had lost their stop
  words; other times and topics are further away than the figures suggest.
- Only Chinese is read. Traditional characters are folded to simplified ones first, one by one
  (words that differ, such as 計程車, stay as they are). A text in another language is marked with
  it and gets equal probabilities, no category, no vector and 0.5 for wanting an answer: a person
  has to look. Languages are told by their letters (`nlp/languages.py`): 46 of 120,172 real posts
  were marked as another one; Cantonese in simplified characters and pinyin are not noticed.
- Pictures and videos are not read.
- Small and fast cost emotion on usual posts two points: 0.712, where the 4x512 in bfloat16 that
  shipped before had 0.735 (and read 486 posts/s instead of 1,323). A title that was never learned
  finds its own text first 0.729 of the time; the base model's own 512 dimensions 0.77.
- In 8 bits a probability differs from float32's in the second or third digit.

## Uses

Intended: sorting what people say to a government office, so that each appeal is answered; finding
posts about one event; research on archives of public posts. A person reads before anything follows.

Refused: judging, scoring or listing people; deciding on a person's rights; removing speech because
of its sentiment; answering without a person. Nothing in the program does these, and the model must
not be used for them.
"""


def write(path: Path, report: Report, model: Model) -> None:
    """Write the card. Raises OSError when the folder does not exist or cannot be written."""
    config = json.loads((model.folder / "config.json").read_text(encoding="utf-8"))
    size = sum(f.stat().st_size for f in model.folder.rglob("*") if f.is_file()) / 1e6
    head = _HEAD.format(
        model=report.model,
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        vocabulary=f"{config['vocab_size']:,}",
        megabytes=size,
        length=model.max_length,
        shares=", ".join(f"{task} {share:.2f}" for task, share in model.ngram_shares.items())
        or "none in these weights",
    )
    figures = "\n".join(report.lines())
    path.write_text("".join([head, _DATA, figures, "\n", _TAIL]), encoding="utf-8")
