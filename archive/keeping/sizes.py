"""Sizes as people read them."""

from __future__ import annotations


def shown_size(size: int) -> str:
    """Bytes in the unit that people read."""
    value, unit = float(size), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
