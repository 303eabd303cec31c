"""Settings: `huiyin.toml`, then the environment (`HUIYIN_ARCHIVE__URL` for `archive.url`).

Defaults run with no network, no server, no GPU and no account. All wrong settings are reported at
once. Every setting is described in docs/settings.md (a test compares).
"""

from __future__ import annotations

import os
import re
from datetime import time
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from huiyin.errors import SettingsError

CONFIG_FILE = "huiyin.toml"
DEFAULT_PREFIX = "huiyin"


class Section(BaseModel):
    """Base of the sections: unknown names are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False
    )


class ArchiveSettings(Section):
    url: str = "sqlite:///var/huiyin.db"
    """Where everything is kept: `sqlite:///FILE` (relative to the folder of huiyin.toml), or the

    servers of one Elasticsearch cluster, `https://es1:9200,https://es2:9200`.
    """
    api_key: SecretStr = SecretStr("")
    """Elasticsearch: API key, as the server gave it (encoded)."""
    user: str = ""
    """Elasticsearch: user, when there is no API key."""
    password: SecretStr = SecretStr("")
    """Elasticsearch: the user's password."""
    ca: Path | None = None
    """Elasticsearch: certificate of the authority that signed the servers' ones."""
    verify: bool = True
    """Elasticsearch: check the servers' certificates; switch off for a trial only."""
    prefix: str = DEFAULT_PREFIX
    """Elasticsearch: every index, alias and template begins with it."""
    posts_index: Literal["year", "month"] = "year"
    """Elasticsearch: one index of posts a year or a month (UTC)."""
    replicas: str = "0-1"
    """Elasticsearch: fewest and most copies of each index besides the first."""
    spool: Path = Path("var/spool")
    """Folder where writes of posts wait while the archive's servers do not answer."""
    spool_mb: int = Field(default=512, ge=1, le=1_000_000)
    """Most disk room for them, MB; full, collection pauses."""

    @field_validator("url")
    @classmethod
    def _known_engine(cls, url: str) -> str:
        if not url.startswith(("sqlite:///", "http://", "https://")):
            raise ValueError("须为 sqlite:///文件路径，或 https://主机:9200（多台用逗号分隔）")
        return url

    @field_validator("prefix")
    @classmethod
    def _prefix(cls, prefix: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,59}", prefix):
            raise ValueError("用小写字母、数字和连字符，以字母或数字开头，最多 60 个")
        return prefix

    @field_validator("replicas")
    @classmethod
    def _replicas(cls, replicas: str) -> str:
        if not re.fullmatch(r"\d-(\d|all)", replicas):
            raise ValueError("写成最少-最多，例如 0-1")
        return replicas


class OfficeSettings(Section):
    name: str = "本单位"
    """Shown in the console and in messages."""
    id: str = "office:default"
    """Account id that imported posts belong to when they mention no known account."""
    region: str = ""
    """adcode of the office's own area; places of the same name elsewhere lose against it."""

    @field_validator("region")
    @classmethod
    def _adcode(cls, region: str) -> str:
        if region and not (region.isdigit() and len(region) == 6):
            raise ValueError("须为六位行政区划代码，例如 410100")
        return region


class WeiboSettings(Section):
    url: str = "https://api.weibo.com"
    """Root of the official API; the commercial host or a test platform may stand here."""
    tokens: dict[str, SecretStr] = {}
    """OAuth2 access token of each official account by its uid; none = spider disabled."""
    every_seconds: float = Field(default=900.0, gt=0)
    """Pause between two readings of a source (an ordinary app has about 100 calls a day)."""
    calls_per_day: int = Field(default=100, ge=0)
    """Calls a day of one account, where the platform does not tell; 0 = no limit."""
    report_own_posts: bool = True
    """Tell of posts on an own account that no approved draft explains."""
    commercial_url: str = "https://c.api.weibo.com"
    """Root of the commercial API, for sources with `host=commercial`."""
    app_key: str = ""
    """The app's key on the platform's console; needed by `huiyin source login` alone."""
    app_secret: SecretStr = SecretStr("")
    """The app's secret."""
    redirect_uri: str = ""
    """The address registered on the console to which the browser is sent after the grant."""

    @field_validator("url", "commercial_url")
    @classmethod
    def _http(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise ValueError("须以 http:// 或 https:// 开头")
        return url.rstrip("/")


class CollectSettings(Section):
    """Feeds, boards, sites, files: what is collected beside Weibo."""

    allow_hosts: list[str] = []
    """Hosts inside the office's network that may be read, `host` or `host:port`."""
    contact: str = ""
    """Shown to the sites that are read: a web address or a mailbox of the office."""
    layouts: Path = Path("layouts")
    """Folder of the TOML files that describe boards and sites."""
    watch_lists: Path = Path("watch")
    """Folder of the watch lists: places, words and units that sources look for."""
    inbox: str = ""
    """Folder whose files are imported by themselves, once each; empty = disabled."""
    inbox_keep_days: int = Field(default=7, ge=0, le=3650)
    """Imported files are kept in the folder's 已导入 for so long; they hold unmasked data."""
    secrets: dict[str, SecretStr] = {}
    """What `{secret:NAME}` in the address of a source stands for."""
    stations: dict[str, str] = {}
    """Collecting stations on another network: name -> their public key."""


class PictureSettings(Section):
    """Pictures of appeals and of key posts."""

    enabled: bool = False
    """Fetch them (`huiyin pictures`, which `huiyin run` starts then)."""
    hosts: list[str] = ["sinaimg.cn"]
    """Pictures are fetched from these hosts and their subdomains alone."""
    folder: Path = Path("var/pictures")
    """Where they lie."""
    max_mb: float = Field(default=10.0, gt=0, le=100)
    """Largest picture that is fetched, MB."""
    keep_days: int = Field(default=90, ge=1, le=3650)
    """They are deleted after so many days, and with their post."""
    read: bool = True
    """Read the text in them, where rapidocr-onnxruntime is installed."""


class FormSettings(Section):
    """The public form that people reach by a QR code."""

    host: str = "127.0.0.1"
    """Address it listens on."""
    port: int = Field(default=0, ge=0, le=65535)
    """Its port; 0 = there is no form."""
    url: str = ""
    """Address that people open, as printed in the QR code."""
    messages: bool = False
    """Takes private messages that Weibo posts to `/weibo` there; needs the app's secret."""
    per_hour: int = Field(default=300, ge=1, le=100_000)
    """Most messages it takes in an hour, from everybody together."""
    per_address: int = Field(default=5, ge=1, le=1000)
    """Most messages in an hour from one network address."""

    @field_validator("url")
    @classmethod
    def _http(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("须以 http:// 或 https:// 开头，或留空")
        return url.rstrip("/")


class VectorChoice(Section):
    path: str = ""
    """Folder or hub id of a model of others; empty = the shipped one answers."""


class ModelChoice(VectorChoice):
    labels: dict[str, str] = {}
    """Its labels -> ours; a label that is spelt as ours needs no entry."""


class ModelChoices(Section):
    """Models of others, in the transformers or sentence-transformers format, by task."""

    sentiment: ModelChoice = ModelChoice()
    emotion: ModelChoice = ModelChoice()
    category: ModelChoice = ModelChoice()
    intent: ModelChoice = ModelChoice()
    needs_answer: ModelChoice = ModelChoice()
    vectors: VectorChoice = VectorChoice()

    def by_task(self) -> dict[str, ModelChoice]:
        """The classification tasks and what was chosen for each."""
        return {
            "sentiment": self.sentiment, "emotion": self.emotion, "category": self.category,
            "intent": self.intent, "needs_answer": self.needs_answer,
        }  # fmt: skip


class NlpSettings(Section):
    model: str = ""
    """Folder of the model; empty = the shipped one."""
    models: ModelChoices = ModelChoices()
    """Models of others for single tasks."""
    categories: Path = Path("var/categories")
    """Folder of the office's own categories as fitted by `huiyin train categories`."""
    threads: int = Field(default=0, ge=0, le=256)
    """Processor threads for the model; 0 = all cores."""
    batch: int = Field(default=64, ge=1, le=4096)
    """Posts taken from the queue at a time."""


class IncidentSettings(Section):
    window_hours: float = Field(default=8760.0, gt=0, le=24 * 400)
    """A post joins posts that are at most so much older; of the newest million of them."""
    min_authors: int = Field(default=3, ge=1)
    """Independent authors before anybody is alerted."""
    min_score: float = Field(default=0.5, gt=0)
    """Burst score before anybody is alerted."""
    danger_alarm: bool = True
    """One post that says a life is at stake now opens an incident and tells at once."""
    search: bool = False
    """While an incident is active, search for its words beside a standing search of the office."""
    search_most: int = Field(default=3, ge=1, le=20)
    """So many such temporary searches at a time at most."""
    levels: str = ""
    """Table (TOML) of what makes which suspected level; empty = the shipped one."""


class AlertSettings(Section):
    webhook: str = ""
    """URL that receives alerts as JSON; empty = the channel is disabled."""
    max_attempts: int = Field(default=8, ge=1)
    """Deliveries are tried this often before they count as dead."""

    @field_validator("webhook")
    @classmethod
    def _http(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("须以 http:// 或 https:// 开头，或留空")
        return url


class ConsoleSettings(Section):
    host: str = "127.0.0.1"
    """Address the console listens on."""
    port: int = Field(default=8501, ge=0, le=65535)
    """Port of the console; 0 = any free one."""
    session_hours: float = Field(default=8.0, gt=0, le=24)
    """A sign-in ends after this time."""


class SecretSettings(Section):
    folder: Path = Path("var/secrets")
    """Folder of the author-key secret, made at random by `huiyin init`; not in any backup."""


class BackupSettings(Section):
    folder: str = "var/backups"
    """Where backups lie, best on another disk; empty = none are made by themselves."""
    at: str = "03:00"
    """Time of day (Asia/Shanghai) of the daily backup that `huiyin run` makes."""
    compress: bool = True
    """Pack the copy of a SQLite archive with gzip."""
    server_folder: str = ""
    """Elasticsearch: folder for snapshots as its servers see it; must be allowed in path.repo."""

    @field_validator("at")
    @classmethod
    def _time(cls, at: str) -> str:
        try:
            time.fromisoformat(at)
        except ValueError:
            raise ValueError("须为时刻，例如 03:00") from None
        return at


class RetentionSettings(Section):
    days: int = Field(default=0, ge=0, le=36500)
    """Posts older than this are removed once a day; 0 = nothing is removed by itself."""

    @field_validator("days")
    @classmethod
    def _not_by_mistake(cls, days: int) -> int:
        if 0 < days < 30:
            raise ValueError("至少 30 天；0 = 不自动清理")
        return days


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least important message that is written."""
    folder: Path = Path("var/log")
    """Where the processes of `huiyin run` and `huiyin demo` write their logs."""


class Settings(BaseSettings):
    """All settings. Read them with `load_settings`, which reports every problem at once."""

    model_config = SettingsConfigDict(
        env_prefix="HUIYIN_", env_nested_delimiter="__", extra="forbid", frozen=True
    )
    toml_file: ClassVar[Path | None] = None

    home: Path = Path()
    """Folder that relative paths start from: the folder of huiyin.toml."""
    archive: ArchiveSettings = ArchiveSettings()
    office: OfficeSettings = OfficeSettings()
    weibo: WeiboSettings = WeiboSettings()
    collect: CollectSettings = CollectSettings()
    pictures: PictureSettings = PictureSettings()
    form: FormSettings = FormSettings()
    nlp: NlpSettings = NlpSettings()
    incidents: IncidentSettings = IncidentSettings()
    alerts: AlertSettings = AlertSettings()
    console: ConsoleSettings = ConsoleSettings()
    secrets: SecretSettings = SecretSettings()
    backup: BackupSettings = BackupSettings()
    retention: RetentionSettings = RetentionSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, cls.toml_file)
        return (init_settings, env_settings, toml)

    def path(self, relative: Path) -> Path:
        """`relative` under the home folder; absolute paths stay."""
        return self.home / relative

    @property
    def incident_rules(self) -> IncidentSettings:
        """The incident settings with the path of the office's table as it can be opened."""
        levels = self.incidents.levels
        return self.incidents.model_copy(
            update={"levels": str(self.path(Path(levels))) if levels else ""}
        )

    @property
    def archive_url(self) -> str:
        """The archive's URL: with an absolute path, or with the prefix when it is not the usual."""
        if not self.archive.url.startswith("sqlite:///"):
            first, comma, more = self.archive.url.partition(",")
            bare = first.count("/") < 3 and self.archive.prefix != DEFAULT_PREFIX
            return f"{first}/{self.archive.prefix}{comma}{more}" if bare else self.archive.url
        file = Path(self.archive.url.removeprefix("sqlite:///"))
        return f"sqlite:///{(self.home / file).resolve()}"


def load_settings(home: Path | None = None, **overrides: Any) -> Settings:
    """Read huiyin.toml in `home` (default: `HUIYIN_HOME` or the current folder), then environment.

    Raises `SettingsError` with every problem: name, what is wrong, mend.
    """
    folder = (home or Path(os.environ.get("HUIYIN_HOME", "."))).resolve()
    file = folder / CONFIG_FILE

    class _Settings(Settings):
        toml_file = file if file.exists() else None

    try:
        return _Settings(home=folder, **overrides)
    except ValidationError as error:
        raise SettingsError(_problems(error, file)) from error
    except ValueError as error:  # TOML syntax, JSON in the environment
        raise SettingsError([(str(file), str(error), "检查该文件或环境变量的语法")]) from error


def _problems(error: ValidationError, file: Path) -> list[tuple[str, str, str]]:
    problems = []
    for one in error.errors():
        name = ".".join(str(part) for part in one["loc"])
        variable = "HUIYIN_" + "__".join(str(part) for part in one["loc"]).upper()
        if one["type"] == "extra_forbidden":
            what, mend = "没有这个设置", f"从 {file.name} 或环境变量 {variable} 中删去，或改正名称"
        else:
            what = one["msg"].removeprefix("Value error, ")
            mend = f"在 {file.name} 或环境变量 {variable} 中改正"
        problems.append((name, what, mend))
    return problems
