"""The console as Streamlit serves it: the script of the pages, and routes of our own beside it."""

from pathlib import Path

import streamlit as st

from ui import kept, pictures

app = st.App(Path(__file__).with_name("main.py"), routes=[*kept.ROUTES, *pictures.ROUTES])
