#!/bin/bash
# How good the tests are: small changes of the source, one at a time, and the tests that should notice them. --help tells more.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh npm debian
exec node_modules/.bin/node --disable-warning=ExperimentalWarning test/mutate/run.ts "$@"
