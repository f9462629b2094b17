/* What belongs to a model beside configuration and weights: tokenizer, templates, settings of other
 * libraries, modules of sentence-transformers, custom code, model card, licence. */
#ifndef ESPALIER_IO_COMPANIONS_H
#define ESPALIER_IO_COMPANIONS_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"

ESP_C_BEGIN

/* What copying did. Caller's struct. */
typedef struct esp_companions {
  int copied;     // files
  int code;       // files of Python code among them
  char *left_out; // rank 0: names that were not copied, "a, b/", owned; NULL: none
} esp_companions;

/* Copy from one model folder to another what belongs to the model, byte for byte, with the folders
 * that modules of sentence-transformers have ("1_Pooling", "2_Dense", whose own weights stay
 * right). Weights of the model are never copied, in any format; those and other files are listed in
 * left_out, but for what a model folder always has written anew (config.json, safetensors and their
 * index) and hidden files. Links are followed. *done is to be cleared, also on failure. IO.
 * Collective on comm (rank 0 acts); equal on all ranks: from, to. */
esp_status esp_companions_copy(const esp_comm *comm, const char *from, const char *to,
                               esp_companions *done);
void esp_companions_clear(esp_companions *done);

ESP_C_END

#endif
