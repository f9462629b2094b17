/* The journal of a pruning, OUTPUT.journal (io/journal.h): its statistics, each site or layer
 * selected, each matrix masked, each round of samples, each trial, each stage repaired. Functions
 * that load or save are collective on the journal's communicator. */
#ifndef ESPALIER_SRC_PRUNE_PRUNE_JOURNAL_H
#define ESPALIER_SRC_PRUNE_PRUNE_JOURNAL_H

#include "espalier/io/journal.h"
#include "espalier/prune/request.h"

typedef struct prune_journal {
  const esp_comm *comm;
  esp_journal *file; // NULL: nothing is kept
  int round;         // of samples, under way; -1: there are no rounds
} prune_journal;

/* Open it for this request, names of files apart. MISMATCH. */
esp_status journal_open(prune_journal *self, const esp_comm *comm,
                        const esp_prune_request *request);
/* Open the statistics that an interrupted run collected itself to path, if they are of this
 * collection, and complete; else *stats is NULL, and it is noted that path is collected to.
 * MISMATCH. */
esp_status journal_open_statistics(prune_journal *self, const json_t *collection, const char *path,
                                   esp_stats **stats);
/* Check that open statistics are those of the interrupted run, or note which they are. MISMATCH. */
esp_status journal_check_statistics(prune_journal *self, const esp_stats *stats);
/* Check that the open data, which no statistics were made from, are those of the interrupted run,
 * or note which they are. MISMATCH. */
esp_status journal_check_data(prune_journal *self, const esp_dataset *data);

/* The name of a unit of work: what, then the round under way where there are rounds. Local. */
typedef struct unit_name {
  char text[128];
} unit_name;
unit_name journal_name_unit_local(const prune_journal *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A unit of work whose record is so many plain bytes: read them into every rank's data, *found; and
 * keep them (rank 0's). FORMAT: of another size; IO; INTERRUPTED (after keeping). */
esp_status journal_load_unit(prune_journal *self, const char *name, int64_t bytes, void *data,
                             bool *found);
esp_status journal_save_unit(prune_journal *self, const char *name, int64_t bytes,
                             const void *data);
/* The same of a size that is not known: *payload (NULL: there is none) is the caller's; keeping
 * does not look whether the run was asked to stop. */
esp_status journal_load_any(prune_journal *self, const char *name, char **payload, int64_t *bytes);
esp_status journal_append(prune_journal *self, const char *name, int64_t bytes, const void *data);
/* INTERRUPTED if a rank was asked to stop. */
esp_status journal_check_interrupt(prune_journal *self, const char *done);
/* Have what was kept outlive the node. IO. */
esp_status journal_sync(prune_journal *self);

#endif
