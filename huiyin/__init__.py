"""Huiyin 回音: the ground floor (records, errors, settings, wiring, command line)."""

__version__ = "0.1.0"
