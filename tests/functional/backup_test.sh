#!/bin/bash
# oimd --export and --import.
# shellcheck disable=SC2016,SC2034,SC2154 # the tests are text for eval
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires jq --version
start_oimd a --set controller.n1.plane=null || exit 1
oimctl wait controller n1 --for registered &&
	oimctl register -q n2 dns:///n2.example.com:8999 &&
	oimctl set n1/pci 00:15.0 && oimctl set 'ä b/x' 'a "value"' &&
	oimctl provision d0 1M && oimctl map d0 >/dev/null || exit 1

# of NAME OPTION...: oimd with the folders of that daemon.
of() {
	local name=$1

	shift
	oimd --config /dev/null --set "daemon.run-dir=$dir/$name.run" \
		--set "daemon.state-dir=$dir/$name.state" \
		--set "daemon.listen=$dir/$name.sock" "$@"
}

test_case 'what the registry knows is exported while the daemon runs' '
	of a --export - >out 2>err && [ ! -s err ] &&
	jq -e ".apiVersion == \"oim/v1\" and .kind == \"State\"" out &&
	jq -e "[.items[].key] == [\"liveness/n1\", \"controllers/n1/address\",
		\"controllers/n1/pci\", \"controllers/n2/address\",
		\"controllers/ä b/x\"]" out &&
	jq -e ".items[2] == {key: \"controllers/n1/pci\",
		type: \"oim.state.v1.RegistryValue\", value: {value: \"00:15.0\"}}" out &&
	oimctl set n1/pci 00:16.0 && of a --export - >out &&
	jq -e ".items[2].value.value == \"00:16.0\"" out
'

test_case 'a file is complete, for its owner only, and replaces another' '
	echo old >file && chmod 666 file && of a --export file &&
	[ "$(stat -c %a file)" = 600 ] && jq -e .items file &&
	[ "$(echo file*)" = file ] &&
	fails_with 1 of a --export nowhere/file 2>err && [ ! -e nowhere ] &&
	fails_with 1 of a --export - >/dev/full
'

test_case 'a running daemon is not imported into' '
	fails_with 1 of a --import file 2>err && grep -q "has it open" err
'

test_case 'an export is imported elsewhere, once or again' '
	of b --import file 2>err && grep -q " 5 written" err &&
	of b --import file 2>err && grep -q " 5 there already" err &&
	of b --import - <file && of b --export copy &&
	jq .items file >one && jq .items copy >other && cmp one other &&
	start_oimd b --set controller.enabled=no &&
	oimctl -s "$addr_b" get -o json >one && oimctl get -o json >other &&
	cmp one other && oimctl -s "$addr_b" list bdevs -C x -n >/dev/null &&
	stop_oimd b
'

test_case 'something else is replaced only if that is asked for' '
	start_oimd b --set controller.enabled=no &&
	oimctl -s "$addr_b" register -q other x && stop_oimd b &&
	fails_with 1 of b --import file 2>err && grep -q "other/address" err &&
	grep -q "^hint: .*--force" err && of b --import file --force 2>err &&
	grep -q " 1 removed" err && of b --export copy &&
	jq .items copy >other && jq .items file >one && cmp one other
'

test_case 'what is no export is refused, and changes nothing' '
	echo {} >bad && fails_with 1 of b --import bad --force &&
	jq ".items[0].value.valve = 1" file >bad &&
	fails_with 1 of b --import bad --force 2>err &&
	grep -q "items\[0\].*valve" err && fails_with 1 of b --import nothing &&
	of b --export again && jq .items again >again.items &&
	cmp again.items other
'

test_case 'there is nothing to export where there is no store' '
	fails_with 1 of c --export - 2>err && grep -q "there is none" err &&
	[ ! -e c.state ]
'

test_case 'options that exclude each other are refused' '
	fails_with 2 oimd --export x --import x && fails_with 2 oimd --force &&
	fails_with 2 oimd --demo --export x && [ ! -e x ]
'

test_case 'exports go well while the store grows' '
	printf "%65536s" | tr " " x >big &&
	for n in {1..400}; do printf "set n1/big%s %s\n" $n "$(cat big)"; done >many &&
	oimctl run many & writer=$!
	n=0
	while kill -0 $writer 2>/dev/null; do
		of a --export grown && n=$((n + 1)) || exit 1
	done
	wait $writer && of a --export grown &&
	[ "$(jq ".items | length" grown)" = 405 ] && [ $n -gt 1 ]
'
