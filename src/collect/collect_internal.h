/* What the files of the calibration pass share. */
#ifndef ESPALIER_SRC_COLLECT_COLLECT_INTERNAL_H
#define ESPALIER_SRC_COLLECT_COLLECT_INTERNAL_H

#include "espalier/collect/collect.h"
#include "espalier/core/log.h"
#include "espalier/flow/stream.h"
#include "espalier/io/journal.h"
#include "espalier/linalg/exact.h"

/* A pass under way: a stream of this rank's micro-batches. */
typedef struct collect_pass {
  const esp_comm *comm;
  esp_model *model;
  esp_shard *shard;
  const esp_collect_options *options;
  esp_stats *stats;
  esp_journal *journal;   // what is finished
  bool is_complete;       // all of it, and the file has its name
  esp_site_name *pending; // (n_pending): what is finished since it was saved
  int n_pending;
  double saved_s;
  bool has_width;     // the residual stream is measured too
  int last;           // stage behind which nothing is read; n_stages: the head is
  int64_t batch_rows; // rows of a full micro-batch
  esp_stream stream;
  float *x;       // (batch_rows, widest site) scratch
  float *logits;  // (batch_rows, n_outputs) scratch; NULL: the head is not run
  int64_t *units; // (n_units): logits that are measured
  int64_t n_units;
  float *before;         // (shard->count, batch_rows, D): the stream before a layer
  int64_t *cosines;      // (layers): sums in 2^-31
  esp_progress progress; // micro-batches of this rank through a site
  int64_t done;
  struct {
    esp_stream stream; // of its micro-batches, with the state before every stage; empty: none
    int before;        // the last stage, or the head, before which it has the state; or the
                       // embedding
    int64_t turned;    // its first micro-batches that have the gradient before the head
  } fisher;
} collect_pass;

/* Open the statistics (meta is taken over) and their journal: those of an interrupted run, or new
 * ones laid out; is_complete: there is nothing left to do. On failure nothing is open. Collective.
 */
esp_status collect_begin(collect_pass *pass, json_t *meta, const char *path);
/* Whether a unit of work is finished: a site, or "fisher " and a stage. Local, equal on all ranks.
 */
bool collect_is_done_local(const collect_pass *pass, const char *unit);
/* Whether all that a pass up to the logits makes is finished. Local, equal on all ranks. */
bool collect_has_sites_local(const collect_pass *pass);
/* Note a finished unit; bring those noted to disk and into the journal from time to time, and
 * before stopping. IO, INTERRUPTED. Collective. */
esp_status collect_mark_done(collect_pass *pass, const char *unit);
/* Finish the file; after a failure remove what there is, but for INTERRUPTED. Collective. */
esp_status collect_end(collect_pass *pass, esp_status status);
/* Name the unit of work of a stage's Fisher information. Local. */
esp_site_name collect_name_fisher(const esp_model *model, int stage);

/* Gives (rows, F) activations of this rank's i-th micro-batch in pass->x, and the rows, without
 * padding, once: it may take the state on. NUMERIC. Local. */
typedef esp_status (*collect_source)(collect_pass *pass, int stage, int64_t i, int64_t *rows);

/* Whether a stage's site is measured; with second moments and Fisher information, as far as these
 * are; whether the logits are. Local. */
bool collect_has_site(const esp_collect_options *options, int stage);
bool collect_is_full(const esp_collect_options *options, int stage);
bool collect_has_logits(const esp_collect_options *options);
/* Whether second moments of the residual stream are, if it is measured at all. Local. */
bool collect_has_full_streams(const esp_collect_options *options);
/* The lowest stage with all of that; n_stages: none. Local. */
int collect_find_lowest(const esp_model *model, const esp_collect_options *options);
/* The last stage that is run, whose state isn't taken on; n_stages: all are, and the head or the
 * stream is read behind them. Local. */
int collect_find_last(const esp_model *model, const esp_collect_options *options);
/* How many logits are measured. Local. */
int64_t collect_count_logits(const esp_model *model, const esp_collect_options *options);
/* Choose which: fills units. NUMERIC. Collective. */
esp_status collect_choose_logits(collect_pass *pass);
/* The source of the logits' site. */
esp_status collect_produce_logits_local(collect_pass *pass, int stage, int64_t i, int64_t *rows);

/* What the pilot tells of F features. */
typedef struct collect_scale {
  float *centre;  // (F) mean, rounded
  double *rms;    // (F) root mean square
  double *spread; // (F) the same about the centre, but at least 1/64 of rms
} collect_scale;

void collect_scale_init(collect_scale *self, int64_t features);
void collect_scale_clear(collect_scale *self);

/* Exact sums over some micro-batches of one site's activations, about the pilot's mean c: float32
 * products of activations far from 0 would lose their small differences. */
typedef struct moment_sums {
  esp_exact first;     // sum (x - c)
  esp_exact second;    // sum (x - c) (x - c)^T, or only its diagonal (F, 1)
  esp_exact sequences; // (F, 1): sums over sequences of (mean |x|)^2
} moment_sums;

typedef struct site_sums {
  int64_t features;
  bool is_full;               // the second moments' matrix
  const collect_scale *scale; // borrowed
  int n_parts;                // 2: even- and odd-numbered micro-batches apart
  moment_sums parts[2];
  esp_exact shared; // the matrix over all, where the parts have diagonals of it; else empty
} site_sums;

void site_sums_init(site_sums *self, const collect_pass *pass, int64_t features,
                    const collect_scale *scale, bool is_full);
void site_sums_clear(site_sums *self);
/* The rows of this rank's i-th micro-batch: x (rows, F), without padding. */
typedef struct site_rows {
  int64_t i, rows;
  const float *x; // borrowed
} site_rows;
/* NUMERIC. Local. */
esp_status site_sums_add_local(site_sums *self, const collect_pass *pass, const site_rows *from);
/* Add the sums of all ranks. Collective on comm. */
esp_status site_sums_reduce(const esp_comm *comm, site_sums *self);
/* Fill the site's moments and this rank's block of rows of the covariance from the even-numbered
 * micro-batches, or from all: once, and last. Local. */
void site_sums_give_even(const site_sums *self, const collect_pass *pass, esp_site_stats *site);
void site_sums_give_all(site_sums *self, const collect_pass *pass, esp_site_stats *site);

/* Whether a softmax tells at least two things apart, by a head that can be gone back through.
 * Local. */
bool collect_has_likelihood(const esp_model *model);
/* Micro-batches, spread evenly over all, and rows that the Fisher information is computed from; 0
 * rows where there is none (encoders without a softmax). Local. */
int64_t collect_count_fisher_batches(const esp_shard *shard, const esp_collect_options *options);
int64_t collect_count_fisher_rows(const esp_model *model, const esp_shard *shard,
                                  const esp_collect_options *options);
/* Begin before the sites are collected; keep the states before each stage, and before the head, as
 * they are met; clear at last. Local. */
void collect_fisher_begin_local(collect_pass *pass);
void collect_fisher_keep_local(collect_pass *pass, int stage);
void collect_fisher_clear_local(collect_pass *pass);
/* Take this rank's i-th micro-batch, whose logits are in pass->logits, to the gradient before the
 * head if it is one of them and its state is kept: the logits are used up then. In ascending order.
 * Local. */
void collect_fisher_turn_local(collect_pass *pass, int64_t i);
/* Compute and write it for all stages, behind the sites. NUMERIC, IO. Collective. */
esp_status collect_fisher(collect_pass *pass);

/* The cosine of the residual stream around each layer: call begin before a stage, end behind it,
 * write once all stages are through. Where the stream is measured; else nothing. Local, and write
 * collective. */
void collect_layer_begin_local(collect_pass *pass, int stage);
void collect_layer_end_local(collect_pass *pass, int stage);
esp_status collect_lay_out_layers(collect_pass *pass);
esp_status collect_write_layers(collect_pass *pass);
void collect_clear_layers_local(collect_pass *pass);

/* Columns of the pilot that one rank sorts at a time. */
enum { PILOT_FEATURES = 128 };
/* The pilot micro-batches of this rank: spread evenly over all, so the same at any rank count. */
typedef struct collect_pilot {
  int64_t features, rows;
  int n;           // micro-batches
  site_rows *list; // (n), ascending
  float *x;        // (rows, F)
} collect_pilot;

/* Take the pilot micro-batches from their source, and keep them. NUMERIC. Collective. */
esp_status collect_pilot_take(collect_pass *pass, collect_source source, int stage,
                              int64_t features, collect_pilot *pilot);
/* Compute edges and scale of F features from those of all ranks. Collective. */
void collect_pilot_measure(const collect_pass *pass, const collect_pilot *pilot,
                           esp_site_stats *site, const collect_scale *scale);
/* What is kept of the i-th micro-batch; NULL: it is none of them. Local. */
const site_rows *collect_pilot_find(const collect_pilot *pilot, int64_t i);
void collect_pilot_clear(collect_pilot *pilot);

#endif
