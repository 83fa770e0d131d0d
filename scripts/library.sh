#!/bin/bash
# Builds what other programs import (package.json, "exports") into dist/library: ES modules for Node.js 20 and newer, and their types.
# The types are tsc's: tsup's own way needs an interface that TypeScript 7 does not have.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"
out=${1:-dist/library} # another folder: relative to the project's
tsup library/*.ts --silent --clean --format esm --platform node --target node20 --out-dir "$out"
tsc -p library --outDir "$out/types"
