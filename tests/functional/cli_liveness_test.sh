#!/bin/bash
# Who is alive, as oimctl tells it.
# shellcheck disable=SC2016,SC2034,SC2154 # the tests are text for eval
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires jq --version

start_oimd reg --set controller.enabled=no || exit 1
# start_node NAME ID: a controller that registers often.
start_node() {
	start_oimd "$1" --set "controller.$2.plane=null" \
		--set registry.enabled=no --set "controller.$2.registry=$addr_reg" \
		--set "controller.$2.interval=200ms"
}
start_node node1 n1 && start_node node2 n2 || exit 1
oimctl register fixed host:1 || exit 1

# state ID: as the list has it.
state() {
	oimctl list controllers -l "controllerId=$1" -o value=/state
}

# is ID STATE
is() {
	[ "$(state "$1")" = "$2" ]
}

wait_for 20 is n1 ready && wait_for 20 is n2 ready || exit 1
kill_oimd node1 || exit 1

test_case 'a controller that is registered by hand is static' '
	[ "$(state fixed)" = static ] &&
	oimctl show controller n2 -o json >out && jq -e ".state == \"ready\" and
		.ttl == \"5\" and .since == null and .problem == \"\"" out
'

# lost N: as the status has it.
lost() {
	[ "$(oimctl status -o value=/lost)" = "$1" ]
}

test_case 'who has been killed is lost, and since when' '
	wait_for 20 is n1 lost && wait_for 20 lost 1 && oimctl list controllers -o json >out &&
	"$root/tests/schema_check" "$root/cli/schemas" out &&
	jq -e ".items[] | select(.controllerId == \"n1\") |
		.state == \"lost\" and (.since | startswith(\"20\"))" out &&
	oimctl list controllers >out && grep -qE "^CONTROLLER +ADDRESS +STATE " out &&
	grep -qE "^n1 +unix:.* +lost " out && grep -qE "^n2 .* +ready " out &&
	grep -qE "^fixed +host:1 +static " out
'

test_case 'of lost ones that are shown there is what the registry knows' '
	fails_with 4 oimctl show controller n1 -o json >out &&
	"$root/tests/schema_check" "$root/cli/schemas" out &&
	jq -e ".state == \"lost\" and .since != null and .ttl == \"5\" and
		(.errors[0].message |
			contains(\"it has not registered since 20\"))" out
'

test_case 'a call for a lost controller says when it was last seen' '
	fails_with 78 oimctl -C n1 check d0 2>err &&
	grep -q "does not answer, and it has not registered since 20" err
'

test_case 'the status counts who is lost' '
	oimctl status >out && grep -q "^registry of 3 controllers, 1 lost$" out &&
	grep -q "^1 of the registered controllers is lost$" out &&
	oimctl status -o json >out &&
	"$root/tests/schema_check" "$root/cli/schemas" out &&
	jq -e ".lost == \"1\" and (.problems | length) == 1" out &&
	$(jq -r .next out) >out && grep -q "^n1 " out && ! grep -q "^n2 " out
'

test_case 'who comes back is ready' '
	start_node node1 n1 && wait_for 20 is n1 ready && wait_for 20 lost 0 &&
	oimctl status >out && grep -q "^registry of 3 controllers$" out &&
	oimctl status -o json >out && jq -e ".lost == \"0\"" out
'

test_case 'two of one id are a problem' '
	# shellcheck disable=SC2317,SC2329 # by wait_for
	has_problem() {
		[ -n "$(oimctl list controllers -l controllerId=n2 \
			-o value=/problem)" ]
	}
	start_node node3 n2 && wait_for 20 has_problem &&
	oimctl list controllers >out && grep -qE "^n2 .*in turn" out &&
	oimctl show controller n2 -o json >out &&
	jq -e ".problem | contains(\"register this id in turn\")" out
'
