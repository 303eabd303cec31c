"""Keeps and finds everything: one interface (`base.py`), one contract, engines beside it."""
