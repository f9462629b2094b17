/* The samples that a command works on: a data set, and the part of it that is dealt to this rank.
 */
#ifndef ESPALIER_FLOW_SAMPLES_H
#define ESPALIER_FLOW_SAMPLES_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/run_options.h"
#include "espalier/flow/data_options.h"
#include "espalier/flow/shard.h"
#include "espalier/model/model.h"

ESP_C_BEGIN

/* What is asked of them. Texts are borrowed. */
typedef struct esp_samples {
  const char *data;    // path, or ESP_MAXIMUM_ENTROPY; NULL: not given
  const char *split;   // "train" or "test"
  int64_t count;       // sequences or images (made ones: tokens or images); 0: all
  int64_t micro_batch; // sequences or images; 0: chosen
  int64_t seed;
  bool allow_idle;         // more ranks than micro-batches are accepted
  int64_t context;         // text: tokens of a row; 0: chosen
  bool pad;                // text: a row a document
  const esp_model *reader; // whose tokenizer reads text, where no model is given; NULL: nobody's
} esp_samples;

/* As the options of a command have it, with its default split. Local. */
esp_samples esp_samples_of(const esp_run_options *run, const esp_data_options *data,
                           const char *default_split);

/* Read again what was read from data (NULL: nothing is known), with its rows of text, unless other
 * data, or other rows, are asked for. Local. */
void esp_samples_read_again(esp_samples *self, const char *data, int64_t context, bool pad);

/* Open the data set, or make input of maximum entropy for the model, at least count rows of it;
 * model NULL: real data only. Text is read by the tokenizer of model, or of self->reader. USAGE: no
 * data set is named; maximum entropy without count; context or pad for what is no text. What
 * esp_dataset_open and esp_samples_open_text say. Collective on comm; equal on all ranks: self. */
esp_status esp_samples_open_data(const esp_comm *comm, const esp_samples *self,
                                 const esp_model *model, esp_dataset **data);
/* Open real data beside those of self, by the same tokenizer and, where they are text, with the same
 * kind of rows. What the above says. Collective on comm; equal on all ranks: self, path, split. */
esp_status esp_samples_open_other(const esp_comm *comm, const esp_samples *self, const char *path,
                                  const char *split, esp_dataset **data);
/* Deal them. USAGE: more ranks than micro-batches; MISMATCH: the model cannot read the data. Local,
 * equal on all ranks. */
esp_status esp_samples_open_shard_local(const esp_comm *comm, const esp_samples *self,
                                        const esp_model *model, const esp_dataset *data,
                                        esp_shard *shard);

/* Rows of a sample of maximum entropy: tokens of a sequence, 1 for images. Local. */
int64_t esp_samples_count_entropy_rows(const esp_model *model);
/* USAGE unless there are at least as many units of work as ranks, or that is accepted. Local. */
esp_status esp_samples_check_ranks(int ranks, int64_t micro_batches, bool allow_idle);

ESP_C_END

#endif
