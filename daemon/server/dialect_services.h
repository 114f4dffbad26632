#pragma once
// What every dialect stands on. Lives as long as the server; plain pointers are owned elsewhere.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/http/message.h"
#include "daemon/server/server_errors.h"
#include "daemon/service/generate_call.h"

namespace mlxr {
class ModelService;
}

namespace mlxr::server {

class ModelCatalog;

// Names and times of answers; tests put in fixed ones. Any thread.
struct AnswerStamp {
  // `prefix` and 24 random letters and digits.
  std::function<std::string(std::string_view prefix)> new_id = {};
  // Unix seconds.
  std::function<std::int64_t()> now = {};
};

// Of the system's random numbers and clock.
AnswerStamp system_stamp();

struct DialectServices {
  ModelService* models = nullptr;
  ModelCatalog* catalog = nullptr;
  // Puts who asks into the options, from what authorize() found out about the request. options.origin.caller_key holds
  // the dialect's own word for the user (or nothing), which counts where no key was needed; options.origin.cache_salt
  // what the request asked for, which separates further. An error refuses: a key that may not use options.model.
  std::function<std::optional<ApiError>(const http::Request& request, CallOptions& options)> identify = {};
  AnswerStamp stamp = system_stamp();
  // Comments that keep idle streams open through proxies, while a model loads or a long prompt runs.
  std::chrono::milliseconds ping_period{std::chrono::seconds(15)};
};

// Sets request_id, dialect and who asks.
std::optional<ApiError> identify_call(const DialectServices& services, const http::Request& request,
                                      std::string_view dialect, CallOptions& options);

}  // namespace mlxr::server
