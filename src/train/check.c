/* Whether a request can be trained at all. */
#include "train_internal.h"

#include "espalier/model/family.h"

#include <inttypes.h>

static esp_status check_teacher(const esp_train_request *request) {
  const esp_model *model = request->model, *teacher = request->teacher;
  if (!teacher) {
    if (!esp_objective_of(model->task)->needs_teacher) return ESP_OK;
    return esp_fail(ESP_USAGE, "an encoder without head learns from another; give --teacher MODEL");
  }
  ESP_TRY(esp_model_check_data(teacher, request->data));
  if (teacher->task != model->task)
    return esp_fail(ESP_MISMATCH,
                    "%s: expected a teacher of this model's task (%s), found one of another (%s); "
                    "take the model that this one was cut from",
                    teacher->path, esp_objective_of(model->task)->name,
                    esp_objective_of(teacher->task)->name);
  if (teacher->n_outputs == model->n_outputs) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: expected a teacher with %" PRId64 " outputs, found %" PRId64
                  "; take the model that this one was cut from",
                  teacher->path, model->n_outputs, teacher->n_outputs);
}

static esp_status check_classes(const esp_model *model, const esp_dataset *data) {
  if (model->task != ESP_TASK_CLASSIFY || model->n_outputs >= 2) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: expected at least 2 classes, found %" PRId64
                  ": there is nothing to tell apart; give data of more classes",
                  data->path, model->n_outputs);
}

/* A teacher needs no labels, but those that are there are read, and a mix needs them. */
static esp_status check_labels(const esp_train_request *request, const esp_dataset *data) {
  const esp_task task = request->model->task;
  const bool are_there = data->classes > 0 || data->targets || data->labels;
  const bool are_read = !request->teacher || are_there || request->options->mix > 0.0;
  if (!are_read) return ESP_OK;
  if (task == ESP_TASK_CLASSIFY) return esp_model_check_labels(request->model, data);
  if (task != ESP_TASK_REGRESS && task != ESP_TASK_MULTI_LABEL) return ESP_OK;
  return esp_objective_of(task)->check(request->model, data);
}

static esp_status check_data(const esp_train_request *request, const esp_dataset *data) {
  const esp_objective *objective = request->teacher
                                       ? esp_objective_with_teacher(request->model->task)
                                       : esp_objective_of(request->model->task);
  ESP_TRY(check_classes(request->model, data));
  ESP_TRY(esp_model_check_data(request->model, data));
  ESP_TRY(check_labels(request, data));
  return objective->check ? objective->check(request->model, data) : ESP_OK;
}

esp_status check_request_local(const esp_train_request *request) {
  if (!request->model->family->embed_backward)
    return esp_fail(ESP_USAGE, "family '%s' cannot be trained", request->model->family->name);
  ESP_TRY(check_data(request, request->data));
  if (request->held_out) ESP_TRY(check_data(request, request->held_out));
  return check_teacher(request);
}
