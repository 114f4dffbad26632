#include "daemon/server/ollama/model_info.h"

#include <cmath>
#include <type_traits>
#include <variant>

#include "core/io/gguf.h"
#include "core/quant/quant.h"

namespace mlxr::server {
namespace {

constexpr std::size_t kMaxShown = 5;

template <class T>
Json scalar_json(const T& value) {
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(value)) return nullptr;
  }
  return value;
}

template <class Values>
Json array_json(const Values& values, bool verbose) {
  Json out = Json::array();
  if (!verbose && values.size() > kMaxShown) return out;
  for (const auto& value : values)
    out.push_back(scalar_json(value));
  return out;
}

Json value_json(const MetadataValue& value, bool verbose) {
  return std::visit(
      [verbose](const auto& held) -> Json {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, std::string> || std::is_arithmetic_v<T>) {
          return scalar_json(held);
        } else if constexpr (std::is_same_v<T, MetadataBools>) {
          Json out = Json::array();
          if (!verbose && held.values.size() > kMaxShown) return out;
          for (const std::uint8_t each : held.values)
            out.push_back(each != 0);
          return out;
        } else if constexpr (std::is_same_v<T, MetadataStrings>) {
          return array_json(held.values, verbose);
        } else {
          return array_json(held, verbose);
        }
      },
      value);
}

}  // namespace

Json model_info_json(const WeightSource& source, const ModelDetails& details, bool verbose) {
  Json out = Json::object();
  if (const auto* gguf = dynamic_cast<const GgufFile*>(&source)) {
    for (const Metadata::Entry& entry : gguf->metadata().entries()) {
      // Shown as `template`.
      if (entry.key == "tokenizer.chat_template") continue;
      out[entry.key] = value_json(entry.value, verbose);
    }
  } else {
    out["general.architecture"] = details.family;
    if (details.context_length > 0) out[details.family + ".context_length"] = details.context_length;
    if (details.embedding_length > 0) out[details.family + ".embedding_length"] = details.embedding_length;
  }
  if (details.num_parameters > 0) out["general.parameter_count"] = details.num_parameters;
  return out;
}

Json tensors_json(const WeightSource& source) {
  Json out = Json::array();
  for (const WeightTensor& tensor : source.tensors()) {
    Json shape = Json::array();
    for (std::size_t axis = tensor.shape.rank(); axis-- > 0;)
      shape.push_back(tensor.shape[axis]);
    out.push_back({{"name", tensor.name}, {"type", quant_info(tensor.type).name}, {"shape", std::move(shape)}});
  }
  return out;
}

}  // namespace mlxr::server
