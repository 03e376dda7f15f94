#!/bin/bash
# kill -9 does not prove that anything reaches the disk. So watch the system
# calls: between each transaction's submission and its acknowledgement lie the
# sync of the pages and then, through the descriptor that waits, the new root.
set -eu
B=${B:-build}
here=$(dirname "$0")
tool=$B/tests/tools/store_crash
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

command -v strace >/dev/null || { echo "there is no strace"; exit 77; }
strace -o /dev/null true 2>"$dir/why" ||
	{ echo "strace: $(cat "$dir/why")"; exit 77; }

# ASan's leak check cannot run under ptrace.
export ASAN_OPTIONS=detect_leaks=0
trace() {
	strace -f -y -s 64 -o "$dir/trace" \
		-e trace=openat,fdatasync,fsync,pwrite64,pwritev,writev,write \
		"$tool" write "$dir/$1" "$1" "$2" >"$dir/said"
	awk -v threads="$1" -f "$here/syncs.awk" "$dir/trace"
}

trace 1 50
trace 16 20
