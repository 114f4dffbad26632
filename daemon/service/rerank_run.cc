#include "daemon/service/rerank_run.h"

#include <cmath>
#include <numeric>

#include <fmt/core.h>

#include "daemon/service/embed_run.h"
#include "daemon/service/local_model_service.h"

namespace mlxr {
namespace {

constexpr std::size_t kMaxDocuments = 1024;
constexpr int kTopLogprobs = 64;

// The question that Qwen's rerankers were trained on (Qwen/Qwen3-Reranker model card).
constexpr const char* kSystem =
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the "
    "answer can only be \"yes\" or \"no\".";
constexpr const char* kInstruct = "Given a web search query, retrieve relevant passages that answer the query";

}  // namespace

RerankRun::RerankRun(LocalModelService& service, RerankCall call)
    : AnswerRun(service, "rerank", call.options), call_(std::move(call)) {}

Result<RerankRun::Streams> RerankRun::submit(Engine& engine) {
  if (call_.query.empty()) return invalid_argument("query: it is empty");
  if (call_.documents.size() > kMaxDocuments) {
    return invalid_argument(
        fmt::format("documents: {} of them, the limit is {}", call_.documents.size(), kMaxDocuments));
  }
  const Tokenizer* tokenizer = engine.model().tokenizer();
  if (tokenizer == nullptr) return unsupported(fmt::format("\"{}\" has no tokenizer", facts_.model));
  const auto yes = tokenizer->find_piece("yes");
  const auto no = tokenizer->find_piece("no");
  const FileFacts facts = file_facts(engine.model().source(), resolved().path);
  asks_ = facts.ranks && yes && no;
  if (asks_) {
    yes_ = *yes;
    no_ = *no;
    return ask(engine);
  }
  warnings_.push_back(fmt::format("\"{}\" is no reranker: scores are the cosine of its vectors", facts_.model));
  return compare(engine);
}

Status RerankRun::check_length(const Engine& engine, const std::vector<TokenId>& tokens, std::size_t document) {
  if (static_cast<std::int64_t>(tokens.size()) < engine.context()) return {};
  outcome_.prompt_tokens = static_cast<std::int64_t>(tokens.size());
  Status status = resource_exhausted(fmt::format("documents[{}]: {} tokens do not fit into the context of {}", document,
                                                 tokens.size(), engine.context()));
  fail(status, AnswerFailed::Kind::kContextExceeded);
  return status;
}

Result<std::vector<TokenId>> RerankRun::question(const Engine& engine, const std::string& document) const {
  return engine.model().tokenizer()->encode(
      fmt::format("<|im_start|>system\n{}<|im_end|>\n<|im_start|>user\n<Instruct>: {}\n<Query>: {}\n<Document>: "
                  "{}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
                  kSystem, kInstruct, call_.query, document));
}

Result<RerankRun::Streams> RerankRun::ask(Engine& engine) {
  std::vector<GenerateRequest> requests;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < call_.documents.size(); ++i) {
    GenerateRequest request;
    MLXR_ASSIGN_OR_RETURN(request.prompt, question(engine, call_.documents[i]));
    MLXR_RETURN_IF_ERROR(check_length(engine, request.prompt, i));
    request.sampling.temperature = 0.0F;
    request.max_tokens = 1;
    request.logprobs = true;
    request.top_logprobs = kTopLogprobs;
    request.ignore_end_of_text = true;
    request.max_draft_tokens = 0;
    request.origin = call_.options.origin;
    total += static_cast<std::int64_t>(request.prompt.size());
    requests.push_back(std::move(request));
  }
  Streams streams;
  for (GenerateRequest& request : requests) {
    auto stream = engine.generate(std::move(request));
    if (!stream.ok()) {
      for (const auto& open : streams)
        open->cancel();
      return refused_by_engine(stream.status());
    }
    streams.push_back(std::move(stream).value());
  }
  emit(AnswerStarted{.model = facts_.model, .prompt_tokens = total, .warnings = warnings_, .load_ms = load_ms()});
  note_queued(total);
  return streams;
}

Result<RerankRun::Streams> RerankRun::compare(Engine& engine) {
  const Tokenizer& tokenizer = *engine.model().tokenizer();
  EmbedRequest request;
  request.inputs.push_back(tokenizer.encode(call_.query, {.add_special = true}));
  std::int64_t total = 0;
  for (const std::string& document : call_.documents)
    request.inputs.push_back(tokenizer.encode(document, {.add_special = true}));
  for (std::size_t i = 0; i < request.inputs.size(); ++i) {
    if (request.inputs[i].empty()) {
      return invalid_argument(i == 0 ? std::string("query: it has no tokens")
                                     : fmt::format("documents[{}]: it is empty", i - 1));
    }
    MLXR_RETURN_IF_ERROR(check_length(engine, request.inputs[i], i == 0 ? 0 : i - 1));
    total += static_cast<std::int64_t>(request.inputs[i].size());
  }
  request.pooling = file_facts(engine.model().source(), resolved().path).pooling.value_or(Pooling::kMean);
  request.normalize = true;
  request.origin = call_.options.origin;
  vectors_.resize(request.inputs.size());
  Streams streams;
  if (!call_.documents.empty()) {
    auto stream = engine.embed(std::move(request));
    if (!stream.ok()) return refused_by_engine(stream.status());
    streams.push_back(std::move(stream).value());
  }
  emit(AnswerStarted{.model = facts_.model, .prompt_tokens = total, .warnings = warnings_, .load_ms = load_ms()});
  note_queued(total);
  return streams;
}

void RerankRun::take(std::size_t stream, Event& event) {
  if (auto* embedding = std::get_if<EmbeddingEvent>(&event)) {
    vectors_[static_cast<std::size_t>(embedding->input)] = std::move(embedding->values);
  } else if (const auto* delta = std::get_if<DeltaEvent>(&event); delta != nullptr && !delta->logprobs.empty()) {
    // One that is not among the likely ones is as unlikely as the last of those.
    const auto& top = delta->logprobs[0].top;
    const double least = top.empty() ? 0.0 : top.back().logprob;
    double yes = least;
    double no = least;
    for (const TokenLogprob& candidate : top) {
      if (candidate.token == yes_) yes = candidate.logprob;
      if (candidate.token == no_) no = candidate.logprob;
    }
    emit(RerankReady{.document = static_cast<int>(stream), .score = 1.0 / (1.0 + std::exp(no - yes))});
  } else if (const auto* over = std::get_if<DoneEvent>(&event)) {
    prompt_tokens_sum_ += over->prompt_tokens;
    cached_tokens_sum_ += over->cached_tokens;
  }
}

void RerankRun::complete() {
  for (std::size_t i = 1; i < vectors_.size(); ++i) {
    const double score = std::inner_product(vectors_[0].begin(), vectors_[0].end(), vectors_[i].begin(), 0.0);
    emit(RerankReady{.document = static_cast<int>(i) - 1, .score = score});
  }
  done({.prompt_tokens = prompt_tokens_sum_, .cached_tokens = cached_tokens_sum_});
}

}  // namespace mlxr
