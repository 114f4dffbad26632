// Where an engine keeps prefixes when nobody says.

#include <cstdlib>
#include <filesystem>

#include "tests/support/engine_testing.h"
#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

// Sets an environment variable for one test.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    setenv(name, value.c_str(), 1);
  }
  ~Environment() {
    if (old_) {
      setenv(name_, old_->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

std::int64_t cached_after_restart(std::vector<std::string>& warnings) {
  std::int64_t cached = 0;
  for (int round = 0; round < 2; ++round) {
    auto model = LoadedModel::open(test::fixture("hf/llama"), {.num_threads = 1, .own_cache = false});
    EngineOptions options;
    options.warn = [&warnings](const std::string& line) { warnings.push_back(line); };
    auto engine = Engine::start(std::move(model).value(), std::move(*FairScheduler::create({})), options);
    EXPECT_TRUE(engine.ok()) << engine.status().message();
    GenerateRequest request;
    request.prompt = test::random_prompt(1, 70, 64);
    request.sampling.temperature = 0.0F;
    request.max_tokens = 2;
    cached = test::answer(**engine, std::move(request)).done.cached_tokens;
  }
  return cached;
}

TEST(KeptPrefixes, AreInTheUsersCacheFolder) {
#ifdef __APPLE__
  GTEST_SKIP() << "the folder is below HOME there";
#endif
  const test::TempDir folder;
  const Environment cache("XDG_CACHE_HOME", folder.path());
  std::vector<std::string> warnings;
  EXPECT_EQ(cached_after_restart(warnings), 64);
  EXPECT_TRUE(warnings.empty());
  EXPECT_TRUE(std::filesystem::exists(folder.path() + "/mlxrunner/prefixes"));
}

TEST(KeptPrefixes, AreAWarningWhereTheyCannotBe) {
#ifdef __APPLE__
  GTEST_SKIP() << "the folder is below HOME there";
#endif
  const test::TempDir folder;
  std::ofstream(folder.path() + "/mlxrunner") << "not a folder";
  const Environment cache("XDG_CACHE_HOME", folder.path());
  std::vector<std::string> warnings;
  EXPECT_EQ(cached_after_restart(warnings), 0);
  ASSERT_EQ(warnings.size(), 2U);
  EXPECT_NE(warnings[0].find("prefixes are not kept"), std::string::npos) << warnings[0];
}

}  // namespace
}  // namespace mlxr
