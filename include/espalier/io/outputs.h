/* All files that a run writes and reads, checked together before work begins. */
#ifndef ESPALIER_IO_OUTPUTS_H
#define ESPALIER_IO_OUTPUTS_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"

ESP_C_BEGIN

/* A file or folder that is written, and what is made beside it on the way. */
typedef struct esp_output {
  const char *option;        // names it in messages: "-o"
  const char *path;          // "-" is stdout, NULL: not written
  const char *const *beside; // ends of the names beside it: ".partial", ".journal"; ended by NULL
} esp_output;

/* A file or folder that is read. */
typedef struct esp_input {
  const char *option;
  const char *path; // NULL: not read
} esp_input;

typedef struct esp_files {
  const esp_output *outputs; // borrowed
  const esp_input *inputs;   // borrowed
  int n_outputs, n_inputs;
} esp_files;

/* Check that no output, nor what is made beside it, is one of the inputs or belongs to an input
 * folder (weights, configuration, tokenizer, calibration data), under whatever name: files are
 * compared by device and inode. Other files of an input folder may be replaced. No two outputs are
 * the same file. IO. Collective on comm (rank 0 looks); equal on all ranks: files. */
esp_status esp_outputs_check(const esp_comm *comm, const esp_files *files);

/* Replace *path, owned, by what it links to, the last link followed, whether or not the target is
 * there: a file is written, flushed and renamed beside its target, and the link stays. NULL and "-"
 * stay. Collective on comm (rank 0 looks); equal on all ranks: path. */
void esp_output_follow_links(const esp_comm *comm, char **path);

ESP_C_END

#endif
