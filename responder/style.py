"""Notes on plain language: what a reader would stumble over, the words, and what to write instead.

The phrases and their replacements come from criticism in print and from practice (docs/replying.md
names the sources); nothing here blocks approval, it only advises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from responder.words import sentences

LONGEST_REPLY = 140
"""Characters of a Weibo comment that are shown without a tap; a first reply should fit."""
LONGEST_SENTENCE = 45
"""Characters of one sentence; short ones (25) read best, beyond this the thread is lost."""

OFFICIALESE = {
    "高度重视": "删去，直接写谁几点到场、做了什么",
    "亲自过问": "删去，写做了什么",
    "立即组织": "写谁、几点开始",
    "严格问责": "写停用了什么、由谁检查、哪天公布结果",
    "坚决遏制": "写改了什么",
    "研究研究": "写要等哪个部门的什么结果、哪天答复",
    "相关部门": "写出单位的名字和电话",
    "有关部门": "写出单位的名字和电话",
    "情绪稳定": "删去，不替当事人说话",
    "已阅": "写“收到了”，并说哪天给结果",
    "自行百度": "先给答案，再给电话",
    "临时工": "写发生了什么、改了什么",
    "系统原因": "写发生了什么、改了什么",
    "予以": "“予以处理”改成“办”",
    "进行处理": "“办”或写出具体做法",
    "届时": "到时候",
    "逾期": "过了时间",
    "缴纳": "交",
    "携带": "带上",
    "告知": "告诉",
    "开展整治": "清理",
    "加强监管": "写每天查几次、谁来查",
    "存在安全隐患": "可能会伤到人",
    "不予受理": "我们办不了，可以找…",
    "如有疑问": "还有不明白的",
    "特此通告": "删去",
    "特此回复": "删去",
    "广大市民": "大家",
    "经核实": "我们查过了",
    "该问题": "这件事",
    "贵": "您",
    "知悉": "知道了",
    "酌情": "写出条件",
    "按程序": "写出下一步是什么、哪天",
    "认真落实": "写谁做什么",
}
VAGUE = ("尽快", "近期", "即将", "抓紧", "及时", "适时", "早日", "第一时间")
_TIME = re.compile(
    r"\d|今天|明天|今晚|明早|周[一二三四五六日]|[一二三四五六七八九十]+(?:天|小时|日|点)"
)
_WARM = re.compile(r"您好|你好|谢谢|感谢|抱歉|对不起|添麻烦|不容易|辛苦|理解|难受|着急|放心|担心")
_WHO = re.compile(
    r"我们|我局|[\u4e00-\u9fff]{2,}(?:局|委|办|中心|公司|站|所|队|社区|街道|医院|学校)"
)
_LIGHT = re.compile(
    r"[\U0001F300-\U0001FAFF\u2600-\u27BF]|\[(?:笑|哈|doge|偷笑|可爱|爱你|耶|赞)[^\]]*\]|小伙伴|亲[，,～~！]|"
    r"哦[～~！]|呢[～~]|哈哈|么么|给力|拿捏|元气|安排上|～|宝子"
)
GRAVE = re.compile(
    r"死|亡|受伤|伤者|失踪|中毒|事故|火灾|爆炸|塌|被困|溺|遇难|自杀|跳楼|灾|疫|虐待|猥亵|性侵"
)
SERIOUS = frozenset({"求助", "投诉", "举报"})
BLANKS = re.compile(r"_{2,}")


@dataclass(frozen=True)
class Note:
    """One remark: named reason, the words it is about, a proposal."""

    reason: str
    words: str
    proposal: str

    def __str__(self) -> str:
        return (
            f"{self.reason}：“{self.words}”→{self.proposal}"
            if self.words
            else (f"{self.reason}→{self.proposal}")
        )


def notes(text: str, *, intent: str = "", question: str = "", comment: bool = True) -> list[Note]:
    """Remarks on a reply to `question` (whose intent is given); `comment`: it must fit one."""
    found = [
        *_long(text, comment=comment),
        *(Note("官话", words, plain) for words, plain in OFFICIALESE.items() if words in text),
        *_vague(text),
        *_tone(text, intent, question),
    ]
    if not _WARM.search(text):
        found.append(Note("不够亲切", "", "先叫一声“您好”，再用一句话回应对方的难处"))
    if BLANKS.search(text):
        found.append(Note("还有空白", "____", "填上谁、在什么时间前、做什么，并注明出处"))
    elif not (_WHO.search(text) and _TIME.search(text)):
        found.append(Note("没写清谁在什么时间做什么", "", "写出单位、时间和下一步"))
    return found


def _long(text: str, *, comment: bool) -> list[Note]:
    found = []
    if comment and len(text) > LONGEST_REPLY:
        words = f"共 {len(text)} 字"
        found.append(Note("太长", words, f"微博评论最好不超过 {LONGEST_REPLY} 字，细节可放私信"))
    for sentence in sentences(text):
        if len(sentence.strip()) > LONGEST_SENTENCE:
            short = sentence.strip()[:12] + "…"
            found.append(
                Note("句子太长", short, f"有 {len(sentence.strip())} 字，拆成几句，一句说一件事")
            )
    return found


def _vague(text: str) -> list[Note]:
    found: list[Note] = []
    for sentence in sentences(text):
        if _TIME.search(sentence):
            continue
        found.extend(
            Note("没有时间", words, "写明哪天几点，或写明哪一步做完才能定时间")
            for words in VAGUE
            if words in sentence
        )
    return found


def _tone(text: str, intent: str, question: str) -> list[Note]:
    light = _LIGHT.search(text)
    grave = GRAVE.search(question)
    if light and (grave or intent in SERIOUS):
        why = "事关伤亡或灾害" if grave else f"对方在{intent}"
        return [Note("语气轻佻", light[0], f"{why}，去掉表情和网络用语")]
    if grave and re.search(r"[!！]", text):
        return [Note("语气不合适", "！", "事关伤亡或灾害，用句号")]
    return []
