/* Budgets against all that a sparsity can give: the largest model within them. */
#include "unit.h"

#include "pruning.h"

#include "espalier/prune/sketch.h"

#include <math.h>
#include <string.h>

static const esp_comm alone = {.rank = 0, .size = 1};

#define SMALL                                                                              \
  "'hidden_size': 16, 'num_hidden_layers': 3, 'num_attention_heads': 4, 'vocab_size': 11," \
  "'max_position_embeddings': 32"
#define LLAMA(type)                                                                          \
  "{'model_type': '" type "', " SMALL ", 'num_key_value_heads': 2, 'intermediate_size': 40," \
  "'head_dim': 4, 'rms_norm_eps': 1e-6, 'hidden_act': 'silu', 'architectures': ['ForCausalLM']}"

static const struct {
  const char *family, *config;
} models[] = {
    {"llama", LLAMA("llama")},
    {"mistral", LLAMA("mistral")},
    {"qwen2", LLAMA("qwen2")},
    {"qwen3", LLAMA("qwen3")},
    {"gpt2", "{'model_type': 'gpt2', 'n_embd': 16, 'n_layer': 2, 'n_head': 4, 'n_inner': 40,"
             "'n_positions': 32, 'vocab_size': 11, 'activation_function': 'gelu_new',"
             "'architectures': ['GPT2LMHeadModel']}"},
    {"bert", "{'model_type': 'bert', " SMALL ", 'intermediate_size': 40, 'hidden_act': 'gelu',"
             "'type_vocab_size': 2, 'architectures': ['BertModel']}"},
    {"mlp", "{'model_type': 'mlp', 'layer_sizes': [30, 40, 24, 10], 'activation': 'relu', "
            "'input_mean': 0.0, 'input_std': 1.0}"},
};
enum { N_MODELS = sizeof models / sizeof *models };

static esp_model *make(const char *config) {
  esp_model *model = NULL;
  char *text = esp_strdup(config);
  for (char *c = text; *c; c++)
    if (*c == '\'') *c = '"';
  json_t *parsed = json_loads(text, 0, NULL);
  if (esp_model_new(parsed, &model) != ESP_OK) fail_msg("%s: %s", text, esp_failure_text());
  json_decref(parsed);
  esp_free(&text);
  return model;
}

typedef struct bench {
  esp_prune_settings settings;
  esp_prune_request *request;
  esp_prune_sketch *sketch;
} bench;

static void clear(bench *self) {
  esp_prune_sketch_free(&self->sketch);
  esp_prune_request_free(&self->request);
  esp_prune_settings_clear(&self->settings);
}

static esp_status try(bench *self, const char *config, const char *const *options) {
  *self = (bench){0};
  pruning_set(&self->settings, options);
  ESP_TRY(esp_prune_request_new(&self->settings, make(config), &self->request));
  ESP_TRY(esp_prune_request_settle(&alone, self->request));
  return esp_prune_sketch_new(self->request, 1, &self->sketch);
}

static int64_t count(const char *config, const char *const *options) {
  bench self;
  if (try(&self, config, options) != ESP_OK) fail_msg("%s", esp_failure_text());
  const int64_t n = esp_model_count_parameters(self.sketch->pruned);
  clear(&self);
  return n;
}

#define UNIFORM "criterion", "random", "repair", "none", "allocation", "uniform"

enum { SPARSITIES = 400 };

/* The parameters that each of many sparsities leaves. */
static void count_all(const char *config, const char *sites, const char *multiple, int64_t *all) {
  for (int i = 0; i < SPARSITIES; i++) {
    char sparsity[16];
    snprintf(sparsity, sizeof sparsity, "%.4f", (double)i / SPARSITIES);
    all[i] = count(config,
                   OPTIONS(UNIFORM, "sparsity", sparsity, "multiple_of", multiple, "sites", sites));
  }
}

/* The most parameters within a budget. */
static int64_t find_best(const int64_t *all, int64_t budget) {
  int64_t best = 0;
  for (int i = 0; i < SPARSITIES; i++)
    if (all[i] <= budget && all[i] > best) best = all[i];
  return best;
}

static void check_within_a_step(int model, const char *sites, const char *multiple) {
  const char *config = models[model].config;
  const int64_t dense = count(config, OPTIONS(UNIFORM, "sparsity", "0"));
  int64_t all[SPARSITIES];
  count_all(config, sites, multiple, all);
  for (int part = 70; part < 100; part += 12) {
    char budget[24];
    snprintf(budget, sizeof budget, "%lld", (long long)(dense * part / 100));
    const int64_t got = count(config, OPTIONS(UNIFORM, "max_parameters", budget, "multiple_of",
                                              multiple, "sites", sites));
    const int64_t best = find_best(all, dense * part / 100);
    if (got != best)
      fail_msg("%s: %s: %lld of at most %s, but %lld can be had", models[model].family, sites,
               (long long)got, budget, (long long)best);
  }
}

static void budget_is_met_within_a_step_by_every_family(void **state) {
  (void)state;
  for (int m = 0; m < N_MODELS; m++) {
    const bool is_mlp = strcmp(models[m].family, "mlp") == 0;
    check_within_a_step(m, is_mlp ? "hidden" : "ffn,attention", "1");
    check_within_a_step(m, is_mlp ? "hidden.0" : "ffn", "8");
  }
}

static void budget_is_met_by_width_and_layers(void **state) {
  (void)state;
  check_within_a_step(0, "ffn,width", "1");
  check_within_a_step(0, "width", "1");
  const char *config = models[0].config;
  const int64_t dense = count(config, OPTIONS(UNIFORM, "sparsity", "0"));
  char budget[24];
  snprintf(budget, sizeof budget, "%lld", (long long)dense - 1);
  bench self;
  assert_int_equal(try(&self, config,
                       OPTIONS("criterion", "block", "repair", "none", "sites", "block",
                               "max_parameters", budget)),
                   ESP_OK);
  assert_int_equal(self.sketch->n_layers, 2);
  clear(&self);
}

/* What balanced shares out among kinds; the finest step is a neuron of all layers. */
static void budget_is_met_by_shared_counts(void **state) {
  (void)state;
  bench self;
  assert_int_equal(
      try(&self, models[0].config, OPTIONS("repair", "none", "max_parameters", "7000")), ESP_OK);
  assert_true(self.sketch->tries);
  const int64_t got = esp_model_count_parameters(self.sketch->pruned);
  assert_true(got <= 7000 && got > 7000 - 3 * 3 * 16);
  clear(&self);
}

static void found_sparsity_gives_the_same_model(void **state) {
  (void)state;
  for (int m = 0; m < N_MODELS; m++) {
    bench self;
    const int64_t dense = count(models[m].config, OPTIONS(UNIFORM, "sparsity", "0"));
    char budget[24];
    snprintf(budget, sizeof budget, "%lld", (long long)(dense * 8 / 10));
    assert_int_equal(try(&self, models[m].config, OPTIONS(UNIFORM, "max_parameters", budget)),
                     ESP_OK);
    const int64_t got = esp_model_count_parameters(self.sketch->pruned);
    const esp_budget_number found = esp_budget_format(self.request->budget->sparsity);
    clear(&self);
    assert_int_equal(count(models[m].config, OPTIONS(UNIFORM, "sparsity", found.text)), got);
  }
}

static const esp_budget_limit *find(const bench *self, const char *name) {
  for (int i = 0; i < self->request->budget->n; i++)
    if (strcmp(esp_budget_name(&self->request->budget->limits[i]), name) == 0)
      return &self->request->budget->limits[i];
  fail_msg("no budget %s", name);
  return NULL;
}

static void tighter_of_two_budgets_binds(void **state) {
  (void)state;
  bench self;
  const char *config = models[0].config;
  assert_int_equal(
      try(&self, config, OPTIONS(UNIFORM, "max_parameters", "7000", "max_bytes", "32k")), ESP_OK);
  assert_true(find(&self, "max-parameters")->binds && !find(&self, "max-bytes")->binds);
  assert_true(find(&self, "max-bytes")->got == 4.0 * find(&self, "max-parameters")->got);
  clear(&self);
  assert_int_equal(
      try(&self, config, OPTIONS(UNIFORM, "max_parameters", "7000", "max_bytes", "24k")), ESP_OK);
  assert_true(!find(&self, "max-parameters")->binds && find(&self, "max-bytes")->binds);
  assert_true(find(&self, "max-bytes")->got <= 24000);
  clear(&self);
}

/* 2 (keys, values) x 3 layers x 2 KV heads x 4 x 4 bytes a token; whole groups take it away. */
static void cache_counts_in_bytes(void **state) {
  (void)state;
  bench self;
  const char *config = models[0].config;
  assert_int_equal(
      try(&self, config,
          OPTIONS(UNIFORM, "max_bytes", "1M", "cache_tokens", "100", "heads", "group")),
      ESP_OK);
  const double weights = 4.0 * (double)esp_model_count_parameters(self.request->dense);
  assert_true(find(&self, "max-bytes")->dense == weights + 2.0 * 3 * 2 * 4 * 4 * 100);
  assert_true(find(&self, "max-bytes")->got == find(&self, "max-bytes")->dense);
  clear(&self);
  assert_int_equal(try(&self, config,
                       OPTIONS(UNIFORM, "max_bytes", "60k", "cache_tokens", "300", "heads", "group",
                               "sites", "attention")),
                   ESP_OK);
  assert_int_equal(self.sketch->selection.n_kept[0], 1);
  assert_true(find(&self, "max-bytes")->got < 60000);
  clear(&self);
}

static void model_within_its_budget_stays_whole(void **state) {
  (void)state;
  bench self;
  assert_int_equal(try(&self, models[0].config, OPTIONS(UNIFORM, "max_parameters", "1G")), ESP_OK);
  assert_true(self.request->budget->sparsity == 0.0 && !self.request->budget->limits[0].binds);
  assert_int_equal(esp_model_count_parameters(self.sketch->pruned),
                   esp_model_count_parameters(self.request->dense));
  clear(&self);
}

static void check_refused(const char *config, const char *part, const char *const *options) {
  bench self;
  assert_failure(try(&self, config, options), ESP_USAGE, part);
  clear(&self);
}

static void budget_that_cannot_be_met_says_what_can(void **state) {
  (void)state;
  for (int m = 0; m < N_MODELS; m++) {
    check_refused(models[m].config, "--max-parameters 1 cannot be reached",
                  OPTIONS(UNIFORM, "max_parameters", "1"));
    check_refused(models[m].config, "--max-bytes 1 cannot be reached",
                  OPTIONS(UNIFORM, "max_bytes", "1"));
  }
  const int64_t least = count(models[0].config, OPTIONS(UNIFORM, "sparsity", "0.999999"));
  char said[64], budget[24];
  snprintf(said, sizeof said, "it is %lld parameters", (long long)least);
  check_refused(models[0].config, said, OPTIONS(UNIFORM, "max_parameters", "1"));
  snprintf(budget, sizeof budget, "%lld", (long long)least);
  assert_int_equal(count(models[0].config, OPTIONS(UNIFORM, "max_parameters", budget)), least);
}

static void budgets_of_another_kind_of_request_are_refused(void **state) {
  (void)state;
  check_refused(models[0].config, "shrinks nothing",
                OPTIONS("criterion", "magnitude", "repair", "none", "structure", "unstructured",
                        "max_parameters", "7000"));
  check_refused(models[0].config, "a sparsity of their own",
                OPTIONS(UNIFORM, "sites", "ffn=0.5,attention=0.5", "max_bytes", "7000"));
  check_refused(models[0].config, "not by the width",
                OPTIONS(UNIFORM, "sites", "ffn,width=0.1", "min_speed_up", "1.5"));
  check_refused(models[5].config, "has no key-value cache",
                OPTIONS(UNIFORM, "max_bytes", "20k", "cache_tokens", "1k"));
  check_refused(models[6].config, "has no key-value cache",
                OPTIONS(UNIFORM, "max_bytes", "20k", "cache_tokens", "1k"));
}

static void auto_multiple_goes_by_the_size(void **state) {
  (void)state;
  bench self;
  char *config = esp_format("%s", models[0].config);
  memcpy(strstr(config, "'intermediate_size': 40"), "'intermediate_size':200", 23);
  assert_int_equal(try(&self, config,
                       OPTIONS(UNIFORM, "sites", "ffn", "sparsity", "0.3", "multiple_of", "auto")),
                   ESP_OK);
  assert_int_equal(self.sketch->selection.n_kept[1], 144); // of 140, the nearest multiple of 8
  clear(&self);
  esp_free(&config);
}

ESP_TEST_MAIN(cmocka_unit_test(budget_is_met_within_a_step_by_every_family),
              cmocka_unit_test(budget_is_met_by_width_and_layers),
              cmocka_unit_test(budget_is_met_by_shared_counts),
              cmocka_unit_test(found_sparsity_gives_the_same_model),
              cmocka_unit_test(tighter_of_two_budgets_binds),
              cmocka_unit_test(cache_counts_in_bytes),
              cmocka_unit_test(model_within_its_budget_stays_whole),
              cmocka_unit_test(budget_that_cannot_be_met_says_what_can),
              cmocka_unit_test(budgets_of_another_kind_of_request_are_refused),
              cmocka_unit_test(auto_multiple_goes_by_the_size))
