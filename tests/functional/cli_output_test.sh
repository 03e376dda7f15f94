#!/bin/bash
# What every command prints, in every format.
# shellcheck disable=SC2016,SC2034,SC2154 # the tests are text for eval
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires jq --version
start_oimd a --set controller.n1.plane=null || exit 1
oimctl provision d0 64M && oimctl provision d1 1G && oimctl map d0 >/dev/null &&
	oimctl register far far.example.com:8999 -q || exit 1

# Commands that only look; "far" cannot be reached, thus -C.
looks=('list controllers' 'list bdevs -C n1' 'list mappings -C n1'
	'show controller n1' 'show bdev d0 -C n1' 'show bdev d0 d1 -C n1'
	'show mapping d0 -C n1' 'map d0 -C n1' 'check d0 d1' 'get' 'status'
	'health' 'methods' 'config show' 'version' 'version --client'
	'-n unmap d0' 'events' 'events --kind volume,bdev' 'call oim.v0.Registry/GetControllers')

test_case 'success is silent on stderr, in every command and format' '
	for command in "${looks[@]}"; do
		for format in table wide json yaml name value=/kind; do
			case $command:$format in call*:[nv]*) continue ;; esac
			oimctl -o $format $command >out 2>err && [ ! -s err ] &&
			[ -s out ] || { echo "$command -o $format"; exit 1; }
		done
	done
'

test_case 'piped output has no escape sequences and no carriage returns' '
	for command in "${looks[@]}"; do
		for format in table wide json yaml; do
			TERM=xterm oimctl -o $format $command >out 2>&1 &&
			! grep -q "$(printf "\033\\|\r")" out || exit 1
		done
	done
'

test_case 'every document of JSON keeps the promise of its schema' '
	/usr/bin/python3 -c "import jsonschema" 2>log || skip "needs jsonschema"
	n=0
	for command in "${looks[@]}" "set x/y 1" "unset x/y --yes" \
		"register r r:1" "unregister r --yes" "provision p 1M" \
		"provision p 0 --yes" "unmap p" \
		"list bdevs" "list mappings" "check d0 nothing" \
		"wait bdev d0 -C n1 --for mapped" \
		"show controller n1 far"; do
		case $command in call*) continue ;; esac
		n=$((n + 1))
		oimctl -o json $command >doc$n 2>err || [ $? = 4 ] || exit 1
		[ ! -s err ] || exit 1
	done
	fails_with 69 oimctl check nothing -o json 2>doc.error
	fails_with 2 oimctl lisst -o json 2>doc.usage
	"$root/tests/schema_check" "$root/cli/schemas" doc*
'

test_case 'every schema is the one of a kind that some command prints' '
	for schema in "$root"/cli/schemas/*.json; do
		kind=$(basename "$schema" .json)
		[ $kind = Errors ] ||
			grep -rqF "\"$kind\"" "$root"/cli/*.c || exit 1
	done
'

test_case 'columns, order, titles and filter can be chosen' '
	oimctl list bdevs -C n1 --columns bdev,size --sort -size \
		--no-headers >out &&
	printf "d1   1GiB\nd0  64MiB\n" | cmp - out &&
	oimctl list bdevs -C n1 -l mapped=yes -o name >out &&
	[ "$(cat out)" = d0 ] &&
	oimctl list bdevs -C n1 -l mapped=yes,name=d1 -o json >out &&
	jq -e ".items == []" out
'

test_case 'an empty list is an empty list' '
	oimctl get nothing -o json >out && jq -e ".items == [] and .errors == []" \
		out &&
	oimctl get nothing -o name >out && [ ! -s out ] &&
	oimctl get nothing >out && [ "$(cat out)" = "PATH  VALUE" ]
'

# on_terminal COMMAND...: its output there, in the file "screen".
on_terminal() {
	/usr/bin/python3 - "$@" >screen <<-'END'
		import os, pty, sys
		os.environ["TERM"] = "xterm"
		sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
	END
}

test_case 'a terminal has colours, unless NO_COLOR or a dumb one forbid it' '
	on_terminal oimctl list bdevs -C n1 &&
	grep -q "$(printf "\033\\[")" screen &&
	NO_COLOR=1 on_terminal oimctl list bdevs -C n1 &&
	! grep -q "$(printf "\033")" screen &&
	on_terminal env TERM=dumb oimctl list bdevs -C n1 &&
	! grep -q "$(printf "\033")" screen &&
	on_terminal oimctl --color never list bdevs -C n1 &&
	! grep -q "$(printf "\033")" screen &&
	oimctl --color always list bdevs -C n1 >out &&
	grep -q "$(printf "\033\\[")" out
'

test_case 'without a command a terminal gets a summary of 20 lines' '
	on_terminal oimctl && [ "$(wc -l <screen)" -le 20 ]
'

test_case 'ids of any script and length are shown whole' '
	long=$(printf "x%.0s" {1..253}) &&
	for id in "größe 1" 体积 "$long" "a=b,c"; do
		oimctl provision "$id" 1M -C n1 &&
		oimctl list bdevs -C n1 -o name >out && grep -Fxq -- "$id" out &&
		oimctl list bdevs -C n1 >out && grep -Fq -- "$id" out &&
		oimctl provision "$id" 0 -y -C n1 || exit 1
	done
'

test_case 'ten thousand controllers are listed within 64 MiB' '
	for k in 0 1 2 3 4 5 6 7 8 9; do
		seq -f "register c$k%g host:%g" 1000 1999 |
			oimctl run - &
	done
	wait
	oimctl list controllers -o name >out &&
	[ "$(wc -l <out)" -ge 10000 ] &&
	case $B in *-*) exit 0 ;; esac
	for format in table json; do
		/usr/bin/python3 - $format <<-"END" || exit 1
			import resource, subprocess, sys
			subprocess.run(["oimctl", "list", "controllers", "-o",
					sys.argv[1]], check=True,
				       stdout=subprocess.DEVNULL)
			used = resource.getrusage(resource.RUSAGE_CHILDREN)
			print(used.ru_maxrss, "KiB", used.ru_utime, "s")
			sys.exit(used.ru_maxrss > 64 << 10)
		END
	done
'
