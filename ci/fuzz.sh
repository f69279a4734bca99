#!/usr/bin/env bash
# Runs every fuzz target of the module, as many at a time as there are
# processors, each on one of them.
#
#     bash ci/fuzz.sh [LONG [SHORT]]      as go test -fuzztime, 60s and LONG by default
#
# LONG is for what reads a stranger's bytes: everything under extensions/crowd
# (the stream reader, the answers, the templates) and the campaign loader. SHORT
# is for the others. A new target has its time by where it is.
#
# A failing input is kept under the package's testdata/fuzz, where plain go test
# finds it again: commit it with the fix. Inputs that reach code which no seed
# reaches are kept there too.
set -euo pipefail
cd "$(dirname "$0")/.."
export LONG=${1:-60s} SHORT=${2:-${1:-60s}}

# fuzz FILE:TARGET: what it prints is kept together.
fuzz() {
	local dir target=${1#*:} time=$SHORT out code=0
	dir=$(dirname "$1")
	case "$dir:$target" in extensions/crowd* | scenarios:FuzzParse) time=$LONG ;; esac
	out=$(go test "./$dir" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 20x -parallel 1 2>&1 </dev/null) || code=1
	# go test -fuzz now and then takes the end of its own time for a failure: then
	# this one line is all that it has to say, and no input.
	if [ $code = 1 ] && [ "$(grep -A1 '^--- FAIL' <<<"$out" | tail -n +2)" = "    context deadline exceeded" ]; then code=0; fi
	printf 'fuzz %s %s %s\n%s\n' "$dir" "$target" "$time" "$out"
	return $code
}
export -f fuzz

git -c safe.directory='*' ls-files --cached --others --exclude-standard '*_test.go' |
	xargs -r grep -HoE '^func Fuzz[A-Za-z0-9_]*' | sed 's/:func /:/' | sort |
	xargs -P "$(getconf _NPROCESSORS_ONLN)" -I{} bash -c 'fuzz "$1"' _ {}
