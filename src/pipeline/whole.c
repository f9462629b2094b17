/* The price of a whole sub-layer: what its consumer gives goes, E||R M x||^2 in the metric R, about
 * its mean where a bias stays to give the mean. */
#include "pipeline.h"

#include "espalier/select/metric.h"

double evidence_price_whole_local(const prune_job *job, int stage, const esp_evidence *evidence) {
  const bool has_bias = job->dense->stages[stage].consumer.bias >= 0;
  if (!can_empty_stages(job) || !uses_fisher(job)) return -1.0;
  return esp_metric_price_whole(evidence, has_bias ? NULL : evidence->mean);
}
