#include "policy.h"

#include "policies.h"

#include "espalier/core/named.h"

static const policy *const policies[] = {
    &policy_gradual,     &policy_movement, &policy_l0,         &policy_gates,
    &policy_irrelevance, &policy_l1,       &policy_l2,         &policy_set,
    &policy_rigl,        &policy_snfs,     &policy_edge_popup, &policy_freezenet,

    &policy_magnitude,   &policy_random,   &policy_snip,       &policy_grasp,
    &policy_synflow,     &policy_three_sp, &policy_tickets,    NULL};

esp_status policy_find(const char *name, const policy **found) {
  int i;
  *found = NULL;
  if (!name) return ESP_OK;
  ESP_TRY(esp_find_pointer("policy", name, policies, &i));
  *found = policies[i];
  return ESP_OK;
}
