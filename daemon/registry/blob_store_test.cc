#include "daemon/registry/blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "daemon/registry/file_stamp.h"
#include "daemon/registry/manifest_store.h"
#include "daemon/registry/store_test_folder.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

class BlobStoreTest : public testing::Test {
 protected:
  BlobStoreTest() : store_(std::move(BlobStore::open(folder_ / "models")).value()) {}

  // As if it had been written long ago.
  void age(const std::string& path) {
    const timespec times[2] = {{1'600'000'000, 0}, {1'600'000'000, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }
  BlobStore::Collected collect(std::set<std::string> referenced, const BlobStore::CollectOptions& options = {}) {
    auto result = store_->collect([&]() -> Result<std::set<std::string>> { return referenced; }, options);
    EXPECT_TRUE(result.ok());
    return *result;
  }

  StoreTestFolder folder_;
  std::unique_ptr<BlobStore> store_;
};

TEST_F(BlobStoreTest, PutAndRead) {
  const auto digest = store_->put("hello");
  ASSERT_TRUE(digest.ok());
  EXPECT_EQ(*digest, "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
  EXPECT_EQ(store_->size(*digest), 5U);
  EXPECT_EQ(*store_->read_text(*digest, 100), "hello");
  EXPECT_EQ(store_->read_text(*digest, 4).status().code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(
      fs::exists(folder_ / "models/blobs/sha256-2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"));
  EXPECT_TRUE(store_->verify(*digest).ok());
  EXPECT_EQ(store_->list().size(), 1U);
  EXPECT_TRUE(store_->partials().empty());
  EXPECT_TRUE(store_->remove(*digest).ok());
  EXPECT_EQ(store_->remove(*digest).code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->verify(*digest).code(), StatusCode::kNotFound);
}

TEST_F(BlobStoreTest, WriterChecksAndLeavesNothing) {
  {
    auto writer = store_->create();
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE((*writer)->write("abc").ok());
    EXPECT_EQ(store_->partials().size(), 1U);
    const auto wrong = (*writer)->commit(digest_of("other"));
    EXPECT_EQ(wrong.status().code(), StatusCode::kCorrupt);
    EXPECT_NE(wrong.status().message().find("digest mismatch, expected \"sha256:"), std::string::npos);
  }
  EXPECT_TRUE(store_->partials().empty());
  EXPECT_TRUE(store_->list().empty());
}

TEST_F(BlobStoreTest, VerifyFindsOtherBytes) {
  const std::string digest = *store_->put("hello");
  write_test_file(store_->path(digest), "jello");
  EXPECT_EQ(store_->verify(digest).code(), StatusCode::kCorrupt);
}

TEST_F(BlobStoreTest, AdoptMovesAGoodFileOnly) {
  const std::string file = folder_ / "models/upload";
  write_test_file(file, "data");
  EXPECT_EQ(store_->adopt(file, digest_of("other")).code(), StatusCode::kCorrupt);
  EXPECT_TRUE(fs::exists(file));
  ASSERT_TRUE(store_->adopt(file, digest_of("data")).ok());
  EXPECT_FALSE(fs::exists(file));
  EXPECT_TRUE(store_->has(digest_of("data")));
  write_test_file(file, "more");
  EXPECT_EQ(*store_->add_file(file), digest_of("more"));
  EXPECT_TRUE(fs::exists(file));
}

TEST_F(BlobStoreTest, CollectKeepsWhatIsReferredTo) {
  const std::string kept = *store_->put("kept");
  const std::string garbage = *store_->put("garbage");
  const auto report = collect({kept});
  EXPECT_EQ(report.num_blobs, 1U);
  EXPECT_EQ(report.freed_bytes, 7U);
  EXPECT_TRUE(store_->has(kept));
  EXPECT_FALSE(store_->has(garbage));
}

TEST_F(BlobStoreTest, NothingIsRemovedWhenReferencesAreUnknown) {
  const std::string blob = *store_->put("x");
  const auto result =
      store_->collect([]() -> Result<std::set<std::string>> { return corrupt("a manifest is broken"); }, {});
  EXPECT_EQ(result.status().code(), StatusCode::kCorrupt);
  EXPECT_TRUE(store_->has(blob));
}

TEST_F(BlobStoreTest, ALeaseKeepsNewAndReusedBlobs) {
  const std::string old_garbage = *store_->put("old garbage");
  const std::string reused = *store_->put("reused");
  age(store_->path(old_garbage));
  age(store_->path(reused));
  auto lease = store_->lease();
  ASSERT_TRUE(lease.ok());
  const std::string fresh = *store_->put("fresh");
  EXPECT_TRUE(store_->reuse(reused));
  EXPECT_FALSE(store_->reuse(digest_of("absent")));
  auto report = collect({});
  EXPECT_EQ(report.num_blobs, 1U);
  EXPECT_EQ(report.num_kept, 2U);
  EXPECT_FALSE(store_->has(old_garbage));
  EXPECT_TRUE(store_->has(reused));
  EXPECT_TRUE(store_->has(fresh));
  lease->reset();
  EXPECT_EQ(collect({}).num_blobs, 2U);
}

TEST_F(BlobStoreTest, ALeaseOfADeadProcessCountsNoMore) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto lease = store_->lease();
    const char ok = lease.ok() ? '1' : '0';
    if (::write(ready[1], &ok, 1) != 1) ::_exit(1);
    for (;;)
      ::pause();
  }
  char ok = 0;
  ASSERT_EQ(::read(ready[0], &ok, 1), 1);
  EXPECT_EQ(ok, '1');
  const std::string blob = *store_->put("x");
  EXPECT_EQ(collect({}).num_kept, 1U);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(collect({}).num_blobs, 1U);
  EXPECT_TRUE(fs::is_empty(folder_ / "models/.mlxr-leases"));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(BlobStoreTest, MinimumAgeAndPartials) {
  const std::string young = *store_->put("young");
  const std::string old = *store_->put("old");
  age(store_->path(old));
  const std::string partial = store_->path(digest_of("z")) + "-partial";
  write_test_file(partial, "half");
  EXPECT_EQ(store_->partials().size(), 1U);
  EXPECT_EQ(store_->list().size(), 2U);
  auto report = collect({}, {.min_age_s = 3600, .partials = true});
  EXPECT_EQ(report.num_blobs, 1U);
  EXPECT_EQ(report.num_partials, 0U);
  EXPECT_TRUE(store_->has(young));
  age(partial);
  EXPECT_EQ(collect({}, {.min_age_s = 3600, .partials = true}).num_partials, 1U);
}

TEST(ManifestStoreTest, WriteFindListRemove) {
  const StoreTestFolder folder;
  ManifestStore store(folder / "models");
  EXPECT_TRUE(store.list().empty());
  const ModelName name = *parse_model_name("Me/Model:V1");
  EXPECT_EQ(store.read(name).status().code(), StatusCode::kNotFound);
  const Manifest manifest = make_manifest({std::string(media::kConfig), digest_of("c"), 1}, {});
  ASSERT_TRUE(store.write(name, manifest).ok());
  EXPECT_EQ(read_test_file(folder / "models/manifests/registry.ollama.ai/Me/Model/V1"), manifest.bytes);

  // Another spelling is the same model, and is replaced where it is.
  const ModelName other = *parse_model_name("me/MODEL:v1");
  EXPECT_EQ(store.read(other)->digest, manifest.digest);
  const Manifest second = make_manifest({std::string(media::kConfig), digest_of("d"), 1}, {});
  ASSERT_TRUE(store.write(other, second).ok());
  ASSERT_EQ(store.list().size(), 1U);
  EXPECT_EQ(store.list()[0].name.display(), "Me/Model:V1");
  EXPECT_EQ(store.read(name)->digest, second.digest);

  write_test_file(folder / "models/manifests/registry.ollama.ai/Me/Model/.hidden", "x");
  EXPECT_EQ(store.list().size(), 1U);
  fs::remove(folder / "models/manifests/registry.ollama.ai/Me/Model/.hidden");
  ASSERT_TRUE(store.remove(other).ok());
  EXPECT_FALSE(fs::exists(folder / "models/manifests/registry.ollama.ai"));
  EXPECT_EQ(store.remove(other).code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace mlxr
