#include <algorithm>
#include <type_traits>
#include <utility>

#include <fmt/core.h>

#include "daemon/server/access_gate.h"
#include "daemon/server/answer_json.h"
#include "daemon/server/openai/openai_errors.h"
#include "daemon/server/openai/openai_handlers.h"
#include "daemon/server/openai/response_archive.h"
#include "daemon/server/openai/response_builder.h"
#include "daemon/server/openai/responses_request.h"
#include "daemon/service/model_service.h"

namespace mlxr::server {
namespace {

// Keeps a response that ended well.
struct Keeper {
  ResponseArchive* archive = nullptr;  // nullptr: keeps nothing
  StoredResponse entry = {};

  void keep(ResponseBuilder& builder) {
    if (archive == nullptr || builder.status() == "failed") return;
    entry.status = builder.status();
    entry.output_json = json_text(builder.object());
    const Status kept = archive->insert(entry);
    if (!kept.ok()) builder.warn({fmt::format("the response was not stored: {}", kept.message())});
  }
};

class ResponsesWriter : public AnswerWriter {
 public:
  ResponsesWriter(ResponseBuilder::Head head, ResponseBuilder::NewId new_id, Keeper keeper, bool stream)
      : stream_(stream),
        keeper_(std::move(keeper)),
        given_warnings_(head.warnings),
        builder_(std::move(head), std::move(new_id),
                 [this](std::string_view type, const std::string& data) { emit(type, data); }) {}

  bool over() const override { return over_; }

  void idle(http::Exchange& exchange) override {
    if (!stream_ || sse_.take_activity()) return;
    if (!sse_.began()) add_warnings(sse_.fields(), given_warnings_);
    sse_.comment(exchange, "ping");
  }

  void take(AnswerEvent event, std::size_t /*source*/, http::Exchange& exchange) override {
    exchange_ = &exchange;
    std::visit(
        [this, &exchange](const auto& e) {
          using E = std::decay_t<decltype(e)>;
          if constexpr (std::is_same_v<E, AnswerStarted>) {
            builder_.warn(e.warnings);
            merge_warnings(given_warnings_, e.warnings);
            builder_.begin();
          } else if constexpr (std::is_same_v<E, TextDelta>) {
            builder_.text(e);
          } else if constexpr (std::is_same_v<E, ReasoningDelta>) {
            builder_.reasoning(e);
          } else if constexpr (std::is_same_v<E, ToolCallDelta>) {
            builder_.tool_call(e);
          } else if constexpr (std::is_same_v<E, ChoiceFinished>) {
            builder_.choice_finished(e);
          } else if constexpr (std::is_same_v<E, AnswerDone>) {
            end(exchange, e);
          } else if constexpr (std::is_same_v<E, AnswerFailed>) {
            fail(exchange, to_api_error(e));
          }
        },
        event);
    exchange_ = nullptr;
  }

 private:
  void emit(std::string_view type, const std::string& data) {
    if (!stream_) return;
    if (!sse_.began()) add_warnings(sse_.fields(), given_warnings_);
    sse_.event(*exchange_, type, data);
  }

  void end(http::Exchange& exchange, const AnswerDone& done) {
    over_ = true;
    builder_.done(done);
    // Before the client hears that it can go on from it.
    keeper_.keep(builder_);
    if (stream_) {
      builder_.send_last();
      exchange.end();
      return;
    }
    const Json object = builder_.object();
    http::Response response = http::json_response(200, json_text(object));
    if (object.contains("warnings")) {
      add_warnings(response.fields, object["warnings"].get<std::vector<std::string>>());
    }
    exchange.respond(std::move(response));
  }

  void fail(http::Exchange& exchange, const ApiError& error) {
    over_ = true;
    if (!sse_.began()) {
      exchange.respond(openai_error(error));
      return;
    }
    builder_.failed(error);
    builder_.send_last();
    exchange.end();
  }

  const bool stream_;
  SseStream sse_;
  Keeper keeper_;
  std::vector<std::string> given_warnings_;
  bool over_ = false;
  http::Exchange* exchange_ = nullptr;  // within take()
  ResponseBuilder builder_;
};

std::string key_id(const OpenAiServices& services, const http::Request& request) {
  return services.key_id ? services.key_id(request) : std::string();
}

// Items of a stored input have ids, by which input_items goes page by page.
std::string items_text(Json items, const AnswerStamp& stamp) {
  for (Json& item : items) {
    if (item.is_object() && !item.contains("id")) item["id"] = stamp.new_id("item_");
  }
  return json_text(items);
}

// The stored response that the path names; answers and gives nothing when there is none.
std::optional<StoredResponse> find_stored(const OpenAiServices& services, const SharedExchange& exchange) {
  const http::Request& request = exchange->request();
  const std::string& id = request.captures.at("id");
  if (services.archive != nullptr) {
    Result<std::optional<StoredResponse>> found = services.archive->find(id, key_id(services, request));
    if (!found.ok()) {
      exchange->respond(openai_error(to_api_error(found.status())));
      return std::nullopt;
    }
    if (found->has_value()) return std::move(**found);
  }
  exchange->respond(openai_error(
      make_error(ApiErrorKind::kNotFound, fmt::format("there is no response {}", json_quoted(id)), "response_id")));
  return std::nullopt;
}

}  // namespace

std::optional<std::vector<StoredResponse>> turns_before(const OpenAiServices& services, const SharedExchange& exchange,
                                                        const std::string& previous_id) {
  if (previous_id.empty()) return std::vector<StoredResponse>();
  if (services.archive == nullptr) {
    exchange->respond(openai_error(
        make_error(ApiErrorKind::kUnsupported, "this server stores no responses", "previous_response_id")));
    return std::nullopt;
  }
  Result<std::vector<StoredResponse>> chain =
      services.archive->chain(previous_id, key_id(services, exchange->request()));
  if (chain.ok()) return std::move(chain).value();
  ApiError error = to_api_error(chain.status());
  error.field = "previous_response_id";
  exchange->respond(openai_error(error));
  return std::nullopt;
}

void answer_responses(const OpenAiServices& services, const SharedExchange& exchange) {
  std::optional<Json> body = read_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  ResponsesRequest request = read_responses_request(*body, notes);
  if (refuse(exchange, notes)) return;
  if (request.store && services.archive == nullptr) {
    if (body->contains("store")) notes.warn("the response is not stored: this server stores no responses");
    request.store = false;
    request.shown["store"] = false;
  }
  body.reset();
  const std::optional<std::vector<StoredResponse>> before = turns_before(services, exchange, request.previous_id);
  if (!before.has_value()) return;
  read_conversation(request, *before, notes);
  // By its own id it can be cancelled.
  const std::string id = services.common.stamp.new_id("resp_");
  request.call.options.request_id = id;
  if (refuse(exchange, notes) || !identify_or_refuse(services, exchange, request.call.options)) return;

  ResponseBuilder::Head head;
  head.id = id;
  head.created = services.common.stamp.now();
  head.model = request.call.options.model;
  head.shown = std::move(request.shown);
  head.warnings = std::move(notes.warnings);
  Keeper keeper;
  if (request.store) {
    keeper.archive = services.archive;
    StoredResponse& entry = keeper.entry;
    entry.id = id;
    entry.key_id = key_id(services, exchange->request());
    if (!request.previous_id.empty()) entry.previous_id = request.previous_id;
    entry.model = head.model;
    entry.created = head.created;
    entry.input_json = items_text(std::move(request.input), services.common.stamp);
  }
  auto writer = std::make_unique<ResponsesWriter>(std::move(head), services.common.stamp.new_id, std::move(keeper),
                                                  request.answer.stream);
  pump_answer(exchange, services.common.models->generate(std::move(request.call)), std::move(writer),
              pump_options(services, request.answer));
}

void answer_stored_response(const OpenAiServices& services, const SharedExchange& exchange) {
  const std::optional<StoredResponse> stored = find_stored(services, exchange);
  if (!stored.has_value()) return;
  if (exchange->request().query_value("stream") == "true") {
    exchange->respond(
        openai_error(make_error(ApiErrorKind::kUnsupported, "a stored response is whole: it has no stream", "stream")));
    return;
  }
  exchange->respond(http::json_response(200, stored->output_json));
}

void delete_stored_response(const OpenAiServices& services, const SharedExchange& exchange) {
  const std::optional<StoredResponse> stored = find_stored(services, exchange);
  if (!stored.has_value()) return;
  const Status removed = services.archive->remove(stored->id, stored->key_id);
  if (!removed.ok()) {
    exchange->respond(openai_error(to_api_error(removed)));
    return;
  }
  exchange->respond(
      http::json_response(200, json_text({{"id", stored->id}, {"object", "response.deleted"}, {"deleted", true}})));
}

void cancel_response(const OpenAiServices& services, const SharedExchange& exchange) {
  const std::string id = exchange->request().captures.at("id");
  for (const OpenRequest& open : services.common.models->requests()) {
    if (open.id != id) continue;
    CallOptions options;
    options.model = open.model;
    if (!identify_or_refuse(services, exchange, options)) return;
    // A caller's users may cancel each other's, other callers may not.
    const std::string& caller = options.origin.caller_key;
    if (account_of(open.caller_key) != account_of(caller)) break;
    const Status cancelled = services.common.models->cancel(id, open.caller_key);
    if (!cancelled.ok()) break;
    exchange->respond(
        http::json_response(200, json_text({{"id", id}, {"object", "response"}, {"status", "cancelled"}})));
    return;
  }
  const std::optional<StoredResponse> stored = find_stored(services, exchange);
  if (!stored.has_value()) return;
  exchange->respond(openai_error(
      make_error(ApiErrorKind::kInvalidRequest, fmt::format("response {} is {} already", id, stored->status))));
}

void answer_input_items(const OpenAiServices& services, const SharedExchange& exchange) {
  constexpr std::size_t kMaxItems = 100;
  const std::optional<StoredResponse> stored = find_stored(services, exchange);
  if (!stored.has_value()) return;
  Result<Json> parsed = parse_json_text(stored->input_json);
  std::vector<Json> items;
  if (parsed.ok() && parsed->is_array()) items = parsed->get<std::vector<Json>>();
  const http::Request& request = exchange->request();
  if (request.query_value("order").value_or("desc") != "asc") std::reverse(items.begin(), items.end());
  if (const auto after = request.query_value("after")) {
    const auto found =
        std::find_if(items.begin(), items.end(), [&after](const Json& item) { return item.value("id", "") == *after; });
    if (found != items.end()) items.erase(items.begin(), found + 1);
  }
  std::size_t limit = 20;
  if (const auto wanted = request.query_value("limit")) {
    const Result<Json> number = parse_json_text(*wanted);
    const std::optional<std::int64_t> whole = number.ok() ? whole_number(*number) : std::nullopt;
    if (!whole.has_value() || *whole < 1 || *whole > static_cast<std::int64_t>(kMaxItems)) {
      exchange->respond(openai_error(
          make_error(ApiErrorKind::kInvalidRequest, fmt::format("limit must be from 1 to {}", kMaxItems), "limit")));
      return;
    }
    limit = static_cast<std::size_t>(*whole);
  }
  const bool more = items.size() > limit;
  if (more) items.resize(limit);
  Json body = {{"object", "list"},
               {"data", items},
               {"first_id", items.empty() ? Json(nullptr) : items.front()["id"]},
               {"last_id", items.empty() ? Json(nullptr) : items.back()["id"]},
               {"has_more", more}};
  exchange->respond(http::json_response(200, json_text(body)));
}

}  // namespace mlxr::server
