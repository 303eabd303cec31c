"""Answer: cases, evidence, drafting, plain-language style, review by two people, publishing."""

from responder.base import Embedder, Published, Publisher
from responder.cases import CaseOpener, CaseReport, open_cases
from responder.desk import CaseView, Desk
from responder.evidence import Found
from responder.review import ApprovedDraft, approval_digest

__all__ = [
    "ApprovedDraft", "CaseOpener", "CaseReport", "CaseView", "Desk", "Embedder", "Found",
    "Published", "Publisher", "approval_digest", "open_cases",
]  # fmt: skip
