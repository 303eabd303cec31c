"""Drives the console in a real browser; the demo's test uses it as people would."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

from playwright.sync_api import (
    Browser,
    Dialog,
    Locator,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from huiyin.settings import Settings
from ui.run import console_command, console_environment, console_url

DESKTOP: ViewportSize = {"width": 1280, "height": 860}
PHONE: ViewportSize = {"width": 390, "height": 844}
WAIT = 120_000
"""Milliseconds a page may take on a busy machine."""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def served(settings: Settings, log: Path) -> Iterator[str]:
    """A real console server on a free port; its address. Ends with the block."""
    port = free_port()
    with log.open("wb") as out:
        process = subprocess.Popen(
            console_command(settings, port), env=console_environment(settings), stdout=out,
            stderr=subprocess.STDOUT, cwd=settings.home,
        )  # fmt: skip
        try:
            url = console_url(settings, port)
            wait_until_up(url, process, log)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 180
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(f"the console ended: {log.read_text(errors='replace')[-2000:]}")
        with contextlib.suppress(OSError), urlopen(f"{url}/_stcore/health", timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    raise AssertionError(f"no console after 180 s: {log.read_text(errors='replace')[-2000:]}")


@contextlib.contextmanager
def chromium_browser(executable: str) -> Iterator[Browser]:
    """Debian's Chromium, headless; root in a container has no sandbox."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class ConsoleDriver:
    """One person at one browser tab. Every method waits until the page has settled."""

    def __init__(self, browser: Browser, url: str, screenshots: Path, *, phone: bool = False):
        self.url = url
        self.phone = phone
        self.screenshots = screenshots
        context = browser.new_context(
            viewport=PHONE if phone else DESKTOP, locale="zh-CN", timezone_id="Asia/Shanghai"
        )
        self.page: Page = context.new_page()
        self.page.set_default_timeout(WAIT)
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("dialog", self._dialog)

    def _dialog(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    # ---- moving about

    def open(self, path: str = "", *, id: str = "") -> None:
        """Load an address; a fresh load has no session."""
        query = f"?id={quote(id, safe='')}" if id else ""
        self.page.goto(f"{self.url}/{path}{query}")
        self.page.get_by_test_id("stApp").wait_for()
        self.settle()

    def sign_in(self, name: str, password: str) -> None:
        self.page.get_by_label("登录名").fill(name)
        self.page.get_by_label("密码", exact=True).fill(password)
        self.page.get_by_role("button", name="登录", exact=True).click()
        self.page.get_by_label("登录名").wait_for(state="detached")
        self.settle()

    def change_password(self, old: str, new: str) -> None:
        """Fill the form that a one-time password leads to."""
        self.page.get_by_label("当前密码").fill(old)
        self.page.get_by_label("新密码", exact=True).fill(new)
        self.page.get_by_label("再输一次新密码").fill(new)
        self.page.get_by_role("button", name="修改密码", exact=True).click()
        self.text("密码已更改").wait_for()
        self.settle()

    def sign_out(self) -> None:
        self._menu()
        self.press("退出登录")
        self.page.get_by_label("登录名").wait_for()

    def open_page(self, title: str) -> None:
        """Choose a page (今天, 事件, 诉求, 拟稿, 审核, 检索, 来源, 系统) from the menu."""
        self._menu()
        link = self.page.get_by_test_id("stSidebarNavLink").filter(has_text=title)
        link.first.click()
        self.page.locator(".hy-head", has_text=title).first.wait_for()
        self.settle()
        self._close_menu()

    def _menu(self) -> None:
        button = self.page.get_by_test_id("stExpandSidebarButton")
        if button.count() and button.first.is_visible():
            button.first.click()
            self.page.get_by_test_id("stSidebarNavLink").first.wait_for()

    def _close_menu(self) -> None:
        if not self.phone:
            return
        button = self.page.get_by_test_id("stSidebarCollapseButton").get_by_role("button")
        if button.count() and button.first.is_visible():
            button.first.click()

    # ---- acting

    def press(self, label: str, *, nth: int = 0) -> None:
        self.page.get_by_role("button", name=label, exact=True).nth(nth).click()
        self.settle()

    def has_button(self, label: str) -> bool:
        return self.page.get_by_role("button", name=label, exact=True).count() > 0

    def open_row(self, text: str) -> None:
        """Open the record of a list whose card holds `text`."""
        row = self.page.locator("[class*='st-key-row-'], [class*='st-key-incident-']").filter(
            has_text=text
        )
        row.first.get_by_role("button", name="查看").click()
        self.page.get_by_role("button", name="返回列表").wait_for()
        self.settle()

    def acknowledge(self) -> None:
        """On an incident's page: the on-call officer takes it over."""
        self.press("确认收到")
        self.text("已记下您确认收到这条预警").wait_for()

    def draft(self) -> None:
        """On a case's page: have the draft written (or find it written) and open it."""
        if self.has_button("生成草稿"):
            self.press("生成草稿")
        self.press("去拟稿")
        self.page.locator(".hy-head", has_text="拟稿").first.wait_for()
        self.settle()

    def edit(self, text: str) -> None:
        """On a draft's page: replace the text and save."""
        self.page.get_by_label("回复正文").fill(text)
        self.press("保存修改")
        self.text("已保存").wait_for()

    def submit(self) -> None:
        self.press("提交审核")
        self.text("已提交，等另一位同事审核").wait_for()

    def approve(self) -> None:
        """On a review page."""
        self.press("通过")
        self.text("已通过。").wait_for()

    def publish(self) -> str:
        """On the page of an approved draft: take the text out; returns what may be copied."""
        self.press("取出原文去发布")
        code = self.page.get_by_test_id("stCode").first
        code.wait_for()
        return code.inner_text().strip()

    def search(self, query: str) -> None:
        self.page.get_by_label("检索式").fill(query)
        self.press("搜索")

    # ---- looking

    def text(self, text: str) -> Locator:
        return self.page.get_by_text(text).first

    def settle(self) -> None:
        """Wait until the server has finished drawing the page."""
        self.page.wait_for_timeout(250)
        self.page.get_by_test_id("stStatusWidget").wait_for(state="detached")
        app = self.page.locator("[data-testid='stApp'][data-test-script-state='running']")
        expect(app).to_have_count(0, timeout=WAIT)
        expect(self.page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=WAIT)
        stale = self.page.locator("[data-stale='true']")
        expect(stale).to_have_count(0, timeout=WAIT)

    def sideways_scroll(self) -> int:
        """Pixels by which the page is wider than the screen."""
        return int(
            self.page.evaluate(
                """() => { const m = document.querySelector('[data-testid="stMain"]')
                    || document.documentElement;
                  return Math.max(m.scrollWidth - m.clientWidth,
                    document.documentElement.scrollWidth - window.innerWidth) }"""
            )
        )

    def shot(self, name: str, *, whole: bool = True) -> Path:
        """Keep a picture of the page as `<name>-<desktop|phone>.png`."""
        self.screenshots.mkdir(parents=True, exist_ok=True)
        file = self.screenshots / f"{name}-{'phone' if self.phone else 'desktop'}.png"
        self.page.wait_for_timeout(300)
        size = self.page.viewport_size or DESKTOP
        if whole:
            # Streamlit scrolls inside the page: a tall window shows all of it.
            tall = int(
                self.page.evaluate(
                    """() => document.querySelector('[data-testid="stMain"]')?.scrollHeight ?? 0"""
                )
            )
            self.page.set_viewport_size(
                {"width": size["width"], "height": min(max(tall, size["height"]), 6000)}
            )
            self.page.wait_for_timeout(400)
        self.page.screenshot(path=str(file))
        if whole:
            self.page.set_viewport_size(size)
        return file
