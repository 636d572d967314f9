# What callgrind wrote, as instructions and calls of each function for one job: `awk -v jobs=N -f callgrind.awk FILE`.
# (`callgrind_annotate` takes the functions that were running when the counts were set to zero for the most costly ones.)

# The number by which a function is known in the file; its name stands behind it the first time.
function number(line,    id, name) {
    match(line, /\([0-9]+\)/)
    id = substr(line, RSTART, RLENGTH)
    name = substr(line, RSTART + RLENGTH + 1)
    if (name != "") names[id] = name
    return id
}
/^fn=/ { current = number($0); next }
/^cfn=/ { callee = number($0); next }
# The line behind a call has what the callee cost.
/^calls=/ { split($1, count, "="); calls[callee] += count[2]; skip = 1; next }
/^[0-9+*-]/ { if (skip) skip = 0; else own[current] += $2 }
END { for (id in own) if (own[id] >= jobs / 2) printf "%9.1f %7.2f  %s\n", own[id] / jobs, calls[id] / jobs, names[id] }
