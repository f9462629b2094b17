#include "synaptic_flow.h"

#include "espalier/core/memory.h"
#include "espalier/model/family.h"

#include <math.h>
#include <string.h>

esp_status synaptic_flow_check_local(const esp_model *model) {
  if (strcmp(model->family->name, "mlp") == 0) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "--policy synflow: expected a perceptron, found a model of the family '%s': "
                  "its attention, norms and residual streams are no chain of matrices for a flow "
                  "to go through; give snip or grasp",
                  model->family->name);
}

static const esp_weight *get_matrix(const synaptic_flow *self, int layer) {
  return &self->model->weights[self->weights[layer]];
}

static void list_layers(synaptic_flow *self) {
  self->n_layers = self->model->n_stages + 1;
  self->weights = ESP_NEW(int, self->n_layers);
  self->weights[0] = self->model->stages[0].producers[0].weight;
  for (int l = 1; l < self->n_layers; l++)
    self->weights[l] = self->model->stages[l - 1].consumer.weight;
}

/* Scale so that the largest is in [1, 2); the exponent of the scale. */
static int rescale(double *values, int64_t n) {
  double most = 0.0;
  for (int64_t i = 0; i < n; i++) most = fmax(most, values[i]);
  if (!(most > 0.0)) return 0;
  const int exponent = ilogb(most);
  for (int64_t i = 0; i < n; i++) values[i] = ldexp(values[i], -exponent);
  return exponent;
}

static double *new_ones(int64_t n) {
  double *ones = ESP_NEW(double, n);
  for (int64_t i = 0; i < n; i++) ones[i] = 1.0;
  return ones;
}

static void go_forward(synaptic_flow *self, int layer) {
  const esp_weight *of = get_matrix(self, layer);
  const int64_t inputs = of->shape[1];
  double *out = ESP_NEW(double, of->shape[0]);
  for (int64_t i = 0; i < of->shape[0]; i++)
    for (int64_t j = 0; j < inputs; j++)
      out[i] += fabs((double)of->value[i * inputs + j]) * self->in[layer][j];
  self->in[layer + 1] = out;
  self->in_exponents[layer + 1] = self->in_exponents[layer] + rescale(out, of->shape[0]);
}

static void go_back(synaptic_flow *self, int layer) {
  const esp_weight *of = get_matrix(self, layer);
  const int64_t inputs = of->shape[1];
  double *in = ESP_NEW(double, inputs);
  for (int64_t i = 0; i < of->shape[0]; i++)
    for (int64_t j = 0; j < inputs; j++)
      in[j] += fabs((double)of->value[i * inputs + j]) * self->out[layer + 1][i];
  self->out[layer] = in;
  self->out_exponents[layer] = self->out_exponents[layer + 1] + rescale(in, inputs);
}

void synaptic_flow_init(synaptic_flow *self, const esp_model *model) {
  *self = (synaptic_flow){.model = model};
  list_layers(self);
  const int n = self->n_layers;
  self->in = ESP_NEW(double *, n + 1);
  self->out = ESP_NEW(double *, n + 1);
  self->in_exponents = ESP_NEW(int, n + 1);
  self->out_exponents = ESP_NEW(int, n + 1);
  self->in[0] = new_ones(model->n_inputs);
  self->out[n] = new_ones(model->n_outputs);
  for (int l = 0; l < n; l++) go_forward(self, l);
  for (int l = n - 1; l >= 0; l--) go_back(self, l);
  for (int64_t i = 0; i < model->n_outputs; i++) self->total += self->in[n][i];
}

void synaptic_flow_clear(synaptic_flow *self) {
  for (int l = 0; l <= self->n_layers; l++) {
    esp_free(&self->in[l]);
    esp_free(&self->out[l]);
  }
  esp_free(&self->in);
  esp_free(&self->out);
  esp_free(&self->in_exponents);
  esp_free(&self->out_exponents);
  esp_free(&self->weights);
}

int synaptic_flow_find_layer(const synaptic_flow *self, int weight) {
  for (int l = 0; l < self->n_layers; l++)
    if (self->weights[l] == weight) return l;
  return -1;
}

/* A product of what reaches boundary `in` and what goes on from boundary `out`, in parts of R. */
static double scale(const synaptic_flow *self, double product, int in, int out) {
  const int exponent =
      self->in_exponents[in] + self->out_exponents[out] - self->in_exponents[self->n_layers];
  return self->total > 0.0 ? ldexp(product / self->total, exponent) : 0.0;
}

double synaptic_flow_of_weight(const synaptic_flow *self, int layer, int64_t value) {
  const esp_weight *of = get_matrix(self, layer);
  const int64_t i = value / of->shape[1], j = value % of->shape[1];
  const double product =
      self->out[layer + 1][i] * fabs((double)of->value[value]) * self->in[layer][j];
  return scale(self, product, layer, layer + 1);
}

double synaptic_flow_of_input(const synaptic_flow *self, int layer, int64_t input) {
  return scale(self, self->in[layer][input] * self->out[layer][input], layer, layer);
}
