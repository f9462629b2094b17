#include "espalier/linalg/gemm.h"

#include "espalier/core/log.h"
#include "gemm_kernel.h"

#include <omp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const gemm_kernel blas = {.name = "blas"};
static const gemm_kernel *const kernels[] = {&esp_gemm_avx512, &esp_gemm_avx2, &blas};
enum { KERNELS = sizeof kernels / sizeof *kernels };

static bool is_supported(const gemm_kernel *kernel) {
  return kernel == &blas || (kernel->is_supported && kernel->is_supported());
}

/* The first that this machine supports, of this name (NULL: of any), or NULL. */
static const gemm_kernel *find_kernel(const char *name) {
  for (int i = 0; i < KERNELS; i++)
    if ((!name || strcmp(kernels[i]->name, name) == 0) && is_supported(kernels[i]))
      return kernels[i];
  return NULL;
}

static const gemm_kernel *choose_kernel(void) {
  static atomic_flag warned = ATOMIC_FLAG_INIT;
  const char *wanted = getenv("ESPALIER_GEMM");
  const gemm_kernel *best = find_kernel(NULL),
                    *named = wanted && *wanted ? find_kernel(wanted) : best;
  if (!named && !atomic_flag_test_and_set(&warned))
    esp_log_warn("ESPALIER_GEMM names '%s', which this machine does not support; '%s' is used",
                 wanted, best->name);
  return named ? named : best;
}

const char *esp_gemm_kernel_name(void) {
  return choose_kernel()->name;
}

void esp_gemm_compute(const esp_gemm *product) {
  if (product->m == 0 || product->n == 0) return;
  const gemm_kernel *kernel = choose_kernel();
  if (kernel == &blas)
    esp_gemm_by_blas(product);
  else
    esp_gemm_by_kernel(kernel, product);
}

#ifdef ESPALIER_HAVE_OPENBLAS
void openblas_set_num_threads(int threads); // not in every cblas.h

void esp_blas_use_one_thread(void) {
  openblas_set_num_threads(1);
}

/* BUFFER_SIZE of its x86-64 builds, the largest; one for every thread that calls it. */
int64_t esp_blas_count_buffer_bytes(void) {
  return ((int64_t)128 << 20) * omp_get_max_threads();
}
#else
void esp_blas_use_one_thread(void) {} // by the environment: MKL is serial inside a parallel region

int64_t esp_blas_count_buffer_bytes(void) {
  return 0; // it says itself what it cannot get
}
#endif
