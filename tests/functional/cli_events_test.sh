#!/bin/bash
# Events, waiting for them, and lists that are watched.
# shellcheck disable=SC2016,SC2034,SC2154 # the tests are text for eval
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires jq --version
start_oimd reg --set controller.n1.plane=null || exit 1
start_oimd node --set controller.n2.plane=null --set registry.enabled=no \
	--set "controller.n2.registry=$addr_reg" || exit 1
oimctl wait controller n1 n2 --for registered || exit 1

# in_background NAME COMMAND...: its output is in NAME.log and NAME.log.err.
in_background() {
	local name=$1

	shift
	"$@" >"$name.log" 2>"$name.log.err" &
	printf -v "pid_$name" %s $!
	pids+=($!)
}

has() {
	grep -q -- "$1" "$2"
}

pids=()
at_end() {
	kill "${pids[@]}" 2>/dev/null
}

test_case 'events are a table, and name what they are about' '
	oimctl provision d0 1M && oimctl map d0 >/dev/null &&
	oimctl events >out && head -1 out >titles &&
	grep -qE "^TIME +KIND +CONTROLLER +OBJECT +MESSAGE$" titles &&
	grep -qE "bdev.provisioned +n1 +d0 +bdev \"d0\" of 1MiB" out &&
	grep -qE "volume.mapped +n1 +d0 " out &&
	grep -qE "controller.registered +n2 +- " out
'

test_case 'only some kinds, and only what is behind a position' '
	oimctl events --kind volume --kind bdev -o json >out &&
	jq -e "[.items[].type] == [\"bdev.provisioned\", \"volume.mapped\"]" out &&
	position=$(jq -r ".items[0].position" out) &&
	oimctl events --since "$position" --kind volume,bdev -o json >out &&
	jq -e "[.items[].type] == [\"volume.mapped\"]" out &&
	oimctl events --since "$(jq -r .position out)" -o json >out &&
	jq -e ".items == []" out && oimctl events --since 0 -o name >out &&
	[ ! -s out ] && oimctl events --since 1h -o name >out && [ -s out ] &&
	oimctl events --kind nothing -o name >out && [ ! -s out ]
'

test_case 'a position that is none, or not of this start, is refused' '
	fails_with 2 oimctl events --since yesterday 2>err &&
	grep -q "neither a position nor a duration" err &&
	fails_with 67 oimctl events --since x:y && 
	fails_with 75 oimctl events --since 0123456789abcdef:1 2>err &&
	grep -q "^hint: list again" err
'

test_case 'with --controller its own daemon tells' '
	oimctl -C n2 provision d2 1M && oimctl -C n2 events -o json >out &&
	jq -e "[.items[].object] == [\"d2\"]" out &&
	oimctl events -o json >out &&
	jq -e "[.items[] | select(.object == \"d2\")] == []" out
'

test_case 'what is followed is a document on each line' '
	in_background f oimctl events -f -o json --since 0 &&
	wait_for 20 oimctl set n1/x "$(date +%N)" &&
	until has value.set f.log; do oimctl set n1/x "$(date +%N)"; done &&
	jq -es "all(.kind == \"Event\")" f.log && kill $pid_f
'

test_case 'each of these documents keeps the promise of its schema' '
	/usr/bin/python3 -c "import jsonschema" 2>log || skip "needs jsonschema"
	head -1 f.log >event && oimctl events -o json >events &&
	"$root/tests/schema_check" "$root/cli/schemas" event events
'

test_case 'a followed table keeps its columns' '
	in_background t oimctl events -f &&
	wait_for 20 has registered t.log && oimctl set n1/y 1 &&
	wait_for 20 has n1/y t.log && kill $pid_t &&
	[ "$(grep -c ^TIME t.log)" = 1 ] && [ ! -s t.log.err ]
'

test_case 'events -f outlives a restart of the server, and says so' '
	in_background r oimctl events -f --kind value -o json &&
	wait_for 20 has n1/y r.log && stop_oimd reg &&
	start_oimd reg --set controller.n1.plane=null &&
	oimctl set n1/z 1 && wait_for 20 has n1/z r.log && kill $pid_r &&
	grep -q "warning: events were missed" r.log.err &&
	[ "$(jq -r .position r.log | sort | uniq -d)" = "" ]
'

test_case 'after the connection broke it goes on behind what was told' '
	in_background s oimctl -C n2 events -f -o json &&
	wait_for 20 has d2 s.log && stop_oimd reg &&
	oimctl -s "$addr_node" -C n2 provision d3 1M &&
	start_oimd reg --set controller.n1.plane=null &&
	wait_for 20 has d3 s.log && kill $pid_s && [ ! -s s.log.err ] &&
	jq -es "[.[].object] == [\"d2\", \"d3\"]" s.log
'

test_case 'wait ends at once when it is so already' '
	oimctl wait controller n1 n2 --for ready --timeout 20s &&
	oimctl wait bdev d2 --for present && oimctl wait bdev d2 --for unmapped &&
	oimctl wait mapping nothing --for absent &&
	oimctl wait controller nothing --for absent -o json >out &&
	jq -e ".items == [{name: \"nothing\", result: \"absent\"}]" out
'

test_case 'wait ends with 3 when the time is over' '
	fails_with 3 oimctl wait mapping none --for attached -t 50ms >out 2>err &&
	[ ! -s out ] && grep -q "none is not attached" err &&
	fails_with 3 oimctl wait bdev d2 none --for present -t 50ms -o json >out &&
	jq -e "[.items[].result] == [\"present\", \"not present\"]" out &&
	fails_with 3 oimctl wait controller n9 --for ready -t 50ms -q 2>err &&
	[ ! -s err ]
'

test_case 'what cannot be asked is not absent for sure' '
	oimctl register -q n9 "unix:$dir/nobody.sock" &&
	fails_with 3 oimctl wait bdev gone --for absent -t 300ms 2>err &&
	grep -q "warning: n9 cannot be asked" err &&
	oimctl wait bdev d2 --for present && oimctl unregister n9 --yes
'

test_case 'a state that there is not is refused' '
	fails_with 2 oimctl wait mapping x --for attachd 2>err &&
	grep -q "did you mean \"attached\"" err &&
	fails_with 2 oimctl wait mapping x 2>err && grep -q -- "--for" err &&
	fails_with 2 oimctl wait bdev x --for ready 2>err &&
	grep -q "states: present, mapped" err
'

test_case 'a script waits for what others do, wherever it is' '
	in_background m oimctl wait mapping d2 --for attached -t 20s &&
	in_background b oimctl wait bdev d9 --for present -t 20s &&
	in_background c oimctl wait controller n7 --for registered -t 20s &&
	in_background a oimctl wait bdev gone --for absent -t 20s &&
	oimctl -C n2 map d2 >/dev/null && wait $pid_m &&
	oimctl -C n1 provision d9 1M && wait $pid_b &&
	oimctl register -q n7 x && wait $pid_c && wait $pid_a &&
	oimctl unregister n7 --yes &&
	in_background u oimctl wait mapping d2 --for absent -t 20s &&
	oimctl -C n2 unmap d2 && wait $pid_u
'

test_case 'wait bears that the server is started again' '
	in_background w oimctl wait bdev d8 --for present -t 30s --trace &&
	wait_for 20 has WatchEvents w.log.err &&
	wait_for 20 has ListBDevs w.log.err &&
	stop_oimd reg && start_oimd reg --set controller.n1.plane=null &&
	oimctl -C n1 provision d8 1M && wait $pid_w
'

test_case 'without a server wait fails at once' '
	fails_with 78 oimctl -s $dir/nobody wait bdev d --for present 2>err &&
	fails_with 78 oimctl -s $dir/nobody events -f 2>err &&
	fails_with 78 oimctl -s $dir/nobody list bdevs -w 2>err
'


test_case 'a list is printed again when it has changed' '
	in_background l oimctl list mappings -w -o json &&
	wait_for 20 has MappingList l.log && oimctl -C n2 map d2 >/dev/null &&
	wait_for 20 has attached l.log && oimctl set n1/unrelated 1 &&
	oimctl -C n2 unmap d2 && wait_for 20 eval "[ \$(wc -l <l.log) = 3 ]" && kill $pid_l &&
	jq -es "[.[].items | length] == [0, 1, 0]" l.log
'

test_case 'tables are separated by a line, without escape sequences' '
	in_background k oimctl list controllers --watch &&
	wait_for 20 has CONTROLLER k.log && oimctl register -q n8 x &&
	wait_for 20 has n8 k.log && kill $pid_k &&
	oimctl unregister n8 --yes && ! grep -q "$(printf "\033")" k.log &&
	[ "$(grep -c "^$" k.log)" = 1 ] && [ "$(grep -c ^CONTROLLER k.log)" = 2 ]
'

test_case 'on a terminal the list takes the place of the last one' '
	cat >terminal.py <<-"END" &&
		import os, pty, sys
		os.environ["TERM"] = "xterm"
		pid, fd = pty.fork()
		if pid == 0:
		    os.execvp(sys.argv[1], sys.argv[1:])
		while True:
		    os.write(1, os.read(fd, 4096))
	END
	in_background p /usr/bin/python3 terminal.py oimctl list controllers -w &&
	wait_for 20 has n2 p.log && oimctl register -q n8 x &&
	wait_for 20 has n8 p.log && kill $pid_p &&
	oimctl unregister n8 --yes &&
	[ "$(grep -o "\[H.\[2J" p.log | wc -l)" = 2 ]
'

test_case 'a dry run of all these sends nothing' '
	oimctl -n events -f -o json >out && jq -e ".items | length == 1" out &&
	oimctl -n wait bdev x --for mapped >out && grep -q WatchEvents out &&
	oimctl -n list mappings -w >out && grep -q WatchEvents out
'
