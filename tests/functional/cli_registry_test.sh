#!/bin/bash
# Several daemons, and registries of other revisions.
# shellcheck disable=SC2016,SC2154,SC2034 # the tests are text for eval
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires jq --version
start_oimd reg --set controller.enabled=no || exit 1
for n in 1 2 3; do
	start_oimd "node$n" --set "controller.n$n.plane=null" \
		--set registry.enabled=no --set "controller.n$n.registry=$addr_reg" ||
		exit 1
done
for n in 1 2 3; do
	wait_for 20 oimctl get "n$n/address" --must-exist >/dev/null &&
		oimctl -C "n$n" provision "d$n" "${n}M" &&
		oimctl -C "n$n" provision same 1M &&
		oimctl -C "n$n" map "d$n" >/dev/null || exit 1
done

test_case 'without --controller all controllers are asked' '
	oimctl list bdevs -o value=/name >out && paste -sd " " out >line &&
	[ "$(cat line)" = "d1 same d2 same d3 same" ] &&
	oimctl list mappings -o json >out &&
	jq -e "[.items[] | [.volumeId, .controllerId]] ==
		[[\"d1\",\"n1\"],[\"d2\",\"n2\"],[\"d3\",\"n3\"]] and
		.errors == []" out
'

test_case 'with --controller only that one is asked' '
	: &&
	oimctl --trace -C n2 list mappings -o name >out 2>err &&
	[ "$(cat out)" = d2 ] && [ "$(grep -c "^>" err)" = 1 ]
'

test_case 'show finds an object wherever it is' '
	oimctl show mapping d3 -o value=/controllerId >out &&
	[ "$(cat out)" = n3 ] &&
	oimctl show bdev same -o json >out &&
	jq -e ".kind == \"BDevList\" and (.items | length) == 3" out &&
	oimctl show bdev same -C n2 -o json >out &&
	jq -e ".kind == \"BDev\" and .controllerId == \"n2\"" out &&
	oimctl show controller n1 n3 -o json >out &&
	jq -e "[.items[] | [.controllerId, .ready, .mappings]] ==
		[[\"n1\",true,\"1\"],[\"n3\",true,\"1\"]]" out
'

test_case 'list controllers takes one call' '
	oimctl --trace list controllers -o name >out 2>err &&
	[ "$(grep -c "^>" err)" = 1 ] && [ "$(wc -l <out)" = 3 ]
'

test_case 'who does not answer is named, and the others are listed' '
	oimctl register -q n4 unix:$dir/nobody.sock &&
	fails_with 4 oimctl list bdevs -l name=d1 >out 2>err &&
	[ "$(wc -l <out)" = 2 ] && grep -q "^oimctl: list bdevs n4: " err &&
	fails_with 4 oimctl list mappings -o json >out 2>err && [ ! -s err ] &&
	jq -e "(.items | length) == 3 and .errors[0].target == \"n4\" and
		.errors[0].code == \"UNAVAILABLE\"" out &&
	fails_with 4 oimctl show bdev d1 -o value=/name >out 2>err &&
	[ "$(cat out)" = d1 ] && grep -q n4 err &&
	fails_with 78 oimctl show bdev nothing 2>err && grep -q n4 err &&
	fails_with 4 oimctl show controller n4 -o json >out &&
	jq -e ".controllerId == \"n4\" and .errors[0].target == \"n4\"" out &&
	oimctl unregister n4 --yes
'

test_case 'many controllers are asked at once' '
	for n in {1..40}; do echo "register -q x$n unix:$dir/node1.sock"; done >f
	oimctl run f && fails_with 4 oimctl list bdevs >out 2>err &&
	[ "$(grep -c "^oimctl: list bdevs x" err)" = 40 ] &&
	sed "s/register -q \(x[0-9]*\) .*/unregister \1 --yes/" f >g &&
	oimctl run g
'

test_case 'a controller that is not known gets the registered ones as hint' '
	fails_with 78 oimctl -C n9 map d1 2>err &&
	grep -q "^oimctl: map d1: controller \"n9\" is not registered" err &&
	grep -q "^hint: registered controllers: n1, n2, n3; register it with" err
'

test_case 'a registry without controllers says whom to ask' '
	fails_with 76 oimctl provision d 1M 2>err &&
	grep -q "say with --controller which one; registered: n1, n2, n3" err
'

# --- other revisions

/usr/bin/python3 -c 'import grpc, google.protobuf' 2>/dev/null ||
	skip 'needs python3-grpcio'
protoc -I "$root/proto" --python_out=. oim/options.proto oim/v0/oim.proto || exit 1

# start_fake DIALECT: a registry that knows no other.
start_fake() {
	start_server "$1" 1 ready env PYTHONPATH="$dir" "$root/tests/fake_server" \
		--listen "unix:$dir/$1.sock" --log "$1.calls" --dialect "$1"
}
start_fake v0 && start_fake values || exit 1

# use_registry DIALECT: all that can be done with it.
use_registry() {
	export OIMCTL_SERVER=unix:$dir/$1.sock
	oimctl register b host-b:1 && oimctl register a host-a:1 &&
		oimctl set c/address host-c:1 &&
		oimctl list controllers -o name >out &&
		[ "$(paste -sd ' ' out)" = 'a b c' ] &&
		oimctl get a -o value=/value >out && [ "$(cat out)" = host-a:1 ] &&
		oimctl get /a//address -o value=/path >out &&
		[ "$(cat out)" = a/address ] &&
		oimctl unset c/address --yes && oimctl unregister b --yes &&
		oimctl list controllers -o value=/address >out &&
		[ "$(cat out)" = host-a:1 ]
}

test_case 'a registry of the specification is spoken to in its calls' '
	use_registry v0 && fails_with 76 oimctl set a/pci 0:0 2>err &&
	grep -q "keeps no values but <id>/address" err &&
	oimctl version -o json >out && jq -e ".dialect == \"v0\" and
		.server == \"\"" out
'

test_case 'a registry of the later revision is spoken to in its calls' '
	use_registry values && oimctl set a/pci 0:0 &&
	oimctl get a/pci -o value=/value >out && [ "$(cat out)" = 0:0 ] &&
	oimctl version -o value=/dialect >out && [ "$(cat out)" = values ]
'

test_case 'the dialect can be said, which saves the calls that find it out' '
	export OIMCTL_SERVER=unix:$dir/v0.sock
	: >v0.calls && oimctl --dialect v0 list controllers &&
	[ "$(cat v0.calls)" = /oim.v0.Registry/GetControllers ] &&
	fails_with 76 oimctl --dialect values list controllers
'

test_case 'where nobody tells events, wait and list -w look again' '
	export OIMCTL_SERVER=unix:$dir/v0.sock
	oimctl wait controller late --for registered -t 20s & waiter=$!
	oimctl list controllers -w -o json >watched & watcher=$!
	wait_for 20 grep -q ControllerList watched &&
	oimctl register late late:1 && wait $waiter &&
	wait_for 20 grep -q late watched && kill $watcher
'

test_case 'what a registry of others lacks is said with a hint' '
	export OIMCTL_SERVER=unix:$dir/v0.sock
	fails_with 76 oimctl status 2>err && grep -q "^hint: " err
'

test_case 'an id may be any text' '
	start_oimd node4 --set "controller.knöten 4.plane=null" \
		--set registry.enabled=no \
		--set "controller.knöten 4.registry=$addr_reg" &&
	wait_for 20 oimctl get "knöten 4/address" --must-exist &&
	oimctl -C "knöten 4" provision d4 1M && oimctl -C "knöten 4" map d4 &&
	oimctl show mapping d4 -o value=/controllerId >out &&
	[ "$(cat out)" = "knöten 4" ]
'
