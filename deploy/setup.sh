#!/usr/bin/env bash
# Prepares .venv from the pinned files; does nothing when it is up to date.
# Arguments: TORCH_INDEX (may be empty), WHEELS (folder, may be empty).
set -euo pipefail
cd "$(dirname "$0")/.."
torch_index=${1:-} wheels=${2:-}

find_python() {
    for name in "${PYTHON:-}" python3.11 python3.12 python3; do
        [ -n "$name" ] && command -v "$name" >/dev/null || continue
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null
        then echo "$name"; return; fi
    done
    echo "需要 Python 3.11（或 3.12）。Debian/Ubuntu: apt install python3.11-venv；macOS: brew install python@3.11" >&2
    exit 1
}

digest() { cat requirements.txt requirements-torch.txt pyproject.toml | cksum | tr -d ' '; }
stamp=".venv/.ready-$(digest)-$(printf '%s' "$torch_index" | cksum | tr -d ' ')-$(pwd | cksum | tr -d ' ')"
[ -e "$stamp" ] && exit 0

python=$(find_python)
# A virtual environment holds absolute paths: one from another folder is made anew.
if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null ||
   [ "$(.venv/bin/python -c 'import sys; print(sys.prefix)')" != "$(pwd -P)/.venv" ]; then
    echo "创建 .venv（$($python --version)）…"
    rm -rf .venv
    if ! "$python" -m venv .venv; then
        rm -rf .venv
        echo "建不了虚拟环境。Debian/Ubuntu: apt install python3-venv" >&2; exit 1
    fi
fi

if command -v uv >/dev/null; then
    install() { VIRTUAL_ENV=.venv uv pip install --quiet "$@"; }
else
    install() {
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --use-pep517 "$@"
    }
fi
from=()
[ -n "$wheels" ] && from=(--no-index --find-links "$wheels")

echo "安装依赖（第一次约 2 分钟，torch 最大）…"
# Every package is pinned with its dependencies, so nothing is resolved here (--no-deps).
# setuptools comes first: what has no wheel (jieba) is built with it, offline too.
first=$(mktemp)
trap 'rm -f "$first"' EXIT
awk '/^setuptools==/ {on = 1} on {print} on && !/\\$/ {exit}' requirements.txt > "$first"
install --no-deps --require-hashes "${from[@]+"${from[@]}"}" -r "$first"
install --no-deps --no-build-isolation --require-hashes "${from[@]+"${from[@]}"}" -r requirements.txt
if [ -n "$torch_index" ]; then
    version=$(sed -nE 's/^torch==([^ ;\\]+).*/\1/p' requirements-torch.txt)
    echo "torch $version 取自 $torch_index：同一版本，但不核对哈希。"
    install --index-url "$torch_index" "torch==$version"
else
    install --no-deps --require-hashes "${from[@]+"${from[@]}"}" -r requirements-torch.txt
fi
if ! said=$(install --no-deps --no-build-isolation --no-index -e . 2>&1); then
    echo "$said" >&2; exit 1
fi
rm -f .venv/.ready-*
touch "$stamp"
echo "完成。"
