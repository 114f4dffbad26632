#pragma once
// The routes of Ollama's dialect: / and /api/*, but those of its cloud, which are 404 in its shape. Errors are
// {"error": text}; streams are NDJSON; what is not honoured stands in `warnings` of the last object of an answer.

#include <chrono>
#include <functional>
#include <string>

#include "daemon/http/router.h"
#include "daemon/server/dialect_services.h"

namespace mlxr {
class Transfers;
}

namespace mlxr::server {

class ModelStore;

// Clients ask for the version before they use what came with one: this is the one whose API is spoken here.
inline constexpr const char* kOllamaVersion = "0.13.0";

// All pointers outlive the routes.
struct OllamaServices {
  DialectServices common = {};
  ModelStore* store = nullptr;
  Transfers* transfers = nullptr;
  std::string version = {};  // of this program
  std::function<std::chrono::system_clock::time_point()> now = [] { return std::chrono::system_clock::now(); };
};

void register_ollama_routes(http::Router& router, const OllamaServices& services);

}  // namespace mlxr::server
