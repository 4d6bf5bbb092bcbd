#!/bin/sh
# Build what is published with a release: the wheel, the source archive, a software bill of materials, and SHA-256 sums.
#   scripts/release.sh dist          a new folder; needs Python 3.11 or newer and a package index
set -eu
out=${1:?name a new folder}
cd "$(dirname "$0")/.."
mkdir "$out"
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools"
"$tools/bin/pip" install --quiet build==1.3.0 cyclonedx-bom==7.5.0
"$tools/bin/python" -m build --outdir "$out"
# The packages of the container image, with the licences and hashes of the lock file (CycloneDX 1.6).
"$tools/bin/cyclonedx-py" requirements deploy/requirements.txt --pyproject pyproject.toml \
  --output-reproducible --spec-version 1.6 --output-file "$out/sbom.cdx.json"
(cd "$out" && sha256sum -- * >SHA256SUMS)
