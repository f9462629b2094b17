/* STATS.h5: what a calibration pass knows of a model's sites, for any number of prunings.
 *
 *   /meta            JSON: format, version, options, fingerprints of model and data
 *   /valid           (M) int64, rows of each micro-batch that count
 *   /<site>/planes   (M, F, B-1, W) uint64 bit-planes by micro-batch, W words each: a rank's part
 * is one slab
 *   /<site>/edges    (F, B-1) float32
 *   /<site>/mean, variance, norm, activation  (F) float64: E[x], E[(x - mean)^2], sqrt(sum x^2),
 * and sqrt(sum over sequences of (mean |x|)^2)
 *   /<site>/covariance (F, F) float32, centred, where asked for
 *   /<site>/half/mean, variance, norm, activation, covariance  the same of the even-numbered
 * micro-batches (0, 2, ...) alone, where asked for; those of the odd-numbered ones follow
 *   /<stage>/fisher  (state_out, state_out) float32, where collected: E[g g^T], g = d log p(sampled
 * label) / d (result of the stage's consumer)
 *   /layers/cosine   (L) float64: mean cosine of the residual stream before and after a layer,
 * where the stream is measured
 *   /logits/units    (F) int64: which logits were measured
 * Sites are those of the model, then "logits"; where asked for, "width.<site>" is the residual
 * stream as normalised for that site, and "width.head" for the head. Sums behind mean, variance and
 * covariance are exact (linalg/exact.h) and about the pilot's mean, so the file has the same bytes
 * at any rank count. */
#ifndef ESPALIER_STATS_STATS_H
#define ESPALIER_STATS_STATS_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"
#include "espalier/io/dataset.h"
#include "espalier/io/h5.h"
#include "espalier/model/model.h"
#include "espalier/stats/site_stats.h"

ESP_C_BEGIN

#define ESP_SITE_LOGITS "logits"

/* Keys of /meta. */
#define ESP_META_LOGITS "logit_units"    // features of the logits: all classes, or the top units
#define ESP_META_COVARIANCE "covariance" // whether second moments are there
#define ESP_META_WIDTH "width"           // whether the residual stream's sites are
#define ESP_META_HALVES "halves"         // whether the even-numbered micro-batches' moments are
#define ESP_META_CODES "codes"           // false where there are no codes, and so no logits
#define ESP_META_SITES "sites"           // names of those that were measured; absent: all
#define ESP_META_FULL_SITES "full_sites" // those with second moments; absent: all
#define ESP_META_FISHER "fisher_rows"    // rows behind the Fisher information; 0: there is none

/* Which micro-batches: all, those numbered 0, 2, ..., or 1, 3, ... */
typedef enum esp_half { ESP_WHOLE, ESP_EVEN, ESP_ODD } esp_half;

/* What /meta says of the collection, read once when the file is opened or made. */
typedef struct esp_stats_about {
  int64_t samples, micro_batch, seed; // sequences or images; of the shard
  const char *data, *split;           // where the samples were; NULL: not told; borrowed
  int64_t logits;                     // features of the logits' site
  int64_t fisher_rows;                // behind the Fisher information; 0: there is none
  bool has_codes, has_covariance, has_width, has_halves;
  int64_t context; // of text, as asked for; 0: not
  bool pad;
} esp_stats_about;

/* An open statistics file, read or written, or a view of a half of it. Members are read-only
 * outside stats.c. */
typedef struct esp_stats {
  const esp_comm *comm;
  esp_h5 *file;
  char *path;
  json_t *meta;             // as stored: to be written and compared, not to be asked
  esp_stats_about about;    // what it says
  char *data_path;          // owned: about.data as bytes
  int bins;                 // B
  int64_t n_batches, words; // M, W
  int64_t rows;             // valid rows in all: S
  int64_t *valid;           // (M)
  int64_t first, count;     // this rank's micro-batches
  esp_half half;
  const struct esp_stats *whole; // what a half is a view of, borrowed; NULL of the file itself
} esp_stats;

/* The rows of a collection, by micro-batches. */
typedef struct esp_stats_rows {
  int64_t n_batches, batch_rows; // M; rows of a full micro-batch
  const int64_t *valid;          // (M) rows of each that are not padding; borrowed
} esp_stats_rows;

/* Make a file in two steps, so that a killed run can be gone on with (io/h5.h): after lay_out,
 * esp_stats_write_... only make room, whatever the data; after fill they write. resume opens what
 * such a run has left under PATH.partial; FORMAT where that is damaged. meta must have "bins",
 * "micro_batch" and the two fingerprints; it is taken over also on failure. Collective on comm, or
 * on stats; equal on all ranks: path, meta, rows. */
esp_status esp_stats_lay_out(const esp_comm *comm, const char *path, json_t *meta,
                             const esp_stats_rows *rows, esp_stats **stats);
esp_status esp_stats_resume(const esp_comm *comm, const char *path, json_t *meta,
                            const esp_stats_rows *rows, esp_stats **stats);
esp_status esp_stats_fill(esp_stats *stats);
/* Whether open statistics are of this collection: all that describes it stands in their meta.
 * Local. */
bool esp_stats_is_of_local(const esp_stats *stats, const json_t *collection);
/* Close and leave PATH.partial, to be resumed. NULL inside is fine. Collective on *stats. */
void esp_stats_keep(esp_stats **stats);
/* Write one site; covariance here is this rank's block of rows only. Collective on stats; equal on
 * all ranks: site, but for planes and covariance. */
esp_status esp_stats_write_site(esp_stats *stats, const esp_site_stats *site);
/* Write a stage's Fisher information: this rank's block of the n rows. Collective on stats; equal
 * on all ranks: stage, n. */
esp_status esp_stats_write_fisher(esp_stats *stats, const char *stage, int64_t n,
                                  const float *rows);
/* Write the moments, and this rank's block of rows of the covariance, of the even-numbered
 * micro-batches of a site. Collective on stats; equal on all ranks: even, but for covariance. */
esp_status esp_stats_write_half(esp_stats *stats, const esp_site_stats *even);
/* The mean cosines of the n layers. Loading: MISMATCH where they were not collected. Collective on
 * stats; equal on all ranks: n, and cosines written. */
esp_status esp_stats_write_layers(esp_stats *stats, int64_t n, const double *cosines);
esp_status esp_stats_load_layers(esp_stats *stats, int64_t n, double *cosines);
/* Finish a file (esp_h5_commit); *stats becomes NULL. Collective on *stats. */
esp_status esp_stats_commit(esp_stats **stats);

/* Open; FORMAT: not statistics, or damaged. Collective on comm; equal on all ranks: path. */
esp_status esp_stats_open(const esp_comm *comm, const char *path, esp_stats **stats);
/* MISMATCH unless it was made with this model (and this data, if not NULL). Collective on stats;
 * equal on all ranks: model, data. */
esp_status esp_stats_check(const esp_stats *stats, const esp_model *model, const esp_dataset *data);
/* A half as statistics of its own: rows, valid, micro-batches (renumbered), and what is loaded of a
 * site are those of the half; Fisher information and all else are the whole's. The odd half's
 * covariance comes from the difference of two float32 matrices: it carries their rounding, up to
 * 2^-24 (S + S_even) / S_odd of a standard deviation's product each, and so may have eigenvalues
 * that far below 0. FORMAT: the file has no halves, or this one has no rows. Close it before the
 * whole. Local. */
esp_status esp_stats_open_half_local(const esp_stats *whole, esp_half half, esp_stats **stats);
/* Rows of all micro-batches, or of a half's. Local. */
int64_t esp_stats_count_rows_local(const esp_stats *whole, esp_half half);
/* Close; a half alone sends nothing. NULL inside is fine. Collective on *stats. */
void esp_stats_close(esp_stats **stats);

/* Load one site: always edges and moments; planes and covariance where asked. Every rank gets the
 * whole covariance and its own micro-batches' planes. FORMAT: missing or of another shape.
 * Collective on stats; equal on all ranks: name, features, what. */
enum { ESP_LOAD_PLANES = 1, ESP_LOAD_COVARIANCE = 2 };
esp_status esp_stats_load_site(esp_stats *stats, const char *name, int64_t features, unsigned what,
                               esp_site_stats *site);
/* Load a site's (n, n) matrix on one rank, the owner (-1: on all); others pass NULL. FORMAT as
 * above; NUMERIC: not finite. Collective on stats; equal on all ranks: site, what, n, owner. */
#define ESP_STATS_COVARIANCE "covariance"
#define ESP_STATS_FISHER "fisher"
esp_status esp_stats_load_matrix(esp_stats *stats, const char *site, const char *what, int64_t n,
                                 int owner, float *matrix);

/* Valid samples in each of this rank's words: (count * words) bytes, owned by the caller. Local. */
uint8_t *esp_stats_count_valid_local(const esp_stats *stats);

ESP_C_END

#endif
