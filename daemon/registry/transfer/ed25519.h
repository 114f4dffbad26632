#pragma once
// Ed25519 keys (RFC 8032) in the forms that OpenSSH writes: private keys as files of `ssh-keygen -t ed25519` without a
// passphrase (PKCS#8 PEM too), public keys as lines "ssh-ed25519 BASE64 comment". Values; any thread.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

struct evp_pkey_st;

namespace mlxr {

class SigningKey {
 public:
  // kNotFound; kUnsupported for a passphrase or another kind of key; kCorrupt. The file is named, never its content.
  static Result<SigningKey> load(const std::string& path);

  Result<std::string> sign(std::string_view message) const;  // 64 bytes
  // The base64 text of an SSH public key line.
  std::string public_text() const;

 private:
  explicit SigningKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}

  std::shared_ptr<evp_pkey_st> key_;
};

// A file of public key lines; empty lines and those that begin with '#' say nothing.
class TrustedKeys {
 public:
  // kNotFound; kCorrupt names the line. A file without a key trusts nobody.
  static Result<TrustedKeys> load(const std::string& path);

  // Whether one of the keys made `signature` (64 bytes) of the message.
  bool verify(std::string_view message, std::string_view signature) const;
  std::size_t size() const { return keys_.size(); }

 private:
  std::vector<std::array<unsigned char, 32>> keys_;
};

}  // namespace mlxr
