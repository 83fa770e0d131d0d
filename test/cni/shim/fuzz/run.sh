#!/bin/bash
# run.sh SECONDS [CORPUS]: fuzzes the shim's request, error, stdin and reply code with libFuzzer under ASan and UBSan.
# CORPUS, a directory, keeps what was found worth keeping (default: thrown away). An input that fails stays in the
# current directory as crash-*, timeout-* or leak-*. Needs Debian's clang-14 and libclang-rt-14-dev (or CLANG).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
shim=$here/../../../../cni/shim
seconds=${1:?usage: run.sh SECONDS [CORPUS]}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
corpus=${2:-$work/corpus}
mkdir -p "$corpus" "$work/seeds"
"${CLANG:-clang-14}" -std=gnu17 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
  -o "$work/fuzz" "$here"/*.c "$shim"/{request,error,io,agent,deadline}.c
seed() { printf "$2" > "$work/seeds/$1"; }
seed request '\0railnet-sriov\0CNI_COMMAND=ADD\0PATH=/bin\0CNI_ARGS=a=b;c\0CNI_X'
seed request-trace '\0n\0TRACEPARENT=00-1-2-01\0CNI_COMMAND=ADD\0BAGGAGE=\0TRACESTATE=a=b\0BAGGAGE\0TRACEPARENTS=x'
printf '\0n\0BAGGAGE=%08193d\0TRACESTATE=%08192d' 0 0 > "$work/seeds/request-trace-limit"
seed error '\1read "that"\\\n\351'
seed stdin-closed '\2\1{"name":"n"}'
seed stdin-open '\2\0{"name":"n"}'
seed reply '\3\1\0\0\0\0\2\0\0\0{}'
seed reply-long '\3\1\1\0\0\0\377\377\377\377x'
seed reply-short '\3\1\1\0\0\0\20\0\0\0x'
seed reply-exit '\3\1\0\1\0\0\1\0\0\0x'
"$work/fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=512 -max_len=70000 -len_control=20 \
  -print_final_stats=1 -verbosity=0 "$corpus" "$work/seeds"
