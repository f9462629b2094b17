/* What the commands `train` and `recover` take. */
#include "command_job.h"

#include "espalier/io/cost.h"
#include "espalier/model/cost.h"
#include "espalier/train/cost.h"

#include <math.h>
#include <sys/stat.h>

/* Every weight of a new model is its own. */
static void set_final(const command_job *job) {
  for (int w = 0; w < job->model->n_weights && job->purpose == ESP_TRAIN_NEW; w++)
    job->model->weights[w].is_final = true;
}

static void add_dataset(const esp_dataset *data, int ranks, esp_train_cost *cost) {
  if (!data) return;
  cost->data_bytes += esp_dataset_bytes(data);
  esp_cost_send(&cost->opening, ranks, ESP_BCAST, esp_dataset_bytes(data));
}

/* Hashes of all weights are agreed on: of a model for the journal, of a teacher also before. */
static void add_opened(const esp_model *model, int ranks, double hashes, esp_train_cost *cost) {
  esp_model_add_open_cost(model, ranks, &cost->opening);
  esp_cost_send(&cost->opening, ranks, ESP_ALLREDUCE,
                hashes * sizeof(int64_t) * (double)model->n_weights);
}

static void add_opening(const command_job *job, esp_train_cost *cost) {
  const double of_teacher = job->purpose == ESP_TRAIN_RECOVER && !job->settings->train.teacher;
  const bool is_new = job->purpose == ESP_TRAIN_NEW;
  add_dataset(job->data, job->ranks, cost);
  add_dataset(job->held_out, job->ranks, cost);
  if (!is_new) add_opened(job->model, job->ranks, 1.0, cost);
  if (job->rewind) add_opened(job->rewind, job->ranks, 1.0, cost);
  if (job->teacher) add_opened(job->teacher, job->ranks, 1.0 + of_teacher, cost);
  esp_cost_send(&cost->opening, job->ranks, ESP_BCAST, (double)job->tokens.bytes);
}

/* What stands beside the weights in a file that was read (report, units, scores) goes on with them;
 * all ranks get it. */
static void add_file(const command_job *job, esp_train_cost *cost) {
  /* Measured: /config, /meta and the training in it, HDF5's own; what a file that was read gains,
   * and has that is not sent. */
  enum { OWN = 7000, GAIN = 2000, REST = 12000 };
  struct stat about;
  const bool is_there = job->model->details && stat(job->path, &about) == 0;
  const double read = esp_model_file_bytes(job->model);
  const double mine = is_there ? fmax((double)about.st_size - read, 0.0) : 0.0;
  const double beside = esp_agree_max_f64(job->comm, mine);
  cost->trained_bytes = cost->model_bytes + fmax(OWN, GAIN + beside);
  esp_cost_send(&cost->write, job->ranks, ESP_BCAST, fmax(beside - REST, 0.0));
}

/* By the names: a plan reads no weights. */
static bool is_own_teacher(const command_job *job) {
  struct stat own, other;
  return job->purpose != ESP_TRAIN_NEW && job->teacher && stat(job->path, &own) == 0 &&
         stat(job->teacher->path, &other) == 0 && own.st_dev == other.st_dev &&
         own.st_ino == other.st_ino;
}

static esp_status compute_cost(command_job *job, esp_train_cost *cost) {
  const esp_train_request request = command_job_request(job, NULL, "planned");
  ESP_TRY(esp_agree(job->comm, command_job_check_teacher_local(job, is_own_teacher(job))));
  set_final(job);
  ESP_TRY(esp_agree(job->comm, esp_train_compute_cost(&request, job->ranks, cost)));
  add_opening(job, cost);
  add_file(job, cost);
  return ESP_OK;
}

esp_status esp_train_command_cost(const esp_comm *comm, const esp_train_settings *settings,
                                  esp_train_purpose purpose, const char *path, int ranks,
                                  esp_train_cost *cost) {
  command_job job = command_job_make_local(comm, settings, purpose, path);
  *cost = (esp_train_cost){0};
  job.ranks = ranks;
  job.is_planned = true;
  esp_status status = command_job_open(&job);
  if (status == ESP_OK) status = compute_cost(&job, cost);
  command_job_clear(&job);
  return status;
}
