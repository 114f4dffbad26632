#include "daemon/service/embed_run.h"

#include <cmath>

#include <fmt/core.h>

#include "daemon/service/local_model_service.h"

namespace mlxr {
namespace {

constexpr std::size_t kMaxInputs = 2048;

}  // namespace

void normalize(std::vector<float>& values) {
  double squares = 0.0;
  for (const float value : values)
    squares += static_cast<double>(value) * static_cast<double>(value);
  if (squares <= 0.0) return;
  const double scale = 1.0 / std::sqrt(squares);
  for (float& value : values)
    value = static_cast<float>(static_cast<double>(value) * scale);
}

EmbedRun::EmbedRun(LocalModelService& service, EmbedCall call)
    : AnswerRun(service, "embed", call.options), call_(std::move(call)) {}

Status EmbedRun::check(const Engine& engine) const {
  if (call_.inputs.size() > kMaxInputs) {
    return invalid_argument(fmt::format("input: {} texts, the limit is {}", call_.inputs.size(), kMaxInputs));
  }
  const std::int64_t hidden = engine.model().model().config().hidden_size;
  if (call_.dimensions < 0 || call_.dimensions > hidden) {
    return invalid_argument(fmt::format("dimensions is {}, but the model's vectors have {}", call_.dimensions, hidden));
  }
  return {};
}

Result<std::vector<TokenId>> EmbedRun::tokens_of(const Engine& engine, std::size_t input) {
  std::vector<TokenId> tokens;
  if (const auto* text = std::get_if<std::string>(&call_.inputs[input])) {
    if (engine.model().tokenizer() == nullptr) return unsupported("input: the model has no tokenizer");
    tokens = engine.model().tokenizer()->encode(*text, {.add_special = true});
  } else {
    tokens = std::get<std::vector<TokenId>>(call_.inputs[input]);
  }
  if (tokens.empty()) return invalid_argument(fmt::format("input {} is empty", input));
  const auto most = static_cast<std::size_t>(engine.context()) - 1;
  if (tokens.size() > most && call_.overflow == Overflow::kTruncate) {
    warnings_.push_back(fmt::format("input {} of {} tokens exceeds the context of {}: its end was left out", input,
                                    tokens.size(), engine.context()));
    tokens.resize(most);
  }
  return tokens;
}

Result<std::vector<std::shared_ptr<ResponseStream>>> EmbedRun::submit(Engine& engine) {
  MLXR_RETURN_IF_ERROR(check(engine));
  EmbedRequest request;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < call_.inputs.size(); ++i) {
    MLXR_ASSIGN_OR_RETURN(std::vector<TokenId> tokens, tokens_of(engine, i));
    if (static_cast<std::int64_t>(tokens.size()) >= engine.context()) {
      outcome_.prompt_tokens = static_cast<std::int64_t>(tokens.size());
      fail(resource_exhausted(fmt::format("input {} of {} tokens does not fit into the context of {}", i, tokens.size(),
                                          engine.context())),
           AnswerFailed::Kind::kContextExceeded);
      return std::vector<std::shared_ptr<ResponseStream>>();
    }
    num_tokens_.push_back(static_cast<std::int64_t>(tokens.size()));
    total += num_tokens_.back();
    request.inputs.push_back(std::move(tokens));
  }
  std::vector<std::shared_ptr<ResponseStream>> streams;
  if (!request.inputs.empty()) {
    const FileFacts facts = file_facts(engine.model().source(), resolved().path);
    request.pooling = call_.pooling.value_or(facts.pooling.value_or(Pooling::kMean));
    request.normalize = false;
    request.origin = call_.options.origin;
    auto stream = engine.embed(std::move(request));
    if (!stream.ok()) return refused_by_engine(stream.status());
    streams.push_back(std::move(stream).value());
  }
  emit(AnswerStarted{.model = facts_.model, .prompt_tokens = total, .warnings = warnings_, .load_ms = load_ms()});
  note_queued(total);
  return streams;
}

void EmbedRun::take(std::size_t /*stream*/, Event& event) {
  if (auto* embedding = std::get_if<EmbeddingEvent>(&event)) {
    std::vector<float> values = std::move(embedding->values);
    if (call_.dimensions > 0) values.resize(static_cast<std::size_t>(call_.dimensions));
    if (call_.normalize) normalize(values);
    emit(EmbeddingReady{.input = embedding->input,
                        .num_tokens = num_tokens_[static_cast<std::size_t>(embedding->input)],
                        .values = std::move(values)});
  }
  if (const auto* over = std::get_if<DoneEvent>(&event)) done_ = *over;
}

void EmbedRun::complete() {
  done({.prompt_tokens = done_.prompt_tokens,
        .cached_tokens = done_.cached_tokens,
        .timings = {.queued_ms = done_.timings.queued_ms, .prompt_ms = done_.timings.prompt_ms}});
}

}  // namespace mlxr
