#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "daemon/server/answer_json.h"
#include "daemon/server/openai/openai_errors.h"
#include "daemon/server/openai/openai_handlers.h"
#include "daemon/service/model_service.h"

namespace mlxr::server {
namespace {

constexpr std::size_t kMaxDocuments = 10'000;

struct RerankRequest {
  RerankCall call;
  std::int64_t top_n = 0;  // 0: all
  bool return_documents = false;
};

// A string, or an object with a text.
void read_documents(JsonFields& fields, RerankCall& call) {
  const Json* documents = fields.required_array("documents");
  if (documents == nullptr) return;
  if (documents->empty() || documents->size() > kMaxDocuments) {
    fields.invalid("documents", fmt::format("has {} entries; 1 to {} are allowed", documents->size(), kMaxDocuments));
    return;
  }
  for (std::size_t i = 0; i < documents->size() && fields.notes().ok(); ++i) {
    const Json& document = (*documents)[i];
    if (document.is_string()) {
      call.documents.push_back(document.get<std::string>());
      continue;
    }
    JsonFields inner(document, fmt::format("documents[{}].", i), fields.notes());
    call.documents.push_back(inner.required_string("text"));
    inner.finish();
  }
}

RerankRequest read_rerank_request(const Json& body, RequestNotes& notes) {
  static constexpr KnownField kOthers[] = {
      {"max_chunks_per_doc", FieldTreatment::kRefuse, "documents are read whole"},
      {"max_tokens_per_doc", FieldTreatment::kRefuse, "documents are read whole"},
      {"truncate_prompt_tokens", FieldTreatment::kRefuse, "documents are read whole"},
      {"rank_fields", FieldTreatment::kRefuse, "documents are read by their text"},
      {"metadata", FieldTreatment::kSilent, ""},
  };
  RerankRequest request;
  JsonFields fields(body, "", notes);
  if (!notes.ok()) return request;
  request.call.options.model = fields.required_string("model");
  read_origin(fields, request.call.options);
  request.call.query = fields.required_string("query");
  read_documents(fields, request.call);
  request.top_n = fields.integer("top_n", {.min = 0}).value_or(0);
  request.return_documents = fields.boolean("return_documents").value_or(false);
  fields.treat(kOthers);
  fields.finish();
  return request;
}

}  // namespace

void answer_rerank(const OpenAiServices& services, const SharedExchange& exchange) {
  const std::optional<Json> body = read_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  RerankRequest request = read_rerank_request(*body, notes);
  if (refuse(exchange, notes) || !identify_or_refuse(services, exchange, request.call.options)) return;
  std::vector<std::string> documents;
  if (request.return_documents) documents = request.call.documents;
  auto finish = [model = request.call.options.model, top_n = request.top_n, documents = std::move(documents),
                 id = services.common.stamp.new_id("rerank-"),
                 given = notes.warnings](std::vector<CollectedAnswer>& answers) {
    CollectedAnswer& answer = answers[0];
    std::vector<std::string> warnings = given;
    merge_warnings(warnings, answer.started.warnings);
    merge_warnings(warnings, answer.done.warnings);
    // Best first; equal ones in the order in which they came.
    std::stable_sort(answer.scores.begin(), answer.scores.end(),
                     [](const RerankReady& a, const RerankReady& b) { return a.score > b.score; });
    if (top_n > 0 && answer.scores.size() > static_cast<std::size_t>(top_n)) {
      answer.scores.resize(static_cast<std::size_t>(top_n));
    }
    Json results = Json::array();
    for (const RerankReady& each : answer.scores) {
      Json result = {{"index", each.document}, {"relevance_score", each.score}};
      if (!documents.empty()) {
        result["document"] = Json::object();
        result["document"]["text"] = documents.at(static_cast<std::size_t>(each.document));
      }
      results.push_back(std::move(result));
    }
    Json out = {{"id", id},
                {"model", model},
                {"object", "list"},
                {"usage", {{"prompt_tokens", answer.done.prompt_tokens}, {"total_tokens", answer.done.prompt_tokens}}},
                {"results", std::move(results)}};
    if (!warnings.empty()) out["warnings"] = warnings;
    http::Response response = http::json_response(200, json_text(out));
    add_warnings(response.fields, warnings);
    return response;
  };
  pump_answer(exchange, services.common.models->rerank(std::move(request.call)),
              std::make_unique<WholeAnswerWriter>(
                  1, std::move(finish), [](const AnswerFailed& failed) { return openai_error(to_api_error(failed)); }));
}

}  // namespace mlxr::server
