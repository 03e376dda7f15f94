#!/bin/bash
# Where oimctl says that a disk is: real loop devices.
# shellcheck disable=SC2016,SC2154 # the tests are text for eval
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires_root
requires losetup --version
requires jq --version
memory=/dev/shm/$(basename "$dir")
kernel=(--set controller.k.plane=kernel --set "controller.k.memory-dir=$memory")

at_end() {
	local d

	for d in d1 d2; do
		oimctl -s "unix:$dir/k.sock" unmap "$d"
		oimctl -s "unix:$dir/far.sock" unmap "$d"
	done
	rm -rf "$memory" "$memory-far"
} >/dev/null 2>&1

start_oimd k "${kernel[@]}" || exit 1
oimctl provision d1 1M || exit 1
oimctl map d1 >/dev/null 2>err || {
	grep -q 'root\|loop' err && skip "$(head -n 1 err)"
	cat err
	exit 1
}

test_case 'map prints the node of the disk, which has the size of the bdev' '
	disk=$(oimctl map d1 -o value=/path) && [ -b "$disk" ] &&
	[ "$(blockdev --getsize64 "$disk")" = 1048576 ] &&
	oimctl map d1 >out && grep -q "^PATH  *$disk$" out &&
	oimctl show mapping d1 -o value=/path >out && [ "$(cat out)" = "$disk" ]
'

test_case 'the data survives being unmapped' '
	disk=$(oimctl map d1 -o value=/path) &&
	echo something >"$disk" && oimctl unmap d1 && [ ! -s "$disk" ] &&
	disk=$(oimctl map d1 -o value=/path) && [ "$(head -n 1 "$disk")" = something ]
'

test_case 'the disk is found through a registry too' '
	start_oimd reg --set controller.enabled=no &&
	oimctl -s "$addr_reg" register k "$addr_k" &&
	oimctl -s "$addr_reg" -C k map d1 -o json >out &&
	oimctl map d1 -o json >direct && cmp out direct &&
	jq -e ".controllerId == \"k\" and (.path | startswith(\"/dev/loop\"))" out
'

test_case 'the same device of another host is not taken for one of this' '
	unshare --uts true || skip "needs unshare"
	start_oimd reg2 --set controller.enabled=no &&
	start_server far 1 "listening on " unshare --uts sh -c "
		hostname elsewhere
		exec $B/oimd --config /dev/null \
			--set daemon.listen=$dir/far.sock \
			--set daemon.run-dir=$dir/far.run \
			--set daemon.state-dir=$dir/far.state \
			--set controller.far.plane=kernel \
			--set controller.far.memory-dir=$memory-far" &&
	oimctl -s "$addr_reg2" register far "unix:$dir/far.sock" &&
	oimctl -s "$addr_reg2" -C far provision d2 1M &&
	oimctl -s "$addr_reg2" -C far map d2 -o json >out &&
	jq -e ".path == \"\" and (.device | contains(\"/loop\"))" out &&
	oimctl -s "$addr_reg2" show mapping d2 -o value=/path >out &&
	[ "$(cat out)" = "" ] &&
	oimctl -s "unix:$dir/far.sock" unmap d2
'

test_case 'a disk that is in use is not unmapped, and the holder named' '
	mkfs.ext4 -V 2>log || skip "needs mkfs.ext4"
	disk=$(oimctl map d1 -o value=/path) && mkfs.ext4 -q -F "$disk" &&
	mkdir -p mnt && mount "$disk" mnt &&
	{ fails_with 73 oimctl unmap d1 2>err; status=$?; umount mnt; } &&
	[ $status = 0 ] && grep -q "mnt" err && oimctl unmap d1
'
