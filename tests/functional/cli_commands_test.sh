#!/bin/bash
# What each command does, on the null plane.
# shellcheck disable=SC2016,SC2154 # the tests are text for eval
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires jq --version
start_oimd a --set controller.n1.plane=null || exit 1

# is_quiet COMMAND...: it succeeds and says nothing at all.
is_quiet() {
	"$@" >out 2>err && cat out err && [ ! -s out ] && [ ! -s err ]
}

# prints TEXT COMMAND...: it succeeds and prints just that.
prints() {
	local text=$1

	shift
	"$@" >out 2>err && cat out err &&
		[ "$(cat out)" = "$text" ] && [ ! -s err ]
}

test_case 'a bdev can be provisioned, mapped, unmapped, and deleted' '
	is_quiet oimctl provision d0 64M &&
	oimctl map d0 >out && grep -q "^DEVICE  */devices/virtual/" out &&
	is_quiet oimctl unmap d0 &&
	oimctl check d0 &&
	is_quiet oimctl provision d0 0 --yes &&
	fails_with 69 oimctl check d0
'

test_case 'commands that are finished can be repeated' '
	oimctl provision d1 1M && oimctl provision d1 1M &&
	oimctl map d1 -o json >one && oimctl map d1 -o json >two &&
	cmp one two &&
	oimctl unmap d1 && oimctl unmap d1 &&
	oimctl provision d1 0 -y && oimctl provision d1 0 -y &&
	oimctl unregister nobody --yes && oimctl unset nobody/pci --yes
'

test_case 'with --must-exist absence is an error' '
	fails_with 69 oimctl unmap nothing --must-exist &&
	fails_with 69 oimctl provision nothing 0 --yes --must-exist &&
	fails_with 69 oimctl unregister nobody --yes --must-exist &&
	fails_with 69 oimctl unset nobody/pci --yes --must-exist &&
	fails_with 69 oimctl get nobody --must-exist
'

test_case 'map prints one document of seven fields' '
	oimctl provision d2 1M &&
	oimctl map d2 -o json >out 2>err && [ ! -s err ] &&
	jq -e "keys_unsorted == [\"apiVersion\", \"kind\", \"volumeId\",
		\"controllerId\", \"device\", \"scsi\", \"path\"] and
		.apiVersion == \"oimctl/v1\" and .kind == \"Mapping\" and
		.volumeId == \"d2\" and .controllerId == \"n1\" and
		.path == \"\"" out
'

test_case 'what is mapped is listed' '
	oimctl provision d2 1M && oimctl map d2 &&
	prints d2 oimctl list mappings -o name &&
	oimctl ls mapping -o json >out &&
	jq -e ".items[0] | .state == \"attached\" and .size == \"1048576\" and
		.type == \"malloc\"" out &&
	prints n1 oimctl show mapping d2 -o value=/controllerId
'

test_case 'a bdev that is mapped is not deleted' '
	oimctl provision d2 1M && oimctl map d2 &&
	fails_with 73 oimctl provision d2 0 --yes
'

test_case 'bdevs are listed and shown' '
	oimctl provision d3 1536K &&
	oimctl list bdevs >out && grep -Eq "^d3 +n1 +malloc +1.5MiB +no" out &&
	prints 1572864 oimctl show bdevs d3 -o value=/size &&
	fails_with 69 oimctl show bdev nothing
'

test_case 'several can be shown at once, and those that are not there named' '
	oimctl provision d6 1M && oimctl provision d7 1M &&
	oimctl show bdev d7 d6 -o json >out &&
	jq -e ".kind == \"BDevList\" and (.items | length) == 2" out &&
	fails_with 4 oimctl show bdev d6 nothing 2>err &&
	grep -q "nothing: there is no such bdev" err
'

test_case 'of several volumes those that fail are named, the others are done' '
	oimctl provision d5 1M &&
	fails_with 4 oimctl check d5 nothing >out 2>err &&
	grep -Eq "^d5 +ok" out &&
	grep -q "check nothing: .*NOT_FOUND" err &&
	fails_with 4 oimctl check d5 nothing -o json >out 2>err &&
	[ ! -s err ] &&
	jq -e ".items[0].name == \"d5\" and .errors[0].target == \"nothing\" and
		.errors[0].code == \"NOT_FOUND\"" out
'

test_case 'if all fail in the same way that is said once' '
	fails_with 78 oimctl -s $dir/nobody.sock unmap a b c 2>err &&
	[ "$(grep -c ^oimctl: err)" = 1 ]
'

test_case 'controllers can be registered and unregistered' '
	is_quiet oimctl register node-7 node-7.example.com:8999 &&
	prints node-7.example.com:8999 \
		oimctl get node-7/address -o value=/value &&
	oimctl list controllers >out && grep -q "^node-7 " out &&
	is_quiet oimctl unregister node-7 --yes &&
	oimctl list controllers -o name >out && ! grep -q node-7 out
'

test_case 'register can set the PCI address too' '
	oimctl register node-8 node-8:8999 --pci 0000:00:15.0 &&
	prints 0000:00:15.0 oimctl get node-8/pci -o value=/value &&
	fails_with 2 oimctl register node-8 node-8:8999 --pci here &&
	oimctl unset node-8/pci --yes && oimctl unregister node-8 --yes
'

test_case 'an address that cannot be dialled is registered with a warning' '
	oimctl register odd foo://bar >out 2>err &&
	[ ! -s out ] && grep -q "^oimctl: warning: " err &&
	prints foo://bar oimctl get odd/address -o value=/value &&
	is_quiet oimctl -q register odd foo://bar &&
	oimctl unregister odd --yes
'

test_case 'values can be set, read and removed' '
	is_quiet oimctl set x/y/z 1 && is_quiet oimctl set x/y/zz 2 &&
	prints 1 oimctl get x/y/z -o value=/value &&
	oimctl get x -o json >out && jq -e ".items | length == 2" out &&
	is_quiet oimctl unset x/y/z x/y/zz --yes &&
	oimctl get x -o json >out && jq -e ".items == []" out
'

test_case 'set with an empty value is refused, since it would remove' '
	oimctl set x/y 1 && fails_with 2 oimctl set x/y "" &&
	prints 1 oimctl get x/y -o value=/value && oimctl unset x/y --yes
'

test_case 'status says what is wrong first and what to do last' '
	oimctl status >out && tail -n 1 out | grep -q "^next: oimctl " &&
	oimctl status -o json >out &&
	jq -e ".problems == [] and .controllers[0].controllerId == \"n1\"" out
'

test_case 'a server without controllers suggests to register one' '
	start_oimd empty --set controller.enabled=no &&
	oimctl -s "$addr_empty" status >out &&
	[ "$(tail -n 1 out)" = "next: oimctl register ID ADDRESS" ] &&
	stop_oimd empty
'

test_case 'health tells what is serving' '
	prints SERVING oimctl health -o value=/status &&
	prints SERVING oimctl health oim.v0.Registry -o value=/status &&
	fails_with 69 oimctl health no.such.Service
'

test_case 'version shows both programs and the dialect' '
	oimctl version -o json >out &&
	jq -e ".client == .server and .dialect == \"values\"" out &&
	oimctl version --client -s $dir/nobody.sock -o json >out &&
	jq -e "has(\"server\") | not" out &&
	prints "oimctl $(oimctl version --client -o value=/client)" oimctl -V
'

test_case 'any method can be called' '
	oimctl call oim.v0.Registry/GetControllers >out &&
	jq -e ".entries[] | select(.controllerId == \"n1\")" out &&
	oimctl call /oim.v0.Controller/CheckMallocBDev "{\"bdevName\":\"d3\"}" &&
	echo "{\"bdevName\":\"d3\"}" >in &&
	oimctl call oim.v0.Controller/CheckMallocBDev @in &&
	oimctl call oim.v0.Controller/CheckMallocBDev - <in &&
	fails_with 69 oimctl call oim.v0.Controller/CheckMallocBDev \
		"{\"bdevName\":\"nothing\"}"
'

test_case 'a request that is no request is refused before it is sent' '
	fails_with 2 oimctl call oim.v0.Controller/CheckMallocBDev "{" &&
	fails_with 2 oimctl call oim.v0.Controller/CheckMallocBDev "[]" &&
	fails_with 2 oimctl call oim.v0.Controller/CheckMallocBDev \
		"{\"nme\":\"d3\"}" &&
	fails_with 2 oimctl call oim.v0.Controler/CheckMallocBDev 2>err &&
	grep -q "did you mean oim.v0.Controller/CheckMallocBDev" err
'

test_case 'a stream prints one document on each line' '
	fails_with 68 oimctl call grpc.health.v1.Health/Watch -t 300ms \
		>out 2>err &&
	[ "$(cat out)" = "{\"status\":\"SERVING\"}" ] &&
	m=grpc.reflection.v1.ServerReflection/ServerReflectionInfo &&
	printf "%s\n%s\n" "{\"listServices\":\"\"}" \
		"{\"fileContainingSymbol\":\"oim.v0.Registry\"}" >in &&
	oimctl call $m @in >out && [ "$(wc -l <out)" = 2 ] &&
	jq -es ".[0].listServicesResponse.service | length > 4" out
'

test_case 'all methods are listed, or those of a service' '
	oimctl methods -o name >out && grep -qx oim.v0.Registry/SetValue out &&
	oimctl methods oim.v0.Controller -o json >out &&
	jq -e ".items | length == 4" out &&
	fails_with 2 oimctl methods oim.v0.Controler
'

test_case 'dry run shows the calls and sends none' '
	oimctl -n provision dry 1M -C n1 -o json >out &&
	jq -e ".kind == \"CallList\" and .items[0].method ==
		\"oim.v0.Controller/ProvisionMallocBDev\" and
		.items[0].controllerId == \"n1\" and
		.items[0].request == {bdevName: \"dry\", size: \"1048576\"}" out &&
	fails_with 69 oimctl check dry &&
	oimctl -n unregister n1 && oimctl check d3
'

test_case 'trace tells what went over the wire, on stderr' '
	oimctl --trace check d3 -o name >out 2>err &&
	[ "$(cat out)" = d3 ] &&
	grep -q "^> /oim.v0.Controller/CheckMallocBDev .*{\"bdevName\":\"d3\"}" \
		err &&
	grep -Eq "^< OK in [0-9.]+ ms" err &&
	OIMCTL_TRACE=1 oimctl check d3 2>err && grep -q "^< OK" err
'

test_case 'verbose says what was done' '
	oimctl -v set x/y 1 2>err && grep -q "x/y set" err &&
	oimctl -v unset x/y -y 2>err && grep -q "x/y unset" err
'

test_case 'a controller of the daemon can be named' '
	oimctl -C n1 check d3 && fails_with 78 oimctl -C n2 check d3 2>err &&
	grep -q "controller \"n2\" is not registered (UNAVAILABLE)" err &&
	grep -q "^hint: registered controllers: n1" err
'
