/* Work in numbers, and the seconds that it takes at the speeds measured here. */
#include "plan_work.h"

static const double DATASET_S = 2e-4; // made in a parallel HDF5 file (measured)

json_t *plan_work(const plan_job *plan) {
  plan_phase phases[PLAN_PHASES];
  const int n = plan_list_costs(plan, phases);
  json_t *all = json_object();
  for (int i = 0; i < n; i++) {
    const plan_cost *cost = &phases[i].cost;
    json_object_set_new(all, phases[i].name,
                        json_pack("{s:f, s:f, s:f}", "flops",
                                  cost->flops + cost->solver + cost->serial, "word_operations",
                                  cost->words, "elementwise", cost->values + cost->every));
  }
  return all;
}

static double seconds(const plan_job *plan, plan_cost self) {
  const plan_machine *machine = &plan->machine;
  const double reduce = machine->reduce_bytes_per_s > 0.0 ? machine->reduce_bytes_per_s
                                                          : machine->copy_bytes_per_s / 4.0;
  return self.flops / plan->ranks / machine->flops_per_s +
         (self.solver / plan->ranks + self.serial) / machine->solver_flops_per_s +
         self.solves * machine->solve_s + self.datasets * DATASET_S +
         (self.values / plan->ranks + self.every) / machine->values_per_s +
         self.words / machine->words_per_s + self.bytes / machine->copy_bytes_per_s +
         (plan->ranks > 1 ? self.reduced / reduce : 0.0);
}

json_t *plan_time(const plan_job *plan) {
  plan_phase phases[PLAN_PHASES];
  const int n = plan_list_costs(plan, phases);
  json_t *all = json_object();
  double sum = 0.0;
  for (int i = 0; i < n; i++) {
    const double phase_s = seconds(plan, phases[i].cost);
    json_object_set_new(all, phases[i].name, json_real(phase_s));
    sum += phase_s;
  }
  json_object_set_new(all, "all", json_real(sum));
  return all;
}

/* Sums over all sweeps, both ways. */
typedef struct ways {
  double words[2], bytes[2]; // allreduce, exchange
  double exchanges, sweeps;
} ways;

static void add_ways(const plan_job *plan, const plan_pair *pair, void *context) {
  ways *self = context;
  plan_sweeps sweeps;
  plan_sweeps_init(plan, pair, plan->rank_words, &sweeps);
  for (int i = 0; i < sweeps.n; i++) {
    const double times = sweeps.rows[i].times;
    const esp_sweep_cost cost = esp_sweep_compute_cost(&sweeps.rows[i].shape);
    self->sweeps += times;
    self->exchanges += plan_uses_exchange(plan, &sweeps.rows[i].shape) ? times : 0.0;
    self->words[0] += times * cost.allreduce_words;
    self->words[1] += times * cost.exchange_words;
    self->bytes[0] += times * cost.reduced_bytes;
    self->bytes[1] += times * cost.exchanged_bytes;
  }
  plan_sweeps_clear(&sweeps);
}

json_t *plan_reduce(const plan_job *plan) {
  ways all = {0};
  plan_for_each_pair(plan, add_ways, &all);
  const double allreduce_s =
      seconds(plan, (plan_cost){.words = all.words[0], .reduced = all.bytes[0]});
  const double exchange_s =
      seconds(plan, (plan_cost){.words = all.words[1], .reduced = all.bytes[1] / 2.0});
  return json_pack("{s:I, s:I, s:f, s:f, s:f, s:f, s:s}", "sweeps", (json_int_t)all.sweeps,
                   "by_exchange", (json_int_t)all.exchanges, "allreduce_bytes", all.bytes[0],
                   "exchange_bytes", all.bytes[1], "allreduce_s", allreduce_s, "exchange_s",
                   exchange_s, "cheaper", exchange_s < allreduce_s ? "exchange" : "allreduce");
}
