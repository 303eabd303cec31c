"""What all tests share: real data, required extras, and the list of what was skipped."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from tests.elasticsearch import (  # noqa: F401 - fixtures
    _kept_prefix,
    elastic_emptied_prefix,
    elastic_prefix,
    elasticsearch,
)

REAL_DATA_REASON = "real-data: HUIYIN_REAL_DATA names no folder with real data"
CHROMIUM_REASON = "chromium: no Chromium on this machine"
EXTRAS = ("chromium", "real-data", "elasticsearch")

# a busy machine is no fault of a test: nothing here is timed
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# pages run without a browser warn in hundreds of lines, under which a failure would drown
os.environ.setdefault("STREAMLIT_LOGGER_LEVEL", "error")


@pytest.fixture(autouse=True)
def _plain_logs() -> Iterator[None]:
    """A command that ran in a test leaves no logger behind that writes to the test's own stream."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; the test is skipped without it."""
    folder = Path(os.environ.get("HUIYIN_REAL_DATA", ""))
    if not (folder / "streams").is_dir():
        pytest.skip(REAL_DATA_REASON)
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of Debian's (or another) Chromium; the test is skipped without it."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    pytest.skip(CHROMIUM_REASON)


@pytest.fixture
def now() -> datetime:
    """A fixed time for tests that need one."""
    return datetime(2026, 3, 5, 4, 0, tzinfo=UTC)


def _required() -> set[str]:
    named = {part.strip() for part in os.environ.get("HUIYIN_REQUIRE", "").split(",")}
    unknown = named - set(EXTRAS) - {""}
    if unknown:
        raise pytest.UsageError(f"HUIYIN_REQUIRE: unknown {sorted(unknown)}, known {EXTRAS}")
    return named - {""}


def pytest_configure(config: pytest.Config) -> None:
    _required()


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List at the end what was skipped and why."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        terminalreporter.write_line("skipped: nothing")
        return
    terminalreporter.section("skipped, and why")
    for reason, number in Counter(map(_reason, skipped)).most_common():
        terminalreporter.write_line(f"{number:4d}  {reason}")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skip for want of something that HUIYIN_REQUIRE names is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    required = _required()
    lacking = [
        report
        for report in reporter.stats.get("skipped", [])
        if _reason(report).partition(":")[0] in required
    ]
    if lacking and session.exitstatus == 0:
        names = ", ".join(sorted({report.nodeid for report in lacking}))
        reporter.write_line(f"FAILED: required by HUIYIN_REQUIRE but skipped: {names}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
