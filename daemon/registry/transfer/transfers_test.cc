// What a pull does when nothing goes wrong, and what pushes, names and options mean.

#include "daemon/registry/transfer/transfers.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

#include "daemon/registry/folder_view.h"
#include "daemon/registry/manifest_store.h"
#include "daemon/registry/transfer/base64.h"
#include "daemon/registry/transfer/credentials.h"
#include "daemon/registry/transfer/ed25519.h"
#include "daemon/registry/transfer/transfer_test_server.h"

namespace mlxr::test {
namespace {

class PullTest : public TransferTest {};

TEST_F(PullTest, BringsBlobsAndWritesTheManifestAsItCame) {
  const std::string weights = random_bytes(1'500'000, 1);
  const std::string license = "free as a bird";
  const std::string manifest = server().put_model("library/tiny/latest", {weights, license});
  const Status status = pull("tiny");
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(read_file(blob_path(digest_of(weights))), weights);
  EXPECT_EQ(read_file(blob_path(digest_of(license))), license);
  EXPECT_EQ(read_file(models() + "/manifests/registry.ollama.ai/library/tiny/latest"), manifest);
  const auto lines = events_.statuses();
  EXPECT_EQ(lines.front(), "pulling manifest");
  EXPECT_TRUE(events_.has("pulling " + short_digest(digest_of(weights))));
  ASSERT_GE(lines.size(), 4U);
  EXPECT_EQ(std::vector<std::string>(lines.end() - 3, lines.end()),
            (std::vector<std::string>{"verifying sha256 digest", "writing manifest", "success"}));
  EXPECT_EQ(events_.completed(digest_of(weights)), weights.size());
  // Nothing of the way there stays behind.
  for (const auto& entry : std::filesystem::directory_iterator(models() + "/blobs")) {
    EXPECT_EQ(entry.path().filename().string().size(), std::string("sha256-").size() + 64) << entry.path();
  }
}

TEST_F(PullTest, AsksInPartsAndNeverForAByteTwice) {
  const std::string weights = random_bytes(2'000'000, 2);
  server().put_model("library/tiny/latest", {weights});
  ASSERT_TRUE(pull("tiny").ok());
  const std::string digest = digest_of(weights);
  EXPECT_GE(server().requests(digest).size(), 9U) << "a probe and parts of at most 256 KiB";
  // The probe takes one byte.
  EXPECT_LE(server().bytes_sent(digest), weights.size() + 1);
}

TEST_F(PullTest, TakesWhatIsThereAlready) {
  const std::string weights = random_bytes(300'000, 3);
  server().put_model("library/tiny/latest", {weights});
  ASSERT_TRUE(pull("tiny").ok());
  server().control(Json::object());
  EventLog again;
  ASSERT_TRUE(transfers()->pull("tiny", kInsecure, again.sink())->wait().ok());
  EXPECT_TRUE(server().requests("blobs").empty());
  EXPECT_EQ(again.completed(digest_of(weights)), weights.size());
}

TEST_F(PullTest, RemovesWhatOnlyTheManifestBeforeNeeded) {
  const std::string kept = random_bytes(1000, 4);
  const std::string gone = random_bytes(1000, 5);
  server().put_model("library/tiny/latest", {kept, gone});
  ASSERT_TRUE(pull("tiny").ok());
  server().put_model("library/tiny/latest", {kept, random_bytes(1000, 6)});
  ASSERT_TRUE(pull("tiny").ok());
  EXPECT_TRUE(std::filesystem::exists(blob_path(digest_of(kept))));
  EXPECT_FALSE(std::filesystem::exists(blob_path(digest_of(gone))));
  EXPECT_TRUE(events_.has("removing unused layers"));
}

TEST_F(PullTest, SaysWhatIsWrongWithNamesAndPlaces) {
  EXPECT_EQ(pull("no/such:model").code(), StatusCode::kNotFound);
  EXPECT_EQ(pull("../../etc/passwd").code(), StatusCode::kInvalidArgument);
  const auto all = transfers();
  const Status plain = all->pull("http://" + server().host() + "/a/b:c", {}, {})->wait();
  EXPECT_EQ(plain.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(plain.message().find("plain http"), std::string::npos) << plain.message();
  // Settings do not make it less plain.
  EXPECT_EQ(all->pull("tiny", {}, {})->wait().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(all->pull("http://127.0.0.1:1/a/b", kInsecure, {})->wait().code(), StatusCode::kInternal);
  EXPECT_FALSE(all->is_active());
}

TEST_F(PullTest, HoldsManifestsToTheirFormatAndDigest) {
  server().put_file("manifests/library/broken/latest", "{\"layers\": 3}");
  EXPECT_EQ(pull("broken").code(), StatusCode::kCorrupt);
  const std::string manifest = server().put_model("library/tiny/latest", {"abc"});
  EXPECT_TRUE(pull("tiny@" + digest_of(manifest)).ok());
  EXPECT_EQ(pull("tiny@" + digest_of("another")).code(), StatusCode::kCorrupt);
}

TEST_F(PullTest, ServesAHostNamedWithItsPort) {
  server().put_model("me/tiny/v1", {"abc"});
  const Status status = pull("http://" + server().host() + "/me/tiny:v1");
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_TRUE(std::filesystem::exists(models() + "/manifests/" + server().host() + "/me/tiny/v1"));
}

TEST_F(PullTest, GoesThroughAProxyUnlessToldNotTo) {
  server().put_model("me/tiny/v1", {"abc"});
  // The server does not care which host a request names, so that it can play the proxy.
  ::setenv("http_proxy", server().url().c_str(), 1);
  const Status through = pull("http://registry.invalid/me/tiny:v1");
  ::setenv("no_proxy", "registry.invalid", 1);
  TransferSettings impatient = settings();
  impatient.max_tries = 1;
  const Status direct = pull("http://registry.invalid/me/tiny:v1", impatient);
  ::unsetenv("http_proxy");
  ::unsetenv("no_proxy");
  EXPECT_TRUE(through.ok()) << through.message();
  EXPECT_EQ(direct.code(), StatusCode::kInternal);
}

TEST_F(PullTest, ManyWhoWaitShareOneDownload) {
  const std::string weights = random_bytes(1'000'000, 7);
  server().put_model("library/tiny/latest", {weights});
  server().control({{"rules", {{{"match", "blobs"}, {"fault", "slow"}, {"bytes_per_s", 1'000'000}, {"times", -1}}}}});
  const auto all = transfers();
  std::vector<EventLog> logs(8);
  std::vector<std::shared_ptr<Transfer>> pulls;
  for (EventLog& log : logs)
    pulls.push_back(all->pull("tiny", kInsecure, log.sink()));
  EXPECT_TRUE(all->is_active());
  // Those who leave do not take it away from the others.
  pulls.back()->cancel();
  EXPECT_EQ(pulls.back()->wait().code(), StatusCode::kCancelled);
  for (std::size_t i = 0; i + 1 < pulls.size(); ++i) {
    const Status status = pulls[i]->wait();
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(logs[i].completed(digest_of(weights)), weights.size());
  }
  EXPECT_LE(server().bytes_sent(digest_of(weights)), weights.size() + 1);
  EXPECT_EQ(read_file(blob_path(digest_of(weights))), weights);
}

TEST_F(PullTest, KeepsWithinItsConnections) {
  server().put_model("library/tiny/latest", {random_bytes(900'000, 8), random_bytes(900'000, 9)});
  TransferSettings few = settings();
  few.max_transfer_streams = 1;
  const Status status = pull("tiny", few);
  ASSERT_TRUE(status.ok()) << status.message();
}

TEST_F(PullTest, GoesOnWhereACancelledPullEnded) {
  const std::string weights = random_bytes(2'000'000, 10);
  const std::string digest = digest_of(weights);
  server().put_model("library/tiny/latest", {weights});
  server().control({{"rules", {{{"match", digest}, {"fault", "slow"}, {"bytes_per_s", 400'000}, {"times", -1}}}}});
  const auto all = transfers();
  std::shared_ptr<Transfer> first;
  std::atomic<bool> far_enough{false};
  first = all->pull("tiny", kInsecure, [&](const TransferEvent& event) {
    if (event.digest == digest && event.completed > 300'000) far_enough = true;
  });
  while (!far_enough && !first->done())
    std::this_thread::yield();
  first->cancel();
  EXPECT_EQ(first->wait().code(), StatusCode::kCancelled);
  EXPECT_FALSE(std::filesystem::exists(models() + "/manifests"));
  server().control(Json::object());
  std::vector<std::uint64_t> steps;
  const Status status = all->pull("tiny", kInsecure,
                                  [&](const TransferEvent& event) {
                                    if (event.digest == digest && event.completed > 0) steps.push_back(event.completed);
                                  })
                            ->wait();
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_GE(steps.front(), 300'000U);
  EXPECT_LE(server().bytes_sent(digest), weights.size() - 300'000);
  EXPECT_EQ(read_file(blob_path(digest)), weights);
}

TEST_F(PullTest, ChecksSignaturesWhenItIsToldTo) {
  const std::string manifest = server().put_model("library/tiny/latest", {"abc"});
  const TempDir keys;
  TransferSettings strict = settings();
  strict.trust_path = keys.path("trusted");
  const auto run = [](const std::string& command) { return std::system(command.c_str()); };
  if (run("ssh-keygen -q -t ed25519 -N '' -C '' -f " + keys.path("one") +
          " && ssh-keygen -q -t ed25519 -N '' -C '' -f " + keys.path("two")) != 0) {
    GTEST_SKIP() << "no ssh-keygen to make keys";
  }
  write_file(strict.trust_path, "# who signs\n" + read_file(keys.path("one.pub")));
  EXPECT_NE(pull("tiny", strict).message().find("not signed"), std::string::npos);
  for (const auto& [key, good] : {std::pair("two", false), std::pair("one", true)}) {
    const auto signing = SigningKey::load(keys.path(key));
    ASSERT_TRUE(signing.ok()) << signing.status().message();
    server().put_file("manifests/library/tiny/latest.sig", base64_encode(*signing->sign(manifest)) + "\n");
    const Status status = pull("tiny", strict);
    EXPECT_EQ(status.ok(), good) << status.message();
    EXPECT_EQ(std::filesystem::exists(models() + "/manifests/registry.ollama.ai/library/tiny/latest"), good);
  }
}

class AuthTest : public TransferTest {};

TEST_F(AuthTest, GetsATokenWithASignedRequestThatOpensslVerifies) {
  const TempDir keys;
  if (std::system(("ssh-keygen -q -t ed25519 -N '' -C '' -f " + keys.path("id")).c_str()) != 0 ||
      std::system("openssl version >/dev/null") != 0) {
    GTEST_SKIP() << "no ssh-keygen or openssl";
  }
  server().put_model("library/tiny/latest", {random_bytes(200'000, 11)});
  server().control({{"auth", {{"token", true}, {"key", read_file(keys.path("id.pub"))}}}});
  TransferSettings with_key = settings();
  EXPECT_EQ(pull("tiny", with_key).code(), StatusCode::kInvalidArgument);
  with_key.key_path = keys.path("id");
  const Status status = pull("tiny", with_key);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_LE(server().requests("/token").size(), 3U) << "a token is kept";
}

TEST_F(AuthTest, GetsAnotherTokenWhenOneRunsOut) {
  const std::string weights = random_bytes(1'500'000, 12);
  server().put_model("library/tiny/latest", {weights});
  server().control({{"auth", {{"token", true}, {"uses", 12}}}});
  const Status status = pull("tiny");
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(read_file(blob_path(digest_of(weights))), weights);
}

TEST_F(AuthTest, RefusesATokenServiceElsewhere) {
  server().put_model("library/tiny/latest", {"abc"});
  server().control({{"auth", {{"token", true}, {"realm", "http://localhost:9/token"}}}});
  const Status status = pull("tiny");
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("another host"), std::string::npos) << status.message();
}

TEST_F(AuthTest, NeverShowsCredentialsToAnotherHost) {
  const std::string weights = random_bytes(400'000, 13);
  server().put_model("library/tiny/latest", {weights});
  server().control({{"auth", {{"basic", "me:secret"}}},
                    {"rules", {{{"match", "/blobs/"}, {"server", "main"}, {"fault", "redirect"}, {"times", -1}}}}});
  TransferSettings logged_in = settings();
  logged_in.credentials_path = models_.path("secrets/credentials.json");
  ASSERT_TRUE(CredentialStore(logged_in.credentials_path).set("registry.ollama.ai", "me:secret").ok());
  const Status status = pull("tiny", logged_in);
  ASSERT_TRUE(status.ok()) << status.message();
  int num_elsewhere = 0;
  for (const Json& request : server().requests("/")) {
    const bool elsewhere = request["server"] == "storage";
    num_elsewhere += elsewhere ? 1 : 0;
    EXPECT_EQ(request["headers"].contains("Authorization"), !elsewhere) << request.dump();
  }
  EXPECT_GT(num_elsewhere, 2);
}

class PushTest : public TransferTest {};

TEST_F(PushTest, WhatWasPushedCanBePulled) {
  for (const bool redirect : {false, true}) {
    const std::string weights = random_bytes(700'000, redirect ? 15 : 14);
    const std::string manifest = server().put_model("library/tiny/latest", {weights, ""});
    server().control(Json::object());
    ASSERT_TRUE(pull("tiny").ok());
    std::filesystem::remove_all(server().root("blobs"));
    std::filesystem::remove_all(server().root("manifests"));
    server().control({{"hub", {{"redirect_uploads", redirect}}}});
    EventLog lines;
    const Status pushed = transfers()->push("tiny", kInsecure, lines.sink())->wait();
    ASSERT_TRUE(pushed.ok()) << pushed.message();
    EXPECT_EQ(lines.statuses().front(), "retrieving manifest");
    EXPECT_TRUE(lines.has("pushing " + short_digest(digest_of(weights))));
    EXPECT_TRUE(lines.has("pushing manifest"));
    EXPECT_EQ(lines.statuses().back(), "success");
    EXPECT_EQ(read_file(server().root("manifests/library/tiny/latest")), manifest);
    std::filesystem::remove_all(models());
    ASSERT_TRUE(pull("tiny").ok());
    EXPECT_EQ(read_file(blob_path(digest_of(weights))), weights);
    // What is there is not sent again.
    server().control(Json::object());
    ASSERT_TRUE(transfers()->push("tiny", kInsecure, {})->wait().ok());
    EXPECT_TRUE(server().requests("uploads").empty());
    std::filesystem::remove_all(models());
  }
}

TEST_F(PushTest, TriesAgainAndMountsAndSaysWhatIsMissing) {
  const std::string weights = random_bytes(100'000, 16);
  server().put_model("library/tiny/latest", {weights});
  ASSERT_TRUE(pull("tiny").ok());
  std::filesystem::remove_all(server().root("blobs"));
  server().control({{"rules",
                     {{{"match", "uploads"}, {"method", "PATCH"}, {"fault", "drop"}, {"times", 2}},
                      {{"match", "uploads"}, {"method", "PUT"}, {"fault", "status"}, {"status", 500}, {"times", 1}}}}});
  EventLog lines;
  const Status pushed = transfers()->push("tiny", kInsecure, lines.sink())->wait();
  EXPECT_TRUE(pushed.ok()) << pushed.message();
  EXPECT_EQ(transfers()->push("nothing/here", kInsecure, {})->wait().code(), StatusCode::kNotFound);
  EXPECT_EQ(transfers()->push("hf.co/a/b", kInsecure, {})->wait().code(), StatusCode::kUnsupported);
  server().control({{"rules", {{{"match", "manifests"}, {"method", "PUT"}, {"fault", "status"}, {"status", 403}}}}});
  const Status refused = transfers()->push("tiny", kInsecure, {})->wait();
  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(refused.message().find("log in"), std::string::npos) << refused.message();
}

}  // namespace
}  // namespace mlxr::test
