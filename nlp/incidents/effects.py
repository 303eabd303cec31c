"""What follows from one step of the detector, and what it remembers of open incidents."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from nlp.incidents.gathering import Gathering


@dataclass
class Effects:
    """What follows from a step: written when it is committed, and again when it may be lost."""

    marks: dict[str, str] = field(default_factory=dict)
    """Post -> incident, "" = alone."""
    touched: dict[str, Gathering] = field(default_factory=dict)
    opened: dict[str, None] = field(default_factory=dict)
    alerted: dict[str, datetime] = field(default_factory=dict)
    merged: list[tuple[str, str]] = field(default_factory=list)
    moved: tuple[tuple[str, str, str], ...] = ()
    ended: dict[str, str] = field(default_factory=dict)

    def end(self, ends: str, goes_on: str) -> None:
        """An incident ends in another; one that began in this step was never there."""
        self.touched.pop(ends, None)
        self.alerted.pop(ends, None)
        if ends in self.opened:
            del self.opened[ends]
            self.marks = {
                post_id: goes_on if mark == ends else mark for post_id, mark in self.marks.items()
            }
        else:
            self.ended[ends] = goes_on


@dataclass
class Memory:
    """Of incidents whose group is open; a group that is no incident yet is not in it."""

    opened: dict[str, datetime] = field(default_factory=dict)
    alerted: dict[str, datetime] = field(default_factory=dict)
    danger: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Incidents for which one post was enough, with the kinds of danger."""

    def merge(self, ends: str, goes_on: str) -> bool:
        """What was known of both is known of `goes_on`; False when `ends` was no incident."""
        if self.opened.pop(ends, None) is None:
            return False
        if ends in self.danger:
            self.danger.setdefault(goes_on, self.danger.pop(ends))
        alerted = [self.alerted.pop(one) for one in (ends, goes_on) if one in self.alerted]
        if alerted:
            self.alerted[goes_on] = min(alerted)
        return True

    def forget(self, group: str) -> None:
        """A group left the window."""
        self.opened.pop(group, None)
        self.alerted.pop(group, None)
        self.danger.pop(group, None)
