#pragma once
// EmbedRun: a request for vectors.

#include "daemon/service/answer_run.h"

namespace mlxr {

class EmbedRun final : public AnswerRun {
 public:
  EmbedRun(LocalModelService& service, EmbedCall call);

 protected:
  Result<std::vector<std::shared_ptr<ResponseStream>>> submit(Engine& engine) override;
  void take(std::size_t stream, Event& event) override;
  void complete() override;

 private:
  Result<std::vector<TokenId>> tokens_of(const Engine& engine, std::size_t input);
  Status check(const Engine& engine) const;

  EmbedCall call_;
  std::vector<std::int64_t> num_tokens_;  // of each input
  DoneEvent done_;
};

// Scales to a length of 1; a vector of nothing but zeros stays.
void normalize(std::vector<float>& values);

}  // namespace mlxr
