#include "daemon/registry/transfer/registry_auth.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <sstream>
#include <utility>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "daemon/registry/digest.h"
#include "daemon/registry/transfer/base64.h"
#include "daemon/registry/transfer/url.h"

namespace mlxr {
namespace {

constexpr std::size_t kMaxTokenBytes = 64 << 10;

std::string nonce() {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return {};
  std::string text;
  for (const unsigned char byte : bytes)
    text += fmt::format("{:02x}", byte);
  return text;
}

// In the order of names, as servers that write addresses anew would have it.
std::string token_url(const BearerChallenge& challenge) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  std::string url = with_query(challenge.realm, "nonce", nonce());
  for (const std::string& scope : challenge.scopes)
    url = with_query(url, "scope", scope);
  url = with_query(url, "service", challenge.service);
  return with_query(url, "ts", fmt::format("{}", std::chrono::duration_cast<std::chrono::seconds>(now).count()));
}

// "PUBLICKEY:SIGNATURE" over the method, the address and the digest of the (empty) body.
Result<std::string> signed_authorization(const std::string& key_path, const std::string& url) {
  MLXR_ASSIGN_OR_RETURN(const SigningKey key, SigningKey::load(key_path));
  const std::string empty_digest = digest_of("").substr(std::string_view("sha256:").size());
  MLXR_ASSIGN_OR_RETURN(const std::string signature,
                        key.sign(fmt::format("GET,{},{}", url, base64_encode(empty_digest))));
  return key.public_text() + ":" + base64_encode(signature);
}

bool is_usable_token(const std::string& token) {
  return !token.empty() && token.size() <= kMaxTokenBytes &&
         std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

std::optional<BearerChallenge> parse_bearer_challenge(std::string_view header) {
  constexpr std::string_view kScheme = "bearer ";
  if (header.size() < kScheme.size()) return std::nullopt;
  for (std::size_t i = 0; i < kScheme.size(); ++i) {
    const char c = header[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != kScheme[i]) return std::nullopt;
  }
  header.remove_prefix(kScheme.size());
  BearerChallenge challenge;
  while (!header.empty()) {
    const auto start = header.find_first_not_of(" ,\t");
    if (start == std::string_view::npos) break;
    header.remove_prefix(start);
    const auto equals = header.find('=');
    if (equals == std::string_view::npos) break;
    const std::string_view name = header.substr(0, equals);
    header.remove_prefix(equals + 1);
    std::string value;
    if (header.starts_with('"')) {
      std::size_t i = 1;
      for (; i < header.size() && header[i] != '"'; ++i) {
        if (header[i] == '\\' && i + 1 < header.size()) ++i;
        value += header[i];
      }
      header.remove_prefix(std::min(i + 1, header.size()));
    } else {
      value = header.substr(0, header.find(','));
      header.remove_prefix(value.size());
    }
    if (name == "realm") challenge.realm = value;
    if (name == "service") challenge.service = value;
    if (name == "scope") {
      std::istringstream words(value);
      for (std::string scope; words >> scope;)
        challenge.scopes.push_back(scope);
    }
  }
  if (challenge.realm.empty()) return std::nullopt;
  return challenge;
}

Result<std::string> fetch_token(const TokenRequest& request, const CancelToken& cancel) {
  MLXR_ASSIGN_OR_RETURN(const Url registry, parse_url(request.registry_url));
  MLXR_ASSIGN_OR_RETURN(const Url realm, parse_url(request.challenge.realm));
  if (realm.host != registry.host) {
    return invalid_argument(fmt::format("{} sends for a token to another host, {}: refused", registry.host_and_port(),
                                        realm.host_and_port()));
  }
  const std::string url = token_url(request.challenge);
  std::string authorization = request.basic;
  if (authorization.empty() && !request.key_path.empty()) {
    auto signature = signed_authorization(request.key_path, url);
    if (signature.ok()) {
      authorization = std::move(*signature);
    } else if (signature.status().code() != StatusCode::kNotFound) {
      return signature.status();
    }
  }
  MLXR_ASSIGN_OR_RETURN(const HttpReply reply,
                        request.http.send_with_retries({.url = url,
                                                        .headers = {{"Accept", "application/json"}},
                                                        .authorization = authorization,
                                                        .max_body_bytes = 2 * kMaxTokenBytes},
                                                       cancel));
  if (!reply.ok()) {
    return invalid_argument(fmt::format("{} gives no token ({}); log in with `mlxr login {}`", registry.host_and_port(),
                                        reply.summary(), registry.host_and_port()));
  }
  const auto json = nlohmann::json::parse(reply.body, nullptr, false);
  for (const char* field : {"token", "access_token"}) {
    if (!json.is_object() || !json.contains(field) || !json[field].is_string()) continue;
    const auto token = json[field].get<std::string>();
    if (is_usable_token(token)) return "Bearer " + token;
  }
  return corrupt(fmt::format("{}: the token service answers without a token", registry.host_and_port()));
}

}  // namespace mlxr
