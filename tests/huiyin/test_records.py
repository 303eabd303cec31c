"""What no record may hold."""

from __future__ import annotations

import math

import pytest
from pydantic import TypeAdapter, ValidationError

from huiyin import records
from huiyin.records.base import Record

KINDS = [one for one in vars(records).values() if isinstance(one, type) and issubclass(one, Record)]
NUMBERS = [
    (kind, name) for kind in KINDS for name, field in kind.model_fields.items()
    if field.annotation in (float, float | None)
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), NUMBERS, ids=lambda one: getattr(one, "__name__", one))
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_no_number_that_json_does_not_have(kind: type[Record], name: str, number: float) -> None:
    """It would be stored as null, and the record could never be read again."""
    with pytest.raises(ValidationError) as told:
        TypeAdapter(kind).validate_python({name: number})
    assert any(one["loc"] == (name,) and one["type"] == "finite_number"
               for one in told.value.errors())  # fmt: skip


def test_there_are_such_fields() -> None:
    assert (records.Source, "every_seconds") in NUMBERS
