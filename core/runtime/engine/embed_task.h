#pragma once
// EmbedTask: one input of an embedding request: its hidden states, pooled.

#include <vector>

#include "core/runtime/engine/request.h"
#include "core/runtime/engine/task.h"

namespace mlxr {

class EmbedTask : public Task {
 public:
  EmbedTask(Job& job, RequestId id, int input, std::vector<TokenId> tokens, const EmbedRequest& request,
            std::int64_t hidden_size);

  std::span<const TokenId> tokens() const override { return tokens_; }
  std::int64_t num_prompt_tokens() const override { return static_cast<std::int64_t>(tokens_.size()); }
  std::int64_t max_tokens() const override { return 0; }
  // Hidden states are not cached: only the last token's needs none of those before it.
  bool may_reuse_prefix() const override { return pooling_ == Pooling::kLast; }

  RowsWanted logits_wanted(const TaskPiece&) const override { return RowsWanted::kNone; }
  RowsWanted hidden_wanted(const TaskPiece& piece) const override;
  Result<TaskProgress> consume(const TaskPiece& piece, const PieceRows& rows, TimePoint now) override;
  void cancelled() override {}

 private:
  std::vector<TokenId> tokens_;
  int input_;
  Pooling pooling_;
  bool normalize_;
  std::vector<double> sum_;  // [hidden], in the order of the tokens whatever the chunks
  std::int64_t num_summed_ = 0;
};

}  // namespace mlxr
