# Of the log of tests: what each that failed has said, from its first words and its last ones, so that
# the end of a long log tells the reason. Backtraces are left out.

function tell(what, lines, count,    i) {
    print "-- " what
    for (i = 0; i < count; i++) {
        if (count > 40 && i == 10) {
            print "    ..."
            i = count - 30
        }
        print "    " substr(lines[i], 1, 300)
    }
    told++
}

function close_test() {
    if (name != "" && told >= 20) told++
    if (name != "" && told < 20) tell(name, said, count)
    name = ""
    count = 0
}

{ sub(/\r$/, "") }
/^ +[0-9]+: / || /^ +at / || /^(stack backtrace|note: ).*/ { next }

# The output of a failed test, and after all of them their names once more.
/^failures:$/ { close_test(); failures = 1; next }
/^successes:$/ || /^test result: / { close_test(); failures = 0 }
failures && /^---- .* stdout ----$/ { close_test(); name = $2; next }
name != "" { said[count++] = $0; next }

# A program of tests that ended without a word about which.
/^running [0-9]+ tests?$/ { recent_count = 0 }
/^error: test failed, to rerun pass / {
    if (told == before) tell($0, recent, recent_count)
    before = told
    recent_count = 0
    next
}
{ recent[recent_count++] = $0 }

# What counts by itself, and steps that are no tests.
/^(FAIL|vm: failed|vm: never ended|vm: left behind)/ { marked[marks++] = $0; after = 6 }
/^ +/ && after-- > 0 { marked[marks++] = $0 }
END {
    close_test()
    if (marks) tell("marked as failed", marked, marks)
    if (!told) tell("its last lines", recent, recent_count)
}
