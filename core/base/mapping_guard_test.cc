#include "core/base/mapping_guard.h"

#include <unistd.h>

#include <csignal>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "core/base/mapped_file.h"

namespace mlxr {
namespace {

std::string make_file(const char* name, std::size_t num_bytes) {
  const std::string path = testing::TempDir() + name + std::to_string(::getpid());
  std::ofstream(path, std::ios::binary) << std::string(num_bytes, 'x');
  return path;
}

// Not what the compiler remembers of it.
std::byte read_again(std::span<const std::byte> bytes, std::size_t index) {
  return static_cast<const volatile std::byte*>(bytes.data())[index];
}

TEST(MappingGuard, AFileThatIsCutShortReadsAsZerosAndIsDamaged) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::string path = make_file("cut", 4 * page);
  const std::string other_path = make_file("whole", 4 * page);
  const auto file = MappedFile::open(path);
  const auto other = MappedFile::open(other_path);
  ASSERT_TRUE(file.ok() && other.ok());
  const std::span<const std::byte> bytes = (*file)->bytes();
  EXPECT_EQ(bytes[3 * page], std::byte{'x'});
  const std::uint64_t before = num_damaged_mappings();
  EXPECT_FALSE(mapping_damaged(bytes));

  ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(page)), 0);
  EXPECT_EQ(read_again(bytes, 3 * page), std::byte{0});
  EXPECT_EQ(num_damaged_mappings(), before + 1);
  EXPECT_TRUE(mapping_damaged(bytes.subspan(2 * page)));
  EXPECT_FALSE(mapping_damaged((*other)->bytes()));
  // What is still there reads as before; another lost page is the same damage.
  EXPECT_EQ(read_again(bytes, 0), std::byte{'x'});
  EXPECT_EQ(read_again(bytes, 2 * page), std::byte{0});
  EXPECT_EQ(num_damaged_mappings(), before + 1);
  ::unlink(path.c_str());
  ::unlink(other_path.c_str());
}

TEST(MappingGuard, PrefaultingADamagedFileEnds) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::string path = make_file("prefault", 8 * page);
  const auto file = MappedFile::open(path);
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(::truncate(path.c_str(), 0), 0);
  prefault((*file)->bytes());
  EXPECT_TRUE(mapping_damaged((*file)->bytes()));
  ::unlink(path.c_str());
}

TEST(MappingGuardDeathTest, OtherBusErrorsEndTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        const std::string path = make_file("other", 1);
        const auto file = MappedFile::open(path);  // installs the handler
        std::raise(SIGBUS);
        std::raise(SIGBUS);
      },
      "");
}

}  // namespace
}  // namespace mlxr
