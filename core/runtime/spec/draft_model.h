#pragma once
// DraftModel: a small model of the same vocabulary that proposes tokens for many sequences at once. It has a KV cache
// of its own and keeps, for each sequence, the tokens that it has read, so that a call reads what is new and takes back
// what was rejected.
//
// Proposals are greedy, or, given the sampler of the request, what that sampler draws from the draft model's logits
// with the very random numbers that it will use for the target's: where the two models agree, so do the draws (common
// random numbers). A proposal ends before a token that the draft model itself finds less likely than min_probability.
//
// The engine thread of the draft model's backend makes all calls; the two models may share a backend or not.

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/kv/kv_cache.h"
#include "core/runtime/sampler/sampler.h"
#include "core/runtime/step_runner.h"
#include "core/runtime/tokenizer/tokenizer.h"

namespace mlxr {

// Ok when each id means the same to both: as far as the shorter vocabulary reaches (some are padded), the spellings are
// equal. Otherwise kInvalidArgument naming the first id that differs.
Status check_draft_vocabulary(const Tokenizer& target, const Tokenizer& draft);

struct DraftOptions {
  std::int64_t vocab_size = 0;    // of the draft model's logits
  std::int64_t target_vocab = 0;  // ids from here on are never proposed
  double min_probability = 0.3;
  std::int64_t chunk_tokens = 256;  // of one sequence in one step
};

struct DraftRequest {
  SequenceId sequence = 0;           // of open()
  std::span<const TokenId> context;  // all known tokens of the target's sequence; not empty
  std::int64_t max_tokens = 0;
  Sampler* sampler = nullptr;          // of the request, after the context; as before when the call returns
  std::vector<TokenId> proposed = {};  // the answer
};

class DraftModel {
 public:
  // Both must outlive it; the cache holds the draft model's sequences.
  DraftModel(KvCache& cache, StepRunner& runner, const DraftOptions& options);
  ~DraftModel();
  DraftModel(const DraftModel&) = delete;
  DraftModel& operator=(const DraftModel&) = delete;

  // kResourceExhausted when the cache has no place for one more.
  Result<SequenceId> open();
  void close(SequenceId sequence);

  // Fills `proposed` of each request; one whose context the draft model cannot hold gets nothing. On an error of a step
  // all are empty, and the sequences remain usable.
  Status propose(std::span<DraftRequest> requests);

 private:
  struct Run;
  // Takes back what the sequence does not begin with any more.
  void rewind(const DraftRequest& request);
  // Reads what each run has to read; draws where the end of it was reached. False when nothing was left to do.
  Result<bool> step(std::vector<Run>& runs);
  void draw(Run& run, std::span<const float> logits);

  KvCache& cache_;
  StepRunner& runner_;
  DraftOptions options_;
  std::map<SequenceId, std::vector<TokenId>> held_;  // what the cache has of each sequence
  std::vector<float> logits_;
  Candidates candidates_;
};

}  // namespace mlxr
