#include "core/runtime/engine/embed_task.h"

#include <cmath>

namespace mlxr {

EmbedTask::EmbedTask(Job& job, RequestId id, int input, std::vector<TokenId> tokens, const EmbedRequest& request,
                     std::int64_t hidden_size)
    : Task(job, id),
      tokens_(std::move(tokens)),
      input_(input),
      pooling_(request.pooling),
      normalize_(request.normalize),
      sum_(static_cast<std::size_t>(hidden_size)) {}

RowsWanted EmbedTask::hidden_wanted(const TaskPiece& piece) const {
  switch (pooling_) {
    case Pooling::kMean:
      return RowsWanted::kAll;
    case Pooling::kCls:
      return piece.context == 0 ? RowsWanted::kAll : RowsWanted::kNone;
    case Pooling::kLast:
      return piece.samples ? RowsWanted::kLast : RowsWanted::kNone;
  }
  return RowsWanted::kNone;
}

Result<TaskProgress> EmbedTask::consume(const TaskPiece& piece, const PieceRows& rows, TimePoint now) {
  const std::size_t hidden = sum_.size();
  std::size_t num_rows = rows.hidden.size() / hidden;
  if (pooling_ == Pooling::kCls) num_rows = std::min<std::size_t>(num_rows, 1);
  for (std::size_t r = 0; r < num_rows; ++r) {
    // A preempted input is computed again from its first token.
    if (piece.context + static_cast<std::int64_t>(r) < num_summed_ && pooling_ != Pooling::kLast) continue;
    for (std::size_t i = 0; i < hidden; ++i)
      sum_[i] += static_cast<double>(rows.hidden[r * hidden + i]);
    ++num_summed_;
  }
  TaskProgress progress;
  if (!piece.samples) return progress;
  job().note_first_token(now);
  double squares = 0.0;
  for (double& value : sum_) {
    value /= static_cast<double>(num_summed_);
    squares += value * value;
  }
  const double scale = normalize_ && squares > 0.0 ? 1.0 / std::sqrt(squares) : 1.0;
  EmbeddingEvent event{.input = input_, .values = std::vector<float>(hidden)};
  for (std::size_t i = 0; i < hidden; ++i)
    event.values[i] = static_cast<float>(sum_[i] * scale);
  job().send(Event(std::move(event)));
  progress.finished = true;
  return progress;
}

}  // namespace mlxr
