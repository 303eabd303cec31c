"""Channel `webhook`: one JSON POST a message.

Body: `{"id", "recipient", "recipient_name", "title", "text", "alerts", "link", "created_at"}`;
`text` is plain text and carries the id.
"""

from __future__ import annotations

from typing import Any

import httpx

from alerts.base import Message, Receipt
from huiyin.clock import Clock, system_clock
from huiyin.errors import ChannelError

TIMEOUT_SECONDS = 5.0
RETRY_STATUS = frozenset({408, 425, 429})


class WebhookChannel:
    """2xx = sent; 408, 425, 429, 5xx, time-outs and broken connections may be tried again."""

    name = "webhook"

    def __init__(
        self, url: str, *, timeout_seconds: float = TIMEOUT_SECONDS, clock: Clock = system_clock
    ) -> None:
        self._url = url
        self._clock = clock
        # Redirects are not followed: an alert must not be carried to an address nobody set.
        # Proxies of the environment are not used: a webhook on an intranet has none.
        self._client = httpx.Client(
            timeout=timeout_seconds, follow_redirects=False, trust_env=False,
            headers={"User-Agent": "huiyin"},
        )  # fmt: skip

    def send(self, message: Message) -> Receipt:
        try:
            response = self._client.post(self._url, json=as_json(message))
        except httpx.TimeoutException as error:
            raise ChannelError("接收方没有按时应答", "稍后自动再试", retry=True) from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise ChannelError("提醒地址不可用", "检查设置 alerts.webhook", retry=False) from error
        except httpx.HTTPError as error:
            kind = type(error).__name__
            raise ChannelError(f"连不上接收方：{kind}", "稍后自动再试", retry=True) from error
        status = response.status_code
        if response.is_success:
            return Receipt(self.name, message.id, self._clock(), f"HTTP {status}")
        retry = status >= 500 or status in RETRY_STATUS
        mend = "稍后自动再试" if retry else "检查设置 alerts.webhook 和接收方的要求"
        raise ChannelError(f"接收方拒收：HTTP {status}", mend, retry=retry)


def as_json(message: Message) -> dict[str, Any]:
    """The body that is sent."""
    return {
        "id": message.id,
        "recipient": message.recipient,
        "recipient_name": message.recipient_name,
        "title": message.title,
        "text": message.text,
        "alerts": list(message.alerts),
        "link": message.link,
        "created_at": message.created_at.isoformat(),
    }
