"""Files that unpack to far more than they are, and XML that grows while it is read: refused."""

from __future__ import annotations

import io
import re
import zipfile

from huiyin.errors import CollectError

MOST_UNPACKED = 500 << 20
"""Bytes that a zip file (docx, xlsx) may hold when unpacked."""
MOST_MEMBERS = 5000
RATIO = 200
"""A file that unpacks to more than so many times its size is a bomb ..."""
SMALL = 20 << 20
"""... unless it stays below this many bytes."""
_ENTITY = re.compile(r"<!ENTITY", re.IGNORECASE)


def check_xml(text: str) -> None:
    """Raise `CollectError` for XML that defines entities: no feed needs them, every bomb does."""
    if _ENTITY.search(text):
        raise CollectError("内容里有实体定义（XML 炸弹的写法），没有读", "请网站的管理者去掉")


def check_zip(data: bytes | memoryview) -> None:
    """Raise `CollectError` for a zip file that unpacks to too much or is broken.

    Python's zipfile never gives more of a member than its size says, so adding sizes is enough.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            members = packed.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise CollectError("压缩文件已损坏", "重新上传或重新拷贝") from error
    size = sum(one.file_size for one in members)
    bomb = size > MOST_UNPACKED or (size > SMALL and size > RATIO * max(1, len(data)))
    if bomb or len(members) > MOST_MEMBERS:
        raise CollectError("压缩文件解开后过大（压缩炸弹的样子），没有读", "另存为普通文件再给")
