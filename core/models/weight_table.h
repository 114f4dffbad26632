#pragma once
// The names of an architecture's tensors in each kind of file. One row serves loading, conversion in both directions
// and the check that nothing in a file goes unused.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/models/model_config.h"

namespace mlxr {

enum class RowOrder : std::uint8_t {
  kSame,
  kQueryHeads,  // rows are heads of head_dim rotated elements: GGUF interleaves the halves that Hugging Face keeps
                // apart
  kKeyHeads,
};

// A pair of name stems, without ".weight" or ".bias"; "{}" stands for the layer number.
struct TensorRow {
  const char* gguf;
  const char* hugging_face;
  RowOrder row_order = RowOrder::kSame;
};

// "blk.{}.attn_q" and 3 -> "blk.3.attn_q"; `layer` is ignored where there is no "{}".
std::string tensor_stem(const TensorRow& row, Naming naming, std::int64_t layer);

// A file's tensor name taken apart: which row, which layer (-1: none), which suffix ("weight" or "bias").
struct TensorMatch {
  const TensorRow* row = nullptr;
  std::int64_t layer = -1;
  std::string_view suffix;
};
std::optional<TensorMatch> match_tensor(std::span<const TensorRow> rows, Naming naming, std::string_view name);

}  // namespace mlxr
