#pragma once
// From a manifest and its blobs to a record: which file is what, and what the text layers say.

#include <functional>
#include <string>

#include "core/base/status.h"
#include "daemon/registry/manifest.h"
#include "daemon/registry/model_facts.h"
#include "daemon/registry/model_record.h"

namespace mlxr {

// Facts of a model's files; a cache may stand behind it.
using InspectModel = std::function<Result<ModelFacts>(const std::string& path)>;

// The config blob of a manifest. kNotFound when it is missing, kCorrupt.
Result<ManifestConfig> read_config(const std::string& models_folder, const Manifest& manifest);

// All but names, origin and modified time. `models_folder` may be another program's store. kNotFound names a blob that
// is missing; kUnsupported for models of a remote service and for those that keep a tensor a blob.
Result<ModelRecord> record_of_manifest(const std::string& models_folder, const Manifest& manifest,
                                       const InspectModel& inspect);

// Where the model of a manifest lies: a blob or a folder view.
Result<std::string> model_path_of_manifest(const std::string& models_folder, const Manifest& manifest);

// Jinja, and not Go's text/template: both are between {{ and }}.
bool is_jinja_template(const std::string& text);

// [{"role", "content"}] of a messages layer or a create request. kInvalidArgument.
Result<std::vector<ModelMessage>> parse_messages(std::string_view json, const std::string& source);
std::string messages_to_json(const std::vector<ModelMessage>& messages);

}  // namespace mlxr
