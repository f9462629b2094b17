/* The tape's gradients of sum(dlogits . logits) against central differences of the naive net. */
#include "unit.h"

#include "tape.h"

#include "mlp.h"

enum { N_SIZES = 4, ROWS = 5, N_PARAMETERS = 5 * 7 + 7 + 7 * 6 + 6 + 6 * 3 + 3 };
static const int64_t sizes[N_SIZES] = {5, 7, 6, 3};

typedef struct fixture {
  esp_model *model;
  esp_batch batch;
  esp_tape tape;
  float gradient[N_PARAMETERS];
  float *parts[2 * (N_SIZES - 1)];
} fixture;

static void init(fixture *self, const char *activation) {
  self->model = mlp_new(activation, sizes, N_SIZES, 3);
  self->batch = mlp_batch(ROWS, sizes[0], 4);
  memset(self->gradient, 0, sizeof self->gradient);
  assert_int_equal(esp_model_count_parameters(self->model), N_PARAMETERS);
  float *next = self->gradient;
  for (int w = 0; w < self->model->n_weights; w++) {
    self->parts[w] = next;
    next += esp_weight_count(&self->model->weights[w]);
  }
  esp_tape_init(&self->tape, self->model, ROWS + 2); // room for more rows than there are
  esp_tape_forward(self->model, &self->batch, &self->tape);
  for (int i = 0; i < ROWS * 3; i++)
    self->tape.dlogits[i] = (float)esp_rng_normal(5, 0, (uint64_t)i);
}

static void clear(fixture *self) {
  esp_tape_clear(&self->tape, self->model);
  esp_model_free(&self->model);
  esp_release((void *)(uintptr_t)self->batch.pixels);
}

static double weighted_logits(const fixture *self, const naive_net *net) {
  double sum = 0.0, logits[3];
  for (int64_t r = 0; r < ROWS; r++) {
    naive_forward(net, self->batch.pixels + r * sizes[0], logits);
    for (int64_t c = 0; c < 3; c++) sum += (double)self->tape.dlogits[3 * r + c] * logits[c];
  }
  return sum;
}

static void check_gradients(const char *activation, naive_function f) {
  const double h = 1e-5;
  fixture self;
  init(&self, activation);
  naive_net net = naive_new(self.model, sizes, N_SIZES, f);
  esp_tape_backward(self.model, &self.batch, &self.tape, self.parts);
  for (int i = 0; i < N_PARAMETERS; i++) {
    const double at = net.parameters[i];
    net.parameters[i] = at + h;
    const double above = weighted_logits(&self, &net);
    net.parameters[i] = at - h;
    const double slope = (above - weighted_logits(&self, &net)) / (2.0 * h);
    net.parameters[i] = at;
    assert_true(fabs(slope - (double)self.gradient[i]) < 2e-5 * (1.0 + fabs(slope)));
  }
  esp_free(&net.parameters);
  clear(&self);
}

static void esp_tape_backward_matches_differences_relu(void **state) {
  (void)state;
  check_gradients("relu", naive_relu);
}

static void esp_tape_backward_matches_differences_gelu(void **state) {
  (void)state;
  check_gradients("gelu", naive_gelu);
}

static void esp_tape_backward_matches_differences_tanh(void **state) {
  (void)state;
  check_gradients("tanh", tanh);
}

static void esp_tape_backward_matches_differences_sigmoid(void **state) {
  (void)state;
  check_gradients("sigmoid", naive_sigmoid);
}

static void esp_tape_backward_adds_to_what_is_there(void **state) {
  (void)state;
  fixture self;
  float once[N_PARAMETERS];
  init(&self, "gelu");
  esp_tape_backward(self.model, &self.batch, &self.tape, self.parts);
  memcpy(once, self.gradient, sizeof once);
  esp_tape_backward(self.model, &self.batch, &self.tape, self.parts);
  for (int i = 0; i < N_PARAMETERS; i++)
    assert_float_equal(self.gradient[i], 2.0f * once[i], 1e-5f * (1.0f + fabsf(once[i])));
  clear(&self);
}

static void esp_tape_backward_of_no_signal_is_zero(void **state) {
  (void)state;
  const float zeros[N_PARAMETERS] = {0};
  fixture self;
  init(&self, "tanh");
  memset(self.tape.dlogits, 0, ROWS * 3 * sizeof *self.tape.dlogits);
  esp_tape_backward(self.model, &self.batch, &self.tape, self.parts);
  for (int i = 0; i < N_PARAMETERS; i++) assert_true(self.gradient[i] == zeros[i]);
  clear(&self);
}

static void esp_tape_forward_has_the_bits_of_esp_forward(void **state) {
  (void)state;
  fixture self;
  esp_pass pass;
  init(&self, "gelu");
  esp_pass_init(&pass, self.model, ROWS);
  esp_forward(self.model, &self.batch, &pass);
  assert_memory_equal(pass.logits, self.tape.logits, ROWS * 3 * sizeof *pass.logits);
  esp_pass_clear(&pass);
  clear(&self);
}

static void esp_tape_clear_may_be_called_twice(void **state) {
  (void)state;
  fixture self;
  init(&self, "relu");
  esp_tape_clear(&self.tape, self.model);
  assert_null(self.tape.logits);
  clear(&self);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_tape_backward_matches_differences_relu),
              cmocka_unit_test(esp_tape_backward_matches_differences_gelu),
              cmocka_unit_test(esp_tape_backward_matches_differences_tanh),
              cmocka_unit_test(esp_tape_backward_matches_differences_sigmoid),
              cmocka_unit_test(esp_tape_backward_adds_to_what_is_there),
              cmocka_unit_test(esp_tape_backward_of_no_signal_is_zero),
              cmocka_unit_test(esp_tape_forward_has_the_bits_of_esp_forward),
              cmocka_unit_test(esp_tape_clear_may_be_called_twice))
