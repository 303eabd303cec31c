"""Spiders, one a source kind."""
