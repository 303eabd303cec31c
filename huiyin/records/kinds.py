"""The kinds of state records that the archive keeps."""

from __future__ import annotations

from huiyin.records.base import StateRecord
from huiyin.records.cases import Case, Contact, Correction, Draft
from huiyin.records.incidents import Alert, Incident
from huiyin.records.people import Account, Person, Shift
from huiyin.records.pictures import Picture
from huiyin.records.work import Baseline, Batch, Lease, Look, Quota, Setting, Source

STATE_RECORDS: tuple[type[StateRecord], ...] = (
    Incident, Alert, Case, Draft, Account, Person, Shift, Source, Lease, Batch, Setting,
    Correction, Quota, Look, Baseline, Contact, Picture,
)  # fmt: skip
