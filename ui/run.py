"""How the console's server is started: command line and environment.

Streamlit serves on the address of `console.host`, without statistics, file watching or any
request of its own to the internet; cross-site requests are refused.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from huiyin.settings import Settings
from ui.style import THEME

SCRIPT = Path(__file__).with_name("serve.py")
OPTIONS: dict[str, str] = {
    "server.headless": "true",
    "server.showEmailPrompt": "false",
    "server.fileWatcherType": "none",
    "server.runOnSave": "false",
    "server.enableXsrfProtection": "true",
    "server.enableCORS": "true",
    "server.enableStaticServing": "false",
    "server.maxUploadSize": "1",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "runner.magicEnabled": "false",
    "logger.hideWelcomeMessage": "true",
    "logger.level": "warning",
}


def console_command(settings: Settings, port: int) -> list[str]:
    """Command line that serves the console on `port` until it is ended.

    Start it with `console_environment(settings)`: the server reads its settings from there.
    """
    host = settings.console.host
    options = {
        "server.address": host,
        "server.port": str(port),
        "browser.serverAddress": host,
        # A phone that slept keeps its place; the sign-in itself ends by `session_hours`.
        "server.disconnectedSessionTTL": str(int(settings.console.session_hours * 3600)),
        **OPTIONS,
        **{f"theme.{name}": value for name, value in THEME.items()},
    }
    # -P: a stranger's package in the folder where the command is typed is not imported.
    start = [sys.executable, "-P", "-m", "streamlit", "run", str(SCRIPT)]
    return [*start, *(f"--{name}={value}" for name, value in options.items())]


def console_environment(settings: Settings) -> dict[str, str]:
    """The environment for `console_command`: this one, with the settings and the code's folder."""
    code = str(SCRIPT.parent.parent)
    known = os.environ.get("PYTHONPATH", "")
    return {
        **os.environ,
        "HUIYIN_HOME": str(settings.home.resolve()),
        "HUIYIN_ARCHIVE__URL": settings.archive_url,
        "PYTHONPATH": os.pathsep.join(part for part in (code, known) if part),
        "PYTHONUNBUFFERED": "1",
    }


def console_url(settings: Settings, port: int) -> str:
    """Address to open in the browser."""
    host = settings.console.host
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - shown, not bound
    return f"http://{shown}:{port}"
