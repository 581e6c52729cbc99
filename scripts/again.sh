#!/usr/bin/env bash
# again.sh LOG: asks tests that failed beside thousands of others once more, alone. One that holds then has
# lost a race: it is told of by name, for somebody to mend. Succeeds when all hold. More than three are
# no accident, and neither is a program of tests that ended without saying which.
. "$(dirname "$0")/lib.sh"
cd "$repo"

log=$1 passed=0
# The names stand after the last line `failures:` of a program, indented.
mapfile -t names < <(awk '/^test result: /{ listed = 0 } /^failures:$/{ listed = 1; next }
    listed && NF == 1 && /^    [a-z]/{ print $1 }' "$log" | sort -u)
mapfile -t programs < <(sed -nE 's/^ +`(-p [^`]+)`$/\1/p' "$log")
failed=$(sed -nE 's/^test result:.* ([0-9]+) failed.*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
[ "$failed" -ge 1 ] && [ "$failed" -le 3 ] && [ "$failed" = "${#names[@]}" ] || exit 1
[ "${#programs[@]}" -ge 1 ] || exit 1

for program in "${programs[@]}"; do
    # shellcheck disable=SC2086 # the words of an option
    output=$(cargo test --locked --quiet $program -- --exact --test-threads=1 "${names[@]}" 2>&1 </dev/null) || {
        printf '%s\n' "$output"
        exit 1
    }
    held=$(sed -nE 's/^test result:.* ([0-9]+) passed.*/\1/p' <<<"$output" | awk '{ n += $1 } END { print n + 0 }')
    passed=$((passed + held))
done
[ "$passed" = "$failed" ] || exit 1
for name in "${names[@]}"; do echo "FLAKY: $name failed beside the others and held alone"; done
