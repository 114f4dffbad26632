#include "core/backend/step_pool.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

TEST(StepPool, ABufferIsReusedWhenItsLastHandleDies) {
  StepPool pool;
  const float* first = nullptr;
  {
    const Tensor a = pool.alloc({3, 100}, DType::kF32);
    first = a.data<float>();
    const Tensor view = a.reshape({300});
    const Tensor b = pool.alloc({3, 100}, DType::kF32);
    EXPECT_NE(b.data<float>(), first);
  }
  const std::size_t bytes = pool.total_bytes();
  const Tensor c = pool.alloc({300}, DType::kF32);
  EXPECT_EQ(c.data<float>(), first);
  EXPECT_EQ(pool.total_bytes(), bytes);
}

TEST(StepPool, TheSameCallsGiveTheSameBuffers) {
  StepPool pool;
  const auto step = [&] {
    const Tensor x = pool.alloc({2, 64}, DType::kF32);
    const Tensor y = pool.alloc({2, 64}, DType::kF32);
    const Tensor z = pool.alloc({2, 1000}, DType::kF32);
    return std::array{x.data<float>(), y.data<float>(), z.data<float>()};
  };
  const auto first = step();
  EXPECT_EQ(step(), first);
}

TEST(StepPool, SmallerStepsNeedNothingMore) {
  StepPool pool;
  const auto step = [&](std::int64_t rows) {
    const Tensor hidden = pool.alloc({rows, 64}, DType::kF32);
    for (int layer = 0; layer < 2; ++layer) {
      const Tensor wide = pool.alloc({rows, 300}, DType::kF32);
      const Tensor out = pool.alloc({rows, 64}, DType::kF32);
    }
  };
  step(3);
  step(200);
  const std::size_t largest = pool.total_bytes();
  for (const std::int64_t rows : {1, 7, 199, 64, 200, 33})
    step(rows);
  EXPECT_EQ(pool.total_bytes(), largest);
  EXPECT_LE(largest, std::size_t{200} * (64 + 300 + 64) * 4 * 5 / 4 + 1024);  // classes round up by a quarter at most
}

TEST(StepPool, BuffersAreAlignedAndHaveSlack) {
  StepPool pool;
  for (const std::int64_t n : {1, 63, 64, 65, 1000, 4097}) {
    const Tensor t = pool.alloc({n}, DType::kF32);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(t.data<float>()) % 64, 0U) << n;
    EXPECT_GE(t.buffer()->size_bytes(), static_cast<std::size_t>(n) * 4) << n;
    EXPECT_LE(t.buffer()->size_bytes(), std::max<std::size_t>(256, static_cast<std::size_t>(n) * 5 + 64)) << n;
  }
}

TEST(StepPool, TrimKeepsWhatIsInUse) {
  StepPool pool;
  const Tensor kept = pool.alloc({1000}, DType::kF32);
  { const Tensor dropped = pool.alloc({5000}, DType::kF32); }
  pool.trim();
  EXPECT_EQ(pool.total_bytes(), kept.buffer()->size_bytes());
}

TEST(HostBuffer, ZeroedAndRefusingTheImpossible) {
  const auto buffer = HostBuffer::make(100, true);
  ASSERT_NE(buffer, nullptr);
  for (std::size_t i = 0; i < 100; ++i)
    EXPECT_EQ(static_cast<unsigned char*>(buffer->host_data())[i], 0);
  EXPECT_EQ(HostBuffer::make(SIZE_MAX - 8), nullptr);
}

}  // namespace
}  // namespace mlxr
