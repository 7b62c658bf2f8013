#!/usr/bin/env bash
#
# The benchmarks of this module at another revision and in this tree, in turn, and
# what benchstat makes of it:
#
#   bench/compare.sh REVISION     (make bench-compare BASE=REVISION)
#
# Variables: BENCH (pattern), PACKAGES, COUNT (rounds), BENCHTIME (of one).

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

base="${1:?usage: bench/compare.sh REVISION}"
BENCH="${BENCH:-HotLoad\$|ColdLoad|EmptyView|UpdateOne|Update1000|CommitRaw|Begin\$}"
PACKAGES="${PACKAGES:-durus filestorage}"
COUNT="${COUNT:-6}"
BENCHTIME="${BENCHTIME:-300ms}"
BENCHSTAT="golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da"

work="$(mktemp -d)"
trap 'git worktree remove --force "$work/tree" 2>/dev/null || true; rm -rf "$work"' EXIT
git worktree add --quiet --detach "$work/tree" "$base"

for p in $PACKAGES; do
	(cd "$work/tree" && go test -c -o "$work/base-$p.test" "./$p")
	go test -c -o "$work/this-$p.test" "./$p"
done
for round in $(seq "$COUNT"); do
	echo "round $round of $COUNT" >&2
	for p in $PACKAGES; do
		for side in base this; do
			tree="$PWD"
			[ "$side" = this ] || tree="$work/tree"
			(cd "$tree/$p" && "$work/$side-$p.test" -test.run '^$' -test.bench "$BENCH" -test.benchtime "$BENCHTIME" -test.benchmem) >>"$work/$side.txt"
		done
	done
done
go run "$BENCHSTAT" "base=$work/base.txt" "this=$work/this.txt"
