#include "espalier/model/forward.h"

#include "ops.h"
#include "transformer.h"

#include "espalier/linalg/gemm.h"

static void compute(const esp_model *model, const esp_linear *linear, int64_t rows, const float *x,
                    const op_finishing *then, bool add) {
  const int64_t n = linear->outputs, k = linear->inputs;
  const bool has_more = then->bias || then->activation || then->factor;
  esp_gemm_compute(&(esp_gemm){.transpose_b = !linear->input_major,
                               .m = rows,
                               .n = n,
                               .k = k,
                               .alpha = 1.0f,
                               .beta = add ? 1.0f : 0.0f,
                               .a = x,
                               .lda = k,
                               .b = model->weights[linear->weight].value,
                               .ldb = linear->input_major ? n : k,
                               .c = then->y,
                               .ldc = n,
                               .finish = has_more ? op_finish : NULL,
                               .context = then});
}

static const float *find_bias(const esp_model *model, const esp_linear *linear) {
  return linear->bias >= 0 ? model->weights[linear->bias].value : NULL;
}

void esp_linear_forward(const esp_model *model, const esp_linear *linear, int64_t rows,
                        const float *x, float *y, bool add) {
  const op_finishing then = {.y = y, .n = linear->outputs, .bias = find_bias(model, linear)};
  compute(model, linear, rows, x, &then, add);
}

void tf_linear_activate(const esp_model *model, const esp_linear *linear, const tf_rows *in,
                        const esp_activation *activation, float *y) {
  const op_finishing then = {.y = y,
                             .n = linear->outputs,
                             .bias = find_bias(model, linear),
                             .activation = activation,
                             .factor = in->factor};
  compute(model, linear, in->n, in->x, &then, false);
}

static void add_weight_gradient(const esp_linear *linear, int64_t rows, const float *x,
                                const float *dy, float *gradient) {
  const bool swap = linear->input_major; // gradient (inputs, outputs) = x^T dy, else dy^T x
  esp_gemm_compute(&(esp_gemm){.transpose_a = true,
                               .m = swap ? linear->inputs : linear->outputs,
                               .n = swap ? linear->outputs : linear->inputs,
                               .k = rows,
                               .alpha = 1.0f,
                               .beta = 1.0f,
                               .a = swap ? x : dy,
                               .lda = swap ? linear->inputs : linear->outputs,
                               .b = swap ? dy : x,
                               .ldb = swap ? linear->outputs : linear->inputs,
                               .c = gradient,
                               .ldc = swap ? linear->outputs : linear->inputs});
}

static void add_bias_gradient(int64_t rows, int64_t n, const float *dy, float *gradient) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < n; j++) gradient[j] += dy[r * n + j];
}

void esp_linear_add_gradients(const esp_linear *linear, int64_t rows, const float *x,
                              const float *dy, float *const *gradients) {
  if (!gradients) return;
  if (gradients[linear->weight])
    add_weight_gradient(linear, rows, x, dy, gradients[linear->weight]);
  if (linear->bias >= 0 && gradients[linear->bias])
    add_bias_gradient(rows, linear->outputs, dy, gradients[linear->bias]);
}

void esp_linear_compute_dx(const esp_model *model, const esp_linear *linear, int64_t rows,
                           const float *dy, float *dx, bool add) {
  const int64_t n = linear->outputs, k = linear->inputs;
  esp_gemm_compute(&(esp_gemm){.transpose_b = linear->input_major,
                               .m = rows,
                               .n = k,
                               .k = n,
                               .alpha = 1.0f,
                               .beta = add ? 1.0f : 0.0f,
                               .a = dy,
                               .lda = n,
                               .b = model->weights[linear->weight].value,
                               .ldb = linear->input_major ? n : k,
                               .c = dx,
                               .ldc = k});
}
