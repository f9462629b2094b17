/* Every family trains to the same bits at any number of ranks and threads. The models are large
 * enough that a stage's weights are several blocks, which are dealt to several ranks. */
#include "mpi.h"
#include "transformer.h"

#include "small.h"
#include "training.h"

#include "espalier/model/family.h"

#include <omp.h>

enum { COUNT = 26, LENGTH = 10, VOCABULARY = 150 };

static json_t *llama_config(const char *type) {
  return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b}", "model_type", type,
                   "hidden_size", 48, "num_hidden_layers", 2, "num_attention_heads", 4,
                   "num_key_value_heads", 2, "head_dim", 12, "intermediate_size", 100, "vocab_size",
                   VOCABULARY, "max_position_embeddings", 16, "tie_word_embeddings",
                   strcmp(type, "llama") == 0);
}

static json_t *gpt2_config(const char *type) {
  return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i}", "model_type", type, "n_embd", 48,
                   "n_head", 4, "n_layer", 2, "vocab_size", VOCABULARY, "n_positions", 12,
                   "n_inner", 100);
}

static json_t *bert_config(const char *architecture) {
  return json_pack("{s:s, s:[s], s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:{s:s, s:s, s:s}}",
                   "model_type", "bert", "architectures", architecture, "hidden_size", 48,
                   "num_attention_heads", 4, "intermediate_size", 100, "num_hidden_layers", 2,
                   "vocab_size", VOCABULARY, "max_position_embeddings", 12, "type_vocab_size", 2,
                   "id2label", "0", "a", "1", "b", "2", "c");
}

static json_t *perceptron_config(const char *activation) {
  return json_pack("{s:s, s:[i, i, i, i], s:s, s:f, s:f}", "model_type", "mlp", "layer_sizes", 64,
                   90, 70, 3, "activation", activation, "input_mean", 0.3, "input_std", 0.4);
}

/* A way to train. */
typedef struct kind {
  json_t *(*configure)(const char *what);
  const char *what;
  bool has_teacher;
  esp_dtype type; // of the weights that would be written
  const char *optimizer, *trainable;
  int64_t hold_out;
} kind;

static const kind kinds[] = {
    {llama_config, "llama", false, ESP_F32, "adamw", "all", 3},
    {llama_config, "llama", true, ESP_BF16, "sgd", "blocks", 4},
    {llama_config, "qwen3", false, ESP_BF16, "adamw", "writers", 0},
    {llama_config, "qwen3", true, ESP_F32, "adamw", "all", 4},
    {gpt2_config, "gpt2", false, ESP_F16, "sgd", "all", 3},
    {gpt2_config, "gpt2", true, ESP_F32, "adamw", "norms", 0},
    {bert_config, "BertForMaskedLM", false, ESP_F32, "adamw", "all", 3},
    {bert_config, "BertForMaskedLM", true, ESP_BF16, "sgd", "*.layer.1.*", 3},
    {bert_config, "BertForSequenceClassification", false, ESP_F32, "adamw", "all", 4},
    {bert_config, "BertModel", true, ESP_F32, "adamw", "all", 3},
    {perceptron_config, "gelu", false, ESP_F32, "adamw", "all", 0},
    {perceptron_config, "relu", true, ESP_F32, "sgd", "all", 3},
};

static esp_model *make_model(const kind *of, uint64_t seed) {
  esp_model *model = NULL;
  json_t *config = of->configure(of->what);
  if (esp_model_new(config, &model) != ESP_OK) fail_msg("%s", esp_failure_text());
  json_decref(config);
  esp_model_own_all(model);
  model->family->init(model, seed);
  for (int w = 0; w < model->n_weights; w++) model->weights[w].type = of->type;
  return model;
}

/* Sequences with padding and labels; images for a perceptron. */
static esp_dataset *make_data(const kind *of) {
  if (of->configure == perceptron_config) return mlp_data(COUNT, 64, CLASSES);
  esp_dataset *data = small_tokens_new(COUNT, LENGTH, VOCABULARY);
  data->lengths = ESP_NEW(int32_t, COUNT);
  data->labels = ESP_NEW(int32_t, COUNT);
  data->classes = CLASSES;
  for (int64_t s = 0; s < COUNT; s++) {
    data->lengths[s] = 1 + (int32_t)esp_rng_below(4, 0, (uint64_t)s, LENGTH);
    data->labels[s] = (int32_t)esp_rng_below(4, 1, (uint64_t)s, CLASSES);
  }
  return data;
}

static esp_train_options make_options(const kind *of) {
  esp_train_options options = new_options(of->optimizer);
  options.trainable = (char *)(uintptr_t)of->trainable;
  options.epochs = 2, options.batch = 9, options.micro_batch = 2;
  options.temperature = 2.0, options.mix = 0.25;
  options.clip = 0.5;
  options.hold_out = of->hold_out, options.evaluate_every = 2;
  return options;
}

/* All numbers of a training on this rank. */
static uint64_t run_in(const esp_comm *comm, const kind *of, const char *gradients, int threads,
                       int64_t state_bytes) {
  static const int32_t special[2] = {0, 7};
  const esp_masking masking = {.rate = 0.2,
                               .token = 5,
                               .vocabulary = VOCABULARY,
                               .special = special,
                               .n_special = 2,
                               .seed = 8};
  esp_model *model = make_model(of, 11), *teacher = of->has_teacher ? make_model(of, 12) : NULL;
  esp_dataset *data = make_data(of);
  esp_train_options options = make_options(of);
  options.gradients = (char *)(uintptr_t)gradients;
  esp_train_report report;
  omp_set_num_threads(threads);
  const esp_train_request request = {.model = model,
                                     .teacher = teacher,
                                     .data = data,
                                     .options = &options,
                                     .masking = model->task == ESP_TASK_MASKED ? &masking : NULL,
                                     .seed = 5,
                                     .save_every_s = 1e9,
                                     .state_bytes = state_bytes};
  if (esp_train(comm, &request, &report) != ESP_OK) fail_msg("%s", esp_failure_text());
  omp_set_num_threads(1);
  uint64_t hash = hash_weights(model);
  for (int i = 0; i < report.n_points; i++)
    hash = esp_hash(hash, &report.points[i], sizeof report.points[i]);
  esp_train_report_clear(&report);
  esp_model_free(&model);
  esp_model_free(&teacher);
  esp_dataset_close(&data);
  return hash;
}

static uint64_t run(const esp_comm *comm, const kind *of, const char *gradients, int threads) {
  return run_in(comm, of, gradients, threads, 0);
}

static uint64_t run_alone(const kind *of, const char *gradients) {
  esp_comm self;
  esp_comm_init_local(&self);
  const uint64_t hash = run(&self, of, gradients, 1);
  esp_comm_clear(&self);
  return hash;
}

/* And those of every kind are others: the runs are told apart by what is hashed. */
static void esp_train_gives_the_bits_of_one_rank_and_thread(void **state) {
  (void)state;
  uint64_t one[ESP_COUNT(kinds)];
  bool differ = true;
  for (size_t i = 0; i < ESP_COUNT(kinds); i++) {
    one[i] = run_alone(&kinds[i], "exact");
    ASSERT_ALL(run(&test_comm, &kinds[i], "exact", 1) == one[i]);
    ASSERT_ALL(run(&test_comm, &kinds[i], "exact", 2) == one[i]);
    for (size_t j = 0; j < i; j++) differ = differ && one[j] != one[i];
  }
  ASSERT_ALL(differ);
}

/* What --gradients float promises: the same bits at one number of ranks, at any of threads, and on
 * all ranks. */
static void esp_train_with_float_sums_gives_all_ranks_the_same(void **state) {
  (void)state;
  const kind *of = &kinds[0];
  const uint64_t found = run(&test_comm, of, "float", 1);
  uint64_t first = found;
  esp_bcast(&test_comm, &first, sizeof first, 0);
  ASSERT_ALL(found == first && run(&test_comm, of, "float", 2) == found);
}

/* Where states have room for one micro-batch alone, a step takes as many passes. */
static void esp_train_gives_the_same_bits_in_several_passes(void **state) {
  (void)state;
  for (size_t i = 0; i < ESP_COUNT(kinds); i += 3)
    ASSERT_ALL(run_in(&test_comm, &kinds[i], "exact", 1, 1) == run_alone(&kinds[i], "exact"));
  const uint64_t found = run_in(&test_comm, &kinds[0], "float", 1, 1);
  uint64_t first = found;
  esp_bcast(&test_comm, &first, sizeof first, 0);
  ASSERT_ALL(found == first);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_train_gives_the_bits_of_one_rank_and_thread),
              cmocka_unit_test(esp_train_gives_the_same_bits_in_several_passes),
              cmocka_unit_test(esp_train_with_float_sums_gives_all_ranks_the_same))
