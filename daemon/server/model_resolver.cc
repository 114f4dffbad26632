#include "daemon/server/model_resolver.h"

#include <array>
#include <cmath>
#include <string_view>

#include <fmt/core.h>

#include "core/base/mapped_file.h"

namespace mlxr::server {
namespace {

Status wrong_type(std::string_view name, std::string_view wanted) {
  return invalid_argument(fmt::format("parameter {} of the model must be {}", name, wanted));
}

Result<double> number_of(std::string_view name, const ParameterValue& value) {
  if (const auto* real = std::get_if<double>(&value)) return *real;
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return static_cast<double>(*whole);
  return wrong_type(name, "a number");
}

Result<std::int64_t> integer_of(std::string_view name, const ParameterValue& value) {
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return *whole;
  const auto* real = std::get_if<double>(&value);
  if (real != nullptr && std::trunc(*real) == *real && std::abs(*real) < 9e15) return static_cast<std::int64_t>(*real);
  return wrong_type(name, "a whole number");
}

struct NumberRow {
  std::string_view name;
  std::optional<float> SamplingOverrides::*member;
};
constexpr std::array kNumbers = {
    NumberRow{"temperature", &SamplingOverrides::temperature},
    NumberRow{"top_p", &SamplingOverrides::top_p},
    NumberRow{"min_p", &SamplingOverrides::min_p},
    NumberRow{"typical_p", &SamplingOverrides::typical_p},
    NumberRow{"repeat_penalty", &SamplingOverrides::repetition_penalty},
    NumberRow{"presence_penalty", &SamplingOverrides::presence_penalty},
    NumberRow{"frequency_penalty", &SamplingOverrides::frequency_penalty},
    NumberRow{"mirostat_tau", &SamplingOverrides::mirostat_tau},
    NumberRow{"mirostat_eta", &SamplingOverrides::mirostat_eta},
};

struct IntegerRow {
  std::string_view name;
  std::optional<int> SamplingOverrides::*member;
};
constexpr std::array kIntegers = {
    IntegerRow{"top_k", &SamplingOverrides::top_k},
    IntegerRow{"repeat_last_n", &SamplingOverrides::penalty_last_n},
    IntegerRow{"mirostat", &SamplingOverrides::mirostat},
};

template <class Row, std::size_t N>
const Row* find_row(const std::array<Row, N>& rows, std::string_view name) {
  for (const Row& row : rows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

Status read_parameter(const std::string& name, const ParameterValue& value, ModelfileParameters& out) {
  if (const NumberRow* row = find_row(kNumbers, name)) {
    MLXR_ASSIGN_OR_RETURN(const double number, number_of(name, value));
    out.sampling.*(row->member) = static_cast<float>(number);
  } else if (const IntegerRow* whole = find_row(kIntegers, name)) {
    MLXR_ASSIGN_OR_RETURN(const std::int64_t number, integer_of(name, value));
    if (number < -1 || number > 1 << 30) return wrong_type(name, "a small whole number");
    out.sampling.*(whole->member) = static_cast<int>(number);
  } else if (name == "seed") {
    MLXR_ASSIGN_OR_RETURN(const std::int64_t seed, integer_of(name, value));
    if (seed >= 0) out.sampling.seed = static_cast<std::uint64_t>(seed);  // -1: another one each time
  } else if (name == "num_ctx") {
    MLXR_ASSIGN_OR_RETURN(out.context, integer_of(name, value));
  } else if (name == "num_predict") {
    MLXR_ASSIGN_OR_RETURN(const std::int64_t tokens, integer_of(name, value));
    if (tokens >= 0) out.max_tokens = tokens;
  } else if (name == "stop") {
    if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
      out.stop = *list;
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      out.stop = {*text};
    } else {
      return wrong_type(name, "a text or a list of texts");
    }
  } else {
    out.warnings.push_back(fmt::format("parameter {} of the model has no meaning here", name));
  }
  return {};
}

void apply_settings(const ModelSettings& settings, ResolvedModel& model) {
  SamplingOverrides sampling;
#define MLXR_SAMPLING_FIELD(type, name) sampling.name = settings.sampling.name;
#include "daemon/service/sampling_fields.def"
#undef MLXR_SAMPLING_FIELD
  sampling.fill_from(model.sampling);
  model.sampling = std::move(sampling);
  if (!settings.stop.empty()) model.stop = settings.stop;
  if (settings.system) model.system = *settings.system;
  if (settings.context_length) model.context = settings.context_length;
  if (settings.max_tokens) model.max_tokens = settings.max_tokens;
  if (settings.keep_alive) model.keep_alive = settings.keep_alive;
}

Status read_template_file(const ModelSettings& settings, ResolvedModel& model) {
  if (!settings.chat_template_file) return {};
  MLXR_ASSIGN_OR_RETURN(const auto file, MappedFile::open(*settings.chat_template_file));
  model.chat_template.assign(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
  return {};
}

Result<ResolvedModel> from_record(const ModelRecord& record) {
  if (!record.adapter_paths.empty())
    return unsupported(fmt::format("model \"{}\" has an adapter, which this build does not apply", record.name));
  ResolvedModel model;
  model.name = record.name;
  model.path = record.path;
  model.digest = record.digest;
  model.chat_template = record.chat_template;
  model.system = record.system;
  model.draft_path = record.draft_path;
  if (!record.messages.empty()) {
    model.messages = nlohmann::ordered_json::array();
    for (const ModelMessage& message : record.messages)
      model.messages.push_back({{"role", message.role}, {"content", message.content}});
  }
  MLXR_ASSIGN_OR_RETURN(ModelfileParameters parameters, read_modelfile_parameters(record.parameters));
  model.sampling = std::move(parameters.sampling);
  model.stop = std::move(parameters.stop);
  model.context = parameters.context;
  model.max_tokens = parameters.max_tokens;
  return model;
}

}  // namespace

Result<ModelfileParameters> read_modelfile_parameters(const ModelParameters& parameters) {
  ModelfileParameters out;
  for (const auto& [name, value] : parameters)
    MLXR_RETURN_IF_ERROR(read_parameter(name, value, out));
  return out;
}

ModelResolver make_model_resolver(Catalog& catalog, std::shared_ptr<const ModelSettingsFolder> settings,
                                  DefaultModel default_model) {
  return [&catalog, settings = std::move(settings),
          default_model = std::move(default_model)](const std::string& asked) -> Result<ResolvedModel> {
    const std::string name = asked.empty() && default_model ? default_model() : asked;
    if (name.empty()) return invalid_argument("the request names no model, and default_model is not set");
    MLXR_ASSIGN_OR_RETURN(const ModelRecord record, catalog.resolve(name));
    MLXR_ASSIGN_OR_RETURN(ResolvedModel model, from_record(record));
    const ModelSettings* own = settings == nullptr ? nullptr : settings->find(record.name);
    if (own == nullptr) return model;
    apply_settings(*own, model);
    MLXR_RETURN_IF_ERROR(read_template_file(*own, model));
    if (own->draft_model) {
      MLXR_ASSIGN_OR_RETURN(const ModelRecord draft, catalog.resolve(*own->draft_model));
      model.draft_path = draft.path;
    }
    return model;
  };
}

}  // namespace mlxr::server
