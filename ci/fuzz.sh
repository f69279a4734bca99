#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other: go test takes only
# one at a time.
#
#     bash ci/fuzz.sh [FUZZTIME]      as go test -fuzztime, 60s by default
#
# A failing input is kept under the package's testdata/fuzz, where plain go test
# finds it again: commit it with the fix.
set -euo pipefail
cd "$(dirname "$0")/.."
fuzztime=${1:-60s}

failed=0
while IFS=: read -r file target; do
	echo "fuzz $(dirname "$file") $target $fuzztime"
	go test "./$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" -fuzzminimizetime 20x </dev/null || failed=1
done < <(git -c safe.directory='*' ls-files --cached --others --exclude-standard '*_test.go' |
	xargs -r grep -HoE '^func Fuzz[A-Za-z0-9_]*' | sed 's/:func /:/' | sort)
exit $failed
