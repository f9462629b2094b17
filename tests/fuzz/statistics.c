/* Statistics of a small network with all that can be collected, changed (h5.h). */
#include "h5.h"
#include "small.h"

#include "espalier/collect/collect.h"
#include "espalier/core/memory.h"

enum { SAMPLES = 40, WIDTH = 3, UNITS = 2, MICRO_BATCH = 10 };

static const char *const names[] = {"/meta",
                                    "/valid",
                                    "/hidden.0/edges",
                                    "/hidden.0/planes",
                                    "/hidden.0/mean",
                                    "/hidden.0/variance",
                                    "/hidden.0/norm",
                                    "/hidden.0/activation",
                                    "/hidden.0/covariance",
                                    "/hidden.0/half/mean",
                                    "/hidden.0/half/norm",
                                    "/hidden.0/half/covariance",
                                    "/hidden.0",
                                    NULL};

static void collect(esp_model *model, esp_dataset *data) {
  const esp_shard_options shard_options = {.micro_batch = MICRO_BATCH, .seed = 3};
  const esp_collect_options options = {
      .bins = 4, .pilot = MICRO_BATCH, .covariance = true, .halves = true};
  esp_shard shard;
  esp_shard_init(&shard, &fuzz_comm, data, &shard_options);
  json_t *meta = small_meta_new(&fuzz_comm, model, data, MICRO_BATCH);
  ESP_ASSERT(esp_collect(&fuzz_comm, model, &shard, &options, meta, fuzz_path("good.h5")) ==
             ESP_OK);
  esp_shard_clear(&shard);
}

void fuzz_start(void) {
  static const int64_t sizes[] = {WIDTH, UNITS, 3};
  esp_model *model = small_model_open(&fuzz_comm, sizes, 3, fuzz_path("model.h5"));
  esp_dataset *data = small_dataset_new(SAMPLES, WIDTH, 5);
  collect(model, data);
  esp_dataset_close(&data);
  esp_model_free(&model);
}

/* Joint counts of other planes would be negative. */
static void check_planes(const esp_planes *planes, const uint8_t *valid) {
  for (int64_t p = 0; p < planes->units * (planes->bins - 1); p++)
    for (int64_t w = 0; w < planes->n_words; w++) {
      const uint64_t *word = planes->words + p * planes->stride + w;
      const uint64_t rows = valid[w] == ESP_WORD_BITS ? UINT64_MAX : (UINT64_C(1) << valid[w]) - 1;
      const uint64_t below = p % (planes->bins - 1) ? word[-planes->stride] : rows;
      ESP_ASSERT((*word & ~below) == 0);
    }
}

static void load_site(esp_stats *stats) {
  esp_site_stats site;
  if (fuzz_is_ok(esp_stats_load_site(stats, "hidden.0", UNITS,
                                     ESP_LOAD_PLANES | ESP_LOAD_COVARIANCE, &site))) {
    fuzz_touch(site.covariance, UNITS * UNITS * (int64_t)sizeof *site.covariance);
    uint8_t *valid = esp_stats_count_valid_local(stats);
    check_planes(&site.planes, valid);
    esp_free(&valid);
    esp_site_stats_clear(&site);
  }
}

static void load_half(const esp_stats *whole, esp_half half) {
  esp_stats *stats;
  float matrix[UNITS * UNITS];
  const esp_status status = esp_stats_open_half_local(whole, half, &stats);
  if (!fuzz_succeeded(status, stats)) return;
  load_site(stats);
  fuzz_is_ok(esp_stats_load_matrix(stats, "hidden.0", ESP_STATS_COVARIANCE, UNITS, -1, matrix));
  esp_stats_close(&stats);
}

static void read_changed(void) {
  esp_stats *stats;
  const esp_status status = esp_stats_open(&fuzz_comm, fuzz_path("changed.h5"), &stats);
  if (!fuzz_succeeded(status, stats)) return;
  load_site(stats);
  load_half(stats, ESP_EVEN);
  load_half(stats, ESP_ODD);
  esp_stats_close(&stats);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_input input = {data, size};
  fuzz_h5_edit("good.h5", "changed.h5", names, &input);
  read_changed();
  fuzz_h5_end();
  return 0;
}
