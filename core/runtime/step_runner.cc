#include "core/runtime/step_runner.h"

#include <algorithm>
#include <numeric>

#include <fmt/core.h>

#include "core/base/mapping_guard.h"
#include "core/io/weight_source.h"

namespace mlxr {
namespace {

Tensor upload(Backend& backend, Shape shape, std::span<const std::int32_t> values) {
  Tensor tensor = backend.alloc(shape, DType::kI32);
  backend.write(tensor, std::as_bytes(values));
  return tensor;
}

// Rows of a batch that were asked for.
struct WantedRows {
  std::vector<std::int32_t> rows;
  bool all = true;

  void add(std::int32_t row, bool wanted) {
    if (wanted) rows.push_back(row);
    all = all && wanted;
  }
  RowChoice upload_to(Backend& backend) const {
    const auto count = static_cast<std::int64_t>(rows.size());
    return {.count = count, .rows = all || rows.empty() ? Tensor{} : upload(backend, {count}, rows)};
  }
};

bool is_wanted(RowsWanted wanted, bool last) {
  return wanted == RowsWanted::kAll || (wanted == RowsWanted::kLast && last);
}

Status read_rows(Backend& backend, const Tensor& tensor, std::vector<float>& out) {
  out.resize(tensor ? static_cast<std::size_t>(tensor.dim(0) * tensor.dim(1)) : 0);
  return out.empty() ? Status{} : backend.read(tensor, std::as_writable_bytes(std::span(out)));
}

}  // namespace

// The batch in integers, as the host sees it.
struct StepRunner::Layout {
  struct Group {
    std::vector<std::int32_t> block_table, slots;
    std::int64_t max_blocks = 0;
  };
  std::vector<std::int32_t> tokens, positions, query_start, context_len;
  std::vector<Group> groups;
  WantedRows logits, hidden;

  Layout(std::span<const SequencePiece> pieces, const KvCache& cache)
      : groups(static_cast<std::size_t>(cache.num_groups())) {
    query_start.push_back(0);
    for (const SequencePiece& piece : pieces)
      add(piece, cache);
    for (std::size_t g = 0; g < groups.size(); ++g)
      add_tables(groups[g], static_cast<int>(g), pieces, cache);
  }

 private:
  void add(const SequencePiece& piece, const KvCache& cache) {
    const auto count = static_cast<std::int64_t>(piece.tokens.size());
    const std::int64_t length = cache.length(piece.sequence);
    for (std::int64_t i = 0; i < count; ++i) {
      const auto row = static_cast<std::int32_t>(tokens.size());
      tokens.push_back(piece.tokens[static_cast<std::size_t>(i)]);
      positions.push_back(static_cast<std::int32_t>(length - count + i));
      logits.add(row, is_wanted(piece.logits, i + 1 == count));
      hidden.add(row, is_wanted(piece.hidden, i + 1 == count));
    }
    query_start.push_back(static_cast<std::int32_t>(tokens.size()));
    context_len.push_back(static_cast<std::int32_t>(length));
  }

  void add_tables(Group& group, int index, std::span<const SequencePiece> pieces, const KvCache& cache) const {
    for (const SequencePiece& piece : pieces) {
      const auto num_blocks = static_cast<std::int64_t>(cache.blocks(piece.sequence, index).size());
      group.max_blocks = std::max(group.max_blocks, num_blocks);
    }
    const std::int64_t block_tokens = cache.block_tokens();
    for (std::size_t s = 0; s < pieces.size(); ++s) {
      const std::span<const std::int32_t> blocks = cache.blocks(pieces[s].sequence, index);
      for (auto row = static_cast<std::size_t>(query_start[s]); row < static_cast<std::size_t>(query_start[s + 1]);
           ++row) {
        const std::int64_t block = blocks[static_cast<std::size_t>(positions[row] / block_tokens)];
        group.slots.push_back(static_cast<std::int32_t>(block * block_tokens + positions[row] % block_tokens));
      }
      group.block_table.insert(group.block_table.end(), blocks.begin(), blocks.end());
      group.block_table.resize((s + 1) * static_cast<std::size_t>(group.max_blocks), 0);
    }
  }
};

StepRunner::StepRunner(const Model& model, Backend& backend, KvCache& cache, KvStorage& storage)
    : model_(model), backend_(backend), cache_(cache), storage_(storage) {}

Status StepRunner::check(std::span<const SequencePiece> pieces) const {
  for (const SequencePiece& piece : pieces) {
    if (piece.tokens.empty()) return invalid_argument("a step needs at least one token of each sequence");
    for (const std::int32_t id : piece.tokens) {
      if (id < 0 || id >= model_.config().vocab_size) {
        return invalid_argument(
            fmt::format("token id {} is outside the vocabulary of {}", id, model_.config().vocab_size));
      }
    }
  }
  return {};
}

Status StepRunner::run(std::span<const SequencePiece> pieces, std::vector<float>& logits) {
  StepRows rows;
  rows.logits = std::move(logits);
  Status status = run(pieces, rows);
  logits = std::move(rows.logits);
  return status;
}

Status StepRunner::run(std::span<const SequencePiece> pieces, StepRows& rows) {
  MLXR_RETURN_IF_ERROR(check(pieces));
  MLXR_RETURN_IF_ERROR(extend_all(pieces));
  Status status = compute(pieces, rows);
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

Status StepRunner::compute(std::span<const SequencePiece> pieces, StepRows& rows) {
  const Status computed = run_model(pieces, rows);
  // Asked afterwards: the step may have been the one that met the hole.
  return computed.ok() ? weights_status() : computed;
}

const Status& StepRunner::weights_status() {
  const std::uint64_t damage = num_damaged_mappings();
  if (weights_ == nullptr || damage == seen_damage_ || !weights_status_.ok()) return weights_status_;
  seen_damage_ = damage;
  for (const WeightTensor& tensor : weights_->tensors()) {
    if (!mapping_damaged(tensor.bytes)) continue;
    weights_status_ = corrupt(fmt::format(
        "the file of tensor '{}' was cut short or cannot be read any more: load the model again", tensor.name));
    break;
  }
  return weights_status_;
}

Status StepRunner::run_model(std::span<const SequencePiece> pieces, StepRows& rows) {
  const Layout layout(pieces, cache_);
  const auto num_tokens = static_cast<std::int64_t>(layout.tokens.size());
  const auto num_sequences = static_cast<std::int64_t>(pieces.size());

  backend_.begin_step();
  const Ops ops(backend_);
  ForwardContext step{.ops = ops,
                      .tokens = upload(backend_, {num_tokens}, layout.tokens),
                      .positions = upload(backend_, {num_tokens}, layout.positions),
                      .kv = {.storage = &storage_,
                             .groups = {},
                             .query_start = upload(backend_, {num_sequences + 1}, layout.query_start),
                             .context_len = upload(backend_, {num_sequences}, layout.context_len),
                             .max_context = *std::max_element(layout.context_len.begin(), layout.context_len.end())},
                      .logits = layout.logits.upload_to(backend_),
                      .hidden = layout.hidden.upload_to(backend_),
                      .query_start = layout.query_start,
                      .context_len = layout.context_len};
  for (std::size_t g = 0; g < layout.groups.size(); ++g) {
    const Layout::Group& group = layout.groups[g];
    step.kv.groups[g] = {.block_table = upload(backend_, {num_sequences, group.max_blocks}, group.block_table),
                         .slots = upload(backend_, {num_tokens}, group.slots)};
  }
  const StepOutput out = model_.forward(step);
  const Status logits = read_rows(backend_, out.logits, rows.logits);
  const Status hidden = read_rows(backend_, out.hidden, rows.hidden);
  const Status end = backend_.end_step();
  if (!logits.ok()) return logits;
  return hidden.ok() ? end : hidden;
}

}  // namespace mlxr
