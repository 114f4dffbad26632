#include "daemon/registry/transfer/transfers.h"

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/runtime/user_folders.h"
#include "daemon/registry/transfer/transfer_resources.h"

namespace mlxr {
namespace {

// What a handle and the thread of its transfer share.
struct TransferState {
  CancelToken cancel = {};
  std::mutex mutex = {};
  std::condition_variable ended = {};
  bool done = false;
  Status status = {};
};

class TransferHandle : public Transfer {
 public:
  explicit TransferHandle(std::shared_ptr<TransferState> state) : state_(std::move(state)) {}
  ~TransferHandle() override { state_->cancel.cancel(); }

  void cancel() override { state_->cancel.cancel(); }
  bool done() const override {
    const std::lock_guard lock(state_->mutex);
    return state_->done;
  }
  Status wait() override {
    std::unique_lock lock(state_->mutex);
    state_->ended.wait(lock, [this] { return state_->done; });
    return state_->status;
  }

 private:
  std::shared_ptr<TransferState> state_;
};

class ThreadedTransfers : public Transfers {
 public:
  ThreadedTransfers(TransferSettings settings, std::unique_ptr<BlobStore> blobs)
      : resources_(std::move(settings), std::move(blobs)) {}
  ~ThreadedTransfers() override {
    const std::lock_guard lock(mutex_);
    for (const Running& running : running_)
      running.state->cancel.cancel();
    for (Running& running : running_)
      running.thread.join();
  }

  std::shared_ptr<Transfer> pull(const std::string& name, const TransferOptions& options, TransferSink sink) override {
    return start(&run_pull, name, options, std::move(sink));
  }
  std::shared_ptr<Transfer> push(const std::string& name, const TransferOptions& options, TransferSink sink) override {
    return start(&run_push, name, options, std::move(sink));
  }

  bool is_active() const override {
    const std::lock_guard lock(mutex_);
    for (const Running& running : running_) {
      const std::lock_guard state_lock(running.state->mutex);
      if (!running.state->done) return true;
    }
    return false;
  }

 private:
  struct Running {
    std::shared_ptr<TransferState> state;
    std::thread thread;
  };

  std::shared_ptr<Transfer> start(Status (*run)(const TransferJob&), const std::string& name,
                                  const TransferOptions& options, TransferSink sink) {
    auto state = std::make_shared<TransferState>();
    if (!sink) sink = [](const TransferEvent&) {};
    const std::lock_guard lock(mutex_);
    reap();
    running_.push_back(
        {.state = state,
         .thread = std::thread([this, run, name, options, sink, state] {
           Status status =
               run({.resources = resources_, .name = name, .options = options, .cancel = state->cancel, .sink = sink});
           const std::lock_guard state_lock(state->mutex);
           state->status = std::move(status);
           state->done = true;
           state->ended.notify_all();
         })});
    return std::make_shared<TransferHandle>(std::move(state));
  }

  void reap() {
    std::erase_if(running_, [](Running& running) {
      {
        const std::lock_guard lock(running.state->mutex);
        if (!running.state->done) return false;
      }
      running.thread.join();
      return true;
    });
  }

  TransferResources resources_;
  mutable std::mutex mutex_;
  std::vector<Running> running_;
};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::string first_line_of(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  while (!line.empty() && (line.back() == '\r' || line.back() == ' '))
    line.pop_back();
  return line;
}

// As the hub's own tools look for it.
std::string hub_token() {
  if (std::string token = environment("HF_TOKEN"); !token.empty()) return token;
  std::string home = environment("HF_HOME");
  if (home.empty() && !environment("HOME").empty()) home = environment("HOME") + "/.cache/huggingface";
  return home.empty() ? std::string() : first_line_of(home + "/token");
}

}  // namespace

HttpSettings http_settings(const TransferSettings& settings, const TransferOptions& options) {
  return {.connect_timeout = settings.connect_timeout,
          // A server may think longer about an answer than it may pause within one.
          .stall_timeout = std::max(settings.stall_timeout, settings.connect_timeout),
          .ca_file = settings.ca_file,
          .insecure = options.insecure,
          .max_tries = settings.max_tries,
          .first_backoff = settings.first_backoff,
          .max_backoff = settings.max_backoff};
}

TransferSettings settings_from_environment(std::string models_dir) {
  TransferSettings settings;
  settings.models_dir = std::move(models_dir);
  if (std::string url = environment("HF_ENDPOINT"); !url.empty()) settings.hub_url = std::move(url);
  settings.hub_token = hub_token();
  if (const auto config = user_config_folder()) {
    settings.credentials_path = *config + "/credentials.json";
    settings.key_path = *config + "/id_ed25519";
  }
  // A key that Ollama's registries may know already.
  const std::string ollama_key = environment("HOME") + "/.ollama/id_ed25519";
  std::error_code ignored;
  const bool has_own = !settings.key_path.empty() && std::filesystem::exists(settings.key_path, ignored);
  if (!has_own && std::filesystem::exists(ollama_key, ignored)) settings.key_path = ollama_key;
  return settings;
}

Result<std::unique_ptr<Transfers>> Transfers::create(TransferSettings settings) {
  const bool sane = settings.min_part_bytes > 0 && settings.max_part_bytes >= settings.min_part_bytes &&
                    settings.max_parts > 0 && settings.max_transfer_streams > 0 && settings.max_tries > 0;
  if (!sane)
    return invalid_argument("transfers need at least one stream, one part and one try, and parts of some size");
  MLXR_ASSIGN_OR_RETURN(auto blobs, BlobStore::open(settings.models_dir));
  return std::unique_ptr<Transfers>(new ThreadedTransfers(std::move(settings), std::move(blobs)));
}

}  // namespace mlxr
