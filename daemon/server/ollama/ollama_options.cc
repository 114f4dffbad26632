#include <algorithm>

#include <fmt/core.h>

#include "daemon/server/ollama/ollama_request.h"
#include "daemon/server/sampling_json.h"

namespace mlxr::server {
namespace {

constexpr std::int64_t kMaxContext = std::int64_t{1} << 31;

enum class OptionType : std::uint8_t { kInteger, kReal, kBoolean, kTexts };

struct OptionRow {
  std::string_view name;
  OptionType type;
};
constexpr OptionRow kOptions[] = {
#define MLXR_PARAMETER(name, type) {#name, OptionType::type},
#include "daemon/registry/parameters.def"
#undef MLXR_PARAMETER
};

// Of Go, as Ollama's errors name them.
const char* type_name(OptionType type) {
  switch (type) {
    case OptionType::kInteger:
      return "integer";
    case OptionType::kReal:
      return "float32";
    case OptionType::kBoolean:
      return "boolean";
    case OptionType::kTexts:
      break;
  }
  return "array";
}

bool has_type(const Json& value, OptionType type) {
  switch (type) {
    case OptionType::kInteger:
      return whole_number(value).has_value();
    case OptionType::kReal:
      return value.is_number();
    case OptionType::kBoolean:
      return value.is_boolean();
    case OptionType::kTexts:
      break;
  }
  return value.is_string() || (value.is_array() && std::all_of(value.begin(), value.end(),
                                                               [](const Json& entry) { return entry.is_string(); }));
}

void check_types(const Json& options, RequestNotes& notes) {
  for (const OptionRow& row : kOptions) {
    const auto found = options.find(row.name);
    if (found == options.end() || found->is_null() || has_type(*found, row.type)) continue;
    notes.fail(ApiErrorKind::kInvalidRequest, fmt::format("options.{}", row.name),
               fmt::format("option \"{}\" must be of type {}", row.name, type_name(row.type)));
  }
}

constexpr FieldTreatment kSilent = FieldTreatment::kSilent;
constexpr FieldTreatment kWarn = FieldTreatment::kWarn;

constexpr KnownField kOtherOptions[] = {
    {"num_keep", kWarn, "a prompt is never shifted out of the context"},
    {"num_batch", kWarn, "the server sizes its batches itself"},
    {"num_gpu", kWarn, "a model is on one device as a whole"},
    {"main_gpu", kWarn, "a model is on one device as a whole"},
    {"num_thread", kWarn, "threads are the server's, for all requests"},
    {"draft_num_predict", kWarn, "the server measures what pays"},
    {"use_mmap", kSilent, ""},
    {"tfs_z", kWarn, "there is no such sampler"},
    {"penalize_newline", kWarn, "line breaks are penalized as other tokens are"},
    {"low_vram", kWarn, "Ollama ignores it too"},
    {"f16_kv", kSilent, ""},
    {"logits_all", kWarn, "Ollama ignores it too"},
    {"vocab_only", kWarn, "Ollama ignores it too"},
    {"use_mlock", kWarn, "it is a setting of the server"},
    {"numa", kWarn, "it is a setting of the server"},
};

}  // namespace

SamplingOverrides ollama_sampling_defaults() {
  SamplingOverrides sampling;
  sampling.temperature = 0.8F;
  sampling.top_k = 40;
  sampling.top_p = 0.9F;
  sampling.min_p = 0.0F;
  sampling.penalty_last_n = 64;
  sampling.repetition_penalty = 1.0F;
  return sampling;
}

void read_ollama_options(JsonFields& fields, GenerateCall& call) {
  call.dialect_defaults = ollama_sampling_defaults();
  const Json* options = fields.object("options");
  if (options == nullptr) return;
  check_types(*options, fields.notes());
  JsonFields inner(*options, "options.", fields.notes());
  read_sampling(inner, call.sampling);
  read_stops(inner, call);
  if (const auto context = inner.integer("num_ctx", {.min = 0, .max = kMaxContext}); context.value_or(0) > 0) {
    call.options.context = context;
  }
  // -1: until the end; -2: until the context is full, which bounds every answer here.
  if (const auto most = inner.integer("num_predict")) call.max_tokens = std::max<std::int64_t>(*most, -1);
  inner.treat(kOtherOptions);
  inner.finish();
}

}  // namespace mlxr::server
