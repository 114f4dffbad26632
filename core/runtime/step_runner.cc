#include "core/runtime/step_runner.h"

#include <algorithm>
#include <numeric>

#include <fmt/core.h>

namespace mlxr {
namespace {

Tensor upload(Backend& backend, Shape shape, std::span<const std::int32_t> values) {
  Tensor tensor = backend.alloc(shape, DType::kI32);
  backend.write(tensor, std::as_bytes(values));
  return tensor;
}

}  // namespace

// The batch in integers, as the host sees it.
struct StepRunner::Layout {
  std::vector<std::int32_t> tokens, positions, slots, query_start, context_len, block_table, logit_rows;
  std::int64_t max_blocks = 0;
  bool all_logits = true;

  Layout(std::span<const SequencePiece> pieces, const KvCache& cache) {
    for (const SequencePiece& piece : pieces) {
      max_blocks = std::max(max_blocks, static_cast<std::int64_t>(cache.blocks(piece.sequence).size()));
    }
    query_start.push_back(0);
    for (const SequencePiece& piece : pieces)
      add(piece, cache);
  }

 private:
  void add(const SequencePiece& piece, const KvCache& cache) {
    const auto count = static_cast<std::int64_t>(piece.tokens.size());
    const std::int64_t length = cache.length(piece.sequence);
    const std::span<const std::int32_t> blocks = cache.blocks(piece.sequence);
    const std::int64_t block_tokens = cache.block_tokens();
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t position = length - count + i;
      const std::int64_t block = blocks[static_cast<std::size_t>(position / block_tokens)];
      const auto row = static_cast<std::int32_t>(tokens.size());
      tokens.push_back(piece.tokens[static_cast<std::size_t>(i)]);
      positions.push_back(static_cast<std::int32_t>(position));
      slots.push_back(static_cast<std::int32_t>(block * block_tokens + position % block_tokens));
      const bool wanted = piece.logits == LogitsWanted::kAll || (piece.logits == LogitsWanted::kLast && i + 1 == count);
      if (wanted) logit_rows.push_back(row);
      all_logits = all_logits && wanted;
    }
    query_start.push_back(static_cast<std::int32_t>(tokens.size()));
    context_len.push_back(static_cast<std::int32_t>(length));
    block_table.insert(block_table.end(), blocks.begin(), blocks.end());
    block_table.resize(context_len.size() * static_cast<std::size_t>(max_blocks), 0);
  }
};

StepRunner::StepRunner(const Model& model, Backend& backend, KvCache& cache, KvStorage& storage)
    : model_(model), backend_(backend), cache_(cache), storage_(storage) {}

Status StepRunner::run(std::span<const SequencePiece> pieces, std::vector<float>& logits) {
  for (const SequencePiece& piece : pieces) {
    if (piece.tokens.empty()) return invalid_argument("a step needs at least one token of each sequence");
    for (const std::int32_t id : piece.tokens) {
      if (id < 0 || id >= model_.config().vocab_size) {
        return invalid_argument(
            fmt::format("token id {} is outside the vocabulary of {}", id, model_.config().vocab_size));
      }
    }
  }
  MLXR_RETURN_IF_ERROR(extend_all(pieces));
  Status status = forward(pieces, logits);
  if (!status.ok()) {
    for (const SequencePiece& piece : pieces) {
      cache_.truncate(piece.sequence, cache_.length(piece.sequence) - static_cast<std::int64_t>(piece.tokens.size()));
    }
  }
  return status;
}

Status StepRunner::extend_all(std::span<const SequencePiece> pieces) {
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    Status status = cache_.extend(pieces[i].sequence, static_cast<std::int64_t>(pieces[i].tokens.size()));
    if (status.ok()) continue;
    for (const SequencePiece& piece : pieces.first(i)) {
      cache_.truncate(piece.sequence, cache_.length(piece.sequence) - static_cast<std::int64_t>(piece.tokens.size()));
    }
    return status;
  }
  return {};
}

Status StepRunner::forward(std::span<const SequencePiece> pieces, std::vector<float>& logits) {
  const Layout layout(pieces, cache_);
  const auto num_tokens = static_cast<std::int64_t>(layout.tokens.size());
  const auto num_sequences = static_cast<std::int64_t>(pieces.size());
  const auto num_rows = static_cast<std::int64_t>(layout.logit_rows.size());

  backend_.begin_step();
  const Ops ops(backend_);
  ForwardContext step{.ops = ops,
                      .tokens = upload(backend_, {num_tokens}, layout.tokens),
                      .positions = upload(backend_, {num_tokens}, layout.positions),
                      .kv = {.storage = &storage_,
                             .groups = {KvGroupView{.block_table = upload(backend_, {num_sequences, layout.max_blocks},
                                                                          layout.block_table),
                                                    .slots = upload(backend_, {num_tokens}, layout.slots)}},
                             .query_start = upload(backend_, {num_sequences + 1}, layout.query_start),
                             .context_len = upload(backend_, {num_sequences}, layout.context_len),
                             .max_context = *std::max_element(layout.context_len.begin(), layout.context_len.end())},
                      .logit_rows = {},
                      .query_start = layout.query_start,
                      .context_len = layout.context_len};
  if (!layout.all_logits) step.logit_rows = upload(backend_, {num_rows}, layout.logit_rows);

  const Tensor result = model_.forward(step);
  logits.resize(static_cast<std::size_t>(num_rows * model_.config().vocab_size));
  const Status read = num_rows > 0 ? backend_.read(result, std::as_writable_bytes(std::span(logits))) : Status{};
  const Status end = backend_.end_step();
  return read.ok() ? end : read;
}

}  // namespace mlxr
