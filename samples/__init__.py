"""Invented cities for the demo and the tests: one folder a city, described in docs/samples.md."""

from pathlib import Path


def cities() -> dict[str, Path]:
    """Folders of the shipped cities by name, in alphabetical order."""
    found = sorted(Path(__file__).parent.glob("*/city.toml"))
    return {file.parent.name: file.parent for file in found}
