#include "gate.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"

#include <math.h>

enum { MOST_NAMED = 3 };

/* What a model of a task is judged by, and how: one row a task. */
typedef struct judged {
  const char *figure;
  bool is_lower_better;
  double (*get)(const esp_quality *quality);
} judged;

static double get_perplexity(const esp_quality *quality) {
  return exp(quality->loss_nats);
}

static double get_accuracy(const esp_quality *quality) {
  return (double)quality->correct / (double)quality->targets;
}

static double get_cosine(const esp_quality *quality) {
  return quality->cosine;
}

static double get_error(const esp_quality *quality) {
  return quality->loss_nats;
}

static double get_f1(const esp_quality *quality) {
  return quality->f1;
}

static const judged by_task[] = {
    [ESP_TASK_CLASSIFY] = {"accuracy", false, get_accuracy},
    [ESP_TASK_LANGUAGE] = {"perplexity", true, get_perplexity},
    [ESP_TASK_MASKED] = {"perplexity", true, get_perplexity},
    [ESP_TASK_EMBED] = {"cosine", false, get_cosine},
    [ESP_TASK_REGRESS] = {"mean squared error", true, get_error},
    [ESP_TASK_MULTI_LABEL] = {"micro-F1", false, get_f1},
};

static bool is_asked(const esp_eval_options *options) {
  return options->at_most > 0.0 || options->at_least > 0.0;
}

static esp_status check_task(const esp_model *first, const esp_model *model) {
  if (first->task == model->task) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "%s is judged by its %s and %s by its %s; hold models of one kind against each "
                  "other",
                  first->path, by_task[first->task].figure, model->path,
                  by_task[model->task].figure);
}

esp_status gate_check(const esp_eval_options *options, esp_model *const *models, int n) {
  const judged *judge = &by_task[models[0]->task];
  if (!is_asked(options)) return ESP_OK;
  if (judge->is_lower_better && options->at_least > 0.0)
    return esp_fail(ESP_USAGE, "--at-least: a %s is better where it is lower; give --at-most",
                    judge->figure);
  if (!judge->is_lower_better && options->at_most > 0.0)
    return esp_fail(ESP_USAGE, "--at-most: %s is better where it is higher; give --at-least",
                    judge->figure);
  if (n < 2)
    return esp_fail(ESP_USAGE,
                    "%s: expected models to hold against the first, found one model; "
                    "give the dense one first",
                    judge->is_lower_better ? "--at-most" : "--at-least");
  for (int i = 1; i < n; i++) ESP_TRY(check_task(models[0], models[i]));
  return ESP_OK;
}

/* NAN: nothing to compare. Perplexities by their losses, whose exponentials may overflow. */
static double compute_ratio(const judged *judge, const esp_quality *first,
                            const esp_quality *quality) {
  if (first->targets == 0 || quality->targets == 0) return NAN;
  if (judge->get == get_perplexity) return exp(quality->loss_nats - first->loss_nats);
  const double of = judge->get(first);
  return of > 0.0 ? judge->get(quality) / of : NAN;
}

static bool is_within(const esp_eval_options *options, double ratio) {
  return options->at_most > 0.0 ? ratio <= options->at_most : ratio >= options->at_least;
}

static void add_name(char **list, const esp_model *model, const char *figure, double value,
                     double ratio) {
  char *before = *list;
  *list = esp_format("%s%s%s (%s %.6g, %.4g times)", before ? before : "", before ? ", " : "",
                     model->path, figure, value, ratio);
  esp_free(&before);
}

static esp_status fail_beyond(const esp_eval_options *options, const judged *judge, int n_beyond,
                              const char *list, double first) {
  const bool lower = options->at_most > 0.0;
  return esp_fail(ESP_BEYOND,
                  "%d of the models %s --at-%s %g times the first one's %s of %.6g: %s%s", n_beyond,
                  n_beyond == 1 ? "is not" : "are not", lower ? "most" : "least",
                  lower ? options->at_most : options->at_least, judge->figure, first, list,
                  n_beyond > MOST_NAMED ? ", and others" : "");
}

esp_status gate_judge(const esp_eval_options *options, esp_model *const *models, int n,
                      const esp_quality *qualities, json_t *rows) {
  const judged *judge = &by_task[models[0]->task];
  char *list = NULL;
  int n_beyond = 0;
  if (!is_asked(options)) return ESP_OK;
  for (int i = 1; i < n; i++) {
    const double ratio = compute_ratio(judge, &qualities[0], &qualities[i]);
    const bool within = is_within(options, ratio);
    json_t *row = json_array_get(rows, (size_t)i);
    json_object_set_new(row, "ratio", esp_json_real(ratio));
    json_object_set_new(row, "within", json_boolean(within));
    if (within || n_beyond++ >= MOST_NAMED) continue;
    add_name(&list, models[i], judge->figure, judge->get(&qualities[i]), ratio);
  }
  const esp_status status =
      n_beyond > 0 ? fail_beyond(options, judge, n_beyond, list, judge->get(&qualities[0]))
                   : ESP_OK;
  esp_free(&list);
  return status;
}
