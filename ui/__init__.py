"""The console: renders and decides nothing. `ui.run` starts it, `ui.main` is its script."""
