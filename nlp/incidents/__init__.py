"""Many posts: which speak of the same happening, is it a burst, how grave is it, since when."""

from nlp.incidents.base import (
    AlertStep,
    DetectorReport,
    OpenArchive,
    Prepare,
    Progress,
    Rejected,
    ReplayReport,
)
from nlp.incidents.detector import HOLD, Detector
from nlp.incidents.replay import replay
from nlp.incidents.texts import GroupLine, TextGrouper, write_groups

__all__ = [
    "HOLD", "AlertStep", "Detector", "DetectorReport", "GroupLine", "OpenArchive", "Prepare",
    "Progress", "Rejected", "ReplayReport", "TextGrouper", "replay", "write_groups",
]  # fmt: skip
