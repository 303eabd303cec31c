"""The words of the console: Chinese names of values, and an English switch for labels.

Chinese is the language of the console and complete; `t` gives English where the table has it and
the reader asked for it.
"""

from __future__ import annotations

import streamlit as st

LANGUAGE = "huiyin.language"

SENTIMENT = {"positive": "正面", "neutral": "中性", "negative": "负面"}
EMOTION = {
    "happy": "高兴", "angry": "愤怒", "sad": "悲伤", "fear": "恐惧", "surprise": "惊讶",
    "neutral": "平静",
}  # fmt: skip
LANGUAGES = {
    "zh-Hant": "繁体", "en": "英文", "ja": "日文", "ko": "朝鲜文", "bo": "藏文", "ug": "维吾尔文",
    "mn": "蒙古文", "kk": "哈萨克文", "ky": "柯尔克孜文", "ii": "彝文",
    "khb": "傣文", "tdd": "傣文", "ru": "俄文", "vi": "越南文", "th": "泰文", "hi": "印地文",
    "el": "希腊文", "he": "希伯来文", "my": "缅甸文", "km": "高棉文", "lo": "老挝文",
    "und-Arab": "阿拉伯字母文字",
    "und-Cyrl": "西里尔字母文字", "und-Latn": "拉丁字母文字",
}  # fmt: skip
"""Of a post's text; plain simplified Chinese is not marked."""
KIND = {
    "post": "帖子", "comment": "评论", "repost": "转发", "message": "私信", "notice": "官方发布",
}  # fmt: skip
AUTHOR = {
    "government": "政务", "media": "媒体", "organisation": "机构", "verified": "个人认证",
    "ordinary": "网民",
}  # fmt: skip
PLATFORM = {
    "weibo": "微博", "douyin": "抖音", "kuaishou": "快手", "xiaohongshu": "小红书",
    "bilibili": "哔哩哔哩", "tieba": "贴吧", "zhihu": "知乎",
    "form": "公众留言", "hand": "手工添加", "web": "网站",
}  # fmt: skip
INCIDENT_STATE = {
    "emerging": "初现", "active": "活跃", "easing": "趋缓", "closed": "已结束",
    "merged": "已合并",
}  # fmt: skip
ALERT_STATE = {
    "pending": "待发送", "sent": "已送达，待确认", "failed": "未送达", "acknowledged": "已确认收到",
}  # fmt: skip
DELIVERY_STATE = {
    "pending": "待发送", "sent": "已送达", "failed": "未送达，会再试", "dead": "未送达，不再试",
}  # fmt: skip
CASE_STATE = {
    "open": "待拟稿", "drafted": "已有草稿", "in_review": "审核中", "approved": "已通过，待发出",
    "published": "已答复", "closed": "已办结",
}  # fmt: skip
DRAFT_STATE = {
    "draft": "草稿", "submitted": "待审核", "returned": "已退回", "approved": "已通过，待发出",
    "published": "已发出",
}  # fmt: skip
SOURCE_STATE = {
    "new": "还没有读过", "ok": "正常", "login_expired": "登录已过期", "quota": "接口次数用完",
    "refused": "平台拒绝", "failing": "反复失败", "blocked": "被平台挡住",
    "layout": "返回格式变了", "slow": "很慢", "silent": "异常安静", "paused": "人为暂停",
    "ended": "随事件结束",
}  # fmt: skip
ENDPOINT = {
    "mentions": "@我的微博", "comments_to_me": "收到的评论", "comments_mentions": "@我的评论",
    "timeline": "本账号的微博", "messages": "收到的私信", "comments_show": "本账号微博下的评论",
    "topic": "话题", "counts": "数字复查",
}  # fmt: skip
SOURCE_MEND = {
    "new": "采集进程启动后会开始读取；若一直不变，请看“系统”页。",
    "login_expired": "需要账号保管人重新授权，期间的内容我们没有看到。",
    "quota": "到平台规定的时间自动继续；期间的内容之后会补读。",
    "refused": "平台不允许这个请求，请检查应用权限和账号编号。",
    "failing": "会自动重试；若持续，请管理员查看采集日志。",
    "blocked": "平台把采集当作机器人：请管理员在平台控制台查看是否受限；已放慢。",
    "layout": "平台换了返回格式，要等新版本；期间的内容没有看到。",
    "slow": "平台或网络很慢，读到的内容会晚一些。",
    "silent": "比平时这个时候少得多：请到平台上看一眼，账号或接口是否受限。",
    "ended": "事件重新打开时自己接着读，并补读这段时间。",
}
ACT = {
    "create": "建立", "open": "立案", "draft": "生成草稿", "edit": "修改", "submit": "提交审核",
    "approve": "审核通过", "return": "退回", "publish": "取出原文发布", "close": "办结",
    "acknowledge": "确认收到", "alert": "发出预警", "change-password": "修改密码",
    "reset-password": "重置密码", "deactivate": "停用", "deliver": "送达", "hand-over": "转给",
    "state": "进展到", "duplicate": "与另一件内容相同：", "publish-again": "再次取出原文",
    "raise": "等级上调，再次通知", "explain": "说明", "correct-category": "改定类别",
    "confirm": "确认属实", "dismiss": "判为不算事件", "set-level": "设等级", "lower": "降怀疑等级",
    "rename": "改名", "merge": "并进来一个事件", "merge-into": "并入另一个事件",
    "split": "拆出为新事件", "add-source": "加上", "pause-source": "暂停",
    "resume-source": "让它接着读", "begin-source": "为事件开始临时搜索",
    "end-source": "结束临时搜索", "reopen-source": "重新开始临时搜索",
    "seal": "封存电话", "look": "看了电话", "destroy": "销毁电话", "take": "接手经办",
    "move-in": "移进帖子", "move-out": "移出帖子", "follow": "随事件并入",
}  # fmt: skip
WHY = {
    "urgent": "涉及人身或财产安全，2 小时内答复", "utilities": "水电气暖，24 小时内答复",
    "other": "一般事项，48 小时内答复", **CASE_STATE,
}  # fmt: skip
FACET = {
    "platform": "平台", "kind": "类型", "author_kind": "作者", "office": "账号", "region": "地区",
    "category": "类别", "sentiment": "情感", "emotion": "情绪", "intent": "诉求类型",
    "incident": "事件",
}  # fmt: skip
SCORE = {
    "total": "总分", "novelty": "新近度", "growth": "增长", "authors": "独立作者",
    "severity": "内容严重程度", "burst": "突增", "content": "内容",
}  # fmt: skip
DEADLINE = {"first_word": "首次权威发布", "press": "新闻发布会", "answer": "答复"}

ENGLISH = {
    "看电话": "Open the number", "为什么要看": "Why you need it",
    "对方的电话（可不填，封存）": "Their telephone (optional, sealed)",
    "已随事件结束的临时搜索": "Temporary searches that ended with their incident",
    "region：或写行政区划代码，由回音提出盯看名单（代替 watch）":
        "region: or a division code, for which a watch list is proposed (instead of watch)",
    "今天": "Today",
    "事件": "Incidents", "诉求": "Appeals", "拟稿": "Drafting", "审核": "Review", "检索": "Search",
    "来源": "Sources", "系统": "System", "登录": "Sign in", "退出登录": "Sign out",
    "登录名": "Login name", "密码": "Password", "新密码": "New password",
    "再输一次新密码": "New password again", "当前密码": "Current password",
    "修改密码": "Change password", "设置新密码": "Set a new password",
    "这条内容是谁、为什么发的": "Who posted this, and why", "记下说明": "Keep this explanation",
    "刷新": "Refresh", "返回列表": "Back to list", "查看": "Open", "确认收到": "Acknowledge",
    "下一页": "Next page", "上一页": "Previous page", "搜索": "Search",
    "保存修改": "Save changes", "提交审核": "Submit for review", "通过": "Approve",
    "退回": "Return", "退回原因": "Reason for returning", "状态": "State", "排序": "Order",
    "全部": "All", "检索式": "Query", "开始日期": "From", "结束日期": "To",
    "取出原文去发布": "Take out the approved text to post it", "转交": "Hand over",
    "再取一次": "Take it out again", "查找更多依据": "Find more evidence",
    "引用的官方发布": "Official notices cited",
    "办结": "Close", "办结原因": "Reason for closing", "去拟稿": "Go to drafting",
    "生成草稿": "Make a draft", "去审核": "Go to review", "看诉求": "See the appeal",
    "已预警的事件": "Alerted incidents", "全部事件": "All incidents",
    "回复正文": "Reply text", "情感": "Sentiment", "类型": "Type", "诉求类型": "Intent",
    "按时间": "Newest first", "按相关": "Most relevant first",
    "按意思（写一句话）": "By meaning (write a sentence)", "类别": "Category",
    "作者": "Author", "平台": "Platform", "时间粒度": "Bucket", "时": "hour", "日": "day",
    "周": "week", "月": "month", "最急的在前": "Most urgent first", "期限近的在前": "Due first",
    "只看超时": "Overdue only", "更多条件": "More filters",
    "保存类别": "Save category", "改类别": "Change the category",
    "类别不对？改正，或确认它是对的": "Correct the category, or confirm it",
    "依据或原因": "Grounds or reason", "设等级、降等级": "Set or lower levels",
    "设哪一项": "Which level", "设为": "Set to", "官方出处": "Official source",
    "把怀疑等级降为": "Lower the suspected level to", "降级依据": "Grounds for lowering",
    "改名": "Rename", "新名称": "New name",
    "合并、拆分、移动帖子": "Merge, split, move posts", "为什么": "Why",
    "整个并入": "Merge the whole into", "要移走的帖子": "Posts to move", "移到": "Move to",
    "来自": "From", "内容": "What was said",
    "链接（可不填；回音不去打开它）": "Link (optional; Huiyin does not open it)",
    "标题（可不填）": "Title (optional)", "哪一天": "Day", "几点": "Time",
    "归哪个账号": "For which account", "添加": "Add",
    "加一个来源": "Add a source", "哪一种": "Kind", "加上": "Add the source",
    "最短多少分钟读一次": "Read at most every (minutes)", "为哪个账号看": "For which account",
    "试读一页": "Test: read one page", "暂停": "Pause", "接着读": "Resume",
    "看几天": "Days shown", "看结果": "Show the answer",
}  # fmt: skip


def english() -> bool:
    """Whether this tab asked for English labels."""
    return bool(st.session_state.get(LANGUAGE) == "English")


def t(chinese: str) -> str:
    """The label in the reader's language."""
    return ENGLISH.get(chinese, chinese) if english() else chinese


def name_of(table: dict[str, str], value: str) -> str:
    """The Chinese name of a value; the value itself when the table does not know it."""
    return table.get(value, value)
