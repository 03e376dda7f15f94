#!/bin/bash
# Writers are killed at any moment, again and again on one store; nothing that
# was acknowledged is lost, and nothing is there by half. ROUNDS=100.
set -eu
B=${B:-build}
rounds=${ROUNDS:-100}
tool=$B/tests/tools/store_crash
dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null; rm -rf "$dir"' EXIT

total=0
: >"$dir/verdict"
for ((round = 1; round <= rounds; round++)); do
	threads=$((RANDOM % 4 == 0 ? 64 : 1 + RANDOM % 16))
	exec {lines}< <(exec "$tool" write "$dir/store" $threads)
	pid=$!
	# Not head: it would swallow more than it prints.
	for ((n = RANDOM % 300; n > 0; n--)); do
		read -r line <&"$lines" || break
		echo "$line"
	done >"$dir/said"
	kill -9 "$pid" || true
	cat <&"$lines" >>"$dir/said"
	exec {lines}<&-
	wait "$pid" 2>/dev/null || true
	pid=
	if grep -m1 ^failed "$dir/said" || ! "$tool" verify "$dir/store" \
		<"$dir/said" >"$dir/verdict"; then
		cat "$dir/verdict"
		echo "round $round of $rounds, $threads threads: not whole" >&2
		exit 1
	fi
	total=$((total + $(grep -c ^ack "$dir/said" || true)))
done
[ "$total" -gt 0 ]
echo "ok 1 - $rounds kills, $total acknowledged, all there: $(cat "$dir/verdict")"
