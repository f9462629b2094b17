/* Without data [Ferianc]: the network is perturbed by input of maximum entropy, and a unit is worth
 * what the intervention x_u = 0 does to the units above: set-mi's elimination on second moments
 * about 0, E[x x^T] = sd R sd + mean mean^T, R the correlation of the codes from the joint counts
 * (ours; the abstract leaves open how information becomes a choice of units). */
#include "criteria.h"
#include "elimination.h"

const esp_criterion esp_criterion_max_entropy = {
    .name = "max-entropy",
    .summary = "without data: set-mi from joint counts under input of maximum entropy",
    .needs = ESP_NEEDS_COVARIANCE | ESP_NEEDS_CODES | ESP_NEEDS_ABOUT_ZERO | ESP_NEEDS_MAP,
    .is_data_free = true,
    .is_greedy = true,
    .joint = &esp_joint_backward,
    .rank = esp_rank_backward,
    .rank_by_team = esp_rank_backward_by_team,
    .team_speed = elimination_speed,
    .cost = esp_rank_backward_cost};
