// The other tests of this program, run once more with their answers recorded, against api/openapi.yaml.

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace mlxr::server {
namespace {

// What a command printed, and its exit code.
struct Outcome {
  int code = -1;
  std::string output;
};

Outcome run(const std::string& command) {
  Outcome outcome;
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return outcome;
  std::array<char, 4096> buffer = {};
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    outcome.output.append(buffer.data(), count);
  }
  const int status = ::pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

TEST(OpenApi, RecordedAnswersKeepTheContract) {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) GTEST_SKIP() << "this system does not say which program runs";
  const test::TempDir folder;
  const std::string records = folder.path("answers.jsonl");
  const Outcome tests = run("MLXR_RECORD_ANSWERS='" + records + "' '" + program.string() +
                            "' --gtest_filter='-OpenApi.*:Malformed.*' --gtest_brief=1");
  ASSERT_EQ(tests.code, 0) << tests.output;
  const std::string root = MLXR_SOURCE_DIR;
  const Outcome check =
      run("python3 '" + root + "/scripts/check_openapi.py' '" + root + "/api/openapi.yaml' '" + records + "'");
  if (check.code == 77 || check.code == 127) GTEST_SKIP() << check.output;
  EXPECT_EQ(check.code, 0) << check.output;
}

}  // namespace
}  // namespace mlxr::server
