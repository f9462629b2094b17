#include "origin.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"

origin origin_read(const esp_model *model) {
  origin self = {.report = model->details ? json_loads(model->details, 0, NULL) : NULL};
  const json_t *collection = json_object_get(self.report, "collection");
  self.path = esp_json_bytes(json_object_get(self.report, "model_path"));
  self.fingerprint = json_string_value(json_object_get(self.report, "model_fingerprint"));
  if (!self.fingerprint)
    self.fingerprint = json_string_value(json_object_get(collection, "model_fingerprint"));
  return self;
}

void origin_clear(origin *self) {
  esp_free(&self->path);
  json_decref(self->report);
}
