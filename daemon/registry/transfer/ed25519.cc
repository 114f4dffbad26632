#include "daemon/registry/transfer/ed25519.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include <fmt/core.h>

#include "core/base/check.h"
#include "daemon/registry/transfer/base64.h"

namespace mlxr {
namespace {

constexpr std::size_t kMaxKeyFileBytes = 64 << 10;
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kSignatureBytes = 64;
constexpr std::string_view kKeyType = "ssh-ed25519";

struct DigestDeleter {
  void operator()(EVP_MD_CTX* digest) const { EVP_MD_CTX_free(digest); }
};
using DigestState = std::unique_ptr<EVP_MD_CTX, DigestDeleter>;
using Pkey = std::shared_ptr<EVP_PKEY>;

Pkey owned(EVP_PKEY* key) {
  return {key, &EVP_PKEY_free};
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// Reads the wire format of SSH (RFC 4251, section 5): numbers of four bytes, strings behind their lengths.
class WireReader {
 public:
  explicit WireReader(std::string_view text) : text_(text) {}

  std::optional<std::uint32_t> number() {
    if (text_.size() < 4) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i)
      value = (value << 8) | static_cast<unsigned char>(text_[i]);
    text_.remove_prefix(4);
    return value;
  }
  std::optional<std::string_view> string() {
    const auto length = number();
    if (!length || *length > text_.size()) return std::nullopt;
    const std::string_view value = text_.substr(0, *length);
    text_.remove_prefix(*length);
    return value;
  }

 private:
  std::string_view text_;
};

void append_wire_string(std::string& out, std::string_view text) {
  const auto length = static_cast<std::uint32_t>(text.size());
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>((length >> shift) & 0xff);
  out += text;
}

Result<std::string> key_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return not_found(fmt::format("{}: no such key file", path));
  std::string text(kMaxKeyFileBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kMaxKeyFileBytes) return corrupt(fmt::format("{}: too long for a key", path));
  return text;
}

// The text between the two lines of an armour, without line ends; nullopt when it is not there.
std::optional<std::string> armoured(std::string_view text, std::string_view what) {
  const std::string begin = fmt::format("-----BEGIN {}-----", what);
  const std::string end = fmt::format("-----END {}-----", what);
  const auto from = text.find(begin);
  if (from == std::string_view::npos) return std::nullopt;
  const auto to = text.find(end, from);
  if (to == std::string_view::npos) return std::nullopt;
  std::string result;
  for (const char c : text.substr(from + begin.size(), to - from - begin.size())) {
    if (c != '\n' && c != '\r') result += c;
  }
  return result;
}

// PROTOCOL.key of OpenSSH.
Result<Pkey> open_ssh_key(const std::string& path, std::string_view bytes) {
  constexpr std::string_view kMagic("openssh-key-v1\0", 15);
  const Status broken = corrupt(fmt::format("{}: a broken OpenSSH key", path));
  if (!bytes.starts_with(kMagic)) return broken;
  WireReader reader(bytes.substr(kMagic.size()));
  const auto cipher = reader.string();
  const auto kdf = reader.string();
  const auto kdf_options = reader.string();
  const auto num_keys = reader.number();
  const auto public_key = reader.string();
  const auto secret = reader.string();
  if (!cipher || !kdf || !kdf_options || !num_keys || !public_key || !secret) return broken;
  if (*cipher != "none") return unsupported(fmt::format("{}: the key has a passphrase", path));
  if (*num_keys != 1) return unsupported(fmt::format("{}: holds {} keys instead of one", path, *num_keys));
  WireReader inner(*secret);
  const auto check = inner.number();
  const auto check_again = inner.number();
  const auto type = inner.string();
  if (!check || check != check_again || !type) return broken;
  if (*type != kKeyType) return unsupported(fmt::format("{}: the key is not of type ed25519", path));
  const auto point = inner.string();
  const auto seed_and_point = inner.string();
  if (!point || !seed_and_point || seed_and_point->size() != 2 * kKeyBytes) return broken;
  Pkey key = owned(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes_of(*seed_and_point), kKeyBytes));
  if (key == nullptr) return broken;
  return key;
}

Result<Pkey> pem_key(const std::string& path, const std::string& text) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())),
                                                      &BIO_free);
  // A callback that gives no passphrase: without one OpenSSL asks on the terminal.
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  Pkey key = owned(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (key == nullptr) return corrupt(fmt::format("{}: no private key without a passphrase", path));
  if (EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519) {
    return unsupported(fmt::format("{}: the key is not of type ed25519", path));
  }
  return key;
}

// "ssh-ed25519 BASE64 [comment]"
std::optional<std::array<unsigned char, kKeyBytes>> public_key_of_line(const std::string& line) {
  std::istringstream words(line);
  std::string type;
  std::string text;
  if (!(words >> type >> text) || type != kKeyType) return std::nullopt;
  const auto bytes = base64_decode(text);
  if (!bytes) return std::nullopt;
  WireReader reader(*bytes);
  const auto inner_type = reader.string();
  const auto point = reader.string();
  if (inner_type != kKeyType || !point || point->size() != kKeyBytes) return std::nullopt;
  std::array<unsigned char, kKeyBytes> key{};
  std::copy_n(bytes_of(*point), kKeyBytes, key.begin());
  return key;
}

}  // namespace

Result<SigningKey> SigningKey::load(const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const std::string text, key_file(path));
  if (const auto armour = armoured(text, "OPENSSH PRIVATE KEY")) {
    const auto bytes = base64_decode(*armour);
    if (!bytes) return corrupt(fmt::format("{}: a broken OpenSSH key", path));
    MLXR_ASSIGN_OR_RETURN(Pkey key, open_ssh_key(path, *bytes));
    return SigningKey(std::move(key));
  }
  MLXR_ASSIGN_OR_RETURN(Pkey key, pem_key(path, text));
  return SigningKey(std::move(key));
}

Result<std::string> SigningKey::sign(std::string_view message) const {
  const DigestState state(EVP_MD_CTX_new());
  std::string signature(kSignatureBytes, '\0');
  std::size_t length = signature.size();
  if (state == nullptr || EVP_DigestSignInit(state.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
      EVP_DigestSign(state.get(), reinterpret_cast<unsigned char*>(signature.data()), &length, bytes_of(message),
                     message.size()) != 1 ||
      length != kSignatureBytes) {
    return internal("signing failed");
  }
  return signature;
}

std::string SigningKey::public_text() const {
  std::string point(kKeyBytes, '\0');
  std::size_t length = point.size();
  MLXR_CHECK(EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char*>(point.data()), &length) == 1,
             "an Ed25519 key without a public half");
  std::string wire;
  append_wire_string(wire, kKeyType);
  append_wire_string(wire, point);
  return base64_encode(wire);
}

Result<TrustedKeys> TrustedKeys::load(const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const std::string text, key_file(path));
  TrustedKeys trusted;
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos || line.starts_with('#')) continue;
    const auto key = public_key_of_line(line);
    if (!key) return corrupt(fmt::format("{}:{}: no line of the form \"ssh-ed25519 KEY comment\"", path, number));
    trusted.keys_.push_back(*key);
  }
  return trusted;
}

bool TrustedKeys::verify(std::string_view message, std::string_view signature) const {
  if (signature.size() != kSignatureBytes) return false;
  return std::any_of(keys_.begin(), keys_.end(), [&](const auto& bytes) {
    const Pkey key = owned(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes.data(), bytes.size()));
    const DigestState state(EVP_MD_CTX_new());
    return key != nullptr && state != nullptr &&
           EVP_DigestVerifyInit(state.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
           EVP_DigestVerify(state.get(), bytes_of(signature), signature.size(), bytes_of(message), message.size()) == 1;
  });
}

}  // namespace mlxr
