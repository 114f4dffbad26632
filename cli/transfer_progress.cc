#include "cli/transfer_progress.h"

#include <unistd.h>

#include <cstdio>
#include <map>
#include <memory>
#include <utility>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/progress.h"

namespace mlxr::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Share {
  std::uint64_t total = 0;
  std::uint64_t completed = 0;
};

class TransferView {
 public:
  void take(const Json& event) {
    const std::string status = event.value("status", std::string());
    const bool counts = event.contains("total") && event["total"].is_number_unsigned();
    if (counts) {
      const std::uint64_t completed = event.contains("completed") && event["completed"].is_number_unsigned()
                                          ? event["completed"].get<std::uint64_t>()
                                          : 0;
      shares_[event.value("digest", status)] = {event["total"].get<std::uint64_t>(), completed};
      draw(status);
      return;
    }
    bar_.reset();
    say(status);
  }

 private:
  // All parts in one bar: several come at once.
  void draw(const std::string& status) {
    Share all;
    for (const auto& [digest, share] : shares_) {
      all.total += share.total;
      all.completed += share.completed;
    }
    // "pulling 0123456789ab" is "pulling" of all of them.
    const std::string label = printable(status.substr(0, status.find(' ')));
    if (label != said_) {
      bar_.reset();
      said_ = label;
      if (!on_terminal_) fmt::print(stderr, "{}\n", label);
    }
    if (bar_ == nullptr)
      bar_ =
          std::make_unique<Progress>(ProgressOptions{.label = label, .total = all.total, .unit = ProgressUnit::kBytes});
    bar_->set_total(all.total);
    bar_->update(all.completed);
  }

  void say(const std::string& status) {
    if (status.empty() || status == said_) return;
    said_ = status;
    fmt::print(stderr, "{}\n", printable(status));
  }

  std::map<std::string, Share> shares_;
  std::unique_ptr<Progress> bar_;
  std::string said_;
  bool on_terminal_ = color_wanted(STDERR_FILENO);
};

}  // namespace

Status follow_transfer(DaemonClient& client, const std::string& path, const Json& body, Output& output) {
  const Interrupt interrupt;
  TransferView view;
  return client.stream({.method = "POST", .path = path, .body = &body, .cancel = &interrupt.flag()},
                       [&](const Json& event) -> Status {
                         if (!event.is_object()) return corrupt("the server sent an event that is no object");
                         if (output.json()) {
                           output.write_json_line(event);
                         } else {
                           view.take(event);
                         }
                         return {};
                       });
}

Result<bool> daemon_has_model(DaemonClient& client, const std::string& model) {
  const auto found = client.call({.path = "/v1/models/" + escaped_path_part(model)});
  if (found.ok()) return true;
  if (found.status().code() == StatusCode::kNotFound) return false;
  return found.status();
}

}  // namespace mlxr::cli
