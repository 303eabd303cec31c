"""The script that Streamlit runs; everything is in `ui.shell`."""

from ui.shell import main

main()
