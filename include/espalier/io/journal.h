/* Journals: what a long run has finished, so that the same command can go on after it was killed.
 *
 * A journal is a file of records, appended one by one. A record is a line
 * "HASH BYTES NAME", BYTES bytes of payload and a newline; the hash (16 hex digits, XXH3) covers
 * the hash before it, name, size and payload. The first record describes the run (JSON). What
 * follows the last whole record was torn by the kill, and is cut off. Rank 0 reads and writes; it
 * holds a lock on the file, so that two runs don't write the same output at once. */
#ifndef ESPALIER_IO_JOURNAL_H
#define ESPALIER_IO_JOURNAL_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"

#include <jansson.h>

ESP_C_BEGIN

typedef struct esp_journal esp_journal;

/* Open OUTPUT.journal for a run that description (JSON object; borrowed; rank 0's counts) tells all
 * of: what an interrupted run of the same description has recorded is there, otherwise nothing.
 * MISMATCH, naming what differs: it is of another run, and restart is not set; IO: no permission,
 * another run has it. restart: records are dropped. Collective on comm; equal on all ranks: output,
 * restart. */
esp_status esp_journal_open(const esp_comm *comm, const char *output, const json_t *description,
                            bool restart, esp_journal **journal);
/* Whether records of an earlier run were there. Local, equal on all ranks. */
bool esp_journal_is_resumed_local(const esp_journal *journal);
/* Whether a run that ends so leaves its journal, to be gone on with: it was asked to stop, or it
 * failed, but an earlier run's work is in it. NULL: no. Local, equal on all ranks. */
bool esp_journal_is_kept_local(const esp_journal *journal, esp_status status);
/* Close, and remove the file unless it is kept. NULL inside is fine. Collective on *journal; equal
 * on all ranks: status. */
void esp_journal_close(esp_journal **journal, esp_status status);

/* Drop all records but the description. IO. Collective on journal. */
esp_status esp_journal_restart(esp_journal *journal);
/* How many records there are but the description; bytes of a record's payload, -1 if there is
 * none of that name; name of record i. Local, equal on all ranks. */
int esp_journal_count_local(const esp_journal *journal);
int64_t esp_journal_find_local(const esp_journal *journal, const char *name);
const char *esp_journal_name_local(const esp_journal *journal, int i);
/* Read a payload, esp_journal_find_local's bytes, into every rank's data. IO. Collective on
 * journal; equal on all ranks: name, which must be there. */
esp_status esp_journal_read(esp_journal *journal, const char *name, void *data);
/* Append a record (rank 0's data; names are one line and new): it outlives the process at once, and
 * the node within a second or so of appending. IO. Collective on journal; equal on all ranks: name,
 * bytes. */
esp_status esp_journal_append(esp_journal *journal, const char *name, const void *data,
                              int64_t bytes);
/* Have all records outlive the node too: before something is overwritten that an older record
 * speaks of. IO. Collective on journal. */
esp_status esp_journal_sync(esp_journal *journal);

/* "expected THEN, found NOW" of the first member in which two descriptions differ, what stands
 * below "options" as it is given; owned by the caller, NULL if none does. Local. */
char *esp_journal_find_difference(const json_t *then, const json_t *now);

/* Fail with INTERRUPTED if a rank was asked to stop (core/interrupt.h); what was done and what it
 * was done for go into the message. Collective on journal. */
esp_status esp_journal_check_interrupt(const esp_journal *journal, const char *done);

ESP_C_END

#endif
