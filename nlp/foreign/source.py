"""Where a model of others lies: a folder, or a hub id that is fetched once and then kept."""

import hashlib
import re
from pathlib import Path

import httpx
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from huiyin.errors import ModelError

_HUB_ID = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*)?(?:@[\w./-]+)?", re.ASCII)
"""`organisation/name`, optionally `@` and a branch, tag or commit."""
_TEXTS = ("*.json", "*.txt", "*.model")
_WEIGHTS = ("*.safetensors", "*.bin")
_CHUNK = 1 << 20


def locate(setting: str, path: str, home: Path) -> Path:
    """The local folder of a model, fetched from the hub if `path` is not a folder but an id.

    Raises `ModelError` when there is neither, naming `setting`.
    """
    folder = home / Path(path).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise ModelError(f"设置 {setting}：{folder} 是文件，不是文件夹", "写模型所在的文件夹")
    if not _HUB_ID.fullmatch(path):
        raise ModelError(
            f"设置 {setting}：没有文件夹 {folder}", "检查路径；相对路径从 huiyin.toml 所在处算起"
        )
    return _fetch(setting, path, folder)


def _fetch(setting: str, path: str, folder: Path) -> Path:
    """Ask the hub, or take what was fetched before; files of code are never fetched."""
    name, _, revision = path.partition("@")
    try:
        for weights in _WEIGHTS:  # pickled weights only where there are no others
            found = Path(
                snapshot_download(
                    name, revision=revision or None, allow_patterns=[*_TEXTS, weights]
                )
            )
            if any(found.rglob(weights)):
                break
    except GatedRepoError as error:
        raise ModelError(
            f"设置 {setting}：模型 {path} 须先在模型站上同意其条款", "同意后设置环境变量 HF_TOKEN"
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise ModelError(
            f"设置 {setting}：没有文件夹 {folder}，模型站上也没有 {path}", "检查文件夹或模型名"
        ) from error
    except (OSError, ValueError, httpx.HTTPError) as error:
        raise ModelError(
            f"设置 {setting}：没有文件夹 {folder}，模型站现在也连不上（{_short(error)}）",
            "在能上网的机器上下载该模型，把文件夹拷来并写它的路径",
        ) from error
    return found


def has_weights(folder: Path) -> bool:
    """Whether a folder holds weights in a form that is read here."""
    return any(any(folder.glob(pattern)) for pattern in _WEIGHTS)


def content_hash(folder: Path) -> str:
    """First 10 hex digits of SHA-256 over the files that decide what a model answers."""
    digest = hashlib.sha256()
    files = {one for pattern in (*_TEXTS, *_WEIGHTS) for one in folder.rglob(pattern)}
    for path in sorted(files, key=lambda one: one.relative_to(folder).as_posix()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()[:10]


def device() -> torch.device:
    """The GPU if there is one, else the processor. Its kind is part of the model id."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def unreadable(setting: str, folder: Path, error: Exception) -> ModelError:
    """What is said of a folder that the libraries cannot load."""
    if not (folder / "config.json").is_file():
        return ModelError(
            f"设置 {setting}：{folder} 里没有 config.json", "写 transformers 格式的模型文件夹"
        )
    if not has_weights(folder):
        return ModelError(
            f"设置 {setting}：{folder} 里没有权重", "须有 model.safetensors；重新下载或拷贝"
        )
    return ModelError(
        f"设置 {setting}：{folder} 无法读取（{_short(error)}）",
        "模型可能不完整，或要运行它自带的程序（不允许）；换一个",
    )


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
