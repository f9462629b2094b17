#include "espalier/select/joint.h"

#include "block_columns.h"
#include "joint_rule.h"

#include "espalier/core/memory.h"

struct esp_joint {
  const esp_comm *team;
  const esp_criterion *criterion;
  int64_t units;
  int n, most;
  joint_part **parts; // (n) of a greedy criterion
  double *score;      // (U) sums of the others
  int64_t *order;     // (U) scratch
};

esp_status esp_joint_new_local(const esp_comm *team, const esp_criterion *criterion, int64_t units,
                               int readers, esp_joint **joint) {
  *joint = NULL;
  if (criterion->is_greedy && !criterion->joint)
    return esp_fail(ESP_USAGE,
                    "criterion '%s' ranks units with one reader only, and the width has many; "
                    "prune other sites, or choose set-mi or set-mi-forward",
                    criterion->name);
  *joint = ESP_NEW(esp_joint, 1);
  **joint = (esp_joint){.team = team,
                        .criterion = criterion,
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

bool esp_joint_is_shared(const esp_criterion *criterion) {
  return criterion->joint && criterion->joint->is_shared;
}

int esp_joint_get_owner(const esp_joint *self) {
  return esp_joint_is_shared(self->criterion) ? self->n % team_size_local(self->team) : 0;
}

static bool is_summed(const esp_joint *self) {
  return self->criterion->joint && self->criterion->joint->is_summed;
}

esp_status esp_joint_add(esp_joint *self, const esp_evidence *reader) {
  const int i = is_summed(self) ? 0 : self->n;
  ESP_ASSERT(self->n < self->most && (!reader || reader->units == self->units));
  self->n++;
  if (!reader) return ESP_OK;
  return self->criterion->joint ? self->criterion->joint->add(reader, &self->parts[i])
                                : add_scores(self, reader);
}

static esp_status rank_parts(esp_joint *self, int64_t *order, double *score) {
  const joint_rule *rule = self->criterion->joint;
  const joint_readers all = {.team = rule->is_shared ? self->team : NULL,
                             .parts = self->parts,
                             .n = rule->is_summed && self->n > 0 ? 1 : self->n,
                             .units = self->units};
  if (!rule->is_shared && team_rank_local(self->team) > 0) return ESP_OK;
  return rule->rank(&all, order, score);
}

esp_status esp_joint_rank(esp_joint *self, int64_t *order, double *score) {
  if (self->criterion->joint) return team_agree(self->team, rank_parts(self, order, score));
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

/* Costs of the units that are left, and the one that goes. */
void esp_joint_add_traffic(int64_t units, int readers, int ranks, esp_cost *cost) {
  const double u = (double)units, pairs = u * (u + 1.0) / 2.0;
  esp_cost_send(cost, ranks, ESP_ALLREDUCE, sizeof(double) * pairs * readers);
  esp_cost_send(cost, ranks, ESP_BCAST, sizeof(int64_t) * u);
}

void esp_joint_free(esp_joint **joint) {
  esp_joint *self = *joint;
  if (!self) return;
  for (int i = 0; i < self->n && self->criterion->joint; i++)
    if (self->parts[i]) self->criterion->joint->free(&self->parts[i]);
  esp_free(&self->parts);
  esp_free(&self->score);
  esp_free(&self->order);
  esp_free(joint);
}
