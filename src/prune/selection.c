#include "selection.h"

#include "allocate.h"
#include "structure.h"

#include "espalier/core/memory.h"

void selection_clear(prune_job *job) {
  const int n = job->request->dense->n_stages;
  ranker_clear(&job->ranker);
  allocation_report_clear(&job->report.allocated);
  if (job->selection.kept) esp_selection_clear(&job->selection);
  for (int i = 0; job->report.sites && i <= n; i++) job->report.sites[i] = (esp_site_report){0};
  job->report.checksum = 0;
}

esp_status selection_run(prune_job *job) {
  selection_clear(job);
  esp_selection_init(&job->selection, job->request->dense->n_stages);
  ranker_init(&job->ranker, job->comm, job->request, &job->journal);
  job->ranker.stats = job->stats;
  job->ranker.above = &job->selection;
  job->ranker.phases = &job->phases;
  for (int i = 0; job->request->structures[i]; i++)
    ESP_TRY(job->request->structures[i]->select(job));
  return ESP_OK;
}
