#pragma once
// A folder that goes with the test, and files in folders of their own.

#include <filesystem>
#include <string>

#include "tests/support/temp_dir.h"

namespace mlxr {

class StoreTestFolder {
 public:
  std::string operator/(const std::string& name) const { return dir_.path(name); }
  std::string path() const { return dir_.path(); }

 private:
  test::TempDir dir_;
};

inline void write_test_file(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  test::write_file(path, text);
}

inline std::string read_test_file(const std::string& path) {
  return test::read_file(path);
}

}  // namespace mlxr
