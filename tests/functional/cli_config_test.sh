#!/bin/bash
# Configuration files, contexts and the environment.
# shellcheck disable=SC2016,SC2154 # the tests are text for eval
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires jq --version
start_oimd a --set controller.n1.plane=null || exit 1
start_oimd b --set controller.n2.plane=null --set controller.n3.plane=null ||
	exit 1
unset OIMCTL_SERVER
mkdir -p config/oim
cat >config/oim/oimctl.conf <<END
# of the tests
[defaults]
context = one
[context "one"]
server = $addr_a
[context "two"]
server = $addr_b
controller = n2
END

# controllers COMMAND...: the ids that it lists, on one line.
controllers() {
	"$@" list controllers -o name >ids && paste -sd ' ' ids
}

test_case 'the default context says where the server is' '
	[ "$(controllers oimctl)" = n1 ]
'

test_case 'another context can be chosen' '
	[ "$(controllers oimctl -c two)" = "n2 n3" ] &&
	[ "$(OIMCTL_CONTEXT=two controllers oimctl)" = "n2 n3" ] &&
	fails_with 2 oimctl -c tow status 2>err &&
	grep -q "did you mean two?" err
'

test_case 'a context names a controller too' '
	oimctl -c two provision d0 1M &&
	oimctl -c two list bdevs -o value=/controllerId >out &&
	[ "$(cat out)" = n2 ] &&
	fails_with 67 oimctl -s "$addr_b" provision d0 1M 2>err &&
	grep -q "say with --controller which one; registered: n2, n3" err
'

test_case 'options win over the environment, and that over the file' '
	[ "$(OIMCTL_SERVER=$addr_b controllers oimctl)" = "n2 n3" ] &&
	[ "$(OIMCTL_SERVER=$addr_b controllers oimctl -s $addr_a)" = n1 ] &&
	[ "$(OIMCTL_OUTPUT=json oimctl -o name list controllers)" = n1 ]
'

test_case 'config show tells where each value comes from' '
	OIMCTL_TIMEOUT=5s oimctl -c two --color never config show -o json >out &&
	jq -e "
		[.items[] | {key: .name, value: [.value, .origin]}] |
		from_entries |
		.context == [\"two\", \"option --context\"] and
		.server[1] == \"$HOME/config/oim/oimctl.conf:7\" and
		.timeout == [\"5s\", \"environment OIMCTL_TIMEOUT\"] and
		.color == [\"never\", \"option --color\"] and
		.dialect == [\"auto\", \"built in\"] and
		.cacert == [\"\", \"\"]" out
'

test_case 'another file replaces all of them' '
	printf "[defaults]\nserver = %s\n" "$addr_b" >other &&
	[ "$(controllers oimctl --config other)" = "n2 n3" ] &&
	[ "$(OIMCTL_CONFIG=other controllers oimctl)" = "n2 n3" ] &&
	fails_with 1 oimctl --config nowhere status 2>err &&
	grep -q "nowhere" err
'

test_case 'unknown keys are told with their line, and do no harm' '
	printf "[defaults]\nserver = %s\ncolour = never\n" "$addr_a" >odd &&
	oimctl --config odd list controllers -o name >out 2>err &&
	[ "$(cat out)" = n1 ] && grep -q "^oimctl: warning: odd:3: " err &&
	oimctl -q --config odd list controllers 2>err && [ ! -s err ]
'

test_case 'a bad file is an error with its line' '
	printf "[defaults]\ntimeout = soon\n" >bad &&
	fails_with 2 oimctl --config bad status 2>err && grep -q "bad:2: " err &&
	printf "[defaults\n" >worse &&
	fails_with 2 oimctl --config worse status 2>err &&
	grep -q "worse:1" err
'

test_case 'help and completion work with a bad file' '
	printf "[defaults\n" >worse &&
	oimctl --config worse help >out && oimctl --config worse -h >out &&
	OIMCTL_CONFIG=worse oimctl complete -- sta >out 2>err &&
	[ "$(cat out)" = status ] && [ ! -s err ]
'

test_case 'without settings the socket of the user is found' '
	rm config/oim/oimctl.conf && mkdir run/oim &&
	[ ! -e /run/oim/oimd.sock ] && [ ! -e /run/oim/registry.sock ] ||
		skip "there is a daemon on this host"
	/usr/bin/python3 -c "import socket
s = socket.socket(socket.AF_UNIX); s.bind(\"run/oim/oimd.sock\")" &&
	fails_with 78 oimctl status 2>err &&
	grep -q "nobody answers on /run/oim/oimd.sock, /run/oim/registry.sock, $HOME/run/oim/oimd.sock" err &&
	rm run/oim/oimd.sock &&
	start_oimd user --set daemon.listen=$HOME/run/oim/oimd.sock \
		--set controller.mine.plane=null &&
	unset OIMCTL_SERVER && [ "$(controllers oimctl)" = mine ]
'
