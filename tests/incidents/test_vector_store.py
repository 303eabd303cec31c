"""Vectors take room only where a row has one, and a free slot is used again."""

from __future__ import annotations

import numpy as np

from nlp.incidents.grouping import Grouper
from nlp.incidents.items import Item
from nlp.incidents.packing import Pressed, pressed
from nlp.incidents.vector_store import Vectors


def made(seed: int, dims: int = 8) -> Pressed:
    found = pressed(np.random.default_rng(seed).normal(size=dims).astype(np.float32))
    assert found is not None
    return found


def test_a_vector_comes_back_and_a_place_without_one_has_none() -> None:
    store = Vectors(4)
    store.add(2, made(1), 1)
    vector, model = store.of(2)
    assert model == 1
    assert np.allclose(vector, made(1).bytes * made(1).scale)
    assert store.of(3)[1] == 0
    store.drop(2)
    store.drop(3)
    assert store.of(2)[1] == 0


def test_slots_are_used_again_and_more_are_made() -> None:
    store = Vectors(64)
    for round_ in range(20):
        for place in range(64):
            store.add(place, made(place + round_), 1)
        for place in range(64):
            store.drop(place)
    assert store._used <= 65
    for place in range(64):
        store.add(place, made(place), 1)
    vectors, scales, models = store.at(np.arange(64))
    for place in range(64):
        assert np.array_equal(vectors[place], made(place).bytes.astype(np.float32))
        assert scales[place] == made(place).scale
    assert set(models.tolist()) == {1}


def test_models_of_different_width_live_side_by_side() -> None:
    store = Vectors(2)
    store.add(0, made(1, 4), 1)
    store.add(1, made(2, 6), 2)
    store.drop(1)
    store.add(1, made(3, 4), 1)
    vectors, _, _ = store.at(np.array([0, 1]))
    assert vectors.shape == (2, 6)
    assert not vectors[:, 4:].any(), "nothing is left of the wider one"
    assert np.array_equal(vectors[1, :4], made(3, 4).bytes)


def test_places_move_with_the_room() -> None:
    store = Vectors(4)
    store.add(3, made(1), 1)
    store.move(np.array([3]), np.array([7]), 8)
    assert store.of(7)[1] == 1
    assert store.of(3)[1] == 0


def test_several_posts_at_once_are_as_like_as_one_by_one() -> None:
    grouper = Grouper(3600.0)
    words = "东门水管爆了路面全是水没人来修南门停电一夜孩子发烧"
    rng = np.random.default_rng(5)
    for n in range(12):
        text = "".join(rng.permutation(list(words)).tolist())
        vector = rng.normal(size=8 if n % 3 else 4).astype(np.float32) if n % 4 else None
        places = ("4101",) if n % 2 else ("4201",)
        grouper.add(Item(f"p{n}", n * 60.0, text, vector, f"m{n % 3 == 0}", places=places))
    rows = [grouper._by_id[f"p{n}"] for n in range(12)]
    together = grouper.similarities(rows, rows[3:])
    for place, row in enumerate(rows):
        assert np.array_equal(together[place : place + 1], grouper.similarities([row], rows[3:]))
