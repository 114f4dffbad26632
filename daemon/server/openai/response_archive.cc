#include "daemon/server/openai/response_archive.h"

namespace mlxr::server {
namespace {

class StoreArchive : public ResponseArchive {
 public:
  explicit StoreArchive(ResponseStore& store) : store_(store) {}

  Status insert(const StoredResponse& response) override { return store_.insert(response); }
  Result<std::optional<StoredResponse>> find(const std::string& id, const std::string& key_id) override {
    return store_.find(id, key_id);
  }
  Result<std::vector<StoredResponse>> chain(const std::string& id, const std::string& key_id) override {
    return store_.chain(id, key_id);
  }
  Status remove(const std::string& id, const std::string& key_id) override { return store_.remove(id, key_id); }

 private:
  ResponseStore& store_;
};

}  // namespace

std::unique_ptr<ResponseArchive> archive_in(ResponseStore& store) {
  return std::make_unique<StoreArchive>(store);
}

}  // namespace mlxr::server
