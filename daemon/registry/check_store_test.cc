#include "daemon/registry/check_store.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

#include <gtest/gtest.h>

#include "daemon/registry/create.h"
#include "daemon/registry/database.h"
#include "daemon/registry/store_test_folder.h"
#include "daemon/registry/store_test_models.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

struct OpenStore {
  explicit OpenStore(const StoreTestFolder& folder)
      : database(std::move(Database::open(folder / "registry.db")).value()),
        catalog(
            std::move(Catalog::open(*database, {.models_folder = folder / "models", .include_model_folders = false}))
                .value()) {}

  StoreReport check(const CheckStoreOptions& options = {}) {
    auto report = check_store(*catalog, options);
    EXPECT_TRUE(report.ok()) << report.status().message();
    return *report;
  }
  Status create(const std::string& name, const std::string& system, const ProgressSink& progress = {}) {
    CreateRequest request{.model = name, .files = {{"m.gguf", *catalog->blobs().put(tiny_gguf())}}};
    request.system = system;
    return create_model(*catalog, request, {.num_threads = 1, .progress = progress}).status();
  }

  std::unique_ptr<Database> database;
  std::unique_ptr<Catalog> catalog;
};

std::vector<std::string> faults(const StoreReport& report) {
  std::vector<std::string> names;
  for (const StoreProblem& problem : report.problems)
    names.emplace_back(store_fault_name(problem.fault));
  std::sort(names.begin(), names.end());
  return names;
}

const CheckStoreOptions kRepairNow{.repair = true, .min_age_s = 0};

TEST(CheckStore, ACleanStore) {
  const StoreTestFolder folder;
  OpenStore store(folder);
  EXPECT_TRUE(store.check().clean());
  ASSERT_TRUE(store.create("a", "x").ok());
  const StoreReport report = store.check({.verify = true});
  EXPECT_TRUE(report.clean());
  EXPECT_EQ(report.num_models, 1U);
  EXPECT_EQ(report.num_blobs, 3U);
  EXPECT_FALSE(report.in_use);
}

TEST(CheckStore, EachFaultIsFound) {
  const StoreTestFolder folder;
  OpenStore store(folder);
  ASSERT_TRUE(store.create("a", "system a").ok());
  ASSERT_TRUE(store.create("b", "system b").ok());
  ASSERT_TRUE(store.create("c", "system c").ok());
  ASSERT_EQ(store.catalog->list()->size(), 3U);
  BlobStore& blobs = store.catalog->blobs();
  ASSERT_TRUE(blobs.remove(digest_of("system a")).ok());
  write_test_file(blobs.path(digest_of("system b")), "much longer than before");
  ASSERT_TRUE(blobs.put("garbage").ok());
  write_test_file(blobs.path(digest_of("y")) + "-partial", "half");
  write_test_file(folder / "models/folders/0123/config.json", "{}");
  write_test_file(folder / "foreign.gguf", tiny_gguf("f"));
  ASSERT_TRUE(store.catalog->add_foreign({.name = "f", .path = folder / "foreign.gguf", .source = "file"}).ok());
  fs::remove(folder / "foreign.gguf");
  fs::remove_all(folder / "models/manifests/registry.ollama.ai/library/c");
  StoreReport report = store.check();
  EXPECT_EQ(faults(report), (std::vector<std::string>{"blob of the wrong size", "missing blob", "missing import",
                                                      "partial file", "stale entry", "stale folder",
                                                      "unreferenced blob", "unreferenced blob", "unreferenced blob"}));
  EXPECT_FALSE(report.sound());

  // Repair takes leftovers away, and says what it cannot put right.
  store.check(kRepairNow);
  report = store.check();
  EXPECT_EQ(faults(report), (std::vector<std::string>{"missing blob", "missing blob", "missing import"}));
  ASSERT_TRUE(store.create("a", "system a").ok());
  ASSERT_TRUE(store.create("b", "system b").ok());
  ASSERT_TRUE(store.catalog->remove("f").ok());
  EXPECT_TRUE(store.check({.verify = true}).clean());
}

TEST(CheckStore, WrongBytesAreFoundByReading) {
  const StoreTestFolder folder;
  OpenStore store(folder);
  ASSERT_TRUE(store.create("a", "hello").ok());
  write_test_file(store.catalog->blobs().path(digest_of("hello")), "jello");
  EXPECT_TRUE(store.check().clean());
  EXPECT_EQ(faults(store.check({.verify = true})), std::vector<std::string>{"blob with wrong bytes"});
  EXPECT_EQ(
      check_store(*store.catalog, {.verify = true, .progress = [](std::uint64_t, std::uint64_t) { return false; }})
          .status()
          .code(),
      StatusCode::kCancelled);
}

TEST(CheckStore, ABrokenManifestKeepsEverything) {
  const StoreTestFolder folder;
  OpenStore store(folder);
  ASSERT_TRUE(store.catalog->blobs().put("garbage").ok());
  write_test_file(folder / "models/manifests/registry.ollama.ai/library/x/latest", "[");
  const StoreReport report = store.check(kRepairNow);
  EXPECT_EQ(faults(report), (std::vector<std::string>{"broken manifest", "unreferenced blob"}));
  EXPECT_TRUE(store.catalog->blobs().has(digest_of("garbage")));
}

TEST(CheckStore, LeftoversStayWhileSomebodyWorks) {
  const StoreTestFolder folder;
  OpenStore store(folder);
  const auto lease = store.catalog->blobs().lease();
  ASSERT_TRUE(store.catalog->blobs().put("of a model to come").ok());
  const StoreReport report = store.check(kRepairNow);
  EXPECT_TRUE(report.in_use);
  EXPECT_TRUE(report.sound());
  EXPECT_TRUE(store.catalog->blobs().has(digest_of("of a model to come")));
}

TEST(CheckStore, ModelsComeBackWithoutADatabase) {
  const StoreTestFolder folder;
  {
    OpenStore store(folder);
    ASSERT_TRUE(store.create("a", "x").ok());
    ASSERT_EQ(store.catalog->list()->size(), 1U);
  }
  write_test_file(folder / "registry.db", std::string(4096, 'x'));
  EXPECT_EQ(Database::open(folder / "registry.db").status().code(), StatusCode::kCorrupt);
  ASSERT_TRUE(set_database_aside(folder / "registry.db").ok());
  OpenStore store(folder);
  EXPECT_EQ(store.catalog->list()->size(), 1U);
  EXPECT_TRUE(store.check().clean());
}

// A process of its own does `work` and is killed after `delay`, or kills itself. True when it was done before.
bool run_and_kill(const std::function<void()>& work, std::chrono::microseconds delay) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    ::_exit(0);
  }
  std::this_thread::sleep_for(delay);
  if (delay.count() > 0) ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Whatever was cut short: every model that is listed is whole, and a repair leaves nothing.
void expect_sound(const StoreTestFolder& folder, const std::string& when) {
  OpenStore store(folder);
  const StoreReport report = store.check();
  EXPECT_TRUE(report.sound()) << when << ": " << (report.problems.empty() ? "" : report.problems[0].text);
  EXPECT_FALSE(report.in_use) << when;
  const auto models = store.catalog->list();
  ASSERT_TRUE(models.ok()) << when;
  for (const ModelSummary& model : *models) {
    EXPECT_EQ(model.problem, "") << when;
    EXPECT_TRUE(store.catalog->resolve(model.full_name).ok()) << when;
  }
  store.check(kRepairNow);
  EXPECT_TRUE(store.check({.verify = true}).clean()) << when;
}

TEST(CheckStore, KilledAtEachStatusOfACreation) {
  const StoreTestFolder folder;
  bool done = false;
  int events = 0;
  for (int kill_at = 1; !done; ++kill_at) {
    ASSERT_LT(kill_at, 50);
    done = run_and_kill(
        [&] {
          OpenStore store(folder);
          int count = 0;
          const Status status = store.create("new", "system " + std::to_string(kill_at), [&](const RegistryProgress&) {
            if (++count == kill_at) ::kill(::getpid(), SIGKILL);
            return true;
          });
          ::_exit(status.ok() ? 0 : 1);
        },
        std::chrono::microseconds(0));
    expect_sound(folder, "event " + std::to_string(kill_at));
    events = kill_at;
  }
  EXPECT_GE(events, 5);
}

TEST(CheckStore, KilledAtAnyTimeOfCreationsAndDeletions) {
  const StoreTestFolder folder;
  constexpr int kRuns = 24;
  for (int run = 0; run < kRuns; ++run) {
    run_and_kill(
        [&] {
          OpenStore store(folder);
          for (int i = 0;; ++i) {
            const std::string name = "m" + std::to_string(i % 3);
            if (!store.create(name, std::to_string(run) + " " + std::to_string(i)).ok()) ::_exit(1);
            if (i % 2 == 1 && !store.catalog->remove(name).ok()) ::_exit(1);
            if (!store.catalog->list().ok()) ::_exit(1);
          }
        },
        std::chrono::microseconds(15000 + run * 3700));
    expect_sound(folder, "run " + std::to_string(run));
  }
}

}  // namespace
}  // namespace mlxr
