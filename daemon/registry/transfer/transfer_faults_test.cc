// Pulls from servers that misbehave, one way at a time, and pulls that are killed.

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/mount.h>
#endif

#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

#include "daemon/registry/transfer/transfer_test_server.h"
#include "daemon/registry/transfer/transfers.h"

namespace mlxr::test {
namespace {

// A disk of a few megabytes at `path`, while this lives.
class SmallDisk {
 public:
  SmallDisk(std::string path, const char* size) : path_(std::move(path)) {
    std::filesystem::create_directories(path_);
#ifdef __linux__
    mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, size) == 0;
#else
    (void)size;
#endif
  }
  ~SmallDisk() {
#ifdef __linux__
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
#endif
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const {
    return mounted_;
  }

 private:
  std::string path_;
  bool mounted_ = false;
};

class FaultTest : public TransferTest {
 protected:
  void SetUp() override {
    TransferTest::SetUp();
    if (!IsSkipped()) server().put_model("library/tiny/latest", {weights_});
  }
  void expect_whole() { EXPECT_TRUE(read_file(blob_path(digest_)) == weights_) << "the blob has other bytes"; }
  bool exists(const std::string& ending) const { return std::filesystem::exists(blob_path(digest_) + ending); }

  const std::string weights_ = random_bytes(1'200'000, 42);
  const std::string digest_ = digest_of(weights_);
};

struct SurvivedCase {
  const char* name;
  Json rule;
};

TEST_F(FaultTest, FaultsThatPassAreSurvived) {
  const std::vector<SurvivedCase> cases = {
      {"truncated parts", {{"fault", "truncate"}, {"after", 20'000}, {"skip", 1}, {"times", 4}}},
      {"a truncated probe", {{"fault", "truncate"}, {"after", 0}, {"times", 1}}},
      {"a burst of 503", {{"fault", "status"}, {"status", 503}, {"times", 5}}},
      {"a burst of 500 later", {{"fault", "status"}, {"status", 500}, {"skip", 3}, {"times", 5}}},
      {"429 that says when", {{"fault", "status"}, {"status", 429}, {"headers", {{"Retry-After", "0"}}}, {"times", 2}}},
      {"dropped connections", {{"fault", "drop"}, {"skip", 1}, {"times", 5}}},
      {"stalls", {{"fault", "stall"}, {"after", 30'000}, {"seconds", 5}, {"skip", 2}, {"times", 2}}},
      {"no ranges", {{"fault", "no_ranges"}, {"times", -1}}},
      {"another validator once", {{"fault", "etag"}, {"etag", "\"x\""}, {"skip", 4}, {"times", 1}}},
      {"ranges that cease", {{"fault", "no_ranges"}, {"skip", 3}, {"times", -1}}},
      {"an address that ran out", {{"fault", "status"}, {"status", 403}, {"skip", 3}, {"times", 1}}},
      {"redirects", {{"fault", "redirect"}, {"server", "main"}, {"times", -1}}},
  };
  for (const SurvivedCase& test : cases) {
    SCOPED_TRACE(test.name);
    std::filesystem::remove_all(models());
    Json rule = test.rule;
    rule["match"] = digest_;
    server().rule(rule);
    EventLog events;
    const Status status = transfers()->pull("tiny", kInsecure, events.sink())->wait();
    ASSERT_TRUE(status.ok()) << status.message();
    expect_whole();
    EXPECT_FALSE(exists("-partial"));
    EXPECT_FALSE(exists("-parts"));
  }
}

TEST_F(FaultTest, AServerWithoutRangesMayStumbleToo) {
  // What matches first acts: the truncated answers are the first two after the probe.
  server().control({{"rules",
                     {{{"match", digest_}, {"fault", "no_ranges"}, {"times", 1}},
                      {{"match", digest_}, {"fault", "truncate"}, {"after", 500'000}, {"times", 1}},
                      {{"match", digest_}, {"fault", "no_ranges"}, {"times", -1}}}}});
  const Status status = pull("tiny");
  ASSERT_TRUE(status.ok()) << status.message();
  expect_whole();
}

struct FailedCase {
  const char* name;
  Json rule;
  StatusCode code;
  const char* says;
  bool keeps_partial;
};

TEST_F(FaultTest, FaultsThatStayEndThePullWithOneLine) {
  const std::vector<FailedCase> cases = {
      {"wrong bytes",
       {{"fault", "corrupt"}, {"at", 700'000}, {"times", -1}},
       StatusCode::kCorrupt,
       "digest mismatch",
       false},
      {"always 503", {{"fault", "status"}, {"status", 503}, {"times", -1}}, StatusCode::kInternal, "503", false},
      {"gone on the way",
       {{"fault", "status"}, {"status", 404}, {"skip", 3}, {"times", -1}},
       StatusCode::kNotFound,
       "is not at",
       true},
      {"silence",
       {{"fault", "stall"}, {"after", 0}, {"seconds", 5}, {"skip", 4}, {"times", -1}},
       StatusCode::kInternal,
       "not a byte for",
       true},
      {"never the whole part",
       {{"fault", "truncate"}, {"after", 100}, {"skip", 1}, {"times", -1}},
       StatusCode::kInternal,
       "tries",
       true},
      {"down to plain storage elsewhere",
       {{"fault", "redirect"}, {"location", "ftp://127.0.0.1/x"}, {"times", -1}},
       StatusCode::kInvalidArgument,
       "no http",
       false},
      {"round and round",
       {{"fault", "redirect"}, {"location", "?again"}, {"times", -1}},
       StatusCode::kCorrupt,
       "too many redirects",
       false},
  };
  for (const FailedCase& test : cases) {
    SCOPED_TRACE(test.name);
    std::filesystem::remove_all(models());
    Json rule = test.rule;
    rule["match"] = digest_;
    server().rule(rule);
    TransferSettings settings = this->settings();
    settings.max_tries = 3;
    settings.give_up_timeout = std::chrono::milliseconds(400);
    settings.stall_timeout = std::chrono::milliseconds(100);
    EventLog events;
    const Status status = transfers(settings)->pull("tiny", kInsecure, events.sink())->wait();
    EXPECT_EQ(status.code(), test.code) << status.message();
    EXPECT_NE(status.message().find(test.says), std::string::npos) << status.message();
    EXPECT_EQ(status.message().find('\n'), std::string::npos);
    EXPECT_EQ(status.message().find("secret"), std::string::npos) << "signatures of addresses stay out of messages";
    EXPECT_EQ(exists("-parts"), exists("-partial")) << "data and table go together";
    EXPECT_TRUE(exists("-partial") || !test.keeps_partial);
    EXPECT_FALSE(std::filesystem::exists(models() + "/manifests"));
    // The next pull makes it good.
    server().control(Json::object());
    const Status again = transfers(settings)->pull("tiny", kInsecure, {})->wait();
    ASSERT_TRUE(again.ok()) << again.message();
    expect_whole();
  }
}

TEST_F(FaultTest, AWrongLengthIsRefusedBeforeAnythingIsWritten) {
  server().put_file("blobs/" + blob_file_name(digest_), weights_ + "more");
  const Status status = pull("tiny");
  EXPECT_EQ(status.code(), StatusCode::kCorrupt);
  EXPECT_NE(status.message().find("1200004 bytes"), std::string::npos) << status.message();
}

TEST_F(FaultTest, AFullDiskIsSaidAtOnceAndThePartialIsKept) {
  const SmallDisk disk(models(), "size=2m");
  if (!disk.mounted()) GTEST_SKIP() << "no right to mount a small disk";
  server().control({{"rules", {{{"match", digest_}, {"fault", "slow"}, {"bytes_per_s", 800'000}, {"times", -1}}}}});
  TransferSettings settings = this->settings();
  settings.max_parts = 2;
  settings.max_part_bytes = 1 << 20;
  const auto all = transfers(settings);
  // Somebody else fills the disk while we download.
  std::atomic<bool> filled{false};
  const Status status = all->pull("tiny", kInsecure,
                                  [&](const TransferEvent& event) {
                                    if (event.digest != digest_ || event.completed < 200'000 || filled.exchange(true))
                                      return;
                                    const int fd = ::open((models() + "/ballast").c_str(), O_CREAT | O_WRONLY, 0600);
                                    const std::string block(64 << 10, 'x');
                                    while (::write(fd, block.data(), block.size()) > 0) {
                                    }
                                    ::close(fd);
                                  })
                            ->wait();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(status.message().find("what was downloaded is kept"), std::string::npos) << status.message();
  EXPECT_TRUE(exists("-partial"));
  std::filesystem::remove(models() + "/ballast");
  server().control(Json::object());
  const Status again = all->pull("tiny", kInsecure, events_.sink())->wait();
  ASSERT_TRUE(again.ok()) << again.message();
  expect_whole();
  EXPECT_LE(server().bytes_sent(digest_), weights_.size() - 200'000);
}

TEST_F(FaultTest, AFileLongerThanTheDiskIsRefusedBeforeItsFirstByte) {
  const SmallDisk disk(models(), "size=1m");
  if (!disk.mounted()) GTEST_SKIP() << "no right to mount a small disk";
  const Status status = pull("tiny");
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_LE(server().bytes_sent(digest_), 1U);
}

// A pull in a process of its own, which writes each count of bytes that it reports.
TEST(PullChild, DISABLED_Pulls) {
  const char* url = std::getenv("MLXR_TEST_REGISTRY");
  const char* folder = std::getenv("MLXR_TEST_MODELS");
  if (url == nullptr || folder == nullptr) GTEST_SKIP() << "for KilledPulls";
  TransferSettings settings;
  settings.models_dir = folder;
  settings.registry_url = url;
  settings.min_part_bytes = 64 << 10;
  settings.max_part_bytes = 256 << 10;
  settings.event_interval = std::chrono::milliseconds(1);
  auto all = Transfers::create(settings);
  ASSERT_TRUE(all.ok());
  const Status status = (*all)
                            ->pull("tiny", {.insecure = true},
                                   [](const TransferEvent& event) {
                                     if (event.total > 100'000 && event.completed > 0) {
                                       const std::uint64_t count = event.completed;
                                       ASSERT_EQ(::write(3, &count, sizeof count), static_cast<ssize_t>(sizeof count));
                                     }
                                   })
                            ->wait();
  ASSERT_TRUE(status.ok()) << status.message();
}

// Starts a PullChild, kills it once it has reported `kill_at` bytes, and returns its first and its last count.
std::pair<std::uint64_t, std::uint64_t> killed_pull(const std::string& url, const std::string& folder,
                                                    std::uint64_t kill_at) {
  std::array<int, 2> pipe{};
  if (::pipe(pipe.data()) != 0) return {};
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("MLXR_TEST_REGISTRY", url.c_str(), 1);
    ::setenv("MLXR_TEST_MODELS", folder.c_str(), 1);
    const int null = ::open("/dev/null", O_WRONLY);
    ::dup2(null, STDOUT_FILENO);
    ::dup2(pipe[1], 3);
    ::fcntl(3, F_SETFD, 0);
    if (pipe[0] != 3) ::close(pipe[0]);
    if (pipe[1] != 3) ::close(pipe[1]);
    ::execl(self.c_str(), self.c_str(), "--gtest_filter=PullChild.DISABLED_Pulls", "--gtest_also_run_disabled_tests",
            nullptr);
    ::_exit(127);
  }
  ::close(pipe[1]);
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  for (std::uint64_t count = 0; ::read(pipe[0], &count, sizeof count) == static_cast<ssize_t>(sizeof count);) {
    if (first == 0) first = count;
    last = count;
    if (count >= kill_at) break;
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(pipe[0]);
  return {first, last};
}

TEST_F(FaultTest, KilledPullsGoOnWithoutLosingAByte) {
  if (!std::filesystem::exists("/proc/self/exe")) GTEST_SKIP() << "no /proc to start this program again";
  server().control({{"rules", {{{"match", digest_}, {"fault", "slow"}, {"bytes_per_s", 200'000}, {"times", -1}}}}});
  std::uint64_t last_count = 0;
  constexpr int kKills = 6;
  for (int i = 0; i < kKills; ++i) {
    // Anywhere: between reports, in the middle of writes.
    const std::uint64_t kill_at = last_count + 37'000 + static_cast<std::uint64_t>(i) * 28'411;
    const auto [first, last] = killed_pull(server().url(), models(), kill_at);
    ASSERT_GT(last, 0U) << "the child did not pull";
    EXPECT_GE(first, last_count) << "bytes that were reported before the kill are lost";
    EXPECT_GE(last, kill_at);
    last_count = last;
    EXPECT_FALSE(std::filesystem::exists(models() + "/manifests"));
  }
  const std::uint64_t sent_before = server().bytes_sent(digest_);
  server().control(Json::object());
  const Status status = pull("tiny");
  ASSERT_TRUE(status.ok()) << status.message();
  expect_whole();
  EXPECT_LE(server().bytes_sent(digest_), weights_.size() - last_count + 1) << "asked again for what was there";
  // What was on its way in sockets when a process died is all that is sent twice.
  EXPECT_GT(sent_before, last_count);
}

}  // namespace
}  // namespace mlxr::test
