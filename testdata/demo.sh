#!/bin/sh
# The main job on real data: import the cities of testdata/cities, look at them,
# verify, export, and compare with what came in.
# usage: demo.sh path/to/lightning
set -eu

lightning=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
source=$(cd "$(dirname "$0")" && pwd)/cities/cities.jsonl.gz
work=$(mktemp -d "${TMPDIR:-/tmp}/lightning-demo.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work"

step() { printf '\n== %s\n' "$1"; }
run() {
	printf '$ lightning'
	for word in "$@"; do
		case $word in
		*[!A-Za-z0-9_./:=-]*) printf " '%s'" "$word" ;;
		*) printf ' %s' "$word" ;;
		esac
	done
	printf '\n'
	"$lightning" "$@" 2>&1
}

cp "$source" cities.jsonl.gz

step "Import cities of all countries (GeoNames, CC BY 4.0), one key each"
run import cities.db cities.jsonl.gz --key 'city:{id}'

step "Read one, and the first three of Iceland"
run get cities.db city:IS:000001 --newline always
run scan cities.db --prefix city:IS: --limit 3 -o table --values -V json

step "Count them"
run count cities.db
run count cities.db --prefix city:JP:

step "Write and delete"
run put cities.db city:XX:1 '{"name":"Atlantis"}'
run delete cities.db city:XX:1

step "What it takes on disk, and a check of every byte"
run stats cities.db
run verify cities.db

step "Export, and compare with what was imported"
run export cities.db out.jsonl -V json
gzip -dc cities.jsonl.gz | tr -d ' ' | sort >want
# {"key":"city:AD:000001","value":{...}} holds the record as it was imported.
sed 's/^{"key":"[^"]*","value"://; s/}$//' out.jsonl | tr -d ' ' | sort >have
cmp want have
echo "every record came back as it went in: $(wc -l <have | tr -d ' ') records"
