#pragma once
// RecordingService: a ModelService that notes what another one answers, for the request log and for replays. Requests
// that nobody wants recorded pass through it at the cost of one look.
//
// Threads: all calls from any thread.

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/service/model_service.h"
#include "daemon/telemetry/request_record.h"

namespace mlxr::server {

class RecordingService : public ModelService {
 public:
  // `record_all`: every generate() is recorded until take() fetches it.
  RecordingService(std::unique_ptr<ModelService> inner, bool record_all)
      : inner_(std::move(inner)), record_all_(record_all), notes_(std::make_shared<Notes>()) {}

  // The request of this id is to be recorded, and its choices are to draw from this seed unless it names one itself.
  void expect(const std::string& request_id, std::optional<std::uint64_t> seed);
  // What only HTTP knows of a request, before generate() hears of it.
  void note_request(const std::string& request_id, const std::string& route, const std::string& body);
  // What was recorded of a request whose answer is over, and forgets it. nullopt: nothing.
  std::optional<RequestRecord> take(const std::string& request_id);

  std::shared_ptr<AnswerStream> generate(GenerateCall call) override;
  std::shared_ptr<AnswerStream> embed(EmbedCall call) override { return inner_->embed(std::move(call)); }
  std::shared_ptr<AnswerStream> rerank(RerankCall call) override { return inner_->rerank(std::move(call)); }
  std::shared_ptr<AnswerStream> load(CallOptions options) override { return inner_->load(std::move(options)); }
  Status unload(const std::string& model) override { return inner_->unload(model); }
  Status pin(const std::string& model, bool pinned) override { return inner_->pin(model, pinned); }
  Status cancel(const std::string& request_id, const std::string& caller_key) override {
    return inner_->cancel(request_id, caller_key);
  }
  std::vector<RunningModel> running() const override { return inner_->running(); }
  std::vector<OpenRequest> requests() const override { return inner_->requests(); }
  Result<ModelAbilities> abilities(const std::string& model) override { return inner_->abilities(model); }
  Result<std::vector<TokenId>> tokenize(const std::string& model, const std::string& text,
                                        const TokenizeOptions& options) override {
    return inner_->tokenize(model, text, options);
  }
  Result<std::vector<std::string>> pieces(const std::string& model, const std::vector<TokenId>& tokens) override {
    return inner_->pieces(model, tokens);
  }
  Result<std::string> detokenize(const std::string& model, const std::vector<TokenId>& tokens) override {
    return inner_->detokenize(model, tokens);
  }
  Result<std::string> render(const std::string& model, const ChatInput& input) override {
    return inner_->render(model, input);
  }
  Result<std::int64_t> count_tokens(const GenerateCall& call) override { return inner_->count_tokens(call); }
  Result<PlanAnswer> plan(const PlanRequest& request) override { return inner_->plan(request); }
  std::vector<ProbeReport> probe(std::chrono::milliseconds timeout) override { return inner_->probe(timeout); }

 private:
  // Outlives the service: streams write into it.
  struct Notes {
    std::mutex mutex;                                                      // guards what follows
    std::unordered_map<std::string, std::optional<std::uint64_t>> wanted;  // by request
    std::unordered_map<std::string, RequestRecord> asked;                  // with route and body alone
    std::unordered_map<std::string, RequestRecord> done;
  };
  class Stream;

  std::unique_ptr<ModelService> inner_;
  bool record_all_;
  std::shared_ptr<Notes> notes_;
};

}  // namespace mlxr::server
