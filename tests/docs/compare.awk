# compare.awk EXPECTED STDOUT STDERR: prints the first difference, if any, and fails. run.sh has the rules. Of the machine,
# and not compared:
#   - a number before "s", "tokens/s" or "images/s", or in a column with such a heading; a number that ends in "x"
#   - words of 16 hexadecimal digits; folders of absolute paths
# To 30 %: a number before "MiB", or in the column of memory by phase of plan.

FILENAME == ARGV[1] {
  if ($0 ~ /^espalier: /) wanted_log[++n_wanted_log] = $0
  else wanted[++n_wanted] = $0
  next
}
FILENAME == ARGV[2] { found[++n_found] = $0; next }
/^espalier: / { found_log[++n_found_log] = $0 }

END {
  if (differ_out(1, 1) || differ_log()) {
    print reason
    exit 1
  }
}

function differ_out(i, j) {
  for (; i <= n_wanted; i++) {
    if (wanted[i] == "...") return skip_lines(i + 1, j)
    if (j <= n_found) note_headings(found[j])
    if (j > n_found || !is_same(wanted[i], found[j])) return explain(wanted[i], j > n_found ? "nothing more" : found[j])
    j++
  }
  return j <= n_found ? explain("nothing more", found[j]) : 0
}

# Lines left out: go on with the first line that fits the next wanted one.
function skip_lines(i, j) {
  if (i > n_wanted) return 0
  for (; j <= n_found; j++) {
    note_headings(found[j])
    if (is_same(wanted[i], found[j])) return differ_out(i, j)
  }
  return explain(wanted[i], "no such line")
}

function differ_log(i, j) {
  j = 0
  for (i = 1; i <= n_wanted_log; i++) {
    while (++j <= n_found_log && !is_same(wanted_log[i], found_log[j])) { }
    if (j > n_found_log) return explain(wanted_log[i], "no such line in the log")
  }
  return 0
}

function explain(expected, got) {
  reason = "expected: " expected "\nfound:    " got
  return 1
}

# Columns are aligned to the right: remember where headings of times end, until the next empty line.
function note_headings(line, at, word) {
  if (line == "") {
    split("", is_time)
    memory_end = 0
  }
  if (line ~ /^phase .*MiB a rank/) memory_end = index(line, "MiB a rank") + 9
  at = 0
  while (match(substr(line, at + 1), /[^ ]+/)) {
    at += RSTART + RLENGTH - 1
    word = substr(line, at - RLENGTH + 1, RLENGTH)
    if (word == "s" || word == "tokens/s" || word == "images/s") is_time[at] = 1
  }
}

function is_same(expected, got, e, g, n, n_got, i, at, rest) {
  if (expected == got) return 1
  n = split(expected, e, /[ \t]+/)
  n_got = split(got, g, /[ \t]+/)
  if (e[n] == "...") n--
  else if (n != n_got) return 0
  at = 0
  for (i = 1; i <= n; i++) {
    if (i > n_got) return 0
    rest = substr(got, at + 1)
    at += index(rest, g[i]) + length(g[i]) - 1
    if (!is_same_word(e[i], g[i], i < n_got ? g[i + 1] : "", at)) return 0
  }
  return 1
}

function is_same_word(expected, got, following, at) {
  if (expected == got) return 1
  if (is_checksum(expected) && is_checksum(got)) return 1
  if (expected ~ /^\// && got ~ /^\//) return basename(expected) == basename(got)
  if (!is_number(expected) || !is_number(got) || decoration(expected) != decoration(got)) return 0
  if (expected ~ /x$/ || following ~ /^(tokens\/|images\/)?s[,;.)]*$/ || (at in is_time)) return 1
  return is_near(number(expected), number(got), following ~ /^MiB/ || at == memory_end ? 0.3 : 0.01)
}

function is_checksum(word) { return length(word) == 16 && word ~ /^[0-9a-f]+$/ }
function is_number(word) { return word ~ /^[(+-]*[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?[%x]?[,;:.)]*$/ }

function number(word) {
  gsub(/[(%x,;:)]|\.$/, "", word)
  return word
}

# What stands around the digits.
function decoration(word) {
  gsub(/[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?/, "", word)
  return word
}

function basename(path) {
  sub(/.*\//, "", path)
  return path
}

function is_near(expected, got, tolerance, place, difference) {
  if (expected !~ /[.e]/ && got !~ /[.e]/ && tolerance < 0.1) return expected == got
  place = match(expected, /\.[0-9]+$/) ? 10 ^ -(RLENGTH - 1) : 0
  difference = expected - got
  if (difference < 0) difference = -difference
  return difference <= 1.001 * place || difference <= tolerance * (expected < 0 ? -expected : expected)
}
