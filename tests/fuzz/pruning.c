/* Statistics of a language model with all that can be collected, changed (h5.h), and a model pruned
 * by them: the first byte chooses the options. Model, data and options are good, so that what is
 * read of the file goes as far as it can. */
#include "all_settings.h"
#include "h5.h"
#include "small.h"

#include "espalier/core/memory.h"
#include "espalier/model/family.h"
#include "espalier/prune/prune.h"

#include <stdio.h>
#include <string.h>

enum { SAMPLES = 6, LENGTH = 8, VOCABULARY = 11, MICRO_BATCH = 2, MOST_ARGUMENTS = 16 };

static const char config[] =
    "{\"model_type\":\"llama\",\"hidden_size\":8,\"num_hidden_layers\":2,\"num_attention_heads\":2,"
    "\"intermediate_size\":6,\"vocab_size\":11,\"max_position_embeddings\":16}";

static const char *const names[] = {"/meta",
                                    "/valid",
                                    "/logits/units",
                                    "/logits/edges",
                                    "/logits/planes",
                                    "/logits/mean",
                                    "/width.head/planes",
                                    "/width.head/covariance",
                                    "/width.head/activation",
                                    "/width.ffn.0/norm",
                                    "/ffn.0/edges",
                                    "/ffn.0/planes",
                                    "/ffn.0/covariance",
                                    "/ffn.0/fisher",
                                    "/ffn.0/half/mean",
                                    "/ffn.1/variance",
                                    "/ffn.1/norm",
                                    "/attention.0/activation",
                                    "/attention.1/covariance",
                                    "/layers/cosine",
                                    NULL};

/* Beside "--repair none --stats changed.h5". */
static const char *const lines[] = {"--sites width --criterion wanda",
                                    "--sites width --criterion set-mi",
                                    "--criterion set-mi --allocation uniform",
                                    "--criterion set-mi --allocation global",
                                    "--sites ffn --criterion flap",
                                    "--sites ffn --criterion leverage",
                                    "--criterion mi-jmi --upper output",
                                    "--sites block=0.5 --criterion block",
                                    "--sites block=0.5 --criterion block-cosine",
                                    "--structure unstructured --criterion wanda",
                                    "--sites ffn --criterion activation --stability"};
enum { LINES = sizeof lines / sizeof *lines };

static void write_model(void) {
  esp_model *model;
  esp_model_files files;
  json_t *members = json_loads(config, 0, NULL);
  ESP_ASSERT(esp_model_new(members, &model) == ESP_OK);
  esp_model_own_all(model);
  model->family->init(model, 1);
  fuzz_make_folder("model");
  fuzz_write("model/config.json", config, strlen(config));
  ESP_ASSERT(esp_model_write_safetensors(&fuzz_comm, model, fuzz_path("model"), 0, &files) ==
             ESP_OK);
  esp_model_free(&model);
  json_decref(members);
}

static void collect(esp_model *model, esp_dataset *data) {
  const esp_shard_options shard_options = {.micro_batch = MICRO_BATCH, .seed = 3};
  const esp_collect_options options = {.bins = 4,
                                       .pilot = MICRO_BATCH,
                                       .covariance = true,
                                       .width = true,
                                       .halves = true,
                                       .fisher_tokens = 16,
                                       .top_units = VOCABULARY};
  esp_shard shard;
  esp_shard_init(&shard, &fuzz_comm, data, &shard_options);
  json_t *meta = small_meta_new(&fuzz_comm, model, data, MICRO_BATCH);
  const esp_status status =
      esp_collect(&fuzz_comm, model, &shard, &options, meta, fuzz_path("good.h5"));
  if (!fuzz_is_ok(status)) fprintf(stderr, "%s\n", esp_failure_text());
  ESP_ASSERT(status == ESP_OK);
  esp_shard_clear(&shard);
}

void fuzz_start(void) {
  esp_model *model;
  write_model();
  ESP_ASSERT(esp_model_open(&fuzz_comm, fuzz_path("model"), &model) == ESP_OK);
  esp_dataset *data = small_tokens_new(SAMPLES, LENGTH, VOCABULARY);
  collect(model, data);
  esp_dataset_close(&data);
  esp_model_free(&model);
}

static void prune(char *line) {
  char *argv[MOST_ARGUMENTS];
  const char *positional[MOST_ARGUMENTS];
  esp_settings settings;
  esp_prune_report report;
  const esp_option_table *table = esp_settings_table();
  esp_arguments arguments = {.command = ESP_FOR_PRUNE, .argv = argv, .positional = positional};
  for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
    argv[arguments.argc++] = word;
  esp_options_init(table, &settings);
  ESP_ASSERT(esp_options_read_arguments(table, &settings, &arguments) == ESP_OK);
  const esp_prune_settings all = settings_of_prune(&settings);
  if (fuzz_is_ok(esp_prune(&fuzz_comm, &all, fuzz_path("model"), &report)))
    esp_prune_report_clear(&report);
  esp_options_clear(table, &settings);
}

static void remove_outputs(void) {
  static const char *const ends[] = {"out.h5", "out.h5.report.json", "out.h5.journal",
                                     "out.h5.partial"};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) remove(fuzz_path(ends[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  fuzz_input input = {bytes, size};
  const char *chosen = lines[fuzz_take(&input) % LINES];
  char *line = esp_format("--repair none --stats %s -o %s %s%s", fuzz_path("changed.h5"),
                          fuzz_path("out.h5"), chosen,
                          strstr(chosen, "--stability") ? "" : " --no-stability");
  fuzz_h5_edit("good.h5", "changed.h5", names, &input);
  prune(line);
  fuzz_h5_end();
  remove_outputs();
  esp_free(&line);
  return 0;
}
