"""Shared: the shipped model, loaded once."""

import pytest

from nlp.analyser import Analyser
from nlp.model import Model


@pytest.fixture(scope="session")
def model() -> Model:
    return Model()


@pytest.fixture(scope="session")
def analyser(model: Model) -> Analyser:
    return Analyser(model)
