"""The one way of publishing: the approved text is handed to a person, who pastes it.

Nothing is sent by the program itself; there is no setting for it. The text goes out only from the
office's own official account, and only once: a second time a person must have looked on the
platform that the first did not arrive.
"""

from __future__ import annotations

from huiyin.clock import Clock, system_clock
from responder.base import Published
from responder.review import ApprovedDraft, Review


class Clipboard:
    """Publisher `clipboard`: returns the text to copy."""

    name = "clipboard"

    def __init__(self, review: Review, clock: Clock = system_clock) -> None:
        self._review = review
        self._clock = clock

    def publish(self, approved: ApprovedDraft) -> Published:
        # The archive's words count, not the ticket's: what was approved is what is copied.
        draft = self._review.verify(approved)
        return Published(self.name, draft.text, draft.target, draft.account, self._clock())
