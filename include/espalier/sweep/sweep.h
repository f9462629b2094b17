/* Joint counts of all pairs of two sets of units over all ranks, in one of two ways that give the
 * same integers. allreduce splits the samples: every rank counts every tile of pairs over its own
 * samples, and a non-blocking allreduce adds them while the next tile is counted. exchange splits
 * the pairs: every rank gets the codes of all samples for the units that its own tiles need, by
 * panels of bounded size, and counts those tiles alone. */
#ifndef ESPALIER_SWEEP_SWEEP_H
#define ESPALIER_SWEEP_SWEEP_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"
#include "espalier/core/options.h"
#include "espalier/information/joint.h"

ESP_C_BEGIN

typedef enum esp_reduce {
  ESP_REDUCE_AUTO, // what esp_sweep_choose names
  ESP_REDUCE_ALLREDUCE,
  ESP_REDUCE_EXCHANGE
} esp_reduce;

typedef struct esp_sweep {
  const esp_planes *x, *y; // this rank's samples; units and bins equal on all ranks
  bool is_symmetric;       // x is y: only tiles on and above the diagonal are visited
  int64_t tile;            // units a side, 0: 64
  int64_t panel_bytes;     // codes of rows, or columns, that exchange holds at a time, 0: 128 MiB
  /* Called with reduced counts (nx, ny, Bx-1, By-1), each tile on one rank only (tile number modulo
   * the number of ranks), so that the work behind is divided too; in any order. */
  void (*visit)(void *context, const esp_tile *tile, const int32_t *counts);
  void *context;
  int visitor; // 0, or the number + 1 of the rank that visits all tiles
  esp_reduce reduce;
} esp_sweep;

typedef struct esp_sweep_options {
  char *reduce; // "auto", "allreduce" or "exchange"
} esp_sweep_options;
extern const esp_option_group esp_sweep_option_group;

/* Find a way by its name, one of those above. Local. */
esp_reduce esp_sweep_find_reduce(const char *name);

/* The size of a sweep, for its cost. */
typedef struct esp_sweep_shape {
  int64_t x_units, y_units;
  int x_bins, y_bins;
  bool is_symmetric;
  int64_t tile, panel_bytes; // 0: as above
  int visitor;               // likewise
  esp_reduce reduce;         // AUTO: the cheaper way
  int64_t samples;           // of all ranks
  int ranks;
  const int64_t *words; // (ranks) a plane, of each rank
} esp_sweep_shape;

typedef struct esp_sweep_cost {
  int64_t tiles, cells;   // cells: counts of all tiles
  double reduced_bytes;   // that a rank hands to allreduces
  double exchanged_bytes; // that a rank receives from others, mean
  double exchanged_bytes_max;
  double allreduce_words, exchange_words; // pairs of 64-bit words that the busiest rank combines
  double panel_bytes;                     // memory for codes of others, at most
} esp_sweep_cost;

/* Local. */
esp_sweep_cost esp_sweep_compute_cost(const esp_sweep_shape *shape);

/* The way that is asked for where a kernel can count all samples, or the cheaper one: bytes on the
 * wire (an allreduce moves its buffer twice), and word operations in bytes that take as long.
 * Local, the same on all ranks. */
esp_reduce esp_sweep_choose(const esp_sweep_shape *shape);

/* Visit all tiles. Samples over all ranks must be fewer than 2^31. Collective on comm; equal on all
 * ranks: all of sweep but planes' words, visit and context. */
void esp_sweep_pairs(const esp_comm *comm, const esp_sweep *sweep);

/* Marginals of all ranks: (U, B-1). Collective on comm, as are the others below; equal on all
 * ranks: units and bins, here and there also samples (over all ranks), reduce and owner. */
void esp_sweep_marginals(const esp_comm *comm, const esp_planes *planes, int64_t *marginals);

/* I(x_i; y_j), nats, corrected, for all pairs: information (Ux, Uy), on every rank. x may be y:
 * half the work, a symmetric matrix, entropies on its diagonal. Collective on comm. */
void esp_sweep_information(const esp_comm *comm, const esp_planes *x, const esp_planes *y,
                           int64_t samples, esp_reduce reduce, float *information);

/* Mean over the targets y_t of I(x_i; x_s | y_t) = sum_c (S_c / S) I_c(x_i; x_s), c the bins of y_t
 * and I_c from the exact counts of the S_c samples in it, corrected: conditional (U, U), on every
 * rank, symmetric, clipped at 0 once all is added up. A target costs as many bit operations as a
 * symmetric sweep, B times its reductions and logarithms, and a copy of a bin's samples. samples:
 * over all ranks, > 0. Collective on comm. */
void esp_sweep_conditional(const esp_comm *comm, const esp_planes *x, const esp_planes *targets,
                           int64_t samples, esp_reduce reduce, float *conditional);
/* I(x_i; y_i), nats, corrected, of matched units: information (U), on every rank. Collective on
 * comm. */
void esp_sweep_matched(const esp_comm *comm, const esp_planes *x, const esp_planes *y,
                       int64_t samples, double *information);

/* Correlation matrix of the codes of one set of units: (U, U), on one rank, the owner (others pass
 * NULL); rows of constant units are 0 off the diagonal, the diagonal is 1 (0 for constant units).
 * Collective on comm. */
void esp_sweep_correlation(const esp_comm *comm, const esp_planes *x, int64_t samples,
                           esp_reduce reduce, int owner, double *correlation);

ESP_C_END

#endif
