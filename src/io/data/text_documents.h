/* Documents of text files, and their tokens. */
#ifndef ESPALIER_SRC_IO_TEXT_DOCUMENTS_H
#define ESPALIER_SRC_IO_TEXT_DOCUMENTS_H

#include "espalier/io/text_data.h"

/* Names of files; owned. */
typedef struct text_names {
  char **name;
  int count;
} text_names;
/* List the files of a data set, sorted within a folder. Local: rank 0's. IO. */
esp_status text_names_list(const char *data, const char *split, text_names *names);
bool text_names_probe(const char *data);
void text_names_clear(text_names *self);
bool text_name_is_json(const char *name);

/* A document: a file's text, or a line of JSON, which is parsed by the rank that encodes it. */
typedef struct text_document {
  const char *bytes; // borrowed from a file
  int64_t count;
  int64_t line; // of JSON, from 1; 0: plain text
  int file;
} text_document;

typedef struct text_documents {
  text_names names;
  char **files;         // (names.count), owned: contents
  text_document *items; // (room), owned
  int64_t count, room, bytes;
} text_documents;
/* Read all files on all ranks. Collective on comm. */
esp_status text_documents_read(const esp_comm *comm, const esp_text_source *source,
                               text_documents *documents);
void text_documents_clear(text_documents *self);

/* Tokens of all documents, on all ranks. */
typedef struct text_tokens {
  esp_token_ids ids;
  int64_t *counts; // (documents), owned: tokens of each
  int32_t *labels; // (documents), owned: -1: none
  int64_t words, bytes;
  bool has_labels;
} text_tokens;
/* Encode the documents over ranks: each has a block of them, of about the same bytes. Collective on
 * comm. */
esp_status text_tokens_encode(const esp_comm *comm, esp_tokenizer *tokenizer,
                              const text_documents *documents, text_tokens *tokens);
void text_tokens_clear(text_tokens *self);

/* Lay tokens out in rows: fill count, width, arrays and counts of the data set. Local. */
esp_status text_rows_fill(const esp_text_source *source, const esp_tokenizer *tokenizer,
                          const text_documents *documents, const text_tokens *tokens,
                          esp_dataset *dataset);

#endif
