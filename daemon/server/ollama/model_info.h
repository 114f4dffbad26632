#pragma once
// model_info and tensors of /api/show.

#include "daemon/registry/model_record.h"
#include "daemon/server/json.h"

namespace mlxr {
class WeightSource;
}

namespace mlxr::server {

// The keys of a GGUF file; of other files what `details` knows, under the keys that GGUF has for it. Never null. Arrays
// of more than five elements are empty unless `verbose`, as Ollama shows them.
Json model_info_json(const WeightSource& source, const ModelDetails& details, bool verbose);
// [{name, type, shape}], innermost dimension first as GGUF writes it.
Json tensors_json(const WeightSource& source);

}  // namespace mlxr::server
