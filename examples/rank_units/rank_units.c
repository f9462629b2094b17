/* Rank the units of one site and print those that stay: what `espalier prune` does to every site.
 *   mpirun -n RANKS rank_units MODEL DATA STATS.h5 SITE */
#include <espalier/collect/collect.h>
#include <espalier/comm/handle.h>
#include <espalier/core/log.h>
#include <espalier/core/memory.h>
#include <espalier/linalg/gemm.h>
#include <espalier/model/forward.h>
#include <espalier/select/budget.h>
#include <espalier/select/criterion.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MICRO_BATCH = 4 }; // sequences (or images): the unit of work and of rounding
static const esp_budget_rule half = {.sparsity = 0.5, .multiple_of = 1, .min_keep = 1};

/* What statistics must say of themselves, so that they are never used with another model or data.
 * Collective. */
static json_t *describe_collection(const esp_comm *comm, const esp_model *model,
                                   const esp_shard *shard) {
  char model_hash[17], data_hash[17];
  snprintf(model_hash, sizeof model_hash, "%016" PRIx64, esp_model_fingerprint(comm, model));
  snprintf(data_hash, sizeof data_hash, "%016" PRIx64, shard->data->fingerprint);
  return json_pack("{s:s, s:s, s:I}", "model_fingerprint", model_hash, "data_fingerprint",
                   data_hash, "micro_batch", (json_int_t)shard->micro_batch);
}

/* Moments and codes of all sites, to path; every rank runs its micro-batches. Collective. */
static esp_status collect(const esp_comm *comm, esp_model *model, const esp_dataset *data,
                          const char *path) {
  const esp_shard_options dealing = {.micro_batch = MICRO_BATCH, .seed = 1};
  const esp_collect_options options = {.bins = 4, .pilot = 4096, .top_units = 256};
  esp_shard shard;
  ESP_TRY(esp_model_check_data(model, data));
  esp_shard_init(&shard, comm, data, &dealing);
  json_t *meta = describe_collection(comm, model, &shard);
  const esp_status status = esp_collect(comm, model, &shard, &options, meta, path);
  esp_shard_clear(&shard);
  return status;
}

static esp_status find_site(const esp_model *model, const char *name, const esp_stage **site) {
  for (int i = 0; i < model->n_stages; i++)
    if (strcmp(model->stages[i].name, name) == 0) {
      *site = &model->stages[i];
      return ESP_OK;
    }
  return esp_fail(ESP_USAGE, "%s: expected a site of the model, found '%s'; choose one of the list",
                  model->path, name);
}

/* Order the units, from most to least important. Collective; the same order on all ranks. */
static esp_status rank_units(esp_stats *stats, const esp_stage *site, int64_t *order) {
  const esp_criterion *criterion;
  esp_site_stats moments;
  ESP_TRY(esp_criterion_find("activation", &criterion));
  ESP_TRY(esp_stats_load_site(stats, site->name, esp_stage_features(site), 0, &moments));
  const esp_evidence evidence = {.site = site->name,
                                 .units = site->units,
                                 .width = site->width,
                                 .mean = moments.mean,
                                 .variance = moments.variance,
                                 .norm = moments.norm,
                                 .activation = moments.activation};
  double *score = ESP_NEW(double, site->units);
  const esp_status status = criterion->rank(&evidence, order, score);
  esp_free(&score);
  esp_site_stats_clear(&moments);
  return status;
}

static void print_sites(const esp_model *model) {
  for (int i = 0; i < model->n_stages; i++)
    printf("site %s: %" PRId64 " units\n", model->stages[i].name, model->stages[i].units);
}

/* A result that cannot be written is a failure of all ranks, although only one of them writes. */
static esp_status print_kept_local(const esp_stage *site, const int64_t *kept, int64_t n_kept) {
  printf("kept %" PRId64 " of %" PRId64 " units of %s:", n_kept, site->units, site->name);
  for (int64_t i = 0; i < n_kept; i++) printf(" %" PRId64, kept[i]);
  printf("\nselection checksum: %016" PRIx64 "\n",
         esp_selection_checksum(0, site->name, site->units, kept, n_kept));
  return fflush(stdout) == 0 ? ESP_OK : esp_fail(ESP_IO, "cannot write to stdout");
}

static esp_status choose_units(const esp_comm *comm, esp_stats *stats, const esp_stage *site) {
  const int64_t n_kept = esp_budget_uniform(&half, site->units);
  int64_t *order = ESP_NEW(int64_t, site->units), *kept = ESP_NEW(int64_t, n_kept);
  esp_status status = rank_units(stats, site, order);
  if (status == ESP_OK) {
    esp_keep_first(order, n_kept, kept);
    status = esp_agree(comm, comm->rank == 0 ? print_kept_local(site, kept, n_kept) : ESP_OK);
  }
  esp_free(&kept);
  esp_free(&order);
  return status;
}

static esp_status run_on_data(const esp_comm *comm, esp_model *model, const esp_dataset *data,
                              char **names) {
  const esp_stage *site;
  esp_stats *stats = NULL;
  if (comm->rank == 0) print_sites(model);
  ESP_TRY(find_site(model, names[1], &site));
  ESP_TRY(collect(comm, model, data, names[0]));
  ESP_TRY(esp_stats_open(comm, names[0], &stats));
  const esp_status status = choose_units(comm, stats, site);
  esp_stats_close(&stats);
  return status;
}

/* Open, use, close: every function that takes comm gives all ranks the same status. */
static esp_status run(const esp_comm *comm, char **names) {
  esp_model *model = NULL;
  esp_dataset *data = NULL;
  esp_status status = esp_model_open(comm, names[0], &model);
  if (status == ESP_OK) status = esp_dataset_open(comm, names[1], "train", &data);
  if (status == ESP_OK) status = run_on_data(comm, model, data, names + 2);
  esp_dataset_close(&data);
  esp_model_free(&model);
  return status;
}

static void end_job(int exit_code) {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
}

int main(int argc, char **argv) {
  int provided;
  esp_comm comm;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  esp_set_panic_hook(end_job);
  esp_blas_use_one_thread();
  esp_comm_init(&comm, MPI_COMM_WORLD);
  if (comm.rank == 0) esp_log_set_level(ESP_LOG_INFO);
  const esp_status status =
      argc == 5 ? run(&comm, argv + 1)
                : esp_fail(ESP_USAGE, "usage: mpirun -n RANKS rank_units MODEL DATA STATS.h5 SITE");
  if (status != ESP_OK && comm.rank == 0) fprintf(stderr, "rank_units: %s\n", esp_failure_text());
  esp_comm_clear(&comm);
  MPI_Finalize();
  return (int)status;
}
