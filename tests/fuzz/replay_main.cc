// Runs a fuzz target over the files of a corpus folder, and over every truncation and a few byte flips of each, so that
// compilers without libFuzzer keep what fuzzing found.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t kMaxVariants = 64;

void replay(const std::vector<std::uint8_t>& seed) {
  LLVMFuzzerTestOneInput(seed.data(), seed.size());
  const std::size_t step = seed.size() / kMaxVariants + 1;
  for (std::size_t i = 0; i < seed.size(); i += step) {
    // A copy of the exact size lets ASan see a read past the end.
    const std::vector<std::uint8_t> truncated(seed.begin(), seed.begin() + static_cast<std::ptrdiff_t>(i));
    LLVMFuzzerTestOneInput(truncated.data(), truncated.size());
    std::vector<std::uint8_t> flipped = seed;
    flipped[i] ^= 0xff;
    LLVMFuzzerTestOneInput(flipped.data(), flipped.size());
  }
}

}  // namespace

int main(int argc, char** argv) {
  int files = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (!entry.is_regular_file()) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      replay({std::istreambuf_iterator<char>(in), {}});
      ++files;
    }
  }
  std::printf("replayed %d files\n", files);
  return files > 0 ? 0 : 1;
}
