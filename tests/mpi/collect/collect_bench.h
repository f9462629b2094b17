/* A network whose activations are all different, its data and their shards, to collect from. */
#ifndef ESPALIER_TESTS_COLLECT_BENCH_H
#define ESPALIER_TESTS_COLLECT_BENCH_H

#include "espalier/collect/collect.h"

#include "mpi.h"
#include "small.h"

enum { SAMPLES = 90, WIDTH = 6, UNITS = 7, MICRO_BATCH = 16, BINS = 4, OUTPUTS = 3 };
static const int64_t sizes[] = {WIDTH, 5, UNITS, OUTPUTS};

typedef struct bench {
  const esp_comm *comm;
  esp_model *model;
  esp_dataset *data;
  esp_shard shard;
} bench;

static inline bench open_bench(const esp_comm *comm, int64_t micro_batch) {
  bench self = {.comm = comm, .model = small_model_new("tanh", sizes, 4, 3)};
  self.data = small_dataset_new(SAMPLES, WIDTH, 3);
  const esp_shard_options options = {.micro_batch = micro_batch, .seed = 3};
  esp_shard_init(&self.shard, comm, self.data, &options);
  return self;
}

static inline void close_bench(bench *self) {
  esp_shard_clear(&self->shard);
  esp_dataset_close(&self->data);
  esp_model_free(&self->model);
}

static inline esp_status collect(bench *self, const esp_collect_options *options,
                                 const char *path) {
  json_t *meta = json_pack("{s:I}", "micro_batch", (json_int_t)self->shard.micro_batch);
  return esp_collect(self->comm, self->model, &self->shard, options, meta, path);
}

/* A path that outlives the next one. Collective. */
static inline const char *own_path(const char *name) {
  static char path[2][160];
  static int turn;
  snprintf(path[turn ^= 1], sizeof path[0], "%s", test_path(name));
  return path[turn];
}

/* True iff all ranks together write the bytes that rank 0 writes alone. Collective. */
static inline bool is_same_as_alone(int64_t micro_batch, const esp_collect_options *options) {
  const char *path = own_path("dealt.h5"), *alone_path = own_path("alone.h5");
  esp_comm alone;
  esp_comm_init_local(&alone);
  bench dealt = open_bench(&test_comm, micro_batch), whole = open_bench(&alone, micro_batch);
  bool same = collect(&dealt, options, path) == ESP_OK;
  if (test_comm.rank == 0) {
    same = collect(&whole, options, alone_path) == ESP_OK && same;
    same = same && small_has_same_bytes(path, alone_path);
  }
  close_bench(&whole);
  close_bench(&dealt);
  esp_comm_clear(&alone);
  return same;
}

#endif
