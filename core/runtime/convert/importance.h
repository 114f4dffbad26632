#pragma once
// Importance matrix: how much each input column of each weight matters, as the sum of squares of the activations that
// met it on some text. Quantisers put their error where it counts least.
//
// File: GGUF with general.type "imatrix" as llama.cpp writes it (tools/imatrix): NAME.in_sum2 f32 [1, columns] and
// NAME.counts f32 [1, 1] a weight, imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size. Names are GGUF's.

#include <map>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace mlxr {

struct Importance {
  struct Entry {
    std::vector<double> sum_squares;  // [columns]
    std::int64_t count = 0;           // activations seen
  };
  std::map<std::string, Entry, std::less<>> entries;  // by weight name: "blk.0.attn_q.weight"
  std::vector<std::string> datasets;
  std::int64_t num_chunks = 0;
  std::int64_t chunk_tokens = 0;

  // Mean squares of one weight's columns; empty when it has no entry or was never met.
  std::vector<float> weights(std::string_view name) const;
};

// Reads the GGUF form and llama.cpp's older binary form.
Result<Importance> read_importance(const std::string& path);
Status write_importance(const Importance& importance, const std::string& path);

}  // namespace mlxr
