#include "cli/daemon_client.h"

#include <curl/curl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/secret.h"
#include "core/runtime/user_folders.h"
#include "daemon/access/secret_file.h"
#include "daemon/settings/settings_file.h"

namespace mlxr::cli {
namespace {

using Json = nlohmann::ordered_json;

// Of an answer that is kept whole, and of one line or event of a stream.
constexpr std::size_t kMaxAnswerBytes = std::size_t{1} << 30;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

// Only processes of this machine get the token that may do everything.
bool on_this_machine(const DaemonAddress& address) {
  if (address.local()) return true;
  std::string_view host = address.url;
  host.remove_prefix(host.find("://") + 3);
  for (const std::string_view loopback : {"127.0.0.1", "localhost", "[::1]"}) {
    const std::string_view rest = host.substr(std::min(host.size(), loopback.size()));
    if (host.starts_with(loopback) && (rest.empty() || rest.front() == ':' || rest.front() == '/')) return true;
  }
  return false;
}

Secret find_key(const DaemonAddress& address) {
  if (std::string key = environment("MLXR_API_KEY"); !key.empty()) return Secret(std::move(key));
  const std::optional<std::string> folder = user_config_folder();
  if (!folder || !on_this_machine(address)) return {};
  Result<Secret> token = read_capability_token(*folder);
  // The socket trusts its user without one; where a token is needed, the server says so.
  return token.ok() ? std::move(token).value() : Secret();
}

// The text of {"error": "..."}, {"error": {"message": "..."}} and {"message": "..."}; empty: it is none of these.
std::string error_text(const Json& body) {
  if (!body.is_object()) return {};
  const auto error = body.find("error");
  if (error != body.end() && error->is_string()) return error->get<std::string>();
  const Json& holder = error != body.end() ? *error : body;
  if (!holder.is_object()) return {};
  const auto message = holder.find("message");
  return message != holder.end() && message->is_string() ? message->get<std::string>() : std::string();
}

Status status_of(long http, std::string message) {
  if (message.empty()) message = fmt::format("the server answered {}", http);
  while (message.ends_with('.') || message.ends_with('\n'))
    message.pop_back();
  std::ranges::replace(message, '\n', ' ');
  switch (http) {
    case 404:
      return not_found(std::move(message));
    case 429:
    case 503:
    case 507:
      return resource_exhausted(std::move(message));
    case 499:
      return cancelled(std::move(message));
    case 501:
      return unsupported(std::move(message));
    default:
      return http >= 400 && http < 500 ? invalid_argument(std::move(message)) : internal(std::move(message));
  }
}

Status status_of_body(long http, const std::string& body) {
  const Json parsed = Json::parse(body, nullptr, false);
  return status_of(http, parsed.is_discarded() ? std::string() : error_text(parsed));
}

// Cuts a growing answer into lines; "data:" of SSE is taken off, comments and other fields are left out.
class EventLines {
 public:
  explicit EventLines(const DaemonClient::OnEvent& on_event) : on_event_(on_event) {}

  Status add(std::string_view bytes) {
    buffer_.append(bytes);
    std::size_t start = 0;
    while (true) {
      const std::size_t end = buffer_.find('\n', start);
      if (end == std::string::npos) break;
      MLXR_RETURN_IF_ERROR(line(std::string_view(buffer_).substr(start, end - start)));
      start = end + 1;
    }
    buffer_.erase(0, start);
    if (buffer_.size() > kMaxAnswerBytes) return corrupt("the server sent a line that does not end");
    return {};
  }

  Status end() {
    const std::string rest = std::exchange(buffer_, {});
    return line(rest);
  }

 private:
  Status line(std::string_view text) {
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (text.starts_with("data:")) {
      text.remove_prefix(5);
      if (text.starts_with(' ')) text.remove_prefix(1);
    } else if (!text.starts_with('{')) {
      return {};  // a blank line, a comment, or a field of SSE that says nothing here
    }
    if (text == "[DONE]") return {};
    const Json event = Json::parse(text, nullptr, false);
    if (event.is_discarded()) return corrupt("the server sent an event that is not JSON");
    if (event.contains("error") && !event["error"].is_null()) return status_of(500, error_text(event));
    return on_event_(event);
  }

  const DaemonClient::OnEvent& on_event_;
  std::string buffer_;
};

struct Transfer {
  std::string body;              // of an answer that is not streamed, and of errors
  EventLines* events = nullptr;  // where the bytes of a good answer go
  CURL* handle = nullptr;
  const std::atomic<bool>* cancel = nullptr;
  std::FILE* file = nullptr;
  const std::function<void(std::uint64_t)>* on_sent = nullptr;
  Status failed;
};

std::size_t take_bytes(char* bytes, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view text(bytes, size * count);
  long http = 0;
  curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &http);
  if (transfer.events != nullptr && http >= 200 && http < 300) {
    transfer.failed = transfer.events->add(text);
    return transfer.failed.ok() ? text.size() : 0;
  }
  if (transfer.body.size() + text.size() > kMaxAnswerBytes) {
    transfer.failed = corrupt("the server's answer does not end");
    return 0;
  }
  transfer.body.append(text);
  return text.size();
}

std::size_t give_bytes(char* bytes, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  return std::fread(bytes, 1, size * count, transfer.file);
}

int watch(void* user, curl_off_t /*down_total*/, curl_off_t /*down*/, curl_off_t /*up_total*/, curl_off_t up) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (transfer.on_sent != nullptr && *transfer.on_sent) (*transfer.on_sent)(static_cast<std::uint64_t>(up));
  return transfer.cancel != nullptr && transfer.cancel->load() ? 1 : 0;
}

struct HandleDelete {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct ListDelete {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct FileClose {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

void append(std::unique_ptr<curl_slist, ListDelete>& list, const std::string& text) {
  curl_slist* longer = curl_slist_append(list.get(), text.c_str());
  if (longer == nullptr) return;
  static_cast<void>(list.release());
  list.reset(longer);
}

}  // namespace

Result<DaemonAddress> parse_daemon_address(std::string_view text) {
  if (text.starts_with("unix:")) text.remove_prefix(5);
  if (text.starts_with('/')) {
    if (text.size() >= sizeof(sockaddr_un::sun_path))
      return invalid_argument(fmt::format("the socket's path {} is too long", text));
    return DaemonAddress{.unix_path = std::string(text)};
  }
  std::string url(text);
  while (url.ends_with('/'))
    url.pop_back();
  if (url.starts_with("http://") || url.starts_with("https://")) return DaemonAddress{.url = url};
  if (url.empty() || url.find("://") != std::string::npos)
    return invalid_argument(fmt::format("\"{}\" is no address: unix:/PATH, HOST, HOST:PORT or a URL", text));
  const bool has_port = url.front() == '[' ? url.find("]:") != std::string::npos : url.find(':') != std::string::npos;
  return DaemonAddress{.url = "http://" + url + (has_port ? "" : fmt::format(":{}", kDefaultHttpPort))};
}

Result<DaemonAddress> daemon_address() {
  if (const std::string host = environment("MLXR_HOST"); !host.empty()) {
    Result<DaemonAddress> address = parse_daemon_address(host);
    if (!address.ok()) return address.status().with_context("MLXR_HOST");
    return address;
  }
  SettingsInputs inputs;
  inputs.path = default_settings_path();
  inputs.environment = settings_environment();
  MLXR_ASSIGN_OR_RETURN(const std::unique_ptr<SettingsFile> file, SettingsFile::load(std::move(inputs)));
  std::string path = file->settings()->uds_path;
  if (path.empty()) {
    const std::optional<std::string> folder = user_runtime_folder();
    if (!folder) return invalid_argument("no home folder in the environment: set HOME, XDG_RUNTIME_DIR or MLXR_HOST");
    path = *folder + "/mlxrunner.sock";
  }
  return DaemonAddress{.unix_path = std::move(path)};
}

bool daemon_listens(const DaemonAddress& address) {
  if (!address.local()) {
    DaemonClient client(address);
    return client.call_text({.path = "/v1/server", .timeout_s = 5}).ok();
  }
  sockaddr_un socket_address{};
  if (address.unix_path.size() >= sizeof socket_address.sun_path) return false;
  socket_address.sun_family = AF_UNIX;
  std::memcpy(socket_address.sun_path, address.unix_path.data(), address.unix_path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return false;
  const bool listens = ::connect(fd, reinterpret_cast<const sockaddr*>(&socket_address), sizeof socket_address) == 0;
  ::close(fd);
  return listens;
}

struct DaemonClient::State {
  DaemonAddress address;
  Secret key;
  std::unique_ptr<CURL, HandleDelete> handle;

  Status perform(const Call& call, Transfer& transfer);
};

DaemonClient::DaemonClient(DaemonAddress address) : state_(std::make_unique<State>()) {
  state_->key = find_key(address);
  state_->address = std::move(address);
  static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (kReady == CURLE_OK) state_->handle.reset(curl_easy_init());
}

DaemonClient::~DaemonClient() = default;
DaemonClient::DaemonClient(DaemonClient&& other) noexcept = default;
DaemonClient& DaemonClient::operator=(DaemonClient&& other) noexcept = default;

const DaemonAddress& DaemonClient::address() const {
  return state_->address;
}

Result<DaemonClient> DaemonClient::connect(Start start) {
  MLXR_ASSIGN_OR_RETURN(DaemonAddress address, daemon_address());
  if (address.local() && !daemon_listens(address)) {
    if (start == Start::kNever) {
      return not_found(fmt::format("no daemon listens on {}: 'mlxr serve' starts one", address.text()));
    }
    MLXR_RETURN_IF_ERROR(start_daemon(address));
  }
  return DaemonClient(std::move(address));
}

// Sends the call and leaves the answer in `transfer`; errors of HTTP are errors.
Status DaemonClient::State::perform(const Call& call, Transfer& transfer) {
  if (handle == nullptr) return internal("libcurl did not start");
  CURL* curl = handle.get();
  curl_easy_reset(curl);  // keeps the connection
  transfer.handle = curl;
  transfer.cancel = call.cancel;
  const std::string url = (address.local() ? "http://localhost" : address.url) + call.path;
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  if (address.local()) curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, address.unix_path.c_str());
  if (on_this_machine(address)) curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call.method);
  if (std::string_view(call.method) == "HEAD") curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
  if (call.timeout_s > 0) curl_easy_setopt(curl, CURLOPT_TIMEOUT, call.timeout_s);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, watch);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  std::unique_ptr<curl_slist, ListDelete> fields;
  append(fields, "Expect:");  // no waiting for a server's leave to send a body
  if (!key.empty()) append(fields, "Authorization: Bearer " + std::string(key.reveal()));
  std::string body;
  if (call.body != nullptr) {
    body = call.body->dump(-1, ' ', false, Json::error_handler_t::replace);
    append(fields, "Content-Type: application/json");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.c_str());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  } else if (transfer.file != nullptr) {
    struct stat info {};
    if (::fstat(::fileno(transfer.file), &info) != 0) return internal("the file's size cannot be told");
    append(fields, "Content-Type: application/octet-stream");
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call.method);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_bytes);
    curl_easy_setopt(curl, CURLOPT_READDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(info.st_size));
  }
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields.get());

  const CURLcode code = curl_easy_perform(curl);
  long http = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
  if (!transfer.failed.ok()) return transfer.failed;
  if (code == CURLE_ABORTED_BY_CALLBACK) return cancelled("interrupted");
  if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST) {
    return not_found(fmt::format("no daemon listens on {}: 'mlxr serve' starts one", address.text()));
  }
  if (http >= 400) return status_of_body(http, transfer.body);
  if (code != CURLE_OK)
    return internal(fmt::format("the connection to {} broke: {}", address.text(), curl_easy_strerror(code)));
  if (http < 200 || http >= 300) return internal(fmt::format("{} answered {}", address.text(), http));
  return {};
}

Result<std::string> DaemonClient::call_text(const Call& call) {
  Transfer transfer;
  MLXR_RETURN_IF_ERROR(state_->perform(call, transfer));
  return std::move(transfer.body);
}

Result<Json> DaemonClient::call(const Call& call) {
  MLXR_ASSIGN_OR_RETURN(const std::string text, call_text(call));
  if (text.empty()) return Json::object();
  Json parsed = Json::parse(text, nullptr, false);
  if (parsed.is_discarded())
    return corrupt(fmt::format("{} answered {} with something that is not JSON", state_->address.text(), call.path));
  return parsed;
}

Status DaemonClient::stream(const Call& call, const OnEvent& on_event) {
  EventLines lines(on_event);
  Transfer transfer;
  transfer.events = &lines;
  MLXR_RETURN_IF_ERROR(state_->perform(call, transfer));
  return lines.end();
}

Status DaemonClient::upload(const Call& call, const std::string& file,
                            const std::function<void(std::uint64_t)>& on_sent) {
  const std::unique_ptr<std::FILE, FileClose> opened(std::fopen(file.c_str(), "rb"));
  if (opened == nullptr) return not_found(fmt::format("{}: {}", file, std::strerror(errno)));
  Transfer transfer;
  transfer.file = opened.get();
  transfer.on_sent = &on_sent;
  return state_->perform(call, transfer);
}

std::string escaped_path_part(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace mlxr::cli
