"""Chooses the thresholds of grouping for a model: one setting for all streams.

    python -m benchmarks.incident_thresholds [--model FOLDER] [--words-share 0.85 ...]

Prints the mean and deviation of the model's cosines (for MEAN_COSINE and SPREAD_COSINE), then for
each threshold B-cubed and best match on the event posts and the mean F1 on the half of the hot
issues that may tune; the other half is printed for the chosen threshold alone. A threshold is
judged with its two neighbours, so that none is chosen for a lucky digit. What it prints is written
by hand into nlp/incidents/thresholds.py. Reads HUIYIN_REAL_DATA; each text is read once by a model
and kept in build/incidents.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import incident_streams as streams
from benchmarks.incidents import (
    BOARD_A_DAY,
    bcubed,
    best_match,
    hot_issues,
    issue_scores,
    play,
    squeezed,
)
from huiyin.vectors import unpack
from nlp.incidents import index
from nlp.incidents.thresholds import WORDS_SHARE

STEP = 0.005
AROUND = 6
PAIRS = 20_000
THREE_YEARS = 1095


class Score(NamedTuple):
    """What one threshold gives."""

    threshold: float
    bcubed: float
    best_match: float
    tuned: float
    """Mean F1 on the half of the hot issues that may tune."""
    held_out: float
    alerts: float
    """On the board, in three years."""

    @property
    def total(self) -> float:
        """Events and hot issues weigh the same; the half that is held out does not count."""
        return (self.bcubed + self.best_match) / 4 + self.tuned / 2


class Streams:
    """The posts that tune, read by one model."""

    def __init__(self, read: streams.Kept) -> None:
        rows = {row["id"]: row["event"] for row in streams.rows("event_posts")}
        self.events = streams.posts(streams.rows("event_posts"), read)
        event = {post.id: rows[post.id.rpartition(":")[2]] for post in self.events}
        self.labelled = {name: str(one) for name, one in event.items() if one is not None}
        board = streams.posts(streams.rows("message_board_unlabelled"), read)
        self.board = squeezed(board, BOARD_A_DAY)
        issues = hot_issues()
        names = sorted(issues)
        self.halves = [{one: issues[one] for one in names[half::2]} for half in (0, 1)]

    def cosines(self) -> tuple[float, float]:
        """Mean and standard deviation of the cosine of two posts of one stream."""
        found = []
        for posts in (self.events, self.board):
            vectors = unpack([post.analysis.vector for post in posts if post.analysis])
            one, other = np.random.default_rng(1).integers(0, len(vectors), (2, PAIRS))
            cosines = (vectors[one] * vectors[other]).sum(axis=1)[one != other]
            found.append((float(cosines.mean()), float(cosines.std())))
        return sum(mean for mean, _ in found) / 2, sum(spread for _, spread in found) / 2

    def score(self, threshold: float, words_share: float) -> Score:
        """Both streams with one setting."""
        options = {"threshold": threshold, "words_share": words_share}
        group = play(self.events, **options).group
        gold, found = list(self.labelled.values()), [group[name] for name in self.labelled]
        board = play(self.board, **options)
        tuned, held_out = (issue_scores(board, half)["mean_f1"] for half in self.halves)
        days = (self.board[-1].created_at - self.board[0].created_at) / timedelta(days=1)
        alerts = len(board.told) * THREE_YEARS / days
        return Score(
            threshold, bcubed(gold, found), best_match(gold, found), tuned, held_out, alerts
        )


def centre(words_share: float) -> float:
    """Where to look: a post and its matter share about a tenth of their words' weight."""
    return round(words_share * 0.1 + (1 - words_share) * 0.68, 3)


def best(scores: Sequence[Score]) -> Score:
    """The one that is best together with its neighbours."""
    smooth = [
        sum(one.total for one in scores[max(0, place - 1) : place + 2])
        / len(scores[max(0, place - 1) : place + 2])
        for place in range(len(scores))
    ]
    return scores[int(np.argmax(smooth))]


def main() -> None:
    """Print the tables and what to write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="folder of another model")
    parser.add_argument("--words-share", type=float, nargs="+", default=[WORDS_SHARE])
    given = parser.parse_args()
    from nlp import load_understanding

    read = streams.Kept(load_understanding(given.model))
    made = Streams(read)
    mean, spread = made.cosines()
    print(f"model {read.model}\nMEAN_COSINE = {mean:.2f}\nSPREAD_COSINE = {spread:.2f}")
    # Two digits, as they will be written into the file.
    mean, spread = round(mean, 2), round(spread, 2)
    index.scale_cosines(mean, spread)
    for share in given.words_share:
        middle, scores = centre(share), []
        print(f"\nWORDS_SHARE = {share}\nthreshold  B-cubed  best match  hot issues  alerts")
        started = time.process_time()
        for step in range(-AROUND, AROUND + 1):
            one = made.score(round(middle + step * STEP, 3), share)
            scores.append(one)
            print(
                f"{one.threshold:9.3f} {one.bcubed:8.3f} {one.best_match:11.3f} "
                f"{one.tuned:11.3f} {one.alerts:7.0f}",
                flush=True,
            )
        chosen = best(scores)
        print(
            f"THRESHOLD = {chosen.threshold}: total {chosen.total:.3f}, hot issues held out "
            f"{chosen.held_out:.3f}; {time.process_time() - started:.0f} processor seconds"
        )


if __name__ == "__main__":
    main()
