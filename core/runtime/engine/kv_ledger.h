#pragma once
// KvLedger: what a scheduler may ask of KV memory, in requests, tokens and blocks. The engine implements it over its
// paged cache; the scheduler calls it inside plan() only, on the engine thread. Integers only: bytes are moved by the
// engine, after plan() and before the step runs: first what was swapped out, then what was swapped in.
//
// Every block that is not free belongs to an open request. A call that answers false changed nothing.

#include <cstdint>
#include <optional>

namespace mlxr {

// Chosen by the engine; never reused while the engine lives.
using RequestId = std::uint64_t;

class KvLedger {
 public:
  virtual ~KvLedger() = default;

  virtual std::int64_t total_blocks() const = 0;
  // Blocks that reserve() can still hand out: free ones, and cached ones that nobody holds.
  virtual std::int64_t free_blocks() const = 0;
  // Blocks that a sequence of `tokens` tokens holds when it shares none.
  virtual std::int64_t blocks_for(std::int64_t tokens) const = 0;

  // Opens a sequence for a request that has none and attaches the longest known prefix of its tokens (those of the
  // prompt and all generated so far). Returns the tokens that this covers, fewer than it has; nullopt when no sequence
  // can be opened now. Blocks that were cached are held from here on.
  virtual std::optional<std::int64_t> open(RequestId request) = 0;
  // Tokens whose keys and values the open request has in memory.
  virtual std::int64_t context(RequestId request) const = 0;
  // Makes room for `tokens` more tokens beyond context(); asking twice takes no more than asking once.
  virtual bool reserve(RequestId request, std::int64_t tokens) = 0;
  // Closes the sequence of an open or swapped-out request; what it computed may stay cached.
  virtual void release(RequestId request) = 0;

  // Bytes that swap_out() would copy to host memory; nullopt when there is no place for them, or no swapping at all.
  virtual std::optional<std::uint64_t> swap_bytes(RequestId request) const = 0;
  // Gives up the blocks of an open request; their content goes to host memory.
  virtual bool swap_out(RequestId request) = 0;
  // Blocks that swap_in() takes.
  virtual std::int64_t swapped_blocks(RequestId request) const = 0;
  // Takes blocks for a swapped-out request and brings their content back; it is open again, its context as before.
  virtual bool swap_in(RequestId request) = 0;
};

}  // namespace mlxr
