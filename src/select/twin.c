#include "twin.h"

#include "downdate.h"
#include "inverse.h"

#include "espalier/core/memory.h"

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <string.h>

enum { PANEL = 256 };

/* Panels of outputs that are formed at a time. */
typedef struct twin {
  const esp_gaussian *model;
  const block_columns *matrices;
  int64_t features;
  int64_t begin, end; // outputs of this time
  int64_t mine;       // panels of each rank
  double *map, *b;    // (features, PANEL mine): M^T and B of this rank's
  double *other;      // (features, PANEL): of another rank's
} twin;

static int64_t count_panels_at_once(int64_t outputs) {
  const int64_t panels = (outputs + PANEL - 1) / PANEL, threads = omp_get_max_threads();
  if (panels < 1) return 1;
  return panels < threads ? panels : threads;
}

/* Columns that a panel has room for. */
static int64_t get_room(int64_t outputs) {
  return outputs < PANEL ? outputs : PANEL;
}

/* As many for every rank, though their threads may be more or fewer. */
static int64_t agree_on_panels(const esp_comm *team, int64_t outputs) {
  int64_t mine = count_panels_at_once(outputs);
  team_bcast(team, &mine, sizeof mine, 0);
  return mine;
}

static int64_t count_panel(const twin *self, int64_t first) {
  return self->end - first < PANEL ? self->end - first : PANEL;
}

static int find_owner(const twin *self, int64_t first) {
  return (int)((first - self->begin) / PANEL / self->mine);
}

static bool is_mine(const twin *self, int64_t first) {
  return find_owner(self, first) == team_rank_local(self->matrices->team);
}

/* Where a panel's columns lie here. */
static double *find_panel(const twin *self, int64_t first, double *mine) {
  const int64_t at = (first - self->begin) / PANEL % self->mine;
  return is_mine(self, first) ? mine + self->features * PANEL * at : self->other;
}

static void deal_map(const twin *self) {
  const esp_comm *team = self->matrices->team;
  for (int64_t first = self->begin; first < self->end; first += PANEL) {
    const int64_t count = count_panel(self, first);
    const size_t bytes = (size_t)(self->features * count) * sizeof(double);
    double *map = find_panel(self, first, self->map);
    if (team_rank_local(team) == 0) esp_gaussian_write_map(self->model, first, count, map);
    team_bcast(team, map, (int64_t)bytes, 0);
    if (is_mine(self, first)) memcpy(find_panel(self, first, self->b), map, bytes);
  }
}

/* B -= A D M^T, of a block of A's columns, which are rows too. */
static void take_block(const twin *self, int64_t block, const double *a, int64_t output) {
  const int64_t first = self->matrices->begin[block];
  const double *map = find_panel(self, output, self->map) + first;
  double *b = find_panel(self, output, self->b) + first, factor = -self->model->ridge;
  const int n = esp_int(self->features), ld = esp_int(self->features - first);
  const int w = esp_int(block_columns_count(self->matrices, block)), below = ld - w;
  const int count = esp_int(count_panel(self, output));
  cblas_dsymm(CblasColMajor, CblasLeft, CblasLower, w, count, factor, a, ld, map, n, 1, b, n);
  cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, below, count, w, factor, a + w, ld, map, n,
              1, b + w, n);
  cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, w, count, below, factor, a + w, ld, map + w,
              n, 1, b, n);
}

static void multiply_map(const twin *self, double *panel) {
  for (int64_t block = 0; block < self->matrices->n; block++) {
    block_columns_share(self->matrices, block, panel);
#pragma omp parallel for schedule(dynamic)
    for (int64_t first = self->begin; first < self->end; first += PANEL)
      if (is_mine(self, first)) take_block(self, block, panel, first);
  }
}

static void add_squares(const twin *self) {
  const block_columns *matrices = self->matrices;
  for (int64_t first = self->begin; first < self->end; first += PANEL) {
    const int64_t count = count_panel(self, first), bytes = self->features * count * 8;
    double *b = find_panel(self, first, self->b);
    team_bcast(matrices->team, b, bytes, find_owner(self, first));
    esp_add_square_upper(
        &(thin){.n = self->features, .k = count, .ld = self->features, .factor = 1, .y = b},
        matrices);
  }
}

void esp_add_twin(const esp_gaussian *model, int64_t outputs, const block_columns *matrices) {
  const int64_t features = matrices->begin[matrices->n];
  const int64_t mine = agree_on_panels(matrices->team, outputs);
  const int64_t step = PANEL * mine * team_size_local(matrices->team), room = get_room(outputs);
  twin self = {.model = model,
               .matrices = matrices,
               .features = features,
               .mine = mine,
               .map = ESP_NEW(double, features *room *mine),
               .b = ESP_NEW(double, features *room *mine)};
  double *panel = ESP_NEW(double, features *BLOCK_COLUMNS);
  if (team_size_local(matrices->team) > 1) self.other = ESP_NEW(double, features *room);
  for (; self.begin < outputs; self.begin += step) {
    self.end = outputs - self.begin < step ? outputs : self.begin + step;
    deal_map(&self);
    multiply_map(&self, panel);
    add_squares(&self);
  }
  esp_free(&self.map);
  esp_free(&self.b);
  esp_free(&self.other);
  esp_free(&panel);
}

void esp_add_twin_cost(int64_t features, int64_t outputs, int ranks, esp_cost *cost) {
  const double f = (double)features, p = (double)outputs;
  const double mine = (double)count_panels_at_once(outputs);
  const double panels = 2.0 * mine + (ranks > 1 ? 1.0 : 0.0);
  const double times = ceil(p / (PANEL * mine * ranks));
  esp_cost_touch(cost, sizeof(double) * f * (panels * (double)get_room(outputs) + BLOCK_COLUMNS));
  esp_cost_send(cost, ranks, ESP_BCAST,
                sizeof(double) * 2.0 * f * p + times * esp_invert_sent_bytes(features) / 2.0);
}
