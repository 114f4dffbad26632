#pragma once
// A folder that goes with the test.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

namespace mlxr {

class StoreTestFolder {
 public:
  StoreTestFolder() {
    std::string pattern = testing::TempDir() + "registry-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~StoreTestFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  StoreTestFolder(const StoreTestFolder&) = delete;
  StoreTestFolder& operator=(const StoreTestFolder&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline void write_test_file(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string read_test_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace mlxr
