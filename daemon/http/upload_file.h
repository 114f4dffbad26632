#pragma once
// UploadFile: a body that goes to disk as it comes, in a file with mode 0600 and a name of its own. One thread at a
// time; calls wait for the disk.

#include <string>
#include <string_view>

#include "core/base/status.h"

namespace mlxr::http {

class UploadFile {
 public:
  // `folder`: empty: TMPDIR, else /tmp.
  static Result<UploadFile> create(const std::string& folder);
  ~UploadFile();  // removes the file unless keep() was called
  UploadFile(UploadFile&& other) noexcept;
  UploadFile& operator=(UploadFile&&) = delete;

  // kResourceExhausted: the disk is full.
  Status append(std::string_view bytes);
  Status close();
  // Somebody else removes the file from now on.
  std::string keep();

 private:
  UploadFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_;
};

}  // namespace mlxr::http
