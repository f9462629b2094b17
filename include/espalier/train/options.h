/* Options of training, and the defaults that depend on what is trained. */
#ifndef ESPALIER_TRAIN_OPTIONS_H
#define ESPALIER_TRAIN_OPTIONS_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/options.h"
#include "espalier/io/dataset.h"
#include "espalier/model/model.h"

ESP_C_BEGIN

/* Negative numbers, and NULL, stand for what esp_train_options_resolve chooses. */
typedef struct esp_train_options {
  int64_t epochs;          // passes over the data that trains
  int64_t steps;           // 0: as many as the epochs have
  int64_t batch;           // samples a step, over all ranks
  int64_t micro_batch;     // samples
  char *optimizer;         // "adamw" or "sgd"
  char *schedule;          // of the rate after warm-up
  double rate;             // peak learning rate
  double warmup;           // fraction of all steps with linear warm-up
  double final_rate;       // what cosine and linear end at, as a part of the peak
  double weight_decay;     // decoupled, on matrices only
  double momentum;         // sgd; adamw's first moment
  double beta2;            // adamw's second-moment decay
  double clip;             // largest norm of a step's gradient; 0: any
  char *gradients;         // "exact" or "float": how they are summed
  char *trainable;         // a set, or names of weights
  double temperature, mix; // of distillation
  char *distil_at;         // masked models: "masked" tokens, or "all"
  double mask_rate;        // masked models: part of the tokens
  int64_t mask_token;      // below 0: as tokenizer.json says
  int64_t hold_out;        // every so many-th micro-batch; 0: none
  char *validation;        // path of held-out data; NULL: of the data itself
  int64_t evaluate_every;  // steps
  int64_t patience;        // evaluations without a better one; 0: all steps are made
  char *teacher;           // path; NULL: none
  int64_t retries;         // from the start with a quarter of the rate, where no step was better
  int64_t save_step;       // whose weights are written too; below 0: none
  int64_t stop_after;      // steps in all, then INTERRUPTED; 0: run to the end
} esp_train_options;
extern const esp_option_group esp_train_option_group;

/* The perceptron that is made and trained. */
typedef struct esp_network_options {
  char *hidden, *activation; // sizes of the hidden layers, comma-separated; non-linearity
} esp_network_options;
extern const esp_option_group esp_network_option_group;

/* What is trained. */
typedef enum esp_train_purpose {
  ESP_TRAIN_NEW,    // a model with random weights
  ESP_TRAIN_GIVEN,  // a checkpoint
  ESP_TRAIN_RECOVER // a pruned model
} esp_train_purpose;

/* Set every option to its default; free the texts. Local. */
void esp_train_options_init(esp_train_options *self);
void esp_train_options_clear(esp_train_options *self);
/* Put what is chosen in place of what was not given. micro_batch 0: chosen too. Local. */
void esp_train_options_resolve(esp_train_options *self, esp_train_purpose purpose,
                               const esp_model *model, const esp_dataset *data);

ESP_C_END

#endif
