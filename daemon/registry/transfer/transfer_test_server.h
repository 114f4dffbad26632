#pragma once
// The registry of tests/registry_server for tests of transfers: its process, its files and its faults.

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "daemon/registry/digest.h"
#include "daemon/registry/manifest.h"
#include "daemon/registry/transfer/http_client.h"
#include "daemon/registry/transfer/transfers.h"
#include "tests/support/temp_dir.h"

namespace mlxr::test {

using Json = nlohmann::json;

// Bytes that do not repeat and are the same in every run.
inline std::string random_bytes(std::size_t size, std::uint64_t seed) {
  std::string bytes(size, '\0');
  std::uint64_t state = seed * 0x9E3779B97F4A7C15ULL + 1;
  for (char& byte : bytes) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    byte = static_cast<char>(state >> 56);
  }
  return bytes;
}

class RegistryServer {
 public:
  RegistryServer() { start(); }
  ~RegistryServer() {
    if (to_server_ >= 0) ::close(to_server_);
    if (from_server_ >= 0) ::close(from_server_);
    if (process_ > 0) ::waitpid(process_, nullptr, 0);
  }
  RegistryServer(const RegistryServer&) = delete;
  RegistryServer& operator=(const RegistryServer&) = delete;

  bool running() const { return port_ > 0; }
  std::string root(const std::string& name = {}) const { return root_.path(name); }
  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string url() const { return "http://" + host(); }
  std::string storage_host() const { return "127.0.0.1:" + std::to_string(storage_port_); }

  void put_file(const std::string& path, std::string_view bytes) const {
    const std::string full = root_.path(path);
    std::filesystem::create_directories(std::filesystem::path(full).parent_path());
    write_file(full, bytes);
  }
  // A blob; its digest.
  std::string put_blob(std::string_view bytes) const {
    const std::string digest = digest_of(bytes);
    put_file("blobs/" + blob_file_name(digest), bytes);
    return digest;
  }
  Layer layer(std::string_view media_type, std::string_view bytes) const {
    return {.media_type = std::string(media_type), .digest = put_blob(bytes), .size_bytes = bytes.size()};
  }
  // A model of GGUF blobs with a config; its manifest's bytes.
  std::string put_model(const std::string& name, const std::vector<std::string>& blobs) const {
    std::vector<Layer> layers;
    for (const std::string& bytes : blobs)
      layers.push_back(layer(media::kModel, bytes));
    const std::string config = write_manifest_config({.model_format = "gguf"}, layers);
    const Manifest manifest = make_manifest(layer(media::kConfig, config), layers);
    put_file("manifests/" + name, manifest.bytes);
    return manifest.bytes;
  }

  // Replaces rules and forgets the log.
  void control(const Json& body) const {
    const auto reply = http().send({.method = "POST", .url = url() + "/_control", .body = body.dump()}, never_);
    ASSERT_TRUE(reply.ok() && reply->ok());
  }
  void rule(const Json& rule) const { control({{"rules", {rule}}}); }
  Json log() const {
    const auto reply = http().send({.url = url() + "/_log"}, never_);
    return reply.ok() ? Json::parse(reply->body) : Json();
  }
  // Requests whose path contains `text`.
  std::vector<Json> requests(const std::string& text) const {
    std::vector<Json> found;
    const Json all = log();
    for (const Json& request : all["requests"]) {
      if (request["path"].get<std::string>().find(text) != std::string::npos) found.push_back(request);
    }
    return found;
  }
  // Bytes of bodies sent for paths that contain `text`.
  std::uint64_t bytes_sent(const std::string& text) const {
    std::uint64_t sum = 0;
    const Json all = log();
    for (const auto& [path, bytes] : all["body_bytes"].items()) {
      if (path.find(text) != std::string::npos) sum += bytes.get<std::uint64_t>();
    }
    return sum;
  }

 private:
  static HttpClient http() {
    HttpSettings settings;
    settings.insecure = true;
    return HttpClient(settings);
  }

  void start() {
    std::array<int, 2> in{};
    std::array<int, 2> out{};
    if (::pipe(in.data()) != 0 || ::pipe(out.data()) != 0) return;
    const std::string script = std::string(MLXR_SOURCE_DIR) + "/tests/registry_server/registry_server.py";
    const std::string folder = root_.path();
    process_ = ::fork();
    if (process_ == 0) {
      ::dup2(in[0], STDIN_FILENO);
      ::dup2(out[1], STDOUT_FILENO);
      for (const int fd : {in[0], in[1], out[0], out[1]})
        ::close(fd);
      ::execlp("python3", "python3", script.c_str(), folder.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    to_server_ = in[1];
    from_server_ = out[0];
    // Children of tests must not keep the server alive.
    ::fcntl(to_server_, F_SETFD, FD_CLOEXEC);
    ::fcntl(from_server_, F_SETFD, FD_CLOEXEC);
    std::string line;
    for (char c = 0; ::read(from_server_, &c, 1) == 1 && c != '\n';)
      line += c;
    const Json hello = Json::parse(line, nullptr, false);
    if (!hello.is_object()) return;
    port_ = hello["port"];
    storage_port_ = hello["storage_port"];
  }

  TempDir root_;
  CancelToken never_ = {};
  pid_t process_ = -1;
  int to_server_ = -1;
  int from_server_ = -1;
  int port_ = 0;
  int storage_port_ = 0;
};

// Small parts and short waits, so that little data shows everything.
inline TransferSettings quick_settings(const std::string& models_dir, const RegistryServer& server) {
  TransferSettings settings;
  settings.models_dir = models_dir;
  settings.registry_url = server.url();
  settings.hub_url = server.url();
  settings.min_part_bytes = 64 << 10;
  settings.max_part_bytes = 256 << 10;
  settings.stall_timeout = std::chrono::milliseconds(300);
  settings.give_up_timeout = std::chrono::milliseconds(3000);
  settings.first_backoff = std::chrono::milliseconds(5);
  settings.max_backoff = std::chrono::milliseconds(20);
  settings.event_interval = std::chrono::milliseconds(2);
  return settings;
}

// Keeps the lines of a transfer and holds them to what every sink may rely on.
class EventLog {
 public:
  TransferSink sink() {
    return [this](const TransferEvent& event) {
      const std::lock_guard lock(mutex_);
      EXPECT_LE(event.completed, event.total) << event.status;
      if (!event.digest.empty()) {
        EXPECT_GE(event.completed, completed_[event.digest]) << "progress of " << event.digest << " went back";
        completed_[event.digest] = event.completed;
      }
      if (statuses_.empty() || statuses_.back() != event.status) statuses_.push_back(event.status);
    };
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    statuses_.clear();
    completed_.clear();
  }
  std::vector<std::string> statuses() const {
    const std::lock_guard lock(mutex_);
    return statuses_;
  }
  bool has(const std::string& status) const {
    const auto all = statuses();
    return std::find(all.begin(), all.end(), status) != all.end();
  }
  std::uint64_t completed(const std::string& digest) const {
    const std::lock_guard lock(mutex_);
    const auto found = completed_.find(digest);
    return found == completed_.end() ? 0 : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> statuses_;
  std::map<std::string, std::uint64_t> completed_;
};

// One server for all tests of a suite.
class TransferTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { shared_server = std::make_unique<RegistryServer>(); }
  static void TearDownTestSuite() { shared_server.reset(); }
  void SetUp() override {
    if (!shared_server->running()) GTEST_SKIP() << "python3 is not there to run tests/registry_server";
    for (const char* folder : {"blobs", "manifests", "hub"})
      std::filesystem::remove_all(shared_server->root(folder));
    shared_server->control(Json::object());
  }

  RegistryServer& server() { return *shared_server; }
  std::string models() const { return models_.path("models"); }
  std::string blob_path(const std::string& digest) const { return models() + "/blobs/" + blob_file_name(digest); }
  TransferSettings settings() const { return quick_settings(models(), *shared_server); }
  std::unique_ptr<Transfers> transfers(TransferSettings settings) const {
    auto made = Transfers::create(std::move(settings));
    EXPECT_TRUE(made.ok()) << made.status().message();
    return std::move(*made);
  }
  std::unique_ptr<Transfers> transfers() const { return transfers(settings()); }
  static constexpr TransferOptions kInsecure{.insecure = true};
  // Its lines are in events_.
  Status pull(const std::string& name, TransferSettings settings) {
    events_.clear();
    return transfers(std::move(settings))->pull(name, kInsecure, events_.sink())->wait();
  }
  Status pull(const std::string& name) { return pull(name, settings()); }

  TempDir models_;
  EventLog events_;

 private:
  inline static std::unique_ptr<RegistryServer> shared_server;
};

}  // namespace mlxr::test
