#pragma once
// RerankRun: how well documents answer a query. A model that was made for it is asked yes or no about each; of any
// other the vectors are compared, with a warning.

#include "daemon/service/answer_run.h"

namespace mlxr {

class RerankRun final : public AnswerRun {
 public:
  RerankRun(LocalModelService& service, RerankCall call);

 protected:
  Result<std::vector<std::shared_ptr<ResponseStream>>> submit(Engine& engine) override;
  void take(std::size_t stream, Event& event) override;
  void complete() override;

 private:
  using Streams = std::vector<std::shared_ptr<ResponseStream>>;

  Result<Streams> ask(Engine& engine);
  Result<Streams> compare(Engine& engine);
  Result<std::vector<TokenId>> question(const Engine& engine, const std::string& document) const;
  Status check_length(const Engine& engine, const std::vector<TokenId>& tokens, std::size_t document);

  RerankCall call_;
  bool asks_ = false;
  TokenId yes_ = kNoToken;
  TokenId no_ = kNoToken;
  std::vector<std::vector<float>> vectors_;  // of the query, then the documents
  std::int64_t prompt_tokens_sum_ = 0;
  std::int64_t cached_tokens_sum_ = 0;
};

}  // namespace mlxr
