#include "daemon/registry/transfer/hub_client.h"

#include <openssl/evp.h>

#include <array>
#include <utility>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "daemon/registry/digest.h"
#include "daemon/registry/transfer/credentials.h"
#include "daemon/registry/transfer/url.h"

namespace mlxr {
namespace {

constexpr std::uint64_t kMaxListBytes = 16 << 20;
constexpr std::uint64_t kMaxSmallFile = 64 << 20;
constexpr int kMaxPages = 200;
constexpr std::size_t kMaxFiles = 100'000;

std::string authorization_for(const TransferSettings& settings) {
  if (!settings.hub_token.empty()) return "Bearer " + settings.hub_token;
  const CredentialStore credentials(settings.credentials_path);
  const auto url = parse_url(settings.hub_url);
  for (const std::string& host :
       {url.ok() ? url->host_and_port() : std::string("huggingface.co"), std::string("hf.co")}) {
    const auto token = credentials.token(host);
    if (token.ok() && *token) return authorization_of_token(**token);
  }
  return {};
}

// The address in `<URL>; rel="next"`; empty when there is none.
std::string next_page(const HttpHeaders& headers) {
  const std::string* link = find_header(headers, "Link");
  if (link == nullptr || link->find("rel=\"next\"") == std::string::npos) return {};
  const auto open = link->find('<');
  const auto close = link->find('>', open);
  if (open == std::string::npos || close == std::string::npos) return {};
  return link->substr(open + 1, close - open - 1);
}

bool is_commit(const std::string& text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

// Where the hub keeps a file at the moment: an address that runs out.
class HubFileSource : public BlobSource {
 public:
  HubFileSource(HubClient client, std::string url, std::string what)
      : client_(std::move(client)), url_(std::move(url)), what_(std::move(what)) {}

  Result<BlobAddress> locate(const CancelToken& cancel) override {
    MLXR_ASSIGN_OR_RETURN(ProbeReply probe,
                          probe_blob(client_.http_, {.url = url_, .authorization = client_.authorization_}, cancel));
    if (!probe.ok) return client_.refusal(probe.refused, what_);
    return std::move(probe.address);
  }

 private:
  HubClient client_;
  std::string url_;
  std::string what_;
};

std::string git_blob_of(std::string_view bytes) {
  const std::string text = fmt::format("blob {}", bytes.size()) + '\0' + std::string(bytes);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha1(), nullptr);
  std::string hex;
  for (unsigned i = 0; i < length; ++i)
    hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

HubClient::HubClient(const HttpClient& http, const TransferSettings& settings, std::string repository)
    : http_(http),
      base_url_(settings.hub_url),
      repository_(std::move(repository)),
      authorization_(authorization_for(settings)) {
  while (base_url_.ends_with('/'))
    base_url_.pop_back();
}

Result<HttpReply> HubClient::get(const std::string& url, std::uint64_t max_bytes, const CancelToken& cancel) const {
  return http_.send_with_retries({.url = url, .authorization = authorization_, .max_body_bytes = max_bytes}, cancel);
}

std::string HubClient::file_url(const std::string& commit, const std::string& path) const {
  return fmt::format("{}/{}/resolve/{}/{}", base_url_, repository_, commit, percent_encode(path, true));
}

Status HubClient::refusal(const HttpReply& reply, const std::string& what) const {
  const std::string* code = find_header(reply.headers, "X-Error-Code");
  if (code != nullptr && *code == "GatedRepo") {
    return invalid_argument(
        fmt::format("hf.co/{} is gated: accept its terms at {}/{} and log in with `mlxr login hf.co`", repository_,
                    base_url_, repository_));
  }
  if (reply.status == 401 || reply.status == 403) {
    return not_found(
        fmt::format("{} does not exist on the hub, or is private: `mlxr login hf.co` shows who you are", what));
  }
  if (reply.status == 404) return not_found(fmt::format("{} does not exist on the hub", what));
  if (is_passing_failure(reply.status)) return internal(fmt::format("{}: {}", what, reply.summary()));
  return invalid_argument(fmt::format("{}: {}", what, reply.summary()));
}

Result<HubClient::Listing> HubClient::list(const std::string& revision, const CancelToken& cancel) {
  const std::string api = fmt::format("{}/api/models/{}", base_url_, repository_);
  const std::string what =
      revision == "main" ? "hf.co/" + repository_ : fmt::format("revision \"{}\" of hf.co/{}", revision, repository_);
  MLXR_ASSIGN_OR_RETURN(const HttpReply about,
                        get(fmt::format("{}/revision/{}", api, percent_encode(revision)), kMaxListBytes, cancel));
  if (!about.ok()) return refusal(about, what);
  Listing listing;
  const auto json = nlohmann::json::parse(about.body, nullptr, false);
  if (json.is_object() && json.contains("sha") && json["sha"].is_string()) listing.commit = json["sha"];
  if (!is_commit(listing.commit)) return corrupt(what + ": the hub does not name a commit");

  MLXR_ASSIGN_OR_RETURN(const Url start, parse_url(fmt::format("{}/tree/{}?recursive=1", api, listing.commit)));
  std::string page = start.text;
  for (int num_pages = 0; !page.empty(); ++num_pages) {
    if (num_pages >= kMaxPages || listing.files.size() > kMaxFiles) {
      return resource_exhausted(what + " has too many files");
    }
    MLXR_ASSIGN_OR_RETURN(const HttpReply reply, get(page, kMaxListBytes, cancel));
    if (!reply.ok()) return refusal(reply, what);
    MLXR_ASSIGN_OR_RETURN(auto files, parse_hub_tree(reply.body, what));
    listing.files.insert(listing.files.end(), files.begin(), files.end());
    const std::string next = next_page(reply.headers);
    if (next.empty()) break;
    MLXR_ASSIGN_OR_RETURN(const Url url, resolve_url(reply.url, next));
    // Our token goes with it.
    if (!url.same_origin(start)) return corrupt(what + ": the list of files goes on at another host");
    page = url.text;
  }
  return listing;
}

Result<std::string> HubClient::read(const std::string& commit, const HubFile& file, const CancelToken& cancel) {
  const std::string what = fmt::format("hf.co/{}/{}", repository_, file.path);
  if (file.size > kMaxSmallFile) return unsupported(what + " is too long for a side file");
  MLXR_ASSIGN_OR_RETURN(HttpReply reply, get(file_url(commit, file.path), kMaxSmallFile, cancel));
  if (!reply.ok()) return refusal(reply, what);
  if (reply.body.size() != file.size) {
    return corrupt(fmt::format("{}: {} bytes came where the list says {}", what, reply.body.size(), file.size));
  }
  const bool right =
      file.sha256.empty() ? git_blob_of(reply.body) == file.git_blob : digest_of(reply.body) == file.sha256;
  if (!right) return corrupt(fmt::format("{}: digest mismatch with the list of files", what));
  return std::move(reply.body);
}

std::unique_ptr<BlobSource> HubClient::file(const std::string& commit, const HubFile& file) const {
  return std::make_unique<HubFileSource>(*this, file_url(commit, file.path),
                                         fmt::format("hf.co/{}/{}", repository_, file.path));
}

}  // namespace mlxr
