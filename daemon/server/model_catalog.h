#pragma once
// ModelCatalog: which models there are, for the routes that list them. The registry stands behind it.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mlxr::server {

struct ListedModel {
  std::string name;          // as requests name it: "qwen3:8b", "hf.co/user/repo:Q4_K_M"
  std::int64_t created = 0;  // Unix seconds
  std::string owned_by = "library";
  std::int64_t context_length = 0;  // that it was trained for; 0: unknown
  std::int64_t num_parameters = 0;  // 0: unknown
  std::uint64_t size_bytes = 0;
  std::int64_t embedding_length = 0;
  std::string family = {};
  std::string quantization = {};
};

class ModelCatalog {
 public:
  virtual ~ModelCatalog() = default;

  // Any thread; may read files.
  virtual std::vector<ListedModel> list() = 0;
  // By any name that a request may use.
  virtual std::optional<ListedModel> find(const std::string& name) = 0;
};

}  // namespace mlxr::server
