"""Sentence vectors of kept rows in 8 bits: room only for the rows that have one.

Half of a stream and more goes with its thread and has no vector. So a row's place names a slot, and
a slot that became free is used again. Slot 0 is no vector: zeros, made by no model.
"""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt

from nlp.incidents.packing import Ids, Pressed, Vector


class Vectors:
    """Vectors by place; a place is what `Index` gives a row while it is kept."""

    def __init__(self, room: int) -> None:
        self._slots = np.zeros(room, dtype=np.int32)
        self._used = 1
        self._free = array("i")
        self._bytes = np.zeros((room, 0), dtype=np.int8)
        """Zeros, so that the system gives memory only for what is used."""
        self._scales = np.zeros(room, dtype=np.float32)
        self._made_by = np.zeros(room, dtype=np.int16)

    def add(self, place: int, vector: Pressed, model: int) -> None:
        """Keep the vector of a place that has none; `model`: number of what made it."""
        if self._free:
            slot = self._free.pop()
        else:
            slot = self._used
            self._used += 1
        dims = max(len(vector.bytes), self._bytes.shape[1])
        if slot == len(self._bytes) or dims > self._bytes.shape[1]:
            self._widen(2 * slot if slot == len(self._bytes) else len(self._bytes), dims)
        self._slots[place] = slot
        self._bytes[slot, : len(vector.bytes)] = vector.bytes
        if len(vector.bytes) < dims:
            self._bytes[slot, len(vector.bytes) :] = 0
        self._scales[slot] = vector.scale
        self._made_by[slot] = model

    def drop(self, place: int) -> None:
        """Forget the vector of a place, if it has one."""
        slot = int(self._slots[place])
        if slot:
            self._slots[place] = 0
            self._free.append(slot)

    def move(self, before: Ids, after: Ids, room: int) -> None:
        """Places become others, of `room`."""
        slots = np.zeros(room, dtype=np.int32)
        slots[after] = self._slots[before]
        self._slots = slots

    def of(self, place: int) -> tuple[Vector, int]:
        """The vector of a place, unit length, and the number of its model; 0 = it has none."""
        slot = self._slots[place]
        return self._bytes[slot] * self._scales[slot], int(self._made_by[slot])

    def at(self, places: Ids) -> tuple[Vector, npt.NDArray[np.float32], npt.NDArray[np.int16]]:
        """Vectors (places, dims), what they must be multiplied with, numbers of their models."""
        slots = self._slots[places]
        return self._bytes[slots].astype(np.float32), self._scales[slots], self._made_by[slots]

    def _widen(self, slots: int, dims: int) -> None:
        used, had = len(self._bytes), self._bytes.shape[1]
        wider = np.zeros((slots, dims), dtype=np.int8)
        wider[:used, :had] = self._bytes
        self._bytes = wider
        self._scales = np.concatenate([self._scales, np.zeros(slots - used, dtype=np.float32)])
        self._made_by = np.concatenate([self._made_by, np.zeros(slots - used, dtype=np.int16)])
