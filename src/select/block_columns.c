#include "block_columns.h"

#include "espalier/core/memory.h"

#include <string.h>

static int64_t count_blocks(int64_t features) {
  return (features + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
}

/* Of `blocks`, those of one rank. */
static int64_t count_mine(int64_t blocks, int rank, int size) {
  return (blocks - rank + size - 1) / size;
}

void block_columns_init(block_columns *self, const esp_comm *team, int64_t features) {
  const int64_t n = count_blocks(features);
  const int64_t mine = count_mine(n, team_rank_local(team), team_size_local(team)) * BLOCK_COLUMNS;
  *self = (block_columns){.team = team, .stride = features + 1, .n = n};
  self->begin = ESP_NEW(int64_t, n + 1);
  for (int64_t b = 0; b < n; b++) self->begin[b] = b * BLOCK_COLUMNS;
  self->begin[n] = features;
  self->stored = ESP_NEW(double, (features + 1) * (mine < features ? mine : features));
}

void block_columns_clear(block_columns *self) {
  esp_free(&self->begin);
  esp_free(&self->stored);
}

double block_columns_bytes(int64_t features, int ranks) {
  const int64_t mine = count_mine(count_blocks(features), 0, ranks) * BLOCK_COLUMNS;
  return sizeof(double) * (double)(features + 1) * (double)(mine < features ? mine : features);
}

void team_bcast(const esp_comm *team, void *data, int64_t bytes, int root) {
  if (team) esp_bcast(team, data, bytes, root);
}

esp_status team_agree(const esp_comm *team, esp_status mine) {
  return team ? esp_agree(team, mine) : mine;
}

void team_gather(const esp_comm *team, double *values, int64_t count) {
  if (team) esp_reduce_gather_f64(team, values, count, 0);
}

double *block_columns_upper(const block_columns *self, int64_t block) {
  const int size = team_size_local(self->team);
  if (block % size != team_rank_local(self->team)) return NULL;
  return self->stored + block / size * BLOCK_COLUMNS * self->stride;
}

double *block_columns_lower(const block_columns *self, int64_t block) {
  double *upper = block_columns_upper(self, block);
  return upper ? upper + 1 : NULL;
}

void block_columns_share(const block_columns *self, int64_t block, double *panel) {
  const int64_t first = self->begin[block], rows = self->begin[self->n] - first;
  const int64_t columns = block_columns_count(self, block);
  const double *lower = block_columns_lower(self, block);
  for (int64_t c = 0; lower && c < columns; c++) {
    const double *column = lower + first + c * self->stride;
    for (int64_t i = 0; i < c; i++) panel[i + c * rows] = 0;
    memcpy(panel + c + c * rows, column + c, (size_t)(rows - c) * sizeof *panel);
  }
  team_bcast(self->team, panel, rows * columns * (int64_t)sizeof *panel,
             (int)(block % team_size_local(self->team)));
}
