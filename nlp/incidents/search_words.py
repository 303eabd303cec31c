"""Words by which a search finds more posts about an incident: a named place and what happened.

Taken from what independent people say, never from one alone: streets, schools and quarters
(`statements.places_in`), places of the gazetteer, words of danger and failure (`lexicon`), and
nouns and verbs of the dictionary. Without names of people (an unknown word is never taken, nor one
that is tagged or stands like a name), user names, numbers, and what the archive or the language
says all the time. One of the words is always a place: what happens elsewhere is not collected.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from itertools import islice

from archive.base import Archive, Filters, SearchRequest
from huiyin.records import Incident, Scope
from nlp.incidents import lexicon
from nlp.incidents.figures import sentences_of
from nlp.incidents.gathering import Gathering, Member, member
from nlp.incidents.statements import places_in
from nlp.incidents.terms import plain, tags

READ = 400
"""Posts of the incident that are read."""
LEAST_VOICES = 2
SHARE = 1 / 3
"""Of the voices that must say a word, and of those that the words together must find."""
LONGEST = 8
BEFORE = timedelta(days=7)
"""Posts of the archive before the incident that tell how common words are."""
COMMON = 0.002
"""Of these posts, words may stand in so many together..."""
COMMON_FEW = 3
"""...or in so many posts, where there are few."""
FREQUENT = 3000
"""Words more frequent in jieba's dictionary (60 million words read) say nothing: 公司, 情况."""
ENOUGH = 1000
"""Posts of the week before, from which on they tell how common a word is here."""
_TRIES = 12
_LOCALS, _THINGS = 5, 6
_ALL = Scope.everything()
_HAN = re.compile(r"[\u4e00-\u9fff]+\Z")
_MENTION = re.compile(r"@[\w·-]{1,30}")
_KINDS = ("n", "nz", "nt", "vn", "v", "l", "j", "an")
"""jieba's tags; nr (people) is not among them, and ns (places) is left to the gazetteer."""
_EMPTY = frozenset((
    "转发", "扩散", "求助", "微博", "网友", "视频", "图片", "记者", "现场", "感谢", "希望", "朋友",
    "事情", "消息", "官方", "来源", "紧急", "帮忙", "联系", "女士", "先生", "小姐", "超话", "热搜",
    "评论", "楼主", "博主", "家里", "邻居", "附近", "全部", "所有人",
))  # fmt: skip
_SURNAMES = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛"
    "叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔"
    "贺赖龚文"
)
_MATTERS = frozenset(
    word
    for kind in (lexicon.DANGER, lexicon.OUTAGE, lexicon.HEALTH, lexicon.ORDER)
    for word in kind.words.pattern.split("|")
    if _HAN.match(word)
)


@dataclass(frozen=True)
class Chosen:
    """The words, to be asked for together, and why these; or why there are none."""

    words: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class _Words:
    """What the voices say; word -> how many say it."""

    sites: Mapping[str, int]
    places: Mapping[str, int]
    things: Mapping[str, int]


def search_words(
    archive: Archive, incident: Incident, *, home: str = "", topic: bool = False
) -> Chosen:
    """Choose the words of an incident. Raises `ArchiveError`.

    `home`: name of the office's own area, asked for with what happened where the posts name no
    place. `topic`: a whole topic tag (#...#) instead, for lists that know only these.
    """
    posts = islice(archive.iter_posts(_ALL, Filters(incident=incident.id)), READ)
    members = [member(one) for one in posts if one.deleted_at is None]
    voices = list(Gathering(members).independent().values())
    if len(voices) < LEAST_VOICES:
        return Chosen((), f"互不相干的发帖人还不到 {LEAST_VOICES} 个")
    texts = [" ".join(plain(one.title, _MENTION.sub(" ", one.text)) for one in said)
             for said in voices]  # fmt: skip
    if topic:
        return _tag(texts, voices, home)
    found = _Words(
        _counted(texts, (_sites(text) for text in texts)),
        _counted(texts, (_places(said) for said in voices)),
        _counted(texts, (things_of(text) for text in texts)),
    )
    return _best(archive, incident, texts, found, home)


def things_of(text: str) -> set[str]:
    """Words of a text that may say what happened, without names."""
    found = {word for word in _MATTERS if word in text}
    before = ""
    for word, flag in _tagged(text):
        surname, before = len(before) == 1 and before in _SURNAMES, word
        if surname or flag not in _KINDS or not 2 <= len(word) <= LONGEST or word in _EMPTY:
            continue
        if _HAN.match(word) and 0 < _frequency(word) <= FREQUENT:
            found.add(word)
    return found


def _sites(text: str) -> set[str]:
    names = (name for sentence in sentences_of(text) for name in places_in(sentence))
    return {name for name in names if _HAN.match(name) and len(name) <= LONGEST}


def _places(said: Iterable[Member]) -> set[str]:
    named = {where.text for one in said for where in one.places}
    return {name for name in named if _HAN.match(name) and 2 <= len(name) <= LONGEST}


def _counted(texts: list[str], words: Iterable[set[str]]) -> dict[str, int]:
    """Those that enough voices say, most first; a word inside another one counts for itself."""
    known = {word for one in words for word in one}
    counts = {word: sum(word in text for text in texts) for word in known}
    least = max(LEAST_VOICES, SHARE * len(texts))
    kept = [word for word, count in counts.items() if count >= least]
    return {word: counts[word] for word in sorted(kept, key=lambda one: _order(one, counts[one]))}


def _order(word: str, count: int) -> tuple[int, int, str]:
    return (-count, -len(word), word)


def _best(
    archive: Archive, incident: Incident, texts: list[str], found: _Words, home: str
) -> Chosen:
    sites, places = list(found.sites)[:_LOCALS], list(found.places)[:_LOCALS]
    things = list(found.things)[:_THINGS]
    homes = [home] if home and not sites and not places else []
    if not sites and not places and not homes:
        return Chosen((), "帖子里没有几个人都说到的地点，只按词会搜到别处的事")
    total = _before(archive, incident, ())
    # Never the place alone: every city has a 中山路口. Ordinary words go with a whole city only
    # where the archive can tell how common they are there (北京 修好, 武汉 小朋友).
    tried = [(where, thing) for where in (*sites, *places, *homes) for thing in things
             if where not in thing and thing not in where
             and (where in sites or thing in _MATTERS or total >= ENOUGH)]  # fmt: skip
    least = max(LEAST_VOICES, SHARE * len(texts))

    def caught(words: tuple[str, ...]) -> int:
        return sum(all(one in text or one in homes for one in words) for text in texts)

    fit = [(caught(words), words) for words in tried]
    fit = [one for one in fit if one[0] >= least]
    fit.sort(key=lambda one: (-one[0], -sum(map(len, one[1])), one[1]))
    for count, words in fit[:_TRIES]:
        common = _before(archive, incident, words)
        if common <= max(COMMON_FEW, COMMON * total):
            said = f"{len(texts)} 个互不相干的发帖人里 {count} 个这样说"
            if homes:
                said = f"{said}（帖子没有说地点，加上本单位所在地“{home}”）"
            return Chosen(words, f"{said}；此前七天的 {total} 条里有 {common} 条提到")
    if not fit:
        return Chosen((), "没有几个人都说到的地点和事情")
    return Chosen((), "能用的词平时也常有人说，按它们会搜到许多不相干的")


def _before(archive: Archive, incident: Incident, words: tuple[str, ...]) -> int:
    """Posts of the week before that hold all the words."""
    start = incident.first_post_at
    asked = " AND ".join(f'"{word}"' for word in words)
    filters = Filters(since=start - BEFORE, until=start)
    return archive.search(SearchRequest(query=asked, filters=filters, limit=1), _ALL).total


def _tag(texts: list[str], voices: Iterable[list[Member]], home: str) -> Chosen:
    """A topic tag that names a place and nobody."""
    said = [{tag for one in voice for tag in tags(one.text)} for voice in voices]
    local = {word for text in texts for word in _sites(text)} | {home}
    local |= {word for voice in voices for word in _places(voice)}
    counts = Counter(tag for one in said for tag in one)
    least = max(LEAST_VOICES, SHARE * len(texts))
    for tag in sorted(counts, key=lambda one: _order(one, counts[one])):
        whole = 4 <= len(tag) <= 3 * LONGEST and _HAN.match(tag) and counts[tag] >= least
        if whole and any(one and one in tag for one in local) and not _names(tag):
            why = f"{len(texts)} 个互不相干的发帖人里 {counts[tag]} 个带这个话题"
            return Chosen((tag,), why)
    return Chosen((), "没有几个人都带的、说到地点的话题")


def _names(text: str) -> bool:
    words = list(_tagged(text))
    alone = any(len(word) == 1 and word in _SURNAMES for word, _ in words)
    return alone or any(flag.startswith("nr") for _, flag in words)


def _tagged(text: str) -> Iterator[tuple[str, str]]:
    for pair in _jieba().cut(text):
        yield pair.word, pair.flag


def _frequency(word: str) -> int:
    """How often jieba's dictionary counted a word; 0 = it is not in it."""
    import jieba

    return int(jieba.get_FREQ(word) or 0)


@lru_cache(maxsize=1)
def _jieba():  # type: ignore[no-untyped-def]  # jieba has no types
    """Loaded when words are chosen: it takes seconds and some 100 MB."""
    import logging

    import jieba
    import jieba.posseg

    jieba.setLogLevel(logging.WARNING)
    jieba.initialize()
    return jieba.posseg
