#pragma once
// Fetches the missing parts of one file over several connections into an open sparse file, and keeps its part table.
// One thread, which it keeps until all parts are there or there is no hope.
//
// A connection that brings no byte for the stall timeout is closed and its part asked for again; other failures are
// tries, counted by part, forgotten when bytes came, with doubling waits between them. Where no part is left, the
// largest running one is split, so that one slow connection does not hold up the end.

#include <cstdint>
#include <functional>

#include "core/base/status.h"
#include "daemon/registry/transfer/blob_source.h"
#include "daemon/registry/transfer/connection_budget.h"
#include "daemon/registry/transfer/part_table.h"
#include "daemon/registry/transfer/transfers.h"

namespace mlxr {

enum class FetchOutcome : std::uint8_t {
  kComplete,
  kChanged,  // the file on the server is another one now, or its ranges are not what they were: start over
};

struct FetchJob {
  int fd = -1;  // of the data file, which has its full length
  PartTable& table;
  BlobSource& source;
  BlobAddress address;
  ConnectionBudget& budget;
  const TransferSettings& settings;
  const HttpSettings& http;
  const CancelToken& cancel;
  std::function<void(std::uint64_t done_bytes)> on_progress;  // after bytes were written and counted
};

// kResourceExhausted: the disk is full (at once); kInternal: tries are used up; errors of the source; kCancelled.
// Whatever happens, the table says what is there.
Result<FetchOutcome> fetch_parts(const FetchJob& job);

}  // namespace mlxr
