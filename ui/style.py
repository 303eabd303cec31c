"""Looks: Streamlit's theme as options, and the console's own style sheet."""

from __future__ import annotations

# Fonts of the reader's own machine: the console may stand on an intranet without internet.
FONT = (
    "'Noto Sans CJK SC','Noto Sans SC','Source Han Sans SC','PingFang SC','Microsoft YaHei',"
    "'WenQuanYi Micro Hei',sans-serif"
)
BLUE = "#1b4f91"
INK = "#1c2733"
GREY = "#64748b"
LEVEL_COLOURS = {
    "疑似特别重大": "#b3261e",
    "疑似重大": "#c2570c",
    "疑似较大": "#a16207",
    "疑似一般": "#1b4f91",
}
"""The four colours that the public knows from warnings: red, orange, yellow, blue."""

THEME: dict[str, str] = {
    "base": "light",
    "primaryColor": BLUE,
    "backgroundColor": "#f4f6f9",
    "secondaryBackgroundColor": "#ffffff",
    "textColor": INK,
    "borderColor": "#d5dce6",
    "linkColor": BLUE,
    "font": FONT,
    "headingFont": FONT,
    "baseFontSize": "14",
    "baseRadius": "4px",
    "buttonRadius": "4px",
    "showWidgetBorder": "true",
    "sidebar.backgroundColor": "#12304f",
    "sidebar.secondaryBackgroundColor": "#1c4269",
    "sidebar.textColor": "#e8eef6",
    "sidebar.borderColor": "#2a517a",
    "sidebar.primaryColor": "#a9cbf5",
}

CSS = """
<style>
[data-testid="stMainBlockContainer"]{padding:3.4rem 1.6rem 3rem;max-width:1280px}
[data-testid="stHeader"]{background:transparent;height:2.6rem}
[data-testid="stSidebar"]{min-width:200px;max-width:220px}
[data-testid="stSidebarHeader"]{padding:.9rem .4rem .4rem;margin:0;height:auto}
[data-testid="stSidebarHeader"]::before{content:"回音";color:#fff;font-size:1.35rem;font-weight:700;
  letter-spacing:.2em}
[data-testid="stSidebarNavLink"]{padding-top:.2rem;padding-bottom:.2rem}
[data-testid="stSidebarNavLink"] span{font-size:1rem}
[data-testid="stVerticalBlock"]{gap:.65rem}
[data-testid="stForm"]{background:#fff}
[data-testid="stText"]{white-space:pre-wrap;overflow-wrap:anywhere}
h1,h2,h3{letter-spacing:0}
.hy-head{display:flex;flex-wrap:wrap;align-items:baseline;gap:.3rem .9rem;
  border-bottom:2px solid #1b4f91;padding-bottom:.45rem;margin-bottom:.2rem}
.hy-head b{font-size:1.35rem;font-weight:700;color:#12304f}
.hy-head span{color:#64748b}
.hy-mood{display:flex;gap:2px;height:72px;align-items:stretch}
.hy-mood .col{flex:1 1 0;min-width:2px;display:flex;flex-direction:column}
.hy-mood i{display:block}
.hy-mood i.pos{background:#7fb08a}
.hy-mood i.neu{background:#d5dce6}
.hy-mood i.neg{background:#c2570c}
.hy-gate{padding:7vh 0 .6rem;text-align:center}
.hy-gate b{display:block;font-size:2rem;letter-spacing:.3em;padding-left:.3em;color:#12304f}
.hy-gate span{color:#64748b}
.hy-who{font-size:.86rem;color:#dbe5f1;line-height:1.6}
.hy-who b{color:#fff}
.hy-row{display:flex;flex-wrap:wrap;gap:.3rem .55rem;align-items:center}
.hy-muted{color:#64748b;font-size:.88rem}
.hy-small{font-size:.88rem}
.hy-title{font-size:1.06rem;font-weight:700;color:#12304f;overflow-wrap:anywhere}
.hy-badge{display:inline-block;border:1px solid #cbd5e1;border-radius:3px;padding:0 .4rem;
  font-size:.8rem;line-height:1.55;color:#475569;background:#fff;white-space:nowrap}
.hy-badge.blue{border-color:#b6cdea;color:#1b4f91;background:#eef4fc}
.hy-badge.red{border-color:#eab4b0;color:#b3261e;background:#fdf0ef}
.hy-badge.orange{border-color:#eec6a4;color:#a8490a;background:#fef5ec}
.hy-badge.amber{border-color:#e6d391;color:#8a5a00;background:#fdf8e4}
.hy-badge.green{border-color:#a9d5b8;color:#166534;background:#eff9f2}
.hy-badge.solid{background:#b3261e;border-color:#b3261e;color:#fff}
.hy-card{background:#fff;border:1px solid #d5dce6;border-radius:4px;padding:.7rem .9rem;
  display:flex;flex-direction:column;gap:.4rem;overflow-wrap:anywhere}
.hy-card.level{border-left:4px solid #94a3b8}
.hy-card.l0{border-left-color:#b3261e}.hy-card.l1{border-left-color:#c2570c}
.hy-card.l2{border-left-color:#ca9a04}.hy-card.l3{border-left-color:#1b4f91}
.hy-card.source{background:#f8fafc}
.hy-card.official{border-left:4px solid #166534}
.hy-text{white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.7}
.hy-quote{border-left:3px solid #b6cdea;padding:.1rem .7rem;color:#334155;background:#f5f9ff;
  white-space:pre-wrap;overflow-wrap:anywhere}
mark.hy-hit{background:#ffeeba;color:inherit;padding:0}
mark.hy-open{background:#fde2e0;color:#b3261e;font-weight:700;padding:0 .15rem}
.hy-link{color:#1b4f91;text-decoration:underline;text-underline-offset:2px}
.hy-nolink{color:#94a3b8}
.hy-stats{display:grid;grid-template-columns:repeat(auto-fit,minmax(118px,1fr));gap:.5rem}
.hy-stat{background:#fff;border:1px solid #d5dce6;border-radius:4px;padding:.4rem .7rem}
.hy-stat b{display:block;font-size:1.22rem;line-height:1.4;color:#12304f}
.hy-stat span{font-size:.82rem;color:#64748b}
.hy-note{border-radius:4px;border:1px solid #cbd5e1;border-left-width:4px;background:#fff;
  padding:.55rem .8rem;white-space:pre-wrap;overflow-wrap:anywhere}
.hy-note.good{border-left-color:#166534;background:#f3faf5}
.hy-note.warn{border-left-color:#ca9a04;background:#fefaec}
.hy-note.bad{border-left-color:#b3261e;background:#fdf3f2}
.hy-note.info{border-left-color:#1b4f91;background:#f3f7fd}
.hy-note pre{margin:.3rem 0 0;background:none;border:0;padding:0;font-family:monospace;
  white-space:pre-wrap;color:inherit}
.hy-empty{background:#fff;border:1px dashed #b6c2d1;border-radius:4px;padding:1.5rem 1rem;
  text-align:center;color:#475569}
.hy-empty b{display:block;font-size:1.05rem;color:#12304f;margin-bottom:.25rem}
.hy-h{font-weight:700;color:#12304f;border-left:4px solid #1b4f91;padding-left:.5rem;
  margin-top:.5rem;line-height:1.35}
.hy-spark{display:flex;align-items:flex-end;gap:1px;height:34px;border-bottom:1px solid #94a3b8}
.hy-spark i{flex:1 1 0;min-width:1px;max-width:22px;background:#7ea5d6;display:block}
.hy-spark i.now{background:#b3261e}
.hy-spark i.gap{background:repeating-linear-gradient(45deg,#f1d9a5,#f1d9a5 2px,#fff 2px,#fff 5px);
  height:100%!important;display:flex;align-items:flex-end}
.hy-spark i.gap b{flex:1;background:#7ea5d6}
.hy-mood .col.gap,.hy-key i.gap{
  background:repeating-linear-gradient(45deg,#d99a2b,#d99a2b 2px,#fff 2px,#fff 5px)}
.hy-pictures{display:flex;flex-wrap:wrap;gap:.5rem;align-items:flex-start}
.hy-pictures img{width:auto;height:auto;max-width:min(100%,360px);max-height:420px;
  border:1px solid #d5dce6;border-radius:3px;background:#f4f6f9}
.hy-legend{border-left:3px solid #ca9a04;padding:.1rem .6rem;color:#475569}
.hy-said{height:0;overflow:hidden}
.hy-cover{display:grid;grid-template-columns:64px 1fr;gap:.5rem;align-items:center;
  font-size:.84rem;color:#475569}
.hy-cover .bar{position:relative;height:16px;background:#eef2f7;border-radius:2px;overflow:hidden}
.hy-cover .bar i{position:absolute;top:0;bottom:0}
.hy-cover i.ok,.hy-key i.ok{background:#7fb08a}
.hy-cover i.late,.hy-key i.late{background:#b8d3be}
.hy-cover i.none,.hy-key i.none{background:#dbe2ea}
.hy-cover i.blind,.hy-key i.blind{
  background:repeating-linear-gradient(45deg,#d99a2b,#d99a2b 2px,#fff 2px,#fff 5px)}
.hy-key{display:inline-flex;align-items:center;gap:.3rem;font-size:.82rem;color:#475569}
.hy-key i{display:inline-block;width:18px;height:11px;border-radius:2px}
.hy-bars{display:flex;flex-direction:column;gap:.15rem}
.hy-bar{display:grid;grid-template-columns:minmax(56px,34%) 1fr 44px;gap:.4rem;
  align-items:center;font-size:.86rem}
.hy-bar i{display:block;height:9px;background:#9dbce2;border-radius:2px;min-width:2px}
.hy-bar em{font-style:normal;text-align:right;color:#64748b}
.hy-table{width:100%;border-collapse:collapse;background:#fff;font-size:.92rem}
.hy-table th{background:#e9eef5;text-align:left;font-weight:600;color:#334155}
.hy-table th,.hy-table td{border:1px solid #d5dce6;padding:.32rem .55rem;vertical-align:top;
  overflow-wrap:anywhere}
.hy-step{border-left:2px solid #b6cdea;padding:.1rem 0 .1rem .7rem;font-size:.9rem}
.hy-list{display:flex;flex-direction:column;gap:.55rem}
.hy-num{display:inline-block;min-width:1.35rem;text-align:center;border-radius:3px;
  background:#1b4f91;color:#fff;font-size:.8rem;margin-right:.35rem}
.hy-line{line-height:1.85;padding:.15rem 0;border-bottom:1px dotted #d5dce6}
.hy-pre{white-space:pre-wrap;font-family:monospace}
@media (max-width:640px){
 [data-testid="stMainBlockContainer"]{padding:3.1rem .7rem 3rem}
 .hy-table thead{display:none}
 .hy-table tr{display:block;border:1px solid #d5dce6;margin-bottom:.5rem}
 .hy-table td{display:block;border:0;padding:.2rem .55rem}
 .hy-table td[title]::before{content:attr(title) "："; color:#64748b}
 .hy-stats{grid-template-columns:repeat(2,1fr)}
 .hy-bar{grid-template-columns:minmax(56px,44%) 1fr 40px}
}
</style>
"""
