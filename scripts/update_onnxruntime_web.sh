#!/bin/sh
# Replace the package's copy of ONNX Runtime Web: scripts/update_onnxruntime_web.sh 1.30.0
# Then change the version in NOTICE and run tests/test_browser_reader.py.
set -eu
cd "$(dirname "$0")/.."
target=src/handigit/web/static/handigit/ort
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
npm pack --silent --pack-destination "$folder" "onnxruntime-web@$1"
tar -xzf "$folder/onnxruntime-web-$1.tgz" -C "$folder"
dist=$folder/package/dist
cp "$dist/ort.wasm.min.mjs" "$dist/ort-wasm-simd-threaded.mjs" "$target/"
gzip -9nc "$dist/ort-wasm-simd-threaded.wasm" > "$target/ort-wasm-simd-threaded.wasm.gz"
