#include "core/runtime/kv/block_cipher.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "core/base/check.h"

namespace mlxr {
namespace {

struct CipherDeleter {
  void operator()(EVP_CIPHER_CTX* state) const { EVP_CIPHER_CTX_free(state); }
};
using CipherState = std::unique_ptr<EVP_CIPHER_CTX, CipherDeleter>;

constexpr std::size_t kMaxCallBytes = std::size_t{1} << 30;  // the library counts in int

const unsigned char* data_of(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

void require(int result) {
  MLXR_CHECK(result == 1, "libcrypto has AES-256-GCM");
}

CipherState start(const BlockCipher::Key& key, std::span<const std::byte> nonce, bool encrypting) {
  MLXR_CHECK(nonce.size() == BlockCipher::kNonceBytes, "a nonce has 12 bytes");
  CipherState state(EVP_CIPHER_CTX_new());
  require(EVP_CipherInit_ex(state.get(), EVP_aes_256_gcm(), nullptr, key.data(), data_of(nonce), encrypting ? 1 : 0));
  return state;
}

void run(EVP_CIPHER_CTX* state, std::span<const std::byte> open, BlockCipher::Pieces pieces) {
  int done = 0;
  require(EVP_CipherUpdate(state, nullptr, &done, data_of(open), static_cast<int>(open.size())));
  for (std::span<std::byte> piece : pieces) {
    while (!piece.empty()) {
      const std::size_t count = std::min(piece.size(), kMaxCallBytes);
      auto* bytes = reinterpret_cast<unsigned char*>(piece.data());
      require(EVP_CipherUpdate(state, bytes, &done, bytes, static_cast<int>(count)));
      piece = piece.subspan(count);
    }
  }
}

Status system_error(const std::string& path, const char* action) {
  return internal(path + ": cannot " + action + " the key: " + std::strerror(errno));
}

Status make_key_file(const std::string& path) {
  BlockCipher::Key key;
  MLXR_CHECK(RAND_bytes(key.data(), static_cast<int>(key.size())) == 1, "libcrypto has random bytes");
  // Whole or not at all, whoever else makes it at the same time.
  const std::string temporary = path + "." + std::to_string(::getpid()) + ".tmp";
  ::unlink(temporary.c_str());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return system_error(path, "make");
  const bool written = ::write(fd, key.data(), key.size()) == static_cast<ssize_t>(key.size()) && ::fsync(fd) == 0;
  ::close(fd);
  const bool linked = written && (::link(temporary.c_str(), path.c_str()) == 0 || errno == EEXIST);
  const Status status = linked ? Status{} : system_error(path, "make");
  ::unlink(temporary.c_str());
  return status;
}

}  // namespace

BlockCipher::BlockCipher(const Key& key) : key_(key) {
  Sha256 sha;
  name_key_ = sha.update_field("mlxr names of blocks 1").update(std::as_bytes(std::span(key))).finish();
}

Result<BlockCipher> BlockCipher::from_file(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) {
    MLXR_RETURN_IF_ERROR(make_key_file(path));
    fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  }
  if (fd < 0) return system_error(path, "open");
  struct stat info {};
  std::array<std::uint8_t, kKeyBytes + 1> bytes{};
  const bool known = ::fstat(fd, &info) == 0;
  const ssize_t count = ::read(fd, bytes.data(), bytes.size());
  ::close(fd);
  if (!known || count < 0) return system_error(path, "read");
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return invalid_argument(path + ": others may use this key: its mode must be 0600");
  }
  if (count != static_cast<ssize_t>(kKeyBytes)) return invalid_argument(path + ": a key has 32 bytes");
  Key key;
  std::copy_n(bytes.begin(), kKeyBytes, key.begin());
  return BlockCipher(key);
}

std::array<std::byte, BlockCipher::kNonceBytes> BlockCipher::make_nonce() {
  std::array<std::byte, kNonceBytes> nonce;
  require(RAND_bytes(reinterpret_cast<unsigned char*>(nonce.data()), static_cast<int>(nonce.size())));
  return nonce;
}

std::array<std::byte, BlockCipher::kTagBytes> BlockCipher::encrypt(std::span<const std::byte> nonce,
                                                                   std::span<const std::byte> open,
                                                                   Pieces pieces) const {
  const CipherState state = start(key_, nonce, true);
  run(state.get(), open, pieces);
  std::array<std::byte, kTagBytes> tag;
  int done = 0;
  require(EVP_CipherFinal_ex(state.get(), nullptr, &done));
  require(EVP_CIPHER_CTX_ctrl(state.get(), EVP_CTRL_GCM_GET_TAG, static_cast<int>(tag.size()), tag.data()));
  return tag;
}

bool BlockCipher::decrypt(std::span<const std::byte> nonce, std::span<const std::byte> open, Pieces pieces,
                          std::span<const std::byte> tag) const {
  MLXR_CHECK(tag.size() == kTagBytes, "a tag has 16 bytes");
  const CipherState state = start(key_, nonce, false);
  run(state.get(), open, pieces);
  std::array<std::byte, kTagBytes> expected;
  std::copy(tag.begin(), tag.end(), expected.begin());
  require(EVP_CIPHER_CTX_ctrl(state.get(), EVP_CTRL_GCM_SET_TAG, static_cast<int>(expected.size()), expected.data()));
  int done = 0;
  return EVP_CipherFinal_ex(state.get(), nullptr, &done) == 1;
}

}  // namespace mlxr
