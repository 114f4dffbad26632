#pragma once
// The daemon as commands see it: JSON calls and streams over its Unix socket, or over HTTP where MLXR_HOST says so.
//
// MLXR_HOST: "unix:/path" or an absolute path, "http://host:port", "https://host:port", "host:port" or "host" (port
// 11434). Without it the socket of the settings (uds_path) on this machine.
//
// Who calls: MLXR_API_KEY where it is set; else this user's capability token, which never leaves the machine.
//
// Errors are those of the server, with its message: kNotFound 404, kInvalidArgument 4xx, kUnsupported 501,
// kResourceExhausted 429 and 503, kCancelled when `cancel` was set, else kInternal. kNotFound with kNoDaemon when
// nobody listens. A client belongs to one thread.

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/base/status.h"

namespace mlxr::cli {

struct DaemonAddress {
  std::string unix_path = {};  // empty: `url`
  std::string url = {};        // "http://host:port", without a slash at its end

  bool local() const { return !unix_path.empty(); }
  // For people: "unix:/path" or the URL.
  std::string text() const { return local() ? "unix:" + unix_path : url; }
};

// kInvalidArgument names the variable or the setting that makes no sense.
Result<DaemonAddress> daemon_address();
Result<DaemonAddress> parse_daemon_address(std::string_view text);
// Whether somebody accepts connections there; does not ask who.
bool daemon_listens(const DaemonAddress& address);
// Runs daemon_command() in a session of its own and waits until it listens, or until
// 30 seconds passed. It says so on standard error; the daemon's own lines go to mlxrunnerd.log in the state folder,
// whose last one is in the error when it ends early; its number to mlxrunnerd.pid there. Several callers start one.
// kUnsupported for another machine's.
Status start_daemon(const DaemonAddress& address);
// mlxrunnerd beside this program or in PATH; without it this program's `serve`, which is the same.
std::vector<std::string> daemon_command();
// Where that log is; empty when the environment names no home.
std::string daemon_log_path();

class DaemonClient {
 public:
  enum class Start : std::uint8_t { kNever, kWhenAbsent };
  // The daemon that this user's commands mean. kNotFound when there is none and none may be started.
  static Result<DaemonClient> connect(Start start);
  // To one address; nothing is sent yet.
  explicit DaemonClient(DaemonAddress address);
  ~DaemonClient();
  DaemonClient(DaemonClient&& other) noexcept;
  DaemonClient& operator=(DaemonClient&& other) noexcept;

  const DaemonAddress& address() const;

  struct Call {
    const char* method = "GET";
    std::string path = {};                         // "/api/tags"
    const nlohmann::ordered_json* body = nullptr;  // sent as JSON
    const std::atomic<bool>* cancel = nullptr;     // looked at a few times a second
    long timeout_s = 0;                            // of the whole call; 0: none
  };
  // The answer's JSON; an empty body is an empty object.
  Result<nlohmann::ordered_json> call(const Call& call);
  // The answer as it came.
  Result<std::string> call_text(const Call& call);
  // Each line of NDJSON, or each event of an SSE stream but [DONE], in order, as it comes. An event that is an error
  // ends the stream with it; so does an error that `on_event` returns.
  using OnEvent = std::function<Status(const nlohmann::ordered_json& event)>;
  Status stream(const Call& call, const OnEvent& on_event);
  // The bytes of a file as the body; `on_sent` hears how many went out.
  Status upload(const Call& call, const std::string& file, const std::function<void(std::uint64_t)>& on_sent);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// "abc/d e" -> "abc%2Fd%20e", for a part of a path.
std::string escaped_path_part(std::string_view text);

}  // namespace mlxr::cli
