# What the asan preset runs beside the unit tests and the corpora of tests/fuzz: tests of the whole program that neither limit nor
# measure memory, and do not wait for a time, and one job of three ranks.
foreach(name cli.prepare.np2 cli.bad_pairs.np1 cli.resume.np1 cli.two_copies.np1 mpi.collect.np3)
  set_property(TEST ${name} APPEND PROPERTY LABELS sanitizers)
endforeach()
