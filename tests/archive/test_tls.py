"""A server that demands TLS and credentials: what is right works, what is wrong is said."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from archive import ArchiveOptions, open_archive
from huiyin.errors import ArchiveDenied, ArchiveError
from tests.archive.proxy import Proxy, basic, proxied
from tests.contracts.builders import post, stored

KEY = "VnVhQ2ZHY0JDZGJrU:bTNhWXlLZGhRVy1zZXZlbg"
USER, PASSWORD = "huiyin", "一个很长的密码 with spaces"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ca") / "ca.crt"
    authority.cert_pem.write_to_path(str(file))
    return file


def context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(made)
    return made


@pytest.fixture
def guarded(elasticsearch: str, authority: trustme.CA) -> Iterator[Proxy]:
    accepted = (f"ApiKey {KEY}", basic(USER, PASSWORD))
    secured = context(authority, "127.0.0.1")
    with proxied(elasticsearch, context=secured, accepted=accepted) as proxy:
        yield proxy


@pytest.fixture
def url(guarded: Proxy, elastic_prefix: str) -> str:
    return f"https://127.0.0.1:{guarded.port}/{elastic_prefix}"


@pytest.mark.parametrize("way", ["key", "user", "key without verification"])
def test_what_is_right_works(url: str, ca: Path, way: str) -> None:
    options = {
        "key": ArchiveOptions(api_key=KEY, ca=ca),
        "user": ArchiveOptions(user=USER, password=PASSWORD, ca=ca),
        "key without verification": ArchiveOptions(api_key=KEY, verify=False),
    }[way]
    archive = open_archive(url, options)
    archive.put_posts([post(1, "加密")])
    assert stored(archive, "weibo:1").text == "加密"
    archive.close()


def test_wrong_or_no_credentials(url: str, ca: Path) -> None:
    for options, reason in (
        (ArchiveOptions(api_key="d3Jvbmc6d3Jvbmc=", ca=ca), "unable to authenticate"),
        (ArchiveOptions(user=USER, password="wrong", ca=ca), "unable to authenticate"),
        (ArchiveOptions(ca=ca), "missing authentication credentials"),
    ):
        with pytest.raises(ArchiveDenied, match="档案服务器拒绝了我们") as refused:
            open_archive(url, options)
        assert reason in refused.value.message
        assert "archive.api_key" in refused.value.mend
        assert "wrong" not in str(refused.value)


def test_a_certificate_of_another_authority(url: str, tmp_path: Path, guarded: Proxy) -> None:
    stranger = tmp_path / "stranger.crt"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    for options in (ArchiveOptions(api_key=KEY, ca=stranger), ArchiveOptions(api_key=KEY)):
        with pytest.raises(ArchiveDenied, match="证书不可信") as refused:
            open_archive(url, options)
        assert "archive.ca" in refused.value.mend
    assert guarded.requests == []  # the key was shown to nobody


def test_a_certificate_for_another_name(
    elasticsearch: str, elastic_prefix: str, authority: trustme.CA, ca: Path
) -> None:
    other = context(authority, "es1.example.org")
    with proxied(elasticsearch, context=other) as proxy:
        with pytest.raises(ArchiveDenied, match="证书不可信"):
            open_archive(
                f"https://127.0.0.1:{proxy.port}/{elastic_prefix}",
                ArchiveOptions(api_key=KEY, ca=ca),
            )
        assert proxy.requests == []


def test_a_missing_or_broken_authority_file(url: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.crt"
    broken.write_text("no certificate")
    for file in (tmp_path / "none.crt", broken):
        with pytest.raises(ArchiveDenied, match="证书") as refused:
            open_archive(url, ArchiveOptions(api_key=KEY, ca=file))
        assert "archive.ca" in refused.value.mend


def test_no_password_goes_out_unencrypted(elastic_prefix: str) -> None:
    with pytest.raises(ArchiveError, match="不加密"):
        open_archive(f"http://es1.example.org:9200/{elastic_prefix}", ArchiveOptions(api_key=KEY))


def test_a_server_without_tls_where_tls_was_said(elasticsearch: str, elastic_prefix: str) -> None:
    secure = elasticsearch.replace("http://", "https://")
    with pytest.raises(ArchiveError) as refused:
        open_archive(f"{secure}/{elastic_prefix}", ArchiveOptions(api_key=KEY))
    assert refused.value.mend


def test_secrets_are_in_no_text(ca: Path) -> None:
    shown = repr(ArchiveOptions(api_key=KEY, password=PASSWORD, ca=ca))
    assert KEY not in shown
    assert PASSWORD not in shown
