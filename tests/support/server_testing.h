#pragma once
// What tests of dialects stand on: an exchange that records, an answer that is a list of events, a service that keeps
// the calls it gets. One thread; work that is posted runs when the test says so.
//
// An exchange that is neither answered nor left holds itself through its callbacks: end such a test with
// peer_leaves().
//
// With MLXR_RECORD_ANSWERS=FILE in the environment every whole answer is appended to the file, for
// scripts/check_openapi.py.

#include <cstdlib>
#include <deque>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/http/exchange.h"
#include "daemon/http/router.h"
#include "daemon/server/dialect_services.h"
#include "daemon/server/model_catalog.h"
#include "daemon/service/model_service.h"

namespace mlxr::test {

// Appends one line to the file of records, when there is one.
inline void record_line(const nlohmann::ordered_json& line) {
  const char* file = std::getenv("MLXR_RECORD_ANSWERS");
  if (file == nullptr) return;
  using Dump = nlohmann::ordered_json::error_handler_t;
  std::ofstream(file, std::ios::app) << line.dump(-1, ' ', false, Dump::replace) << "\n";
}

class RecordingExchange : public http::Exchange {
 public:
  ~RecordingExchange() override {
    if (request_.target.empty() || (!whole && !ended)) return;
    record_line({{"method", std::string(http::method_name(request_.method))},
                 {"path", request_.target},
                 {"request", request_.body},
                 {"status", status},
                 {"content_type", header("Content-Type")},
                 {"body", body}});
  }

  http::Request& request() override { return request_; }

  void respond(http::Response response) override {
    if (closed_) return;
    status = response.status;
    fields = std::move(response.fields);
    body = std::move(response.body);
    whole = true;
    closed_ = true;
  }
  void begin(int begin_status, http::Fields begin_fields) override {
    status = begin_status;
    fields = std::move(begin_fields);
    began = true;
  }
  void write(std::string piece) override {
    if (closed_) return;
    body += piece;
    pieces.push_back(std::move(piece));
  }
  void end() override {
    ended = true;
    closed_ = true;
  }
  void abort() override {
    aborted = true;
    closed_ = true;
  }
  bool closed() const override { return closed_; }
  std::size_t unsent_bytes() const override { return unsent; }

  void post(std::function<void()> work) override { posted_.push_back(std::move(work)); }
  void on_closed(std::function<void()> notify) override { closed_callbacks_.push_back(std::move(notify)); }
  void on_sent(std::function<void()> notify) override { sent_callbacks_.push_back(std::move(notify)); }
  void every(std::chrono::milliseconds period, std::function<void()> tick) override {
    ticks_.emplace_back(period, std::move(tick));
  }

  // --- the test's side -----------------------------------------------------------------------------------------------

  void run_posted() {
    while (!posted_.empty()) {
      const std::function<void()> work = std::move(posted_.front());
      posted_.pop_front();
      work();
    }
  }
  // A period of every timer goes by.
  void tick() {
    for (const auto& [period, callback] : std::vector(ticks_))
      callback();
    run_posted();
  }
  void drained() {
    unsent = 0;
    for (const std::function<void()>& callback : std::vector(sent_callbacks_))
      callback();
    run_posted();
  }
  void peer_leaves() {
    closed_ = true;
    for (const std::function<void()>& callback : std::vector(closed_callbacks_))
      callback();
    run_posted();
  }
  std::string header(std::string_view name) const {
    for (const auto& [key, value] : fields.entries()) {
      if (key == name) return value;
    }
    return {};
  }

  int status = 0;
  http::Fields fields;
  std::string body;
  std::vector<std::string> pieces;
  bool whole = false;  // respond()
  bool began = false;
  bool ended = false;
  bool aborted = false;
  std::size_t unsent = 0;

 private:
  http::Request request_;
  bool closed_ = false;
  std::deque<std::function<void()>> posted_;
  std::vector<std::function<void()>> closed_callbacks_;
  std::vector<std::function<void()>> sent_callbacks_;
  std::vector<std::pair<std::chrono::milliseconds, std::function<void()>>> ticks_;
};

class ScriptedStream : public AnswerStream {
 public:
  explicit ScriptedStream(std::vector<AnswerEvent> events = {}) : events_(events.begin(), events.end()) {}

  std::optional<AnswerEvent> try_next() override {
    if (events_.empty()) return std::nullopt;
    AnswerEvent event = std::move(events_.front());
    events_.pop_front();
    finished_ = std::holds_alternative<AnswerDone>(event) || std::holds_alternative<AnswerFailed>(event);
    return event;
  }
  std::optional<AnswerEvent> next() override { return try_next(); }
  bool finished() const override { return finished_; }
  void on_event(std::function<void()> notify) override {
    notify_ = std::move(notify);
    if (!events_.empty() && notify_) notify_();
  }
  void cancel() override { cancelled = true; }

  void push(AnswerEvent event) {
    events_.push_back(std::move(event));
    if (notify_) notify_();
  }
  std::size_t num_waiting() const { return events_.size(); }

  bool cancelled = false;

 private:
  std::deque<AnswerEvent> events_;
  bool finished_ = false;
  std::function<void()> notify_;
};

// Answers call after call with the next script; without one, with a stream that the test pushes events into.
class ScriptedService : public ModelService {
 public:
  std::shared_ptr<AnswerStream> generate(GenerateCall call) override {
    generate_calls.push_back(std::move(call));
    return next_stream();
  }
  std::shared_ptr<AnswerStream> embed(EmbedCall call) override {
    embed_calls.push_back(std::move(call));
    return next_stream();
  }
  std::shared_ptr<AnswerStream> rerank(RerankCall call) override {
    rerank_calls.push_back(std::move(call));
    return next_stream();
  }
  std::shared_ptr<AnswerStream> load(CallOptions options) override {
    load_calls.push_back(std::move(options));
    return next_stream();
  }
  Status unload(const std::string& model) override {
    unloaded.push_back(model);
    return status;
  }
  Status pin(const std::string& model, bool pinned) override {
    pins[model] = pinned;
    return status;
  }
  Status cancel(const std::string& request_id, const std::string& /*caller_key*/) override {
    cancelled.push_back(request_id);
    return status;
  }
  std::vector<RunningModel> running() const override { return running_models; }
  std::vector<OpenRequest> requests() const override { return open_requests; }

  Result<ModelAbilities> abilities(const std::string& /*model*/) override {
    if (!status.ok()) return status;
    return model_abilities;
  }
  // A token a byte.
  Result<std::vector<TokenId>> tokenize(const std::string& /*model*/, const std::string& text,
                                        const TokenizeOptions& options) override {
    if (!status.ok()) return status;
    std::vector<TokenId> tokens;
    if (options.add_special) tokens.push_back(1);
    for (const char c : text)
      tokens.push_back(static_cast<unsigned char>(c));
    return tokens;
  }
  Result<std::vector<std::string>> pieces(const std::string& /*model*/, const std::vector<TokenId>& tokens) override {
    if (!status.ok()) return status;
    std::vector<std::string> out;
    for (const TokenId token : tokens)
      out.emplace_back(1, static_cast<char>(token));
    return out;
  }
  Result<std::string> detokenize(const std::string& model, const std::vector<TokenId>& tokens) override {
    MLXR_ASSIGN_OR_RETURN(const std::vector<std::string> parts, pieces(model, tokens));
    std::string text;
    for (const std::string& part : parts)
      text += part;
    return text;
  }
  Result<std::string> render(const std::string& /*model*/, const ChatInput& input) override {
    if (!status.ok()) return status;
    rendered.push_back(input);
    return rendered_text;
  }
  Result<std::int64_t> count_tokens(const GenerateCall& call) override {
    if (!status.ok()) return status;
    counted.push_back(call);
    return num_tokens;
  }
  Result<PlanAnswer> plan(const PlanRequest& request) override {
    if (!status.ok()) return status;
    planned.push_back(request);
    return plan_answer;
  }
  std::vector<ProbeReport> probe(std::chrono::milliseconds /*timeout*/) override { return probes; }

  std::vector<GenerateCall> generate_calls;
  std::vector<EmbedCall> embed_calls;
  std::vector<RerankCall> rerank_calls;
  std::vector<CallOptions> load_calls;
  std::vector<std::string> unloaded;
  std::map<std::string, bool> pins;
  std::vector<std::string> cancelled;
  std::vector<ChatInput> rendered;
  std::vector<GenerateCall> counted;
  std::vector<PlanRequest> planned;

  std::deque<std::vector<AnswerEvent>> scripts;
  std::vector<std::shared_ptr<ScriptedStream>> streams;  // that were handed out
  Status status;                                         // of the calls that may wait
  std::vector<RunningModel> running_models;
  std::vector<OpenRequest> open_requests;
  ModelAbilities model_abilities;
  std::string rendered_text = "<rendered>";
  std::int64_t num_tokens = 7;
  PlanAnswer plan_answer;
  std::vector<ProbeReport> probes;

 private:
  std::shared_ptr<AnswerStream> next_stream() {
    std::vector<AnswerEvent> script;
    if (!scripts.empty()) {
      script = std::move(scripts.front());
      scripts.pop_front();
    }
    streams.push_back(std::make_shared<ScriptedStream>(std::move(script)));
    return streams.back();
  }
};

class ListedModels : public server::ModelCatalog {
 public:
  std::vector<server::ListedModel> list() override { return models; }
  std::optional<server::ListedModel> find(const std::string& name) override {
    for (const server::ListedModel& model : models) {
      if (model.name == name) return model;
    }
    return std::nullopt;
  }

  std::vector<server::ListedModel> models;
};

// Ids "prefix1", "prefix2", ...; always the same second.
inline server::AnswerStamp fixed_stamp(std::int64_t now = 1'700'000'000) {
  auto count = std::make_shared<int>(0);
  server::AnswerStamp stamp;
  stamp.new_id = [count](std::string_view prefix) { return std::string(prefix) + std::to_string(++*count); };
  stamp.now = [now] { return now; };
  return stamp;
}

// Each route of the program once.
inline void record_routes(const http::Router& router) {
  static std::set<std::string> seen;
  nlohmann::ordered_json routes = nlohmann::ordered_json::array();
  for (const http::Route& route : router.routes()) {
    const std::string method(http::method_name(route.method));
    if (seen.insert(method + route.pattern).second) {
      routes.push_back(nlohmann::ordered_json::array({method, route.pattern}));
    }
  }
  if (!routes.empty()) record_line({{"routes", std::move(routes)}});
}

// Finds the route, runs its handler and what it posts.
inline std::shared_ptr<RecordingExchange> send(const http::Router& router, http::Method method, const std::string& path,
                                               std::string body = {},
                                               std::vector<std::pair<std::string, std::string>> fields = {}) {
  auto exchange = std::make_shared<RecordingExchange>();
  http::Request& request = exchange->request();
  request.id = "req-1";
  request.method = method;
  const std::size_t question = path.find('?');
  request.target = path;
  request.path = path.substr(0, question);
  request.body = std::move(body);
  for (auto& [name, value] : fields)
    request.fields.add(std::move(name), std::move(value));
  for (std::size_t at = question; at != std::string::npos;) {
    const std::size_t end = path.find('&', at + 1);
    const std::string pair = path.substr(at + 1, end == std::string::npos ? end : end - at - 1);
    const std::size_t equals = pair.find('=');
    request.query.emplace_back(pair.substr(0, equals),
                               equals == std::string::npos ? std::string() : pair.substr(equals + 1));
    at = end;
  }
  record_routes(router);
  const http::Router::Match match = router.find(method, request.path);
  if (match.route == nullptr) {
    exchange->respond(router.error(request.path, match.allowed.empty() ? 404 : 405, "no such route"));
    return exchange;
  }
  request.captures = match.captures;
  match.route->handler(exchange);
  exchange->run_posted();
  return exchange;
}

}  // namespace mlxr::test
