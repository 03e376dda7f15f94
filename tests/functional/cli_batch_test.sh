#!/bin/bash
# Batch files.
# shellcheck disable=SC2016,SC2154 # the tests are text for eval
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires jq --version
start_oimd a --set controller.n1.plane=null || exit 1

test_case 'a file is the lines of a shell' '
	cat >file <<-"END" &&
		# a comment, and an empty line

		provision d0 64M   # behind a command
		oimctl provision "a bdev" \
			1M
		list bdevs -o name
	END
	oimctl run file >out 2>err && [ ! -s err ] &&
	printf "a bdev\nd0\n" | cmp - out
'

test_case 'stdin is a file too' '
	echo "check d0" | { oimctl run - >out; echo $? >status; } &&
	[ "$(cat status)" = 0 ] && grep -q "^d0 " out
'

test_case 'it stops at the first failure, and says where' '
	printf "check d0\n\ncheck nothing\ncheck d0\n" >file &&
	fails_with 69 oimctl run file >out 2>err &&
	[ "$(grep -c "^d0" out)" = 1 ] &&
	grep -q "^oimctl: file:3: check nothing: .*(NOT_FOUND)" err
'

test_case 'with --keep-going it goes on, and the status is 4' '
	printf "check nothing\nlisst\ncheck d0\n" >file &&
	fails_with 4 oimctl run --keep-going file >out 2>err &&
	grep -q "^d0" out && grep -q "file:1: check nothing" err &&
	grep -q "file:2: unknown command" err
'

test_case 'what is wrong with a line is said with its number' '
	printf "check d0\nget \"x\n" >file &&
	fails_with 2 oimctl run file >out 2>err &&
	grep -q "^oimctl: file:2: the quote \" is not closed" err &&
	printf "check d0\ncheck \\\\\n d0 nothing \\\\\n" >file &&
	fails_with 2 oimctl run file 2>err && grep -q "file:2: " err &&
	printf "check d0\nche\0ck d0\n" >file &&
	fails_with 2 oimctl run file 2>err && grep -q "file:2: .*NUL" err
'

test_case 'lines that end as on Windows are no trouble' '
	printf "check d0\r\ncheck d0\r\n" >file && oimctl run file
'

test_case 'JSON is one document on each line' '
	printf "check d0\nget n1/address\n" >file && oimctl run file -o json >out &&
	[ "$(wc -l <out)" = 2 ] && jq -es "map(.kind) ==
		[\"ResultList\", \"ValueList\"]" out &&
	printf "check d0\ncheck nothing\n" >file &&
	fails_with 69 oimctl run file -o json 2>err >out &&
	jq -e ".message | startswith(\"file:2: \")" err
'

test_case 'options of run hold for all lines' '
	printf "unset x/y\n" >file && fails_with 2 oimctl run file &&
	oimctl run file --yes && oimctl -y run file &&
	fails_with 78 oimctl -C n2 run file --yes -s "$addr_a"x &&
	printf "check d0\n" >file && fails_with 78 oimctl -C n2 run file &&
	oimctl --dry-run run file >out && grep -q CheckMallocBDev out
'

test_case 'use, on and set hold for the lines that follow' '
	printf "[context \"none\"]\nserver = /nowhere/x.sock\n" >conf &&
	cat >file <<-END &&
		on n1
		check d0
		set output name
		check d0
		set output table
		on
		set n1/x 1
		get n1/x --no-headers
		use none
		list bdevs
	END
	fails_with 78 env -u OIMCTL_SERVER oimctl --config conf -s "$addr_a" \
		run file >out 2>err &&
	printf "NAME  RESULT\nd0    ok\nd0\nn1/x  1\n" | cmp - out &&
	grep -q "file:10: .*/nowhere/x.sock" err
'

test_case 'a bad setting changes nothing' '
	printf "set output xml\nset output name\ncheck d0\n" >file &&
	fails_with 4 oimctl run -k file >out 2>err && [ "$(cat out)" = d0 ] &&
	grep -q "file:1: set output: .*xml" err
'

test_case 'quit ends it' '
	printf "check d0\nquit\ncheck nothing\n" >file && oimctl run file
'

test_case 'a batch file runs neither another one nor a shell' '
	echo "run file" >file && fails_with 2 oimctl run file &&
	echo shell >file && fails_with 2 oimctl run file &&
	fails_with 2 oimctl quit && fails_with 2 oimctl use x &&
	fails_with 1 oimctl run nothing
'

test_case 'stdin cannot be commands and something else too' '
	echo "call oim.v0.Registry/GetControllers -" >file &&
	fails_with 2 oimctl run - <file &&
	echo "map v --ceph p/i --monitors m:1 --secret-file -" >file &&
	fails_with 2 oimctl run - <file 2>err && grep -q "stdin has the" err
'

test_case 'a thousand lines use one connection' '
	strace -V >/dev/null 2>&1 || skip "needs strace"
	for n in {1..1000}; do echo "check d0"; done >file &&
	# Leaks cannot be looked for under strace.
	ASAN_OPTIONS=detect_leaks=0 strace -f -e trace=connect -o trace oimctl run file >out &&
	[ "$(grep -c "AF_UNIX.*a.sock.*= 0" trace)" = 1 ]
'
