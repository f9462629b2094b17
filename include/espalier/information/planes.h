/* Bit-planes of quantised activations. A unit with edges e_1 <= ... <= e_(B-1) has plane a = 1..B-1
 * with bit s set iff x_s > e_a. All functions are local and pure. Letters: docs/method/README.md.
 */
#ifndef ESPALIER_INFORMATION_PLANES_H
#define ESPALIER_INFORMATION_PLANES_H

#include "espalier/core/c_linkage.h"

#include <stdint.h>

ESP_C_BEGIN

enum { ESP_MAX_BINS = 16, ESP_WORD_BITS = 64 };

/* A view, or owned words when made by esp_planes_init. Bits of samples that do not exist are 0. */
typedef struct esp_planes {
  uint64_t *words; // (units, bins - 1, stride)
  int64_t units;   // U
  int64_t n_words; // words in use a plane
  int64_t stride;  // words from plane to plane, >= n_words
  int bins;        // B, 2..ESP_MAX_BINS
} esp_planes;

void esp_planes_init(esp_planes *self, int64_t units, int bins, int64_t n_words);
void esp_planes_clear(esp_planes *self);

/* Compute equal-frequency edges (U, B-1) from a pilot x (n, U), row stride ldx. Greedy with ties: a
 * bin takes its share of what is left and then all equal values, and the rest is shared out anew,
 * so that a ReLU's zeros are one bin and the others split the rest. Where that would leave nothing
 * above, the bin ends before those equal values, so that a unit that is 1 more often than not still
 * has two bins. An edge is the largest value of its bin. Unused edges are +inf. Values must be
 * finite. */
void esp_compute_edges(const float *x, int64_t n, int64_t units, int64_t ldx, int bins,
                       float *edges);

/* Encode x (n, U), row stride ldx, as bits [64 word, 64 word + n) of every plane; the bits above n
 * in the last word are 0. */
void esp_encode_planes(const float *x, int64_t n, int64_t ldx, const float *edges, int64_t word,
                       esp_planes *planes);

/* Write the mask (n_words) of the samples whose code of a unit is `bin`; in bin 0 also the bits of
 * samples that do not exist. */
void esp_mask_bin(const esp_planes *planes, int64_t unit, int bin, uint64_t *mask);

/* Keep the samples whose bits are set in mask (from->n_words), packed together from the first word
 * on: to is made here, with the words that they fill. */
void esp_planes_pack(const esp_planes *from, const uint64_t *mask, esp_planes *to);

/* Fill one unit with independent noise, equally likely bins: sample s of word w draws from counter
 * 64 (first_word + w) + s, so that a shard's bits do not depend on the sharding; n_valid (n_words)
 * gives the samples that exist in each word. Source: null level, docs/method/information.md. */
void esp_fill_noise(uint64_t seed, uint64_t stream, int64_t first_word, const uint8_t *n_valid,
                    int64_t unit, esp_planes *planes);

ESP_C_END

#endif
