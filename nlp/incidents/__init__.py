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
from nlp.incidents.learning import Learned, learned_from
from nlp.incidents.replay import replay
from nlp.incidents.staff import FIELDS, JUDGES, SORTERS, VALUES, IncidentDesk
from nlp.incidents.story import News, Story, tell
from nlp.incidents.texts import GroupLine, TextGrouper, write_groups

__all__ = [
    "FIELDS", "HOLD", "JUDGES", "SORTERS", "VALUES", "AlertStep", "Detector", "DetectorReport",
    "GroupLine", "IncidentDesk", "Learned", "News", "OpenArchive", "Prepare", "Progress",
    "Rejected", "ReplayReport", "Story", "TextGrouper", "learned_from", "replay", "tell",
    "write_groups",
]  # fmt: skip
