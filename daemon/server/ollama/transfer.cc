// /api/pull, /api/push and /api/blobs.

#include <mutex>
#include <utility>

#include <fmt/core.h>

#include "daemon/registry/digest.h"
#include "daemon/registry/model_name.h"
#include "daemon/registry/transfer/transfers.h"
#include "daemon/server/answer_json.h"
#include "daemon/server/ollama/ndjson.h"
#include "daemon/server/ollama/ollama_handlers.h"

namespace mlxr::server::ollama {
namespace {

// How often a transfer is asked whether it is over: its events do not say so of failures.
constexpr std::chrono::milliseconds kPollPeriod{50};

struct TransferRequest {
  std::string model;
  TransferOptions options;
  bool stream = true;
};

TransferRequest read_transfer_request(const Json& body, RequestNotes& notes) {
  static constexpr KnownField kOthers[] = {
      {"username", FieldTreatment::kWarn, "log in with `mlxr login`"},
      {"password", FieldTreatment::kWarn, "log in with `mlxr login`"},
  };
  TransferRequest request;
  JsonFields fields(body, "", notes);
  if (!notes.ok()) return request;
  request.model = read_ollama_model(fields);
  request.options.insecure = fields.boolean("insecure").value_or(false);
  request.stream = fields.boolean("stream").value_or(true);
  fields.treat(kOthers);
  fields.finish();
  if (!notes.ok()) return request;
  if (const Result<ModelName> name = parse_model_name(request.model); !name.ok()) {
    notes.fail(ApiErrorKind::kInvalidRequest, "model", name.status().message());
  }
  return request;
}

Json event_json(const TransferEvent& event) {
  Json out = {{"status", event.status}};
  if (event.digest.empty()) return out;
  out["digest"] = event.digest;
  out["total"] = event.total;
  if (event.completed > 0) out["completed"] = event.completed;
  return out;
}

// Lines of a transfer, from its threads and from the exchange's.
class TransferLines {
 public:
  TransferLines(const SharedExchange& exchange, bool stream, const std::vector<std::string>& warnings)
      : exchange_(exchange), stream_(stream), warnings_(warnings) {
    add_warnings(lines_.fields(), warnings);
  }

  void add(const TransferEvent& event) {
    const std::lock_guard<std::mutex> lock(mutex_);
    last_ = event.status;
    const SharedExchange exchange = exchange_.lock();
    if (exchange == nullptr || !stream_ || over_) return;
    lines_.line(*exchange, event_json(event));
  }

  void finish(const Status& status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const SharedExchange exchange = exchange_.lock();
    if (exchange == nullptr || std::exchange(over_, true)) return;
    if (!status.ok()) {
      fail(*exchange, to_api_error(status));
    } else if (lines_.began()) {
      exchange->end();
    } else {
      exchange->respond(ollama_json_response({{"status", last_.empty() ? "success" : last_}}, warnings_));
    }
  }

 private:
  void fail(http::Exchange& exchange, const ApiError& error) {
    if (!lines_.began()) {
      exchange.respond(ollama_error(error));
      return;
    }
    lines_.line(exchange, {{"error", error.message}});
    exchange.end();
  }

  // The exchange holds the transfer, and the transfer this.
  const std::weak_ptr<http::Exchange> exchange_;
  const bool stream_;
  const std::vector<std::string> warnings_;
  std::mutex mutex_;  // guards what follows
  NdjsonStream lines_;
  std::string last_;
  bool over_ = false;
};

using Start = std::shared_ptr<Transfer> (Transfers::*)(const std::string&, const TransferOptions&, TransferSink);

void answer_transfer(const OllamaServices& services, const SharedExchange& exchange, Start start) {
  const std::optional<Json> body = read_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  const TransferRequest request = read_transfer_request(*body, notes);
  if (refuse(exchange, notes)) return;
  const auto lines = std::make_shared<TransferLines>(exchange, request.stream, notes.warnings);
  std::shared_ptr<Transfer> transfer = (services.transfers->*start)(
      request.model, request.options, [lines](const TransferEvent& event) { lines->add(event); });
  // Held by the exchange alone, so that a peer that leaves cancels it.
  exchange->every(kPollPeriod, [transfer = std::move(transfer), lines] {
    if (transfer->done()) lines->finish(transfer->wait());
  });
}

// The digest of the path in its one spelling; answers and gives nothing when it is none.
std::optional<std::string> digest_of_request(const SharedExchange& exchange) {
  Result<std::string> digest = parse_digest(exchange->request().captures["digest"]);
  if (digest.ok()) return std::move(digest).value();
  exchange->respond(ollama_error(to_api_error(digest.status())));
  return std::nullopt;
}

}  // namespace

void answer_pull(const OllamaServices& services, const SharedExchange& exchange) {
  answer_transfer(services, exchange, &Transfers::pull);
}

void answer_push(const OllamaServices& services, const SharedExchange& exchange) {
  answer_transfer(services, exchange, &Transfers::push);
}

void answer_blob_test(const OllamaServices& services, const SharedExchange& exchange) {
  const std::optional<std::string> digest = digest_of_request(exchange);
  if (!digest.has_value()) return;
  if (!services.store->has_blob(*digest)) {
    exchange->respond(ollama_error(make_error(ApiErrorKind::kNotFound, fmt::format("blob \"{}\" not found", *digest))));
    return;
  }
  exchange->respond({.status = 200, .fields = {}, .body = {}});
}

void answer_blob_upload(const OllamaServices& services, const SharedExchange& exchange) {
  const std::optional<std::string> digest = digest_of_request(exchange);
  if (!digest.has_value()) return;
  if (services.store->has_blob(*digest)) {
    exchange->respond({.status = 200, .fields = {}, .body = {}});
    return;
  }
  const Status status = services.store->add_blob(exchange->request().body_file, *digest);
  if (status.ok()) {
    exchange->respond({.status = 201, .fields = {}, .body = {}});
    return;
  }
  ApiError error = to_api_error(status);
  // Bytes that are not what the peer says they are.
  if (status.code() == StatusCode::kCorrupt) error = make_error(ApiErrorKind::kInvalidRequest, status.message());
  exchange->respond(ollama_error(error));
}

}  // namespace mlxr::server::ollama
