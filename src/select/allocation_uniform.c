#include "allocations.h"

static esp_status apply(esp_allocation_job *job) {
  for (int i = 0; i < job->n_sites; i++)
    job->sites[i].n_kept = esp_budget_uniform(&job->sites[i].rule, job->sites[i].units);
  allocation_measure(job);
  return ESP_OK;
}

const esp_allocation esp_allocation_uniform = {
    .name = "uniform",
    .summary = "every site loses the same fraction of its units",
    .apply = apply};
