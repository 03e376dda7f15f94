# Reads strace -f -y of a program that says "put ID" before it submits to a
# store and "ack ID" when that is durable. Proves for each ack that between the
# two a sync of data.mdb has begun and ended, and then a write of the root.

# The words of a line once the pid is cut off; a call in two parts has its
# beginning at "<unfinished ...>" and its end at "resumed>".
{
	pid = $1
	sub(/^[0-9]+ +/, "")
	begins = !/^<\.\.\. /
	ends = !/<unfinished \.\.\.>$/
}

/^openat\(.*data\.mdb", .*O_DSYNC/ {
	if (match($0, /= [0-9]+</))
		root = substr($0, RSTART + 2, RLENGTH - 3)
}

begins && /^fdatasync\([0-9]+<.*data\.mdb>/ { sync_began[pid] = NR }
ends && sync_began[pid] && /fdatasync/ {
	if (!/ = 0$/)
		fail("a sync failed: " $0)
	synced = sync_began[pid]	# what was submitted before is in it
	sync_began[pid] = 0
	syncs++
}

begins && root != "" && index($0, "pwrite64(" root "<") == 1 {
	if (!synced)
		fail("a root was written before its pages were synced")
	root_began[pid] = synced
	synced = 0
}
ends && root_began[pid] && /pwrite64/ {
	if (!/ = [1-9][0-9]*$/)
		fail("a root was not written: " $0)
	durable = root_began[pid]
	root_began[pid] = 0
	roots++
}

begins && match($0, /^write\(1<[^>]*>, "put [0-9\/]+/) {
	put[id()] = NR
}
begins && match($0, /^write\(1<[^>]*>, "ack [0-9\/]+/) {
	if (!(id() in put))
		fail("acknowledged before it was put: " id())
	if (put[id()] >= durable)
		fail("acknowledged before it was durable: " id())
	acks++
}

function id(    s) {
	s = substr($0, RSTART, RLENGTH)
	sub(/.* /, "", s)
	return s
}

function fail(why) {
	print "line " NR ": " why
	failed = 1
	exit 1
}

END {
	if (failed)
		exit 1
	# One more commit made the store.
	if (!acks || roots != syncs || (threads == 1 && roots != acks + 1))
		fail(acks + 0 " acks, " syncs + 0 " syncs, " roots + 0 " roots")
	print "ok 1 - " acks " acknowledged by " threads " threads, each after its " \
	      "sync and root; " syncs " syncs, " roots " roots"
}
