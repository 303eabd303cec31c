"""Moves an archive between engines, backs it up, expires what is old, says how it is."""
