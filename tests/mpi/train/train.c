#include "mpi.h"

#include "training.h"

static void check_bits(const esp_train_options *options) {
  const result all = train(&test_comm, options), one = train_alone(options);
  ASSERT_ALL(all.status == ESP_OK && is_same(&all, &one));
}

static void esp_train_gives_the_bits_of_one_rank_adamw(void **state) {
  (void)state;
  const esp_train_options options = new_options("adamw");
  check_bits(&options);
}

static void esp_train_gives_the_bits_of_one_rank_sgd(void **state) {
  (void)state;
  const esp_train_options options = new_options("sgd");
  check_bits(&options);
}

static void esp_train_takes_more_ranks_than_micro_batches(void **state) {
  (void)state;
  esp_train_options options = new_options("adamw");
  options.micro_batch = 16; // one micro-batch a batch
  check_bits(&options);
  options.micro_batch = 40; // larger than the batch
  check_bits(&options);
  options.batch = 64; // larger than the data
  check_bits(&options);
}

static void esp_train_depends_on_seed_and_options(void **state) {
  (void)state;
  esp_train_options options = new_options("adamw");
  const result base = train(&test_comm, &options), again = train(&test_comm, &options);
  ASSERT_ALL(is_same(&base, &again));
  ASSERT_ALL(train_at(&test_comm, &options, (place){.seed = 6}).weights != base.weights);
  options = new_options("adamw");
  options.weight_decay = 0.5;
  ASSERT_ALL(train(&test_comm, &options).weights != base.weights);
}

static void check_learns(const char *optimizer) {
  esp_train_options options = new_options(optimizer);
  options.epochs = 1;
  const result early = train(&test_comm, &options);
  options.epochs = 12;
  const result late = train(&test_comm, &options);
  ASSERT_ALL(early.status == ESP_OK && late.status == ESP_OK);
  ASSERT_ALL(late.loss < 0.25 * early.loss && late.accuracy == 1.0);
}

static void esp_train_learns_separable_classes_adamw(void **state) {
  (void)state;
  check_learns("adamw");
}

static void esp_train_learns_separable_classes_sgd(void **state) {
  (void)state;
  check_learns("sgd");
}

static void esp_train_reports_epochs_and_steps(void **state) {
  (void)state;
  const esp_train_options options = new_options("sgd");
  const result got = train(&test_comm, &options);
  ASSERT_ALL(got.epochs == 4 && got.steps == 4 * 4); // ceil(50 / 16) steps an epoch
  ASSERT_ALL(got.loss > 0.0 && got.accuracy > 0.0 && got.accuracy <= 1.0);
}

enum { N_PARAMETERS = WIDTH * 9 + 9 + 9 * 5 + 5 + 5 * CLASSES + CLASSES };

static double mean_loss(const naive_net *net, const esp_dataset *data) {
  double loss = 0.0;
  for (int64_t s = 0; s < SAMPLES; s++) {
    float pixels[WIDTH];
    double z[CLASSES], sum = 0.0;
    for (int64_t p = 0; p < WIDTH; p++) pixels[p] = (float)data->pixels[s * WIDTH + p] / 255.0f;
    naive_forward(net, pixels, z);
    for (int64_t c = 0; c < CLASSES; c++) sum += exp(z[c]);
    loss += (log(sum) - z[data->labels[s]]) / SAMPLES;
  }
  return loss;
}

static void compute_naive_gradient(const esp_model *model, const esp_dataset *data,
                                   double *gradient) {
  const double h = 1e-5;
  naive_net net = naive_new(model, sizes, 4, naive_gelu);
  for (int i = 0; i < N_PARAMETERS; i++) {
    const double at = net.parameters[i];
    net.parameters[i] = at + h;
    const double above = mean_loss(&net, data);
    net.parameters[i] = at - h;
    gradient[i] = (above - mean_loss(&net, data)) / (2.0 * h);
    net.parameters[i] = at;
  }
  esp_free(&net.parameters);
}

/* Train for one step on all samples at half the peak rate, where the cosine is in its middle;
 * the largest distance of a weight from where a rule puts it. */
static double measure_step(const esp_train_options *options,
                           double (*rule)(double w, double g, bool is_matrix)) {
  double gradient[N_PARAMETERS], *g = gradient, largest = 0.0;
  esp_dataset *data = mlp_data(SAMPLES, WIDTH, CLASSES);
  esp_model *before = mlp_new("gelu", sizes, 4, 11), *after = mlp_new("gelu", sizes, 4, 11);
  esp_train_report report;
  ASSERT_ALL(train_model(&test_comm, after, data, options, (place){0}, &report) == ESP_OK);
  compute_naive_gradient(before, data, gradient);
  for (int w = 0; w < after->n_weights; w++)
    for (int64_t i = 0; i < esp_weight_count(&after->weights[w]); i++) {
      const double to = rule((double)before->weights[w].value[i], *g++, w % 2 == 0);
      largest = fmax(largest, fabs(to - (double)after->weights[w].value[i]));
    }
  esp_train_report_clear(&report);
  esp_model_free(&before);
  esp_model_free(&after);
  esp_dataset_close(&data);
  return largest;
}

static esp_train_options one_step(const char *optimizer) {
  esp_train_options options = new_options(optimizer);
  options.epochs = 1, options.batch = SAMPLES, options.warmup = 0.0;
  options.rate = 0.1, options.weight_decay = 0.2;
  return options;
}

/* Rate 0.1 / 2, decay 0.2, of matrices alone. */
static double decay(double w, bool is_matrix) {
  return is_matrix ? w * (1.0 - 0.05 * 0.2) : w;
}

static double step_sgd(double w, double g, bool is_matrix) {
  return decay(w, is_matrix) - 0.05 * g;
}

/* The first step: both moments are unbiased to g and g^2. */
static double step_adamw(double w, double g, bool is_matrix) {
  return decay(w, is_matrix) - 0.05 * g / (fabs(g) + 1e-8);
}

static void esp_train_makes_a_first_step_along_the_gradient_sgd(void **state) {
  (void)state;
  const esp_train_options options = one_step("sgd");
  ASSERT_ALL(measure_step(&options, step_sgd) < 1e-6);
}

static void esp_train_makes_a_first_step_of_the_rate_adamw(void **state) {
  (void)state;
  const esp_train_options options = one_step("adamw");
  ASSERT_ALL(measure_step(&options, step_adamw) < 1e-4);
}

static void esp_train_says_in_which_step_it_diverged(void **state) {
  (void)state;
  esp_train_options options = new_options("sgd");
  options.rate = 1e15;
  options.warmup = 0.0;
  ASSERT_ALL(failed(train(&test_comm, &options).status, ESP_NUMERIC, "diverged in step 2:"));
}

static void esp_train_diverges_everywhere_when_one_rank_does(void **state) {
  (void)state;
  const esp_train_options options = new_options("sgd");
  for (int bad = 0; bad < test_comm.size; bad++) {
    esp_dataset *data = mlp_data(SAMPLES, WIDTH, CLASSES);
    esp_model *model = mlp_new("gelu", sizes, 4, 11);
    esp_train_report report;
    if (test_comm.rank == bad) model->weights[0].value[0] = NAN;
    ASSERT_ALL(failed(train_model(&test_comm, model, data, &options, (place){0}, &report),
                      ESP_NUMERIC, "step 1:"));
    esp_model_free(&model);
    esp_dataset_close(&data);
  }
}

static void esp_train_refuses_an_unknown_optimizer(void **state) {
  (void)state;
  esp_train_options options = new_options("adamm");
  ASSERT_ALL(failed(train(&test_comm, &options).status, ESP_USAGE, "adamw"));
  ASSERT_ALL(failed(train(&test_comm, &options).status, ESP_USAGE, "sgd"));
}

static void check_data(int64_t width, int32_t classes, const char *part) {
  const esp_train_options options = new_options("sgd");
  for (int bad = 0; bad < test_comm.size; bad++) {
    esp_dataset *data = mlp_data(SAMPLES, WIDTH, CLASSES);
    esp_model *model = mlp_new("gelu", sizes, 4, 11);
    if (test_comm.rank == bad) data->width = width, data->classes = classes;
    esp_train_report report;
    ASSERT_ALL(failed(train_model(&test_comm, model, data, &options, (place){0}, &report),
                      ESP_MISMATCH, part));
    esp_model_free(&model);
    esp_dataset_close(&data);
  }
}

static void esp_train_refuses_data_that_does_not_fit_on_one_rank(void **state) {
  (void)state;
  check_data(WIDTH - 1, CLASSES, "found 5");
  check_data(WIDTH, CLASSES + 1, "4 classes");
  check_data(WIDTH, 0, "0 classes");
}

ESP_TEST_MAIN(cmocka_unit_test(esp_train_gives_the_bits_of_one_rank_adamw),
              cmocka_unit_test(esp_train_gives_the_bits_of_one_rank_sgd),
              cmocka_unit_test(esp_train_takes_more_ranks_than_micro_batches),
              cmocka_unit_test(esp_train_depends_on_seed_and_options),
              cmocka_unit_test(esp_train_learns_separable_classes_adamw),
              cmocka_unit_test(esp_train_learns_separable_classes_sgd),
              cmocka_unit_test(esp_train_reports_epochs_and_steps),
              cmocka_unit_test(esp_train_makes_a_first_step_along_the_gradient_sgd),
              cmocka_unit_test(esp_train_makes_a_first_step_of_the_rate_adamw),
              cmocka_unit_test(esp_train_says_in_which_step_it_diverged),
              cmocka_unit_test(esp_train_diverges_everywhere_when_one_rank_does),
              cmocka_unit_test(esp_train_refuses_an_unknown_optimizer),
              cmocka_unit_test(esp_train_refuses_data_that_does_not_fit_on_one_rank))
