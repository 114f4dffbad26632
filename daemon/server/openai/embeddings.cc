#include <bit>
#include <cstring>
#include <utility>

#include <fmt/core.h>

#include "daemon/server/answer_json.h"
#include "daemon/server/openai/openai_errors.h"
#include "daemon/server/openai/openai_handlers.h"
#include "daemon/service/model_service.h"

namespace mlxr::server {
namespace {

constexpr std::size_t kMaxInputs = 2048;
constexpr std::size_t kMaxInputTokens = 1'000'000;
constexpr std::int64_t kMaxDimensions = 1 << 20;

struct EmbeddingRequest {
  EmbedCall call;
  bool base64_values = false;
};

constexpr KnownField kOthers[] = {
    {"metadata", FieldTreatment::kSilent, ""},
    {"input_type", FieldTreatment::kWarn, "write the instruction that the model wants into the input"},
    {"task", FieldTreatment::kWarn, "write the instruction that the model wants into the input"},
    {"encoding_type", FieldTreatment::kWarn, "say encoding_format"},
    {"lora", FieldTreatment::kRefuse, "adapters are not supported"},
};

// One input: a string or an array of tokens.
void add_input(JsonFields& fields, const Json& value, const std::string& name, EmbedCall& call) {
  if (value.is_string()) {
    call.inputs.emplace_back(value.get<std::string>());
    return;
  }
  // The reader of fields knows how to check tokens; it wants an object.
  const Json holder = {{name, value}};
  JsonFields inner(holder, fields.path_of(""), fields.notes());
  if (auto tokens = inner.tokens(name, kMaxInputTokens)) call.inputs.emplace_back(std::move(*tokens));
}

void read_inputs(JsonFields& fields, EmbedCall& call) {
  const Json* input = fields.any("input");
  if (input == nullptr) {
    fields.invalid("input", "is missing");
    return;
  }
  const bool one = input->is_string() || (input->is_array() && !input->empty() && input->front().is_number());
  if (one) {
    add_input(fields, *input, "input", call);
    return;
  }
  if (!input->is_array()) {
    fields.invalid("input",
                   fmt::format("must be a string, tokens, or an array of either; it is {}", describe_json(*input)));
    return;
  }
  if (input->empty() || input->size() > kMaxInputs) {
    fields.invalid("input", fmt::format("has {} entries; 1 to {} are allowed", input->size(), kMaxInputs));
    return;
  }
  for (std::size_t i = 0; i < input->size() && fields.notes().ok(); ++i) {
    if (!(*input)[i].is_string() && !(*input)[i].is_array()) {
      fields.invalid(fmt::format("input[{}]", i),
                     fmt::format("must be a string or an array of tokens; it is {}", describe_json((*input)[i])));
      return;
    }
    add_input(fields, (*input)[i], fmt::format("input[{}]", i), call);
  }
}

EmbeddingRequest read_embedding_request(const Json& body, RequestNotes& notes) {
  EmbeddingRequest request;
  EmbedCall& call = request.call;
  JsonFields fields(body, "", notes);
  if (!notes.ok()) return request;
  call.options.model = fields.required_string("model");
  read_origin(fields, call.options);
  read_inputs(fields, call);
  request.base64_values = fields.choice("encoding_format", {"float", "base64"}) == "base64";
  call.dimensions = fields.integer("dimensions", {.min = 1, .max = kMaxDimensions}).value_or(0);
  if (const auto pooling = fields.choice("pooling", {"mean", "cls", "last"})) {
    call.pooling = *pooling == "mean" ? Pooling::kMean : *pooling == "cls" ? Pooling::kCls : Pooling::kLast;
  }
  if (const auto normalize = fields.boolean("normalize")) call.normalize = *normalize;
  // llama-server's: -1 as they are, 2 to a length of 1.
  if (const auto norm = fields.integer("embd_normalize")) {
    if (*norm != -1 && *norm != 2) fields.invalid("embd_normalize", "must be -1 (no) or 2 (a length of 1)");
    call.normalize = *norm == 2;
  }
  if (fields.boolean("truncate").value_or(false)) call.overflow = Overflow::kTruncate;
  if (const auto tokens = fields.integer("truncate_prompt_tokens")) {
    if (*tokens != -1) fields.invalid("truncate_prompt_tokens", "must be -1, which is the model's own limit");
    call.overflow = Overflow::kTruncate;
  }
  fields.treat(kOthers);
  fields.finish();
  return request;
}

// Little-endian, whatever the machine.
std::string float_bytes(const std::vector<float>& values) {
  std::string out;
  out.reserve(values.size() * 4);
  for (const float value : values) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (unsigned shift = 0; shift < 32; shift += 8)
      out += static_cast<char>(bits >> shift & 0xFFU);
  }
  return out;
}

http::Response embedding_response(const std::string& model, bool base64_values, std::vector<std::string> warnings,
                                  const CollectedAnswer& answer) {
  merge_warnings(warnings, answer.started.warnings);
  merge_warnings(warnings, answer.done.warnings);
  Json data = Json::array();
  std::int64_t num_tokens = 0;
  for (std::size_t i = 0; i < answer.embeddings.size(); ++i) {
    const EmbeddingReady& each = answer.embeddings[i];
    num_tokens += each.num_tokens;
    data.push_back({{"object", "embedding"},
                    {"index", i},
                    {"embedding", base64_values ? Json(base64(float_bytes(each.values))) : Json(each.values)}});
  }
  Json body = {{"object", "list"},
               {"data", std::move(data)},
               {"model", model},
               {"usage", {{"prompt_tokens", num_tokens}, {"total_tokens", num_tokens}}}};
  if (!warnings.empty()) body["warnings"] = warnings;
  http::Response response = http::json_response(200, json_text(body));
  add_warnings(response.fields, warnings);
  return response;
}

}  // namespace

void answer_embeddings(const OpenAiServices& services, const SharedExchange& exchange) {
  const std::optional<Json> body = read_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  EmbeddingRequest request = read_embedding_request(*body, notes);
  if (refuse(exchange, notes) || !identify_or_refuse(services, exchange, request.call.options)) return;
  auto finish = [model = request.call.options.model, base64_values = request.base64_values,
                 warnings = notes.warnings](std::vector<CollectedAnswer>& answers) {
    return embedding_response(model, base64_values, warnings, answers[0]);
  };
  pump_answer(exchange, services.common.models->embed(std::move(request.call)),
              std::make_unique<WholeAnswerWriter>(
                  1, std::move(finish), [](const AnswerFailed& failed) { return openai_error(to_api_error(failed)); }));
}

}  // namespace mlxr::server
