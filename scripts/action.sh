#!/bin/bash
# What action.yml runs: action.sh SYMPROBE, with TARGETS, CONTRACT, RULES and SARIF in the
# environment. Globs are left to symprobe; quotes in RULES mean what they mean in a shell.
set -euo pipefail
symprobe=$1
set -f
arguments=(check)
# shellcheck disable=SC2206
arguments+=(${TARGETS:-})
if [ -n "${RULES:-}" ]; then
	while IFS= read -r -d '' word; do
		arguments+=("$word")
	done < <(printf '%s' "$RULES" | xargs printf '%s\0')
fi
if [ -n "${CONTRACT:-}" ]; then
	arguments+=(--contract "$CONTRACT")
fi
if [ -n "${SARIF:-}" ]; then
	"$symprobe" "${arguments[@]}" --format sarif --output "$SARIF" >/dev/null || true
fi
exec "$symprobe" "${arguments[@]}" --format github
