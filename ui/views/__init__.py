"""One file a page; Streamlit runs them as scripts inside the frame of `ui.shell`."""
