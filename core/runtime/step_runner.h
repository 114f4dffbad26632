#pragma once
// StepRunner: turns pieces of sequences into one batch, runs the model over it and brings the logits back. The engine
// thread owns it, the cache and the storage behind it.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/models/model.h"
#include "core/runtime/kv/kv_cache.h"

namespace mlxr {

// Of which of a piece's tokens a result comes back.
enum class RowsWanted : std::uint8_t { kNone, kLast, kAll };

// New tokens at the end of a sequence.
struct SequencePiece {
  SequenceId sequence = 0;
  std::span<const std::int32_t> tokens;
  RowsWanted logits = RowsWanted::kLast;
  RowsWanted hidden = RowsWanted::kNone;
};

// What a step brought back: the rows of the pieces, in order.
struct StepRows {
  std::vector<float> logits;  // [rows, vocab]
  std::vector<float> hidden;  // [rows, hidden], after the final norm
};

class WeightSource;

class StepRunner {
 public:
  // All three must outlive the runner; `storage` has the layout of `model` and at least the blocks of `cache`.
  StepRunner(const Model& model, Backend& backend, KvCache& cache, KvStorage& storage);

  // Steps fail from the moment on at which a file behind these weights can no longer be read (mapping_guard.h):
  // kCorrupt naming a tensor. Must outlive the runner.
  void watch(const WeightSource& weights) { weights_ = &weights; }

  // Appends each piece to its sequence. On an error no sequence has grown. kInvalidArgument: a token id outside the
  // vocabulary or an empty piece; kResourceExhausted: no room in the cache.
  Status run(std::span<const SequencePiece> pieces, StepRows& rows);
  // The same for callers that want logits only, f32 [rows, vocab].
  Status run(std::span<const SequencePiece> pieces, std::vector<float>& logits);
  // For callers that have checked the tokens and made the room: each piece is the end of its sequence already.
  Status compute(std::span<const SequencePiece> pieces, StepRows& rows);

 private:
  struct Layout;
  Status extend_all(std::span<const SequencePiece> pieces);
  Status check(std::span<const SequencePiece> pieces) const;
  Status run_model(std::span<const SequencePiece> pieces, StepRows& rows);
  const Status& weights_status();

  const Model& model_;
  Backend& backend_;
  KvCache& cache_;
  KvStorage& storage_;
  const WeightSource* weights_ = nullptr;
  Status weights_status_;
  std::uint64_t seen_damage_ = 0;  // mappings of the process that were damaged when weights_status_ was made
};

}  // namespace mlxr
