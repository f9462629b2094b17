/* Ranking over ranks: sites whose evidence does not depend on the selection above are ranked
 * several at a time, the widest first, one by each rank or each by a team of them (teams.h); the
 * others one at a time, by rank 0 or its team. A team's first rank holds the arrays of one site. A
 * site that is ranked a second time, against another selection above, has a record in the journal
 * for each. */
#include "ranker.h"

#include "evidence.h"
#include "teams.h"

#include "espalier/core/memory.h"
#include "espalier/select/metric.h"

#include <string.h>

void ranker_init(ranker *self, const esp_comm *comm, const esp_prune_request *request,
                 prune_journal *journal) {
  const int n = request->dense->n_stages;
  *self = (ranker){.comm = comm,
                   .request = request,
                   .journal = journal,
                   .is_asked = ESP_NEW(bool, n + 1),
                   .order = ESP_NEW(int64_t *, n + 1),
                   .scores = ESP_NEW(double *, n + 1),
                   .whole = ESP_NEW(double, n),
                   .n_ranked = ESP_NEW(int, n),
                   .information_stage = -1};
  for (int i = 0; i < n; i++) self->whole[i] = -1.0;
}

void ranker_clear(ranker *self) {
  for (int i = 0; self->order && i <= self->request->dense->n_stages; i++) {
    esp_free(&self->order[i]);
    esp_free(&self->scores[i]);
  }
  esp_free(&self->is_asked);
  esp_free(&self->order);
  esp_free(&self->scores);
  esp_free(&self->whole);
  esp_free(&self->n_ranked);
  information_drop(self);
}

static const esp_stage *stage_of(const ranker *self, int stage) {
  return &self->request->dense->stages[stage];
}

static unit_name name_ranking(const ranker *self, int stage) {
  static const char *const of[] = {
      [ESP_WHOLE] = "", [ESP_EVEN] = " from even", [ESP_ODD] = " from odd"};
  const char *half = of[self->stats ? self->stats->half : ESP_WHOLE];
  return journal_name_unit_local(self->journal, "ranked%s %d %s", half, self->n_ranked[stage],
                                 stage_of(self, stage)->name);
}

/* A record is the order, the scores, and what all units cost together. */
static size_t count_bytes(const ranker *self, int stage) {
  return (size_t)stage_of(self, stage)->units * sizeof(int64_t);
}

static int64_t count_payload(const ranker *self, int stage) {
  return (int64_t)(2 * count_bytes(self, stage) + sizeof *self->whole);
}

/* A permutation of the units. */
static esp_status check_order(const int64_t *order, int64_t units, const char *site) {
  bool *seen = ESP_NEW(bool, units);
  bool good = true;
  for (int64_t i = 0; i < units && good; i++) {
    good = order[i] >= 0 && order[i] < units && !seen[order[i]];
    if (good) seen[order[i]] = true;
  }
  esp_free(&seen);
  if (good) return ESP_OK;
  return esp_fail(ESP_FORMAT, "journal: what is kept of '%s' is no order of its units; --restart",
                  site);
}

static void allocate_ranking(ranker *self, int stage) {
  const int64_t units = stage_of(self, stage)->units;
  esp_free(&self->scores[stage]);
  self->order[stage] = ESP_NEW(int64_t, units);
  self->scores[stage] = ESP_NEW(double, units);
}

static esp_status take_ranking(ranker *self, int stage, const char *payload) {
  const size_t bytes = count_bytes(self, stage);
  ESP_TRY(check_order((const int64_t *)(const void *)payload, stage_of(self, stage)->units,
                      stage_of(self, stage)->name));
  allocate_ranking(self, stage);
  memcpy(self->order[stage], payload, bytes);
  memcpy(self->scores[stage], payload + bytes, bytes);
  memcpy(&self->whole[stage], payload + 2 * bytes, sizeof *self->whole);
  self->n_ranked[stage]++;
  return ESP_OK;
}

static esp_status load_ranking(ranker *self, int stage) {
  const unit_name name = name_ranking(self, stage);
  const int64_t size = count_payload(self, stage);
  char *payload = ESP_NEW(char, size);
  bool found;
  esp_status status = journal_load_unit(self->journal, name.text, size, payload, &found);
  if (status == ESP_OK && found) status = esp_agree(self->comm, take_ranking(self, stage, payload));
  esp_free(&payload);
  return status;
}

static esp_status save_ranking(ranker *self, int stage) {
  const unit_name name = name_ranking(self, stage);
  const size_t bytes = count_bytes(self, stage);
  const int64_t size = count_payload(self, stage);
  char *payload = ESP_NEW(char, size);
  memcpy(payload, self->order[stage], bytes);
  memcpy(payload + bytes, self->scores[stage], bytes);
  memcpy(payload + 2 * bytes, &self->whole[stage], sizeof *self->whole);
  const esp_status status = journal_append(self->journal, name.text, size, payload);
  esp_free(&payload);
  if (status == ESP_OK) self->n_ranked[stage]++;
  return status;
}

/* Sites that are ranked at a time, each by a team of ranks. */
typedef struct batch {
  int n;
  int *stages;       // (n)
  int64_t *features; // (n)
  int mine;          // the one whose team this rank is in; -1: none
} batch;

static bool is_ready(const ranker *self, int stage) {
  return self->is_asked[stage] && !self->order[stage] &&
         !evidence_depends_on_selection(self->request, self->above, stage);
}

static int64_t count_features(const ranker *self, int stage) {
  return esp_stage_features(stage_of(self, stage));
}

static bool has_stage(const batch *self, int stage) {
  for (int i = 0; i < self->n; i++)
    if (self->stages[i] == stage) return true;
  return false;
}

/* The widest that is left, of equal ones the topmost; -1: none. */
static int find_widest(const ranker *self, const batch *chosen) {
  int widest = -1;
  for (int i = self->request->dense->n_stages - 1; i >= 0; i--) {
    if (!is_ready(self, i) || has_stage(chosen, i)) continue;
    if (widest < 0 || count_features(self, i) > count_features(self, widest)) widest = i;
  }
  return widest;
}

static void add_stage(const ranker *self, int stage, batch *chosen) {
  chosen->features[chosen->n] = count_features(self, stage);
  chosen->stages[chosen->n++] = stage;
}

/* The widest that are ready, as many as ranks; or one that waited for others. */
static batch list_widest(const ranker *self, int asked) {
  const int ranks = self->comm->size;
  batch chosen = {.stages = ESP_NEW(int, ranks), .features = ESP_NEW(int64_t, ranks)};
  if (!is_ready(self, asked)) add_stage(self, asked, &chosen);
  while (is_ready(self, asked) && chosen.n < ranks) {
    const int widest = find_widest(self, &chosen);
    if (widest < 0) break;
    add_stage(self, widest, &chosen);
  }
  return chosen;
}

static batch choose_batch(const ranker *self, int asked) {
  const esp_criterion *criterion = self->request->criterion;
  const int ranks = self->comm->size;
  batch chosen = list_widest(self, asked);
  chosen.n = teams_choose(criterion, chosen.features, chosen.n, ranks);
  chosen.mine = teams_site_of(criterion, chosen.features, chosen.n, ranks, self->comm->rank);
  return chosen;
}

static void batch_clear(batch *self) {
  esp_free(&self->stages);
  esp_free(&self->features);
}

static int get_owner(const ranker *self, const batch *chosen, int i) {
  return teams_first(chosen->n, self->comm->size, i);
}

/* What all ranks read together; each keeps what it owns. */
static esp_status read_batch(ranker *self, const batch *chosen, site_evidence *mine) {
  esp_status status = ESP_OK;
  for (int i = 0; i < chosen->n && status == ESP_OK; i++) {
    const int owner = get_owner(self, chosen, i);
    site_evidence other;
    site_evidence *site = owner == self->comm->rank ? mine : &other;
    status = evidence_read(self, chosen->stages[i], owner, site);
    if (status == ESP_OK && site == &other) evidence_clear(&other);
  }
  return status;
}

/* The price of a whole sub-layer: what its consumer gives goes, E||R M x||^2 in the metric R, about
 * its mean where a bias stays to give the mean. */
static double price_whole(const ranker *self, int stage, const esp_evidence *evidence) {
  const bool has_bias = stage_of(self, stage)->consumer.bias >= 0;
  const bool is_in_nats = metric_is_fisher(self->request, self->stats);
  if (!is_in_nats || !may_empty_stages(self->request, is_in_nats)) return -1.0;
  return esp_metric_price_whole(evidence, has_bias ? NULL : evidence->mean);
}

static esp_status complete_mine_local(ranker *self, int stage, site_evidence *mine,
                                      esp_evidence *evidence) {
  ESP_TRY(evidence_complete_local(self, stage, mine, evidence));
  self->whole[stage] = price_whole(self, stage, evidence);
  return ESP_OK;
}

static esp_status rank_mine_local(ranker *self, int stage, site_evidence *mine) {
  esp_evidence evidence;
  ESP_TRY(complete_mine_local(self, stage, mine, &evidence));
  return self->request->criterion->rank(&evidence, self->order[stage], self->scores[stage]);
}

/* The team's first rank has the evidence. Collective on the team. */
static esp_status rank_by_team(ranker *self, const esp_comm *team, int stage, site_evidence *mine) {
  esp_evidence evidence = evidence_of_sizes(self, stage);
  esp_status status = ESP_OK;
  if (team->rank == 0) status = complete_mine_local(self, stage, mine, &evidence);
  ESP_TRY(esp_agree(team, status));
  return self->request->criterion->rank_by_team(team, &evidence, self->order[stage],
                                                self->scores[stage]);
}

static bool has_teams(const ranker *self, const batch *chosen) {
  for (int i = 0; i < chosen->n; i++)
    if (teams_size(self->request->criterion, chosen->features[i], chosen->n, self->comm->size, i) >
        1)
      return true;
  return false;
}

/* Ranks of no team make one, and have nothing to do. */
static esp_status rank_mine(ranker *self, const batch *chosen, site_evidence *mine) {
  const int i = chosen->mine, stage = i < 0 ? -1 : chosen->stages[i];
  esp_status status = ESP_OK;
  esp_comm team = {.size = 1};
  if (has_teams(self, chosen)) esp_comm_init_team(&team, self->comm, i < 0 ? chosen->n : i);
  if (i >= 0 && team.size > 1)
    status = rank_by_team(self, &team, stage, mine);
  else if (i >= 0)
    status = rank_mine_local(self, stage, mine);
  esp_comm_clear(&team);
  return status;
}

static void bcast_rankings(ranker *self, const batch *chosen) {
  for (int i = 0; i < chosen->n; i++) {
    const int stage = chosen->stages[i], owner = get_owner(self, chosen, i);
    const int64_t bytes = (int64_t)count_bytes(self, stage);
    esp_bcast(self->comm, self->order[stage], bytes, owner);
    esp_bcast(self->comm, self->scores[stage], bytes, owner);
    esp_bcast(self->comm, &self->whole[stage], sizeof *self->whole, owner);
  }
}

static esp_status save_rankings(ranker *self, const batch *chosen) {
  for (int i = 0; i < chosen->n; i++) ESP_TRY(save_ranking(self, chosen->stages[i]));
  return journal_check_interrupt(self->journal, "in the selection");
}

static esp_status load_rankings(ranker *self) {
  for (int stage = 0; stage < self->request->dense->n_stages; stage++)
    if (!self->order[stage]) ESP_TRY(load_ranking(self, stage));
  return ESP_OK;
}

static esp_status rank_batch(ranker *self, const batch *chosen) {
  site_evidence mine = {0};
  for (int i = 0; i < chosen->n; i++) allocate_ranking(self, chosen->stages[i]);
  esp_status status = read_batch(self, chosen, &mine);
  if (status == ESP_OK) status = esp_agree(self->comm, rank_mine(self, chosen, &mine));
  if (status == ESP_OK) {
    bcast_rankings(self, chosen);
    status = save_rankings(self, chosen);
  }
  evidence_clear(&mine);
  return status;
}

esp_status ranker_rank(ranker *self, int stage) {
  esp_status status = load_rankings(self);
  while (status == ESP_OK && !self->order[stage]) {
    batch chosen = choose_batch(self, stage);
    ranker_begin_phase(self, "select");
    status = rank_batch(self, &chosen);
    batch_clear(&chosen);
  }
  return status;
}
