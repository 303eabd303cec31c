"""Access tokens: the OAuth2 code flow by hand, and where the tokens lie.

Flow and errors: open.weibo.com wiki, 授权机制. Web apps get no refresh token, so a person has to
authorise again before the old one ends. A token is never printed, logged or put into the archive.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from pydantic import SecretStr

from huiyin.clock import Clock
from huiyin.errors import CollectError, InputError, LoginExpired
from huiyin.settings import WeiboSettings

FILE = "weibo-tokens.json"
STATES_FILE = "weibo-login-states.json"
STATE_LIVES = timedelta(days=10)
"""A renewal link is sent a week before the grant ends."""
WARN_DAYS = (7, 1)
"""The keeper is told so many days before a token ends."""


@dataclass(frozen=True)
class Token:
    """One account's grant. Its text form shows no token."""

    uid: str
    secret: SecretStr
    expires_at: datetime | None = None


class TokenStore:
    """Tokens in a file that only this user can read, beside the office's other secrets."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._states = folder / STATES_FILE

    def read(self) -> dict[str, Token]:
        """All tokens by uid. A broken file counts as empty: the sources will say so."""
        try:
            rows = json.loads(self._file.read_text(encoding="utf-8"))
            return {uid: _token(uid, row) for uid, row in rows.items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}

    def keep(self, token: Token) -> None:
        """Store a token in place of the account's former one."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        known = {**self.read(), token.uid: token}
        rows = {
            uid: {
                "token": one.secret.get_secret_value(),
                "expires_at": one.expires_at.isoformat() if one.expires_at else None,
            }
            for uid, one in known.items()
        }
        _write(self._file, rows)

    def states(self, now: datetime) -> dict[str, str]:
        """Words of links that were handed out and may still come back: word -> until when."""
        try:
            rows = json.loads(self._states.read_text(encoding="utf-8"))
            return {word: at for word, at in rows.items() if datetime.fromisoformat(at) > now}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def renewal(self, weibo: WeiboSettings, now: datetime) -> str:
        """A link where a keeper grants anew, kept so that its answer is known; "" = no app."""
        word = new_state()
        try:
            link = authorize_url(weibo, word)
        except InputError:
            return ""
        self._states.parent.mkdir(parents=True, exist_ok=True)
        _write(self._states, {**self.states(now), word: (now + STATE_LIVES).isoformat()})
        return link

    def ends(self) -> dict[str, datetime]:
        """When each token ends, where that is known."""
        return {uid: one.expires_at for uid, one in self.read().items() if one.expires_at}

    def with_settings(self, weibo: WeiboSettings) -> dict[str, SecretStr]:
        """Tokens of the settings, and those of `source login`, which are newer."""
        return {**weibo.tokens, **{uid: one.secret for uid, one in self.read().items()}}


def _write(file: Path, rows: Mapping[str, Any]) -> None:
    """Whole or not at all, readable by this user alone."""
    new = file.with_suffix(".new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(rows, stream)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)


def _token(uid: str, row: Mapping[str, Any]) -> Token:
    ends = row.get("expires_at")
    return Token(uid, SecretStr(str(row["token"])), datetime.fromisoformat(ends) if ends else None)


def ending(tokens: Mapping[str, Token], now: datetime) -> list[tuple[str, int]]:
    """(uid, whole days left) of tokens that end within seven days; 0 or less = ended or today."""
    found = []
    for uid, one in sorted(tokens.items()):
        if one.expires_at is not None and one.expires_at - now <= timedelta(days=max(WARN_DAYS)):
            found.append((uid, (one.expires_at - now) // timedelta(days=1)))
    return found


def authorize_url(weibo: WeiboSettings, state: str) -> str:
    """Where the account's keeper agrees. Raises `InputError` when the app is not configured."""
    _configured(weibo)
    query = {
        "client_id": weibo.app_key, "response_type": "code", "redirect_uri": weibo.redirect_uri,
        "state": state, "forcelogin": "true",
    }  # fmt: skip
    return f"{weibo.url}/oauth2/authorize?{urlencode(query)}"


def new_state() -> str:
    """A word that must come back with the code, so that nobody can slip us another account's."""
    return secrets.token_urlsafe(16)


def code_of(pasted: str, *states: str) -> str:
    """The code in the address that the browser was sent to from a link with one of these words.

    Raises `InputError` for another address, `LoginExpired` when the keeper refused.
    """
    answer = parse_qs(urlsplit(pasted.strip()).query)
    if "error" in answer or "error_code" in answer:
        code = (answer.get("error_code") or answer["error"])[0][:40]
        raise LoginExpired(f"账号没有同意授权（{code}）", "请重新打开授权链接")
    if len(said := answer.get("state", [])) != 1 or said[0] not in states:
        raise InputError("这个地址不是刚才那次授权的", "把授权后浏览器地址栏里的整个地址粘贴过来")
    if not answer.get("code"):
        raise InputError("地址里没有 code", "把授权后浏览器地址栏里的整个地址粘贴过来")
    return answer["code"][0]


def exchange(weibo: WeiboSettings, code: str, clock: Clock) -> Token:
    """A code for a token. Raises `CollectError`."""
    _configured(weibo)
    answer = _post(
        weibo.url + "/oauth2/access_token",
        {
            "client_id": weibo.app_key, "client_secret": weibo.app_secret.get_secret_value(),
            "grant_type": "authorization_code", "code": code, "redirect_uri": weibo.redirect_uri,
        },
    )  # fmt: skip
    try:
        seconds = int(answer.get("expires_in") or answer["remind_in"])
        uid, token = str(answer["uid"]), str(answer["access_token"])
    except (KeyError, TypeError, ValueError):
        raise LoginExpired(f"换不到令牌（{_reason(answer)}）", "请重新打开授权链接") from None
    return Token(uid, SecretStr(token), clock() + timedelta(seconds=seconds))


def life_of(weibo: WeiboSettings, token: SecretStr, clock: Clock) -> tuple[str, datetime]:
    """Whose token this is and when it ends. Raises `CollectError`."""
    answer = _post(weibo.url + "/oauth2/get_token_info", {"access_token": token.get_secret_value()})
    left = answer.get("expire_in", answer.get("expires_in"))
    try:
        return str(answer["uid"]), clock() + timedelta(seconds=int(left))
    except (KeyError, TypeError, ValueError):
        raise LoginExpired(f"授权已失效（{_reason(answer)}）", "huiyin source login") from None


def _configured(weibo: WeiboSettings) -> None:
    if not (weibo.app_key and weibo.app_secret.get_secret_value() and weibo.redirect_uri):
        raise InputError(
            "还没有写应用的信息", "在 huiyin.toml 的 [weibo] 写 app_key、app_secret、redirect_uri"
        )


def _reason(answer: Mapping[str, Any]) -> str:
    return str(answer.get("error_code") or answer.get("error") or "没有说原因")[:40]


def _post(url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        answer = httpx.post(url, data=dict(form), timeout=30.0).json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        kind = type(error).__name__
        raise CollectError(f"连不上平台（{kind}）", "检查网络和 weibo.url") from None
    return answer if isinstance(answer, Mapping) else {}
