#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "daemon/registry/digest.h"
#include "daemon/registry/transfer/registry_client.h"
#include "daemon/registry/transfer/transfer_resources.h"

namespace mlxr {
namespace {

using Clock = std::chrono::steady_clock;

class Push {
 public:
  Push(const TransferJob& job, ModelName name)
      : job_(job),
        name_(std::move(name)),
        http_(http_settings(job.resources.settings, job.options)),
        client_(http_, job.resources.settings, job.resources.tokens, name_) {}

  Status run() {
    job_.sink({.status = "retrieving manifest"});
    // Nobody takes away what is being sent.
    MLXR_ASSIGN_OR_RETURN(const std::unique_ptr<StoreLease> lease, job_.resources.blobs->lease());
    MLXR_ASSIGN_OR_RETURN(const Manifest manifest, job_.resources.manifests.read(name_));
    std::vector<Layer> layers = manifest.layers;
    layers.push_back(manifest.config);
    std::set<std::string> seen;
    for (const Layer& layer : layers) {
      if (layer.digest.empty() || !seen.insert(layer.digest).second) continue;
      MLXR_RETURN_IF_ERROR(push_layer(layer));
    }
    job_.sink({.status = "pushing manifest"});
    MLXR_RETURN_IF_ERROR(client_.put_manifest(manifest.bytes, job_.cancel));
    job_.sink({.status = "success"});
    return {};
  }

 private:
  Status push_layer(const Layer& layer);
  void say(const Layer& layer, std::uint64_t completed) const {
    job_.sink({.status = "pushing " + short_digest(layer.digest),
               .digest = layer.digest,
               .total = layer.size_bytes,
               .completed = completed});
  }

  const TransferJob& job_;
  ModelName name_;
  HttpClient http_;
  RegistryClient client_;
};

Status Push::push_layer(const Layer& layer) {
  MLXR_ASSIGN_OR_RETURN(const bool there, client_.has_blob(layer.digest, job_.cancel));
  if (there) {
    say(layer, layer.size_bytes);
    return {};
  }
  if (job_.resources.blobs->size(layer.digest) != layer.size_bytes) {
    return corrupt(fmt::format("{}: blob {} is missing or has another length than the manifest says", name_.display(),
                               layer.digest));
  }
  const std::string path = job_.resources.blobs->path(layer.digest);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return internal(fmt::format("{}: {}", path, std::strerror(errno)));
  std::uint64_t most = 0;
  Clock::time_point last_line = {};
  say(layer, 0);
  const Status status = client_.upload({.layer = layer,
                                        .fd = fd,
                                        .on_sent =
                                            [&](std::uint64_t sent) {
                                              most = std::max(most, sent);
                                              if (Clock::now() - last_line < job_.resources.settings.event_interval)
                                                return;
                                              last_line = Clock::now();
                                              say(layer, most);
                                            }},
                                       job_.cancel);
  ::close(fd);
  if (status.ok()) say(layer, layer.size_bytes);
  return status;
}

}  // namespace

Status run_push(const TransferJob& job) {
  MLXR_ASSIGN_OR_RETURN(ModelName name, parse_model_name(job.name));
  if (name.scheme == "http" && !job.options.insecure) {
    return invalid_argument(fmt::format("{} is plain http, which is used only when asked for (--insecure)", job.name));
  }
  if (name.is_hugging_face()) return unsupported("pushing to the Hugging Face hub is done with its own tools");
  Push push(job, std::move(name));
  return push.run();
}

}  // namespace mlxr
