# Headers: a function whose first parameter is a communicator, or owns one, says in the comment above
# whether it is collective or local; _local is in the name of those that are local, and of no other.

function report(what) {
  printf "%s:%d: %s %s\n", FILENAME, line, name, what
  n_wrong++
}

function check(declaration, says_local, says_collective, first) {
  if (declaration !~ /[a-z0-9_]\(/) return
  match(declaration, /[A-Za-z0-9_]+\(/)
  name = substr(declaration, RSTART, RLENGTH - 1)
  first = substr(declaration, RSTART + RLENGTH)
  sub(/[,)].*/, "", first)
  says_local = comment ~ /(^|[^A-Za-z_])[Ll]ocal[.,:;]/
  says_collective = comment ~ /Collective/
  if (name ~ /_local$/ && says_collective && !says_local) report("is local by its name, collective by its comment")
  if (first !~ /(^|[ (])esp_(comm|stats|h5|journal|safetensors_writer)[ *]/) return
  n_checked++
  if (!says_local && !says_collective) report("says neither Local nor Collective")
  if (says_local && says_collective) report("says both Local and Collective")
  if (says_local && !says_collective && name !~ /_local$/) report("is local by its comment, but lacks _local")
}

FNR == 1 { comment = ""; in_comment = in_declaration = in_macro = 0 }

in_comment {
  comment = comment " " $0
  if (/\*\//) in_comment = 0
  next
}
/^\/\*/ { # those of a struct's members are indented
  comment = $0
  in_comment = !/\*\//
  next
}
in_macro || /^#/ {
  in_macro = /\\$/
  next
}
in_declaration || (/^[a-z_]/ && !/^(typedef|struct|enum|extern|static const)/ && /\(/) {
  if (!in_declaration) {
    line = FNR
    declaration = ""
  }
  declaration = declaration " " $0
  in_declaration = !/[;{]/
  if (!in_declaration) check(declaration)
}

END {
  printf "%d functions of a communicator or its owner, %d wrong\n", n_checked, n_wrong
  exit (n_wrong > 0 || n_checked < least)
}
