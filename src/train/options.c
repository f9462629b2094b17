#include "espalier/train/options.h"

#include "espalier/core/memory.h"

static const esp_option rows[] = {
    {.key = "train.epochs",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_train_options, epochs),
     .initial = "-1",
     .low = 1,
     .high = 1e6,
     .or_initial = true,
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "N",
     .help = "passes over the data; -1: chosen by what is trained (docs/options.md)"},
    {.key = "train.steps",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_train_options, steps),
     .initial = "0",
     .low = 0,
     .high = 1e12,
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "N",
     .help = "steps in all, in place of --epochs; 0: as the epochs say"},
    {.key = "train.batch",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_train_options, batch),
     .initial = "-1",
     .low = 1,
     .high = 1 << 24,
     .or_initial = true,
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "N",
     .help = "samples a step, over all ranks; -1: 256 images, or sequences of about 4096 tokens "
             "together (new models: 8192)"},
    {.key = "train.optimizer",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_train_options, optimizer),
     .initial = "adamw",
     .choices = "adamw|sgd",
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "NAME",
     .help = "how weights follow gradients"},
    {.key = "train.rate",
     .kind = ESP_OPTION_REAL,
     .offset = offsetof(esp_train_options, rate),
     .initial = "-1",
     .low = 0,
     .high = 100,
     .or_initial = true,
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "X",
     .help = "peak learning rate; -1: chosen by what is trained"},
    {.key = "train.schedule",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_train_options, schedule),
     .initial = "cosine",
     .choices = "cosine|linear|constant|inverse-sqrt",
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "NAME",
     .help = "the rate behind the warm-up"},
    {.key = "train.warmup",
     .kind = ESP_OPTION_REAL,
     .offset = offsetof(esp_train_options, warmup),
     .initial = "0.05",
     .low = 0,
     .high = 1,
     .below_high = true,
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "X",
     .help = "fraction of the steps with linear warm-up"},
    {.key = "train.final_rate",
     .kind = ESP_OPTION_REAL,
     .offset = offsetof(esp_train_options, final_rate),
     .initial = "0",
     .low = 0,
     .high = 1,
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "X",
     .help = "what cosine and linear end at, as a part of the peak"},
    {.key = "train.weight_decay",
     .kind = ESP_OPTION_REAL,
     .offset = offsetof(esp_train_options, weight_decay),
     .initial = "0.01",
     .low = 0,
     .high = 10,
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "X",
     .help = "decoupled weight decay of matrices"},
    {.key = "train.momentum",
     .kind = ESP_OPTION_REAL,
     .offset = offsetof(esp_train_options, momentum),
     .initial = "0.9",
     .low = 0,
     .high = 1,
     .below_high = true,
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "X",
     .help = "momentum (sgd), first-moment decay (adamw)"},
    {.key = "train.beta2",
     .kind = ESP_OPTION_REAL,
     .offset = offsetof(esp_train_options, beta2),
     .initial = "0.999",
     .low = 0,
     .high = 1,
     .below_high = true,
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "X",
     .help = "second-moment decay (adamw)"},
    {.key = "train.clip",
     .kind = ESP_OPTION_REAL,
     .offset = offsetof(esp_train_options, clip),
     .initial = "-1",
     .low = 0,
     .high = 1e30,
     .or_initial = true,
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "X",
     .help = "largest norm of a step's gradient; 0: any; -1: 1, and any for a new perceptron"},
    {.key = "train.gradients",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_train_options, gradients),
     .initial = "exact",
     .choices = "exact|float",
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "NAME",
     .help = "exact: the same bits at any number of ranks; float: half the memory and traffic of "
             "sums, other bits"},
    {.key = "train.trainable",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_train_options, trainable),
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "SET",
     .help =
         "weights that train: all, blocks (without embedding and head), writers (the maps that end "
         "an attention or a feed-forward layer), norms (with all biases), or names with wildcards"},
    {.key = "train.teacher",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_train_options, teacher),
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .only_if_given = true,
     .value_name = "MODEL",
     .help = "model whose predictions are learned; for recover: the one that was pruned"},
    {.key = "train.temperature",
     .kind = ESP_OPTION_REAL,
     .offset = offsetof(esp_train_options, temperature),
     .initial = "1",
     .low = 0.01,
     .high = 1000,
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "X",
     .help = "of the predictions of teacher and model"},
    {.key = "train.mix",
     .kind = ESP_OPTION_REAL,
     .offset = offsetof(esp_train_options, mix),
     .initial = "0",
     .low = 0,
     .high = 1,
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "X",
     .help = "part of plain cross-entropy beside a teacher"},
    {.key = "train.distil_at",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_train_options, distil_at),
     .initial = "masked",
     .choices = "masked|all",
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "NAME",
     .help = "masked models: tokens at which the teacher's predictions are learned"},
    {.key = "train.mask_rate",
     .kind = ESP_OPTION_REAL,
     .offset = offsetof(esp_train_options, mask_rate),
     .initial = "0.15",
     .low = 0.001,
     .high = 1,
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "X",
     .help = "masked models: part of the tokens to be found"},
    {.key = "train.mask_token",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_train_options, mask_token),
     .initial = "-1",
     .low = 0,
     .high = 2e9,
     .or_initial = true,
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "ID",
     .help = "masked models: the mask token; -1: as tokenizer.json beside the model says"},
    {.key = "train.hold_out",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_train_options, hold_out),
     .initial = "-1",
     .low = 0,
     .high = 1e9,
     .or_initial = true,
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "N",
     .help = "every so many-th micro-batch is not trained on, but measured; 0: none; -1: 8, and "
             "none for a new perceptron"},
    {.key = "train.validation",
     .kind = ESP_OPTION_TEXT,
     .offset = offsetof(esp_train_options, validation),
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .only_if_given = true,
     .value_name = "PATH",
     .help = "data to measure on, in place of --hold-out"},
    {.key = "train.evaluate_every",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_train_options, evaluate_every),
     .initial = "0",
     .low = 0,
     .high = 1e12,
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "N",
     .help = "steps between measurements; 0: 16 in all, fewer where they would read more samples "
             "than are trained on between them; one an epoch where nothing is held out"},
    {.key = "train.patience",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_train_options, patience),
     .initial = "-1",
     .low = 0,
     .high = 1e9,
     .or_initial = true,
     .commands = ESP_FOR_TRAIN | ESP_FOR_RECOVER | ESP_FOR_PLAN,
     .value_name = "N",
     .help = "stop after so many measurements without a better one; 0: never; -1: 4, and never for "
             "a new model"},
    {.key = "train.save_step",
     .kind = ESP_OPTION_INT,
     .offset = offsetof(esp_train_options, save_step),
     .initial = "-1",
     .low = 0,
     .high = 1e12,
     .or_initial = true,
     .commands = ESP_FOR_TRAIN | ESP_FOR_PLAN,
     .value_name = "N",
     .help = "write the weights behind step N to OUT.early.h5 too, for --rewind; 0: those before "
             "the first; -1: none"},
};

const esp_option_group esp_train_option_group = {rows, sizeof rows / sizeof *rows};

void esp_train_options_init(esp_train_options *self) {
  *self = (esp_train_options){0}; // members without an option too
  const esp_option_table table = {rows, sizeof rows / sizeof *rows, NULL};
  esp_options_init(&table, self);
}

void esp_train_options_clear(esp_train_options *self) {
  const esp_option_table table = {rows, sizeof rows / sizeof *rows, NULL};
  esp_options_clear(&table, self);
}

/* What is chosen where nothing was given, by purpose and kind of data. */
typedef struct defaults {
  int64_t epochs, images, tokens; // of a batch; tokens 0: by the steps that there shall be
  double rate, rate_of_width;     // the first, or the second over the hidden size if that is less
  double clip;
  int64_t hold_out, patience, retries;
  int64_t steps; // that there shall be
} defaults;

static const defaults of_images[] = {
    [ESP_TRAIN_NEW] = {12, 256, 0, 2e-3, 0.0, 0.0, 0, 0, 0, 128},
    [ESP_TRAIN_GIVEN] = {3, 256, 0, 5e-4, 0.0, 1.0, 8, 4, 0, 128},
    [ESP_TRAIN_RECOVER] = {3, 256, 0, 5e-4, 0.0, 1.0, 8, 4, 2, 128},
};
static const defaults of_tokens[] = {
    [ESP_TRAIN_NEW] = {1, 0, 8192, 1e-3, 0.6, 1.0, 8, 0, 0, 128},
    [ESP_TRAIN_GIVEN] = {3, 0, 0, 1e-3, 0.05, 1.0, 8, 4, 0, 128},
    [ESP_TRAIN_RECOVER] = {8, 0, 0, 1e-3, 0.08, 1.0, 8, 4, 2, 256},
};

/* Rows of a micro-batch; a batch of tokens has some of them for ranks to share, and enough batches
 * make a training. */
enum { MICRO_IMAGES = 64, MICRO_TOKENS = 1024, MICRO_PARTS = 4 };
enum { LEAST_TOKENS = 1024, MOST_TOKENS = 32768 };

static int64_t clamp(int64_t value, int64_t least, int64_t most) {
  return value < least ? least : value > most ? most : value;
}

/* Tokens of a step. */
static int64_t choose_tokens(const esp_train_options *self, const defaults *chosen,
                             const esp_dataset *data) {
  if (self->batch > 0) return self->batch * data->width;
  if (chosen->tokens > 0) return chosen->tokens;
  return clamp(self->epochs * data->count * data->width / chosen->steps, LEAST_TOKENS, MOST_TOKENS);
}

static int64_t choose_micro_batch(const esp_dataset *data, int64_t tokens) {
  if (data->kind != ESP_DATA_TOKENS) return MICRO_IMAGES;
  return clamp(clamp(tokens / MICRO_PARTS, 1, MICRO_TOKENS) / data->width, 1, INT64_MAX);
}

/* Whole micro-batches. */
static int64_t choose_batch(const esp_train_options *self, const defaults *chosen,
                            const esp_dataset *data, int64_t tokens) {
  if (data->kind != ESP_DATA_TOKENS) return chosen->images;
  const int64_t samples = tokens / data->width, micro = self->micro_batch;
  return samples > micro ? samples / micro * micro : micro;
}

/* No more micro-batches than the data has. */
static int64_t clamp_batch(const esp_train_options *self, const esp_dataset *data) {
  const int64_t micro = self->micro_batch, all = (data->count + micro - 1) / micro * micro;
  return self->batch < all ? self->batch : all;
}

static double choose_rate(const defaults *chosen, const esp_model *model) {
  const double width = (double)model->width.units;
  const double by_width = width > 0.0 ? chosen->rate_of_width / width : chosen->rate;
  return by_width < chosen->rate ? by_width : chosen->rate;
}

void esp_train_options_resolve(esp_train_options *self, esp_train_purpose purpose,
                               const esp_model *model, const esp_dataset *data) {
  const defaults *chosen =
      data->kind == ESP_DATA_TOKENS ? &of_tokens[purpose] : &of_images[purpose];
  if (self->epochs <= 0) self->epochs = chosen->epochs;
  const int64_t tokens = choose_tokens(self, chosen, data);
  if (self->micro_batch <= 0) self->micro_batch = choose_micro_batch(data, tokens);
  if (self->batch <= 0) self->batch = choose_batch(self, chosen, data, tokens);
  self->batch = clamp_batch(self, data);
  if (self->rate < 0.0) {
    self->rate = choose_rate(chosen, model);
    self->retries = chosen->retries;
  }
  if (self->clip < 0.0) self->clip = chosen->clip;
  if (self->hold_out < 0) self->hold_out = self->validation ? 0 : chosen->hold_out;
  if (self->patience < 0) self->patience = chosen->patience;
  if (!self->trainable) self->trainable = esp_strdup("all");
}
