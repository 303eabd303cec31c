#!/usr/bin/env bash
# Fills a folder with every wheel that `make setup WHEELS=DIR` needs on a machine without internet
# (same operating system, processor and Python as this one).
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-wheels}
deploy/setup.sh "" ""
mkdir -p "$folder"
.venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
    -r requirements.txt -r requirements-torch.txt -d "$folder"
echo "$folder: $(find "$folder" -type f | wc -l) 个文件，$(du -sh "$folder" | cut -f1)"
echo "带到目标机器后运行：make setup WHEELS=$folder"
