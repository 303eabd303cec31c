"""Does a post want an answer from the office? The head's probability, corrected by plain cases."""

import re

from nlp.text import clean

_BARE_REPOST = re.compile(
    r"^(?:转发微博|转发|轉發微博|repost|转|快转|扩|帮转|转!*|mark|马克|\W)*$", re.I
)
_ADVERT = re.compile(
    r"转发抽|抽奖|抽取?\d+(?:位|名|人)|关注\+|关注并转发|转评赞|优惠券|领券|满\d+减|秒杀|包邮|代购|"
    r"加(?:我)?(?:微信|v信|vx|薇)|私信我(?:领|要)|点击链接|扫码(?:进群|领)|招代理|兼职日结|刷单|超话|打榜|"
    r"应援|投票.{0,6}(?:爱豆|哥哥|姐姐)"
)
_ASKS = re.compile(
    r"投诉|举报|求助|求救|请问|咨询|什么时候|何时|怎么办|谁来管|没人管|请.{0,8}(?:处理|解决|答复|回复)"
)


def needs_answer(text: str, head: float) -> float:
    """Probability 0..1, 4 decimals, from a cleaned or raw text and the head's probability.

    A bare repost or an advert wants no answer, whatever the head says, unless it also asks.
    """
    bare = clean(text).split("//", 1)[0].strip()
    if _BARE_REPOST.match(bare):
        return min(round(head, 4), 0.02)
    if _ADVERT.search(text) and not _ASKS.search(bare):
        return min(round(head, 4), 0.05)
    return round(head, 4)
