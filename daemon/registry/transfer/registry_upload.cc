// Uploads of RegistryClient: in parts, each to the address that the answer before named, or to storage elsewhere when
// the registry sends us there.

#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "daemon/registry/transfer/registry_client.h"
#include "daemon/registry/transfer/url.h"

namespace mlxr {
namespace {

constexpr std::uint64_t kMaxParts = 64;
constexpr std::uint64_t kMinPartBytes = 100'000'000;
constexpr std::uint64_t kMaxPartBytes = 1'000'000'000;
constexpr std::size_t kMd5Bytes = 16;

struct DigestDeleter {
  void operator()(EVP_MD_CTX* digest) const { EVP_MD_CTX_free(digest); }
};

// The registry's storage names a file in parts by the MD5 of the parts' MD5s.
class Md5 {
 public:
  Md5() : state_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(state_.get(), EVP_md5(), nullptr); }
  void update(const char* data, std::size_t size) { EVP_DigestUpdate(state_.get(), data, size); }
  std::string finish() {
    std::string bytes(kMd5Bytes, '\0');
    EVP_DigestFinal_ex(state_.get(), reinterpret_cast<unsigned char*>(bytes.data()), nullptr);
    return bytes;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, DigestDeleter> state_;
};

Result<std::string> md5_of_range(int fd, std::uint64_t offset, std::uint64_t size) {
  Md5 md5;
  std::vector<char> buffer(1 << 20);
  for (std::uint64_t done = 0; done < size;) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size - done));
    const ssize_t got = ::pread(fd, buffer.data(), wanted, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return internal(got == 0 ? "a blob became shorter" : std::strerror(errno));
    md5.update(buffer.data(), static_cast<std::size_t>(got));
    done += static_cast<std::uint64_t>(got);
  }
  return md5.finish();
}

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes)
    text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

// Where the next part goes.
Result<std::string> next_location(const HttpReply& reply) {
  const std::string* location = find_header(reply.headers, "Docker-Upload-Location");
  if (location == nullptr) location = find_header(reply.headers, "Location");
  if (location == nullptr) return corrupt(without_query(reply.url) + ": the registry does not say where to upload to");
  MLXR_ASSIGN_OR_RETURN(const Url next, resolve_url(reply.url, *location));
  return next.text;
}

}  // namespace

struct RegistryClient::UploadState {
  std::string location;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;  // of this part
  std::string part_sums = {};
};

Status RegistryClient::upload_part(const Upload& upload, UploadState& state, const CancelToken& cancel) {
  MLXR_ASSIGN_OR_RETURN(const std::string sum, md5_of_range(upload.fd, state.offset, state.size));
  const std::uint64_t offset = state.offset;
  FileBody file{
      .fd = upload.fd, .offset = offset, .size = state.size, .on_sent = [&upload, offset](std::uint64_t sent) {
        upload.on_sent(offset + sent);
      }};
  HttpRequest request{.method = "PATCH",
                      .url = state.location,
                      .headers = {{"Content-Type", "application/octet-stream"},
                                  {"Content-Range", fmt::format("{}-{}", offset, offset + state.size - 1)},
                                  {"X-Redirect-Uploads", "1"}},
                      .authorization = authorization(),
                      .file = file};
  // Not again by itself: a part that came half is only wiped away by a new upload.
  MLXR_ASSIGN_OR_RETURN(HttpReply reply, http_.send(request, cancel));
  if (reply.status == 401) {
    MLXR_ASSIGN_OR_RETURN(request.authorization, renew_authorization(reply, cancel));
    MLXR_ASSIGN_OR_RETURN(reply, http_.send(request, cancel));
  }
  if (!reply.ok() && reply.status != 307) return refusal(reply, upload.layer.digest);
  MLXR_ASSIGN_OR_RETURN(const std::string next, next_location(reply));
  if (reply.status == 307) {
    const std::string* storage = find_header(reply.headers, "Location");
    if (storage == nullptr) return corrupt(host_ + ": a redirect without an address");
    MLXR_ASSIGN_OR_RETURN(const Url target, resolve_url(reply.url, *storage));
    // The address is signed; who we are is nothing to the storage.
    MLXR_ASSIGN_OR_RETURN(const HttpReply stored,
                          http_.send_with_retries({.method = "PUT",
                                                   .url = target.text,
                                                   .headers = {{"Content-Type", "application/octet-stream"}},
                                                   .file = file},
                                                  cancel));
    if (!stored.ok()) return refusal(stored, upload.layer.digest);
  }
  state.location = next;
  state.part_sums += sum;
  state.offset += state.size;
  upload.on_sent(state.offset);
  return {};
}

Status RegistryClient::upload_once(const Upload& upload, const CancelToken& cancel) {
  std::string url = repository_url() + "/blobs/uploads/";
  if (!upload.layer.from.empty()) {
    if (const auto from = parse_model_name(upload.layer.from); from.ok()) {
      url = with_query(url, "mount", upload.layer.digest);
      url = with_query(url, "from", from->name_space + "/" + from->model);
    }
  }
  MLXR_ASSIGN_OR_RETURN(const HttpReply begun, send({.method = "POST", .url = url}, cancel));
  if (begun.status == 201) {  // mounted from a repository that has it
    upload.on_sent(upload.layer.size_bytes);
    return {};
  }
  if (!begun.ok()) return refusal(begun, upload.layer.digest);
  UploadState state;
  MLXR_ASSIGN_OR_RETURN(state.location, next_location(begun));
  const std::uint64_t total = upload.layer.size_bytes;
  const std::uint64_t part_bytes = std::clamp(total / kMaxParts + 1, kMinPartBytes, kMaxPartBytes);
  while (state.offset < total) {
    state.size = std::min(part_bytes, total - state.offset);
    MLXR_RETURN_IF_ERROR(upload_part(upload, state, cancel));
  }
  Md5 md5;
  md5.update(state.part_sums.data(), state.part_sums.size());
  std::string last = with_query(state.location, "digest", upload.layer.digest);
  last = with_query(last, "etag", fmt::format("{}-{}", hex(md5.finish()), state.part_sums.size() / kMd5Bytes));
  MLXR_ASSIGN_OR_RETURN(
      const HttpReply ended,
      send({.method = "PUT", .url = last, .headers = {{"Content-Type", "application/octet-stream"}}}, cancel));
  return ended.ok() ? Status() : refusal(ended, upload.layer.digest);
}

Status RegistryClient::upload(const Upload& upload, const CancelToken& cancel) {
  for (int num_failed = 1;; ++num_failed) {
    Status status = upload_once(upload, cancel);
    if (status.code() != StatusCode::kInternal || num_failed >= settings_.max_tries) return status;
    if (!cancel.wait_for(http_.settings().backoff(num_failed))) return cancelled("cancelled");
  }
}

}  // namespace mlxr
