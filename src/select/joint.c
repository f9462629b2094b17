#include "espalier/select/joint.h"

#include "joint_rule.h"

#include "espalier/core/memory.h"

struct esp_joint {
  const esp_criterion *criterion;
  int64_t units;
  int n, most;
  joint_part **parts; // (n) of a greedy criterion
  double *score;      // (U) sums of the others
  int64_t *order;     // (U) scratch
};

esp_status esp_joint_new(const esp_criterion *criterion, int64_t units, int readers,
                         esp_joint **joint) {
  *joint = NULL;
  if (criterion->is_greedy && !criterion->joint)
    return esp_fail(ESP_USAGE,
                    "criterion '%s' ranks units with one reader only, and the width has many; "
                    "prune other sites, or choose set-mi or set-mi-forward",
                    criterion->name);
  *joint = ESP_NEW(esp_joint, 1);
  **joint = (esp_joint){.criterion = criterion,
                        .units = units,
                        .most = readers,
                        .parts = ESP_NEW(joint_part *, readers),
                        .score = ESP_NEW(double, units),
                        .order = ESP_NEW(int64_t, units)};
  return ESP_OK;
}

/* Scores of one reader over their sum, so that readers count equally. */
static esp_status add_scores(esp_joint *self, const esp_evidence *reader) {
  double *score = ESP_NEW(double, self->units), sum = 0;
  const esp_status status = self->criterion->rank(reader, self->order, score);
  for (int64_t u = 0; u < self->units; u++) sum += score[u];
  for (int64_t u = 0; u < self->units && status == ESP_OK && sum > 0; u++)
    self->score[u] += score[u] / sum;
  esp_free(&score);
  return status;
}

esp_status esp_joint_add(esp_joint *self, const esp_evidence *reader) {
  ESP_ASSERT(self->n < self->most && reader->units == self->units);
  const bool is_summed = self->criterion->joint && self->criterion->joint->is_summed;
  const int i = is_summed ? 0 : self->n;
  self->n = i + 1;
  return self->criterion->joint ? self->criterion->joint->add(reader, &self->parts[i])
                                : add_scores(self, reader);
}

esp_status esp_joint_rank(esp_joint *self, int64_t *order, double *score) {
  if (self->criterion->joint)
    return self->criterion->joint->rank(self->parts, self->n, order, score);
  for (int64_t u = 0; u < self->units; u++) score[u] = self->score[u];
  esp_rank_by_score(self->units, score, order);
  return ESP_OK;
}

void esp_joint_add_cost(const esp_criterion *criterion, const esp_criterion_shape *reader,
                        bool is_first, esp_cost *cost) {
  esp_cost step = {0};
  if (criterion->joint)
    criterion->joint->cost(reader, &step);
  else
    esp_criterion_add_cost(criterion, reader, &step);
  if (criterion->joint && criterion->joint->is_summed && !is_first) step.kept_bytes = 0.0;
  esp_cost_add(cost, &step);
}

void esp_joint_free(esp_joint **joint) {
  esp_joint *self = *joint;
  if (!self) return;
  for (int i = 0; i < self->n && self->criterion->joint; i++)
    self->criterion->joint->free(&self->parts[i]);
  esp_free(&self->parts);
  esp_free(&self->score);
  esp_free(&self->order);
  esp_free(joint);
}
