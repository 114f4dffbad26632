#pragma once
// ResponseArchive: answers of /v1/responses that are kept, as the routes see them. archive_in() puts them into the
// registry's table.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "daemon/registry/response_store.h"

namespace mlxr::server {

// Any thread; may wait for the disk. Another caller's responses do not exist.
class ResponseArchive {
 public:
  virtual ~ResponseArchive() = default;

  virtual Status insert(const StoredResponse& response) = 0;
  virtual Result<std::optional<StoredResponse>> find(const std::string& id, const std::string& key_id) = 0;
  // The response and all before it, oldest first.
  virtual Result<std::vector<StoredResponse>> chain(const std::string& id, const std::string& key_id) = 0;
  virtual Status remove(const std::string& id, const std::string& key_id) = 0;
};

// `store` outlives it.
std::unique_ptr<ResponseArchive> archive_in(ResponseStore& store);

}  // namespace mlxr::server
