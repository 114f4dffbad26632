#pragma once
// Transfers: models in from registries and out to them. A pull turns a name into files, files into blobs under
// MODELS/blobs, and writes the manifest last, so that a pull that was killed leaves nothing but partial blobs, which
// the next pull goes on with. Blobs are shared: two pulls that need the same digest wait for one download.
//
// Names: those of Ollama's registries (daemon/registry/model_name.h), and Hugging Face repositories as
// `hf.co/USER/REPO[:TAG]` or `huggingface.co/...`. For a repository with GGUF files TAG names a quantisation
// (`Q4_K_M`; the default is the first of a list of common ones that is there); for one of safetensors it is a revision.
// Models of several files (safetensors, sharded GGUF) also get a folder of links to their blobs (folder_view.h).
//
// Threads: all calls from any thread. pull() and push() return at once; sinks are called on threads of the transfer,
// one call at a time for each transfer, and must not wait for that transfer.
//
// Environment: libcurl's HTTPS_PROXY, ALL_PROXY and NO_PROXY, in lower case too, and http_proxy, in lower case alone.
// Nothing else is read here; see settings_from_environment().

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/base/status.h"

namespace mlxr {

// One line of what Ollama's /api/pull and /api/push stream.
struct TransferEvent {
  // "pulling manifest", "pulling 0123456789ab", "verifying sha256 digest", "writing manifest", "success", ...
  std::string status = {};
  std::string digest = {};      // "sha256:..." when the line is about one blob, else empty
  std::uint64_t total = 0;      // bytes of that blob
  std::uint64_t completed = 0;  // never goes back for a digest, whatever happens to the download
};
using TransferSink = std::function<void(const TransferEvent&)>;

struct TransferSettings {
  std::string models_dir = {};  // MODELS: blobs/, manifests/, folders/
  // Registries. A URL of http:// is used only by transfers that are `insecure`.
  std::string registry_url = "https://registry.ollama.ai";  // what names without a host mean
  std::string hub_url = "https://huggingface.co";
  std::string hub_token = {};         // empty: that of `credentials_path` for the hub's host
  std::string credentials_path = {};  // tokens by host (credentials.h); empty: none
  std::string key_path = {};          // Ed25519 private key for the token flow of Ollama's registries; empty: none
  std::string trust_path = {};        // public keys that manifests must be signed by (trust.h); empty: no check
  std::string ca_file = {};           // empty: the system's certificates

  int max_transfer_streams = 8;  // connections of all downloads together
  std::uint64_t min_part_bytes = 32ULL << 20;
  std::uint64_t max_part_bytes = 1000ULL << 20;
  int max_parts = 16;
  int max_tries = 6;  // of a request that keeps failing without bringing bytes
  std::chrono::milliseconds connect_timeout{15'000};
  std::chrono::milliseconds stall_timeout{30'000};     // without a byte: ask for that part again
  std::chrono::milliseconds give_up_timeout{300'000};  // without a byte on any connection of a blob: fail
  std::chrono::milliseconds first_backoff{1'000};      // doubled with each try
  std::chrono::milliseconds max_backoff{60'000};
  std::chrono::milliseconds event_interval{60};  // between progress lines of a transfer
};

// Defaults, with HF_ENDPOINT, HF_TOKEN and the usual places of keys and tokens of this user.
TransferSettings settings_from_environment(std::string models_dir);

struct TransferOptions {
  bool insecure = false;  // allows http:// and certificates that do not verify
};

// A pull or a push that is running or has ended. Destroying the last handle cancels what is still running.
class Transfer {
 public:
  virtual ~Transfer() = default;
  virtual void cancel() = 0;  // wait() then says kCancelled, unless it was too late
  virtual bool done() const = 0;
  // kNotFound: no such model, tag or file there. kInvalidArgument: a bad name; plain http without `insecure`; not
  // authorised (the line says how to log in). kCorrupt: wrong digest, length, manifest or signature.
  // kResourceExhausted: the disk is full; what was downloaded is kept and the next pull goes on from there.
  virtual Status wait() = 0;
};

class Transfers {
 public:
  static Result<std::unique_ptr<Transfers>> create(TransferSettings settings);
  virtual ~Transfers() = default;  // cancels and waits for everything

  // Never null: what is wrong with `name` shows in wait().
  virtual std::shared_ptr<Transfer> pull(const std::string& name, const TransferOptions& options,
                                         TransferSink sink) = 0;
  virtual std::shared_ptr<Transfer> push(const std::string& name, const TransferOptions& options,
                                         TransferSink sink) = 0;

  // Whether anything is being transferred: unreferenced blobs must not be removed while this is so.
  virtual bool is_active() const = 0;
};

}  // namespace mlxr
