"""Official sites: their notices are stored as such, so that replies can rest on them."""

from __future__ import annotations

from crawler.boards import load_layout
from crawler.spiders.message_board import MessageBoardSpider
from crawler.visits import Visit
from huiyin.errors import InputError


class NoticesSpider(MessageBoardSpider):
    """A list and its pages as on a board; nobody asks and nobody answers."""

    name = kind = "notices"

    async def visit(self, visit: Visit) -> None:
        layout = load_layout(visit.source.parameters["layout"], self.job.layouts)
        if layout.kind != "notice":
            raise InputError(
                '这个页面说明文件不是 kind = "notice"', "改成 notice，或用 message_board 来源"
            )
        await super().visit(visit)
