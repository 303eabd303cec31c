"""The records that all parts exchange; all of them lie in the archive.

Frozen pydantic models. Times are aware and UTC inside (shown in Asia/Shanghai). A post's fields
have one owner each: the crawler (text, counts, deletion), nlp (`analysis`), incidents (`incident`);
an owner writes only its own fields. State records (`StateRecord`) change as "write if nobody wrote
since I read".
"""

from huiyin.records.base import (
    EVERYTHING,
    Act,
    Record,
    Scope,
    StateRecord,
    UtcDatetime,
    act_digest,
    append_act,
    first_broken_act,
)
from huiyin.records.cases import (
    Case,
    CaseState,
    Contact,
    Correction,
    Draft,
    DraftSentence,
    DraftState,
)
from huiyin.records.incidents import (
    Alert,
    AlertState,
    Claim,
    Delivery,
    Incident,
    IncidentState,
    Level,
    Sentence,
)
from huiyin.records.kinds import STATE_RECORDS
from huiyin.records.people import Account, Actor, Person, Role, Shift
from huiyin.records.pictures import (
    PICTURE_TEXT,
    Picture,
    PictureFile,
    split_picture_text,
    with_picture_text,
)
from huiyin.records.posts import (
    PERSON,
    Analysis,
    Author,
    AuthorKind,
    Category,
    Kind,
    Labelled,
    Media,
    Metrics,
    Origin,
    Place,
    Post,
    Urgency,
    text_sha,
)
from huiyin.records.work import Baseline, Batch, Gap, Lease, Look, Quota, Setting, Source

__all__ = [
    "EVERYTHING",
    "PERSON",
    "PICTURE_TEXT",
    "STATE_RECORDS",
    "Account",
    "Act",
    "Actor",
    "Alert",
    "AlertState",
    "Analysis",
    "Author",
    "AuthorKind",
    "Baseline",
    "Batch",
    "Case",
    "CaseState",
    "Category",
    "Claim",
    "Contact",
    "Correction",
    "Delivery",
    "Draft",
    "DraftSentence",
    "DraftState",
    "Gap",
    "Incident",
    "IncidentState",
    "Kind",
    "Labelled",
    "Lease",
    "Level",
    "Look",
    "Media",
    "Metrics",
    "Origin",
    "Person",
    "Picture",
    "PictureFile",
    "Place",
    "Post",
    "Quota",
    "Record",
    "Role",
    "Scope",
    "Sentence",
    "Setting",
    "Shift",
    "Source",
    "StateRecord",
    "Urgency",
    "UtcDatetime",
    "act_digest",
    "append_act",
    "first_broken_act",
    "split_picture_text",
    "text_sha",
    "with_picture_text",
]
