#include "doubtful.h"

#include "held_out.h"
#include "policy.h"

#include "espalier/core/log.h"

#include <inttypes.h>

static void warn_of_rates(const command_job *job, const policy *of) {
  if (job->settings->train.rate == 0.0 && !(of && of->holds_all))
    esp_log_warn("--rate 0: no weight follows its gradient; give a rate above 0 to train");
  if (of && job->settings->policy.score_rate == 0.0 && policy_reads(of, &job->policy, "score-rate"))
    esp_log_warn("--score-rate 0: --policy %s learns no scores, they stay as they begin; give a "
                 "rate above 0",
                 of->name);
}

static void warn_of_batch(const command_job *job) {
  const int64_t asked = job->settings->train.batch;
  if (asked > job->data->count)
    esp_log_warn("--batch %" PRId64 ": expected at most the %" PRId64
                 " samples of %s; a step takes all that train",
                 asked, job->data->count, job->data->path);
}

static void warn_of_scores(const command_job *job, const policy *of) {
  const int64_t n = held_out_count_rest_local(&job->options, job->data, job->held_out);
  if (of && job->policy.score_samples > n && policy_reads(of, &job->policy, "score-samples"))
    esp_log_warn("--score-samples %" PRId64 ": expected at most the %" PRId64
                 " samples of %s that train; scores are made of all of these",
                 job->policy.score_samples, n, job->data->path);
}

/* Rank 0 alone, whose log it is, compares. */
static void warn_of_held_out(const command_job *job) {
  if (!job->held_out || job->comm->rank != 0) return;
  const int64_t n = esp_dataset_count_shared_local(job->held_out, job->data);
  if (n > 0)
    esp_log_warn("--validation %s: expected other samples than those of --data, found that %" PRId64
                 " of its %" PRId64 " are among them: what is measured is trained on; give other "
                 "data, or --hold-out",
                 job->held_out->path, n, job->held_out->count);
}

static void warn_of_last_cut(const command_job *job, const policy *of) {
  if (of && of->defaults.prune_to < 1.0 && job->settings->policy.prune_to >= 1.0 &&
      policy_reads(of, &job->policy, "prune-to"))
    esp_log_warn(
        "--prune-to %g: the last cut comes behind the last step, so that nothing trains what "
        "it leaves, and the figures of the training are from before it; give less, such as "
        "0.75",
        job->settings->policy.prune_to);
}

void doubtful_warn(const command_job *job) {
  const policy *of = NULL;
  if (policy_find(job->policy.policy, &of) != ESP_OK) return; // refused elsewhere
  warn_of_rates(job, of);
  warn_of_last_cut(job, of);
  warn_of_batch(job);
  warn_of_scores(job, of);
  warn_of_held_out(job);
}
