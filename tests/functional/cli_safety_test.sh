#!/bin/bash
# What destroys asks before, and secrets are told to nobody.
# shellcheck disable=SC2016,SC2034,SC2154 # the tests are text for eval
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires expect -v
start_oimd a --set controller.n1.plane=null --set log.level=debug || exit 1
canary=AQCANARYa4qbYRAAcanaryCANARYcanaryCANARY==
umask 077
echo "$canary" >key

# is_there: whether nothing is gone yet.
is_there() {
	oimctl check d0 && oimctl get x/y --must-exist &&
		oimctl get n7/address --must-exist
}

fill() {
	oimctl provision d0 1M && oimctl set x/y 1 && oimctl register n7 h:1
}

test_case 'on a pipe what destroys sends nothing without --yes' '
	fill &&
	for command in "provision d0 0" "unset x/y" "unregister n7" \
		"unregister n7 n8"; do
		fails_with 2 oimctl --trace $command </dev/null >out 2>err &&
		[ ! -s out ] && ! grep -q "^>" err &&
		grep -qx "hint: add --yes" err || exit 1
		fails_with 2 oimctl $command --no-input || exit 1
	done &&
	is_there
'

test_case 'a batch file never asks' '
	fill && echo "unset x/y" >file && fails_with 2 oimctl run file &&
	is_there && oimctl run --yes file && fails_with 69 oimctl get x/y \
		--must-exist
'

cat >answer.exp <<'END'
set timeout 20
lassign $argv question answer
spawn -noecho {*}[lrange $argv 2 end]
expect {
	-ex $question {}
	timeout { exit 99 }
	eof { exit 98 }
}
send -- "$answer\r"
expect eof
exit [lindex [wait] 3]
END

# answer QUESTION ANSWER COMMAND...: on a terminal; QUESTION is part of what it
# asks. The exit status is that of the command.
answer() {
	expect answer.exp "$@"
}

test_case 'on a terminal the object is shown and the user asked' '
	fill &&
	fails_with 1 answer "controller \"n7\" at h:1. Go ahead? [y/N] " n \
		oimctl unregister n7 &&
	fails_with 1 answer "remove x/y, which is \"1\"." "" oimctl unset x/y &&
	fails_with 1 answer "delete bdev \"d0\"" no oimctl provision d0 0 &&
	is_there
'

test_case 'with "y" it is done' '
	fill &&
	answer "[y/N] " y oimctl unregister n7 &&
	answer "[y/N] " yes oimctl unset x/y &&
	answer "[y/N] " Y oimctl provision d0 0 &&
	fails_with 69 oimctl check d0 &&
	fails_with 69 oimctl get x/y --must-exist
'

test_case 'unmap asks nothing' '
	fill && oimctl map d0 && oimctl unmap d0 </dev/null
'

map_ceph() {
	oimctl map vc --ceph rbd/image --monitors m1:6789,m2 --user joe "$@"
}

test_case 'a secret is told to nobody' '
	for format in table json yaml; do
		for more in -v --trace -n --show-secrets; do
			map_ceph --secret-file key -o $format $more || :
			map_ceph --secret-file - -o $format $more <key || :
		done
	done >out 2>&1
	OIMCTL_TRACE=1 oimctl -C nobody map vc --ceph p/i --monitors m:1 \
		--secret-file key >>out 2>&1 || :
	! grep "CANARY\|joe" out && grep -q "vc" out &&
	! grep CANARY a.err a.out
'

test_case 'the server has got the secret' '
	oimctl unmap vc; map_ceph --secret-file key && oimctl unmap vc &&
	map_ceph --secret-file - <key
'

test_case 'what cannot be a secret is refused and not shown' '
	: >empty && printf "a\nCANARY\n" >lines && head -c 5000 /dev/zero >large &&
	for file in empty lines large none; do
		fails_with 2 map_ceph --secret-file $file >out 2>err ||
			fails_with 1 map_ceph --secret-file $file >out 2>err &&
		! grep -q CANARY out err || exit 1
	done
'

test_case 'a secret is asked for on a terminal, and not shown' '
	answer "Secret: " "$canary" oimctl map vc --ceph rbd/image \
		--monitors m1:6789,m2 --user joe --secret-file - 	>screen &&
	grep -q VOLUME screen && ! grep -q CANARY screen
'

test_case 'a secret in a request or a reply of a call is not shown' '
	echo "{\"volumeId\":\"vc\",\"ceph\":{\"secret\":\"$canary\",
		\"userId\":\"joe\",\"monitors\":\"m1:6789,m2\",
		\"pool\":\"rbd\",\"image\":\"image\"}}" >request &&
	oimctl --trace call oim.v0.Controller/MapVolume @request >out 2>err &&
	oimctl -n call oim.v0.Controller/MapVolume @request >>out &&
	! grep -q "CANARY\|joe" out err && grep -q "\"\\*\\*\\*\"" err &&
	sed "s/}}/},}/" request >broken &&
	fails_with 2 oimctl call oim.v0.Controller/MapVolume @broken >out 2>err &&
	! grep -q CANARY out err
'

test_case 'no secret is left in the log of the server' '
	! grep -rq CANARY a.err a.out
'
