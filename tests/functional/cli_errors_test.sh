#!/bin/bash
# How oimctl fails: exit statuses, messages and hints. The server is one of
# another implementation, which answers whatever it is asked for.
# shellcheck disable=SC2016,SC2154,SC2034 # the tests are text for eval
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires jq --version
requires /usr/bin/python3 -c 'import grpc, google.protobuf'
requires protoc --version

protoc -I "$root/proto" --python_out=. oim/options.proto oim/v0/oim.proto || exit 1
fake=unix:$dir/fake.sock
start_server fake 1 ready env PYTHONPATH="$dir" "$root/tests/fake_server" \
	--listen "$fake" --log calls || exit 1
export OIMCTL_SERVER=$fake

# one_error STATUS COMMAND...: it fails with that status, prints nothing on
# stdout, and one error on stderr.
one_error() {
	local status=$1

	shift
	fails_with "$status" "$@" >out 2>err
	cat out err
	[ ! -s out ] && [ "$(grep -c '^oimctl: ' err)" = 1 ]
}

# says TEXT: the error has it.
says() {
	grep -Fq -- "$1" err
}

test_case 'a status N of the server is the exit status 64+N' '
	for n in 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16; do
		one_error $((64 + n)) oimctl unmap code-$n &&
		says "asked for $n (" || exit 1
	done
'

test_case 'ABORTED is repeated until it goes well' '
	: >calls && oimctl unmap aborted-2 -t 10s &&
	[ "$(grep -c UnmapVolume calls)" = 3 ]
'

test_case 'ABORTED is not repeated beyond the timeout' '
	one_error 74 oimctl unmap aborted-999 -t 300ms &&
	says "another call is under way (ABORTED)"
'

test_case 'a call that is not answered in time may still complete' '
	one_error 68 oimctl map slow -t 200ms &&
	says "hint: the operation may still complete; check with \"oimctl list"
'

test_case 'an error is one line of JSON where the output is JSON' '
	fails_with 73 oimctl unmap details -o json >out 2>err && [ ! -s out ] &&
	[ "$(wc -l <err)" = 1 ] &&
	jq -e "keys_unsorted == [\"apiVersion\", \"kind\", \"code\", \"exit\",
		\"message\", \"target\", \"hint\", \"details\"] and
		.apiVersion == \"oimctl/v1\" and .kind == \"Error\" and
		.code == \"FAILED_PRECONDITION\" and .exit == 73 and
		.message == \"not now\" and .target == \"details\"" err
'

test_case 'the details and hints of a server are passed on' '
	fails_with 73 oimctl unmap details -o json 2>err &&
	jq -e ".details[0][\"@type\"] == \"type.googleapis.com/google.rpc.Help\" and
		.details[0].links[0].description == \"turn it off and on\" and
		(.hint | startswith(\"turn it off and on\"))" err &&
	one_error 73 oimctl unmap details && says "hint: turn it off and on"
'

test_case 'control characters of a server do not reach the terminal' '
	one_error 77 oimctl unmap evil && ! grep -q "$(printf "\033\\|\r")" err &&
	[ "$(wc -l <err)" = 1 ]
'

test_case 'usage errors are JSON too, wherever the option stands' '
	fails_with 2 oimctl lisst -o json 2>err &&
	jq -e ".exit == 2 and .code == \"INVALID_ARGUMENT\" and
		.hint == \"did you mean \\\"list\\\"?\"" err &&
	OIMCTL_OUTPUT=json fails_with 2 oimctl --bogus 2>err &&
	jq -e ".kind == \"Error\"" err
'

test_case 'nothing is sent if the command is wrong' '
	: >calls &&
	one_error 2 oimctl map a/b && says "contains a slash" &&
	one_error 2 oimctl provision d0 64X && says "\"64X\" is not a number" &&
	one_error 2 oimctl provision d0 1000 && says "multiple of 512" &&
	one_error 2 oimctl map && says "usage: oimctl map VOLUME" &&
	one_error 2 oimctl map a b && says "too many arguments" &&
	one_error 2 oimctl unmap "" && one_error 2 oimctl unmap ok a/b &&
	one_error 2 oimctl list bdevs --columns size,nme &&
	one_error 2 oimctl list bdevs --sort nme &&
	one_error 2 oimctl list bdevs -o xml &&
	one_error 2 oimctl unmap ok -t 5x &&
	one_error 2 oimctl map v --ceph pool && one_error 2 oimctl map v --user x &&
	one_error 2 oimctl map v --ceph pool --monitors m:1 --secret-file fake.out &&
	[ ! -s calls ]
'

test_case 'misspelt words get the nearest one' '
	one_error 2 oimctl provison d0 64M && says "did you mean \"provision\"?" &&
	one_error 2 oimctl list bdevz && says "did you mean \"list bdevs\"?" &&
	one_error 2 oimctl list bdevs --controler n1 &&
	says "did you mean --controller?" &&
	one_error 2 oimctl --sever x status && says "did you mean --server?"
'

test_case 'without a server there is one error, at once, and no output' '
	unset OIMCTL_SERVER &&
	for command in "list controllers" "list bdevs" "list mappings" \
		"show bdev x" "status" "health" "get" "set a/b c" "version" \
		"unset a/b --yes" "register n a:1" "unregister n --yes" \
		"map v" "unmap v" "provision v 64M" "check v" \
		"call oim.v0.Registry/GetControllers"; do
		for format in table wide json yaml name value=/x; do
			case $command:$format in call*:name) continue ;; esac
			start=$(date +%s%N)
			fails_with 78 oimctl -s $dir/none.sock -o $format \
				$command >out 2>err || exit 1
			[ $((($(date +%s%N) - start) / 1000000)) -lt 1000 ] &&
			[ ! -s out ] || exit 1
			if [ $format = json ]; then
				jq -e ".exit == 78" err || exit 1
			else
				[ "$(grep -c ^oimctl: err)" = 1 ] || exit 1
			fi
		done
	done
'

test_case 'that there is no server is said within 100 ms' '
	case $B in *-*) limit=2000000 ;; *) limit=100000 ;; esac # sanitizers
	best=99999999
	for i in 1 2 3 4 5 6 7 8; do
		start=$(date +%s%N)
		fails_with 78 oimctl -s $dir/none.sock list bdevs
		took=$((($(date +%s%N) - start) / 1000))
		[ $took -ge $best ] || best=$took
	done
	echo "$best us" && [ $best -lt $limit ]
'

test_case 'wrong sockets are told apart' '
	one_error 78 oimctl -s $dir/none.sock status && says "no such socket" &&
	: >file && one_error 78 oimctl -s $dir/file status &&
	says "it is not a socket" &&
	/usr/bin/python3 -c "import socket
s = socket.socket(socket.AF_UNIX); s.bind(\"dead.sock\")" &&
	one_error 78 oimctl -s $dir/dead.sock status &&
	says "nobody listens there"
'

test_case 'a socket without permission says who may use it' '
	[ "$(id -u)" = 0 ] || skip "needs root to become somebody else"
	cp "$B/oimctl" . && chmod 755 $dir && chmod 600 fake.sock &&
	one_error 78 setpriv --reuid 65534 --regid 65534 --clear-groups \
		./oimctl status && says "permission denied"
'

test_case 'wrong addresses of TCP are told apart' '
	one_error 78 oimctl -s localhost:1 --plaintext status &&
	says "connection refused" &&
	one_error 78 oimctl -s no-such-host.invalid:1 --plaintext status &&
	says "no-such-host.invalid" &&
	one_error 2 oimctl -s foo status && one_error 2 oimctl -s "" status
'

test_case 'TCP needs certificates, or --plaintext' '
	one_error 2 oimctl -s localhost:1 status &&
	says "there is no --cacert --cert --key" && says "--plaintext" &&
	one_error 2 oimctl -s localhost:1 --cacert x --cert y status &&
	says "there is no --key" &&
	one_error 1 oimctl -s localhost:1 --cacert x --cert y --key z status &&
	one_error 2 oimctl -s localhost:1 --cacert x --cert y --key z \
		--plaintext status &&
	oimctl --plaintext unmap ok
'

test_case 'output that cannot be written is a failure' '
	[ -w /dev/full ] || skip "needs /dev/full"
	fails_with 1 oimctl methods >/dev/full 2>err &&
	says "No space left on device" &&
	fails_with 1 oimctl methods >&- 2>err && says "cannot write to stdout" &&
	fails_with 1 oimctl help >/dev/full &&
	fails_with 1 oimctl --help >/dev/full && oimctl unmap ok >/dev/full
'

test_case 'without a command there is a summary, and a failure on a pipe' '
	fails_with 2 oimctl >out 2>err && [ ! -s out ] &&
	[ "$(wc -l <err)" -le 20 ] && grep -q "^usage: oimctl" err &&
	oimctl --help >out && cmp out err
'

test_case 'what needs a terminal says so' '
	one_error 2 oimctl shell && says "oimctl run -"
'
