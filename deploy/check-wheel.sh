#!/usr/bin/env bash
# Installs a wheel into an empty environment (dependencies borrowed from .venv) and uses it.
set -euo pipefail
cd "$(dirname "$0")/.."
wheel=$(realpath "$1")
root=$(pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if unzip -l "$wheel" 2>/dev/null | grep -qE ' (tests|benchmarks|docs|deploy)/'; then
    echo "wheel 里混进了 tests、benchmarks、docs 或 deploy" >&2; exit 1
fi
.venv/bin/python -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --no-deps --no-index --disable-pip-version-check "$wheel"
# The dependencies come from .venv, the project itself must not: its editable hook is left out.
borrowed=$("$root/.venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
site=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
printf '%s\n' "$borrowed" > "$site/borrowed.pth"
rm -f "$work/venv/lib/"*/site-packages/__editable__*
cd "$work"
printf '{"id": "1", "text": "小区停水三天了，打了很多电话没人管，太气人了"}\n' > in.jsonl
"$work/venv/bin/huiyin" --version
"$work/venv/bin/huiyin" analyse in.jsonl -o out.jsonl
"$work/venv/bin/python" - "$work" <<'PY'
import json, sys
import nlp
assert nlp.__file__.startswith(sys.argv[1]), nlp.__file__
line = json.loads(open("out.jsonl", encoding="utf-8").readline())
assert line["sentiment"]["label"] == "negative", line
print("wheel: ok", line["sentiment"], line["category"]["path"])
PY
