#include "daemon/server/dialect_services.h"

#include <random>

namespace mlxr::server {

AnswerStamp system_stamp() {
  AnswerStamp stamp;
  stamp.new_id = [](std::string_view prefix) {
    constexpr std::string_view kLetters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    constexpr std::size_t kLength = 24;
    std::random_device device;
    std::uniform_int_distribution<std::size_t> pick(0, kLetters.size() - 1);
    std::string id(prefix);
    for (std::size_t i = 0; i < kLength; ++i)
      id += kLetters[pick(device)];
    return id;
  };
  stamp.now = [] {
    return static_cast<std::int64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count());
  };
  return stamp;
}

std::optional<ApiError> identify_call(const DialectServices& services, const http::Request& request,
                                      std::string_view dialect, CallOptions& options) {
  if (options.request_id.empty()) options.request_id = request.id;
  options.dialect = dialect;
  if (!services.identify) return std::nullopt;
  return services.identify(request, options);
}

}  // namespace mlxr::server
