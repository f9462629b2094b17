/* Text as a data set: files of text or of JSON lines, tokenised by a model's own tokenizer. */
#ifndef ESPALIER_IO_TEXT_DATA_H
#define ESPALIER_IO_TEXT_DATA_H

#include "espalier/core/c_linkage.h"
#include "espalier/io/dataset.h"
#include "espalier/text/tokenizer.h"

ESP_C_BEGIN

/* What is asked of it. Texts are borrowed. */
typedef struct esp_text_source {
  const char *data;  // a file, a folder, or files with commas between them
  const char *split; // "train" or "test": of a folder with folders of these names
  int64_t context; // tokens of a row; 0: none is asked for, and most_context is taken, padded rows
                   // are as long as the longest document, but not longer
  int64_t most_context;
  int32_t end_token; // between documents in packed rows; -1: none is known
  bool pad;          // a row a document, filled with token 0
} esp_text_source;

/* Whether a data set of this name is text: a name that ends in .txt or .jsonl, or such and .gz, or
 * some with commas between them; or a folder with such files and no other data set. Collective on
 * comm (rank 0 looks); equal on all ranks: data. */
bool esp_text_is(const esp_comm *comm, const char *data);
/* Count the files that a name lists by commas, 1 where it is one name; the name of one of them,
 * owned by the caller. By the names alone. Local. */
int esp_text_count_names(const char *data);
char *esp_text_get_name(const char *data, int i);

/* Read, tokenise and lay out in rows; the data set has the same bytes at any rank count, and is one
 * of format "text". Documents are files of text, and lines of JSON: objects with "text" and, if
 * wanted, "label". Packed: documents one behind the other, an end token between them, in full rows;
 * what is left at the end is left out. IO, FORMAT; USAGE: too little text, labels without pad, no
 * end token. Collective on comm; equal on all ranks: tokenizer, source. */
esp_status esp_text_open(const esp_comm *comm, esp_tokenizer *tokenizer,
                         const esp_text_source *source, esp_dataset **dataset);

/* Read a tokenizer.json and make it on every rank. IO, FORMAT. Collective on comm; equal on all
 * ranks: path. */
esp_status esp_tokenizer_open(const esp_comm *comm, const char *path, esp_tokenizer **tokenizer);

/* Write tokens as a token file: /tokens, /lengths and /labels where there are such. IO. Collective
 * on comm; equal on all ranks: path; the data set is rank 0's. */
esp_status esp_text_write_tokens(const esp_comm *comm, const esp_dataset *dataset,
                                 const char *path);

ESP_C_END

#endif
