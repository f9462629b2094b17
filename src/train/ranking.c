/* A radix selection: the key of a value is its score, then its place; each pass fixes 8 bits of the
 * key of the last value that is kept, from counts that are added over ranks. */
#include "ranking.h"

#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

enum { BINS = 256, SCORE_DIGITS = 4, PLACE_DIGITS = 6, DIGITS = SCORE_DIGITS + PLACE_DIGITS };

/* The last value of a set that is kept, as far as its digits are known. */
typedef struct cut_point {
  uint32_t score;
  uint64_t place;     // counted down: lower places have the larger key
  int64_t left;       // values to be kept among those that have these digits
  int64_t candidates; // those that have
} cut_point;

/* In the order of the scores. */
static uint32_t make_score_key(float score) {
  uint32_t bits;
  if (isnan(score)) return 0;
  if (score == 0.0f) score = 0.0f; // -0 too
  memcpy(&bits, &score, sizeof bits);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

static uint64_t make_place_key(int64_t place) {
  return (UINT64_C(1) << (8 * PLACE_DIGITS)) - 1 - (uint64_t)place;
}

static uint32_t get_digit(uint32_t score, uint64_t place, int d) {
  if (d < SCORE_DIGITS) return score >> (24 - 8 * d) & 255;
  return (uint32_t)(place >> (8 * (DIGITS - 1 - d)) & 255);
}

/* Whether the digits before d are those of the cut. */
static bool is_candidate(const cut_point *cut, uint32_t score, uint64_t place, int d) {
  if (d == 0) return true;
  if (d <= SCORE_DIGITS) return score >> (32 - 8 * d) == cut->score >> (32 - 8 * d);
  const int rest = 8 * (DIGITS - d);
  return score == cut->score && place >> rest == cut->place >> rest;
}

static bool is_ranked(const ranking *self, int64_t own) {
  return !self->among || self->among[own];
}

static void count_run(const ranking *self, const parts_run *run, int d, const cut_point *cuts,
                      int64_t *counts) {
  const int set = self->set_of[run->weight];
  for (int64_t i = 0; i < run->n; i++) {
    if (!is_ranked(self, run->own + i)) continue;
    const uint32_t score = make_score_key(self->scores[run->own + i]);
    const uint64_t place = make_place_key(run->place + i);
    if (is_candidate(&cuts[set], score, place, d))
      counts[(int64_t)set * BINS + get_digit(score, place, d)]++;
  }
}

static void choose_digit(cut_point *cut, int d, const int64_t *counts) {
  uint32_t digit = BINS - 1;
  while (digit > 0 && counts[digit] < cut->left) cut->left -= counts[digit--];
  cut->candidates = counts[digit];
  if (d < SCORE_DIGITS)
    cut->score |= digit << (24 - 8 * d);
  else
    cut->place |= (uint64_t)digit << (8 * (DIGITS - 1 - d));
}

static void make_pass(const esp_comm *comm, const ranking *self, int d, cut_point *cuts) {
  int64_t *counts = ESP_NEW(int64_t, (int64_t)self->n_sets * BINS);
  for (int r = 0; r < self->parts->n_runs; r++)
    if (self->set_of[self->parts->runs[r].weight] >= 0)
      count_run(self, &self->parts->runs[r], d, cuts, counts);
  esp_allreduce_sum_i64(comm, counts, (int64_t)self->n_sets * BINS);
  for (int s = 0; s < self->n_sets; s++) choose_digit(&cuts[s], d, counts + (int64_t)s * BINS);
  esp_free(&counts);
}

/* Whether all that have the score of the cut are kept. */
static bool has_ties(const ranking *self, const cut_point *cuts) {
  for (int s = 0; s < self->n_sets; s++)
    if (self->keep[s] > 0 && cuts[s].left < cuts[s].candidates) return true;
  return false;
}

static void mark_run(const ranking *self, const parts_run *run, const cut_point *cut,
                     uint8_t *marks) {
  const bool none = self->keep[self->set_of[run->weight]] == 0;
  for (int64_t i = 0; i < run->n; i++) {
    if (!is_ranked(self, run->own + i)) continue;
    const uint32_t score = make_score_key(self->scores[run->own + i]);
    const bool above = score > cut->score;
    const bool level = score == cut->score && make_place_key(run->place + i) >= cut->place;
    marks[run->own + i] = !none && (above || level);
  }
}

void ranking_mark_largest(const esp_comm *comm, const ranking *self, uint8_t *marks) {
  cut_point *cuts = ESP_NEW(cut_point, self->n_sets);
  for (int s = 0; s < self->n_sets; s++) cuts[s].left = self->keep[s];
  for (int d = 0; d < SCORE_DIGITS; d++) make_pass(comm, self, d, cuts);
  if (has_ties(self, cuts))
    for (int d = SCORE_DIGITS; d < DIGITS; d++) make_pass(comm, self, d, cuts);
  for (int r = 0; r < self->parts->n_runs; r++) {
    const parts_run *run = &self->parts->runs[r];
    const int set = self->set_of[run->weight];
    if (set >= 0) mark_run(self, run, &cuts[set], marks);
  }
  esp_free(&cuts);
}

void ranking_count(const esp_comm *comm, const ranking *self, int64_t *counts) {
  memset(counts, 0, (size_t)self->n_sets * sizeof *counts);
  for (int r = 0; r < self->parts->n_runs; r++) {
    const parts_run *run = &self->parts->runs[r];
    const int set = self->set_of[run->weight];
    for (int64_t i = 0; i < run->n && set >= 0; i++) counts[set] += is_ranked(self, run->own + i);
  }
  esp_allreduce_sum_i64(comm, counts, self->n_sets);
}
