/* Conditional information from three-way counts: the samples of one bin of a target, packed, are
 * swept like any others. */
#include "espalier/sweep/sweep.h"

#include "espalier/core/memory.h"
#include "espalier/information/information.h"

/* What is swept, and the sum over the targets, (U, U). */
typedef struct conditional_job {
  const esp_comm *comm;
  const esp_planes *x, *targets;
  esp_reduce reduce;
  float *sum;
} conditional_job;

typedef struct bin_context {
  esp_planes planes;  // of the samples in the bin, this rank's
  int64_t *marginals; // (U, B-1)
  esp_entropy_table table;
  double weight; // of the bin's information in the mean
  float *sum;    // (U, U)
} bin_context;

static void visit(void *context, const esp_tile *tile, const int32_t *counts) {
  const bin_context *self = context;
  const int64_t n = self->planes.units, planes = self->planes.bins - 1;
  for (int64_t i = 0; i < tile->nx; i++)
    for (int64_t j = 0; j < tile->ny; j++) {
      const int64_t row = tile->x_begin + i, column = tile->y_begin + j;
      if (column < row) continue;
      const esp_pair_counts pair = {.joint = counts + (i * tile->ny + j) * planes * planes,
                                    .x = self->marginals + row * planes,
                                    .y = self->marginals + column * planes,
                                    .x_bins = self->planes.bins,
                                    .y_bins = self->planes.bins};
      const double value = esp_compute_information_unclipped(&self->table, &pair);
      self->sum[row * n + column] += (float)(self->weight * value);
    }
}

static void add_bin(const conditional_job *job, int64_t samples, bin_context *self) {
  self->marginals = ESP_NEW(int64_t, self->planes.units * (self->planes.bins - 1));
  esp_sweep_marginals(job->comm, &self->planes, self->marginals);
  esp_entropy_table_init(&self->table, samples);
  esp_sweep_pairs(job->comm, &(esp_sweep){.x = &self->planes,
                                          .y = &self->planes,
                                          .is_symmetric = true,
                                          .visit = visit,
                                          .context = self,
                                          .reduce = job->reduce});
  esp_entropy_table_clear(&self->table);
  esp_free(&self->marginals);
}

/* Samples in one bin, over all ranks. */
static int64_t count_bin(const int64_t *marginals, int bins, int bin, int64_t samples) {
  return (bin == 0 ? samples : marginals[bin - 1]) - (bin == bins - 1 ? 0 : marginals[bin]);
}

static void add_target(const conditional_job *self, int64_t target, const int64_t *in_bins) {
  const int bins = self->targets->bins;
  int64_t samples = 0;
  for (int bin = 0; bin < bins; bin++) samples += in_bins[bin];
  const double all = (double)samples * (double)self->targets->units;
  uint64_t *mask = ESP_NEW(uint64_t, self->x->n_words);
  for (int bin = 0; bin < bins; bin++) {
    if (in_bins[bin] == 0) continue;
    bin_context context = {.weight = (double)in_bins[bin] / all, .sum = self->sum};
    esp_mask_bin(self->targets, target, bin, mask);
    esp_planes_pack(self->x, mask, &context.planes);
    add_bin(self, in_bins[bin], &context);
    esp_planes_clear(&context.planes);
  }
  esp_free(&mask);
}

/* Every element is on one rank so far: clip it there, and mirror it. */
static void finish(const esp_comm *comm, int64_t n, float *conditional) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = i; j < n; j++)
      conditional[j * n + i] = conditional[i * n + j] =
          conditional[i * n + j] > 0 ? conditional[i * n + j] : 0;
  esp_allreduce_gather_f32(comm, conditional, n * n);
}

void esp_sweep_conditional(const esp_comm *comm, const esp_planes *x, const esp_planes *targets,
                           int64_t samples, esp_reduce reduce, float *conditional) {
  const conditional_job job = {comm, x, targets, reduce, conditional};
  const int64_t n = x->units;
  const int bins = targets->bins;
  int64_t *marginals = ESP_NEW(int64_t, targets->units * (bins - 1)), in_bins[ESP_MAX_BINS];
  for (int64_t i = 0; i < n * n; i++) conditional[i] = 0;
  esp_sweep_marginals(comm, targets, marginals);
  for (int64_t t = 0; t < targets->units; t++) {
    for (int bin = 0; bin < bins; bin++)
      in_bins[bin] = count_bin(marginals + t * (bins - 1), bins, bin, samples);
    add_target(&job, t, in_bins);
  }
  finish(comm, n, conditional);
  esp_free(&marginals);
}
