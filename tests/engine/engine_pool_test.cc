// Several models under one memory plan.

#include "core/runtime/engine/engine_pool.h"

#include <thread>

#include "tests/support/engine_testing.h"

namespace mlxr {
namespace {

EngineSpec spec_of(const std::string& model) {
  EngineSpec spec;
  spec.path = test::fixture("hf/" + model);
  spec.model.num_threads = 1;
  spec.engine.context = 128;
  spec.engine.keep_prefixes = false;
  spec.max_step_tokens = 256;
  spec.make_scheduler = []() -> Result<std::unique_ptr<Scheduler>> {
    MLXR_ASSIGN_OR_RETURN(auto made, FairScheduler::create({.max_step_tokens = 256}));
    return std::unique_ptr<Scheduler>(std::move(made));
  };
  return spec;
}

std::uint64_t planned(const std::string& model) {
  const EngineSpec spec = spec_of(model);
  return plan_memory(spec.path, spec.model, spec.engine, spec.max_step_tokens)->total();
}

std::vector<std::string> names(const EnginePool& pool) {
  std::vector<std::string> result;
  for (const LoadedEngineInfo& info : pool.list())
    result.push_back(info.name);
  return result;
}

GenerateRequest short_request() {
  GenerateRequest request;
  request.prompt = {1, 2, 3};
  request.sampling.temperature = 0.0F;
  request.max_tokens = 3;
  request.ignore_end_of_text = true;
  return request;
}

TEST(EnginePool, LoadsOnceForAllWhoAsk) {
  EnginePool pool({.memory_budget = std::uint64_t{1} << 30});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&pool] {
      const auto lease = pool.acquire("llama", spec_of("llama"));
      ASSERT_TRUE(lease.ok()) << lease.status().message();
      EXPECT_EQ(test::answer(**lease, short_request()).choices.at(0).tokens.size(), 3U);
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(names(pool), std::vector<std::string>{"llama"});
  EXPECT_EQ(pool.planned_bytes(), planned("llama"));
}

TEST(EnginePool, MakesRoomByWhatWasUsedLongestAgo) {
  const std::uint64_t one = std::max({planned("llama"), planned("llama-bias"), planned("llama-linear")});
  EnginePool pool({.memory_budget = 2 * one + one / 2});
  ASSERT_TRUE(pool.acquire("a", spec_of("llama")).ok());
  ASSERT_TRUE(pool.acquire("b", spec_of("llama-bias")).ok());
  ASSERT_TRUE(pool.acquire("a", spec_of("llama")).ok());
  ASSERT_TRUE(pool.acquire("c", spec_of("llama-linear")).ok());
  EXPECT_EQ(names(pool), (std::vector<std::string>{"a", "c"}));
  EXPECT_LE(pool.planned_bytes(), pool.memory_budget());
}

TEST(EnginePool, WhatIsUsedOrPinnedStays) {
  const std::uint64_t one = std::max(planned("llama"), planned("llama-bias"));
  EnginePool pool({.memory_budget = one + one / 2});
  {
    const auto lease = pool.acquire("a", spec_of("llama"));
    ASSERT_TRUE(lease.ok());
    const auto refused = pool.acquire("b", spec_of("llama-bias"));
    EXPECT_EQ(refused.status().code(), StatusCode::kResourceExhausted);
    EXPECT_NE(refused.status().message().find("weights"), std::string::npos) << refused.status().message();
  }
  ASSERT_TRUE(pool.pin("a", true).ok());
  EXPECT_FALSE(pool.acquire("b", spec_of("llama-bias")).ok());
  ASSERT_TRUE(pool.pin("a", false).ok());
  EXPECT_TRUE(pool.acquire("b", spec_of("llama-bias")).ok());
  EXPECT_EQ(names(pool), std::vector<std::string>{"b"});
}

TEST(EnginePool, WaitsForRoomWhereItWouldFit) {
  const std::uint64_t one = std::max(planned("llama"), planned("llama-bias"));
  EnginePool pool({.memory_budget = one + one / 2});
  std::optional<EnginePool::Lease> used;
  {
    auto first = pool.acquire("a", spec_of("llama"));
    ASSERT_TRUE(first.ok());
    used.emplace(std::move(first).value());
  }
  std::thread waiting([&pool] {
    EngineSpec patient = spec_of("llama-bias");
    patient.room_wait = std::chrono::minutes(1);
    const auto lease = pool.acquire("b", patient);
    EXPECT_TRUE(lease.ok()) << lease.status().message();
  });
  EXPECT_EQ(names(pool), std::vector<std::string>{"a"});
  used.reset();
  waiting.join();
  EXPECT_EQ(names(pool), std::vector<std::string>{"b"});
}

TEST(EnginePool, UnloadsWhatHasExpiredOrMustGo) {
  EnginePool pool({.memory_budget = std::uint64_t{1} << 30});
  EngineSpec brief = spec_of("llama");
  brief.keep_alive = std::chrono::milliseconds(0);
  EngineSpec lasting = spec_of("llama-bias");
  lasting.keep_alive = std::chrono::milliseconds(-1);
  ASSERT_TRUE(pool.acquire("brief", brief).ok());
  ASSERT_TRUE(pool.acquire("lasting", lasting).ok());
  while (names(pool).size() > 1)
    std::this_thread::yield();
  EXPECT_EQ(names(pool), std::vector<std::string>{"lasting"});
  ASSERT_TRUE(pool.unload("lasting").ok());
  while (!names(pool).empty())
    std::this_thread::yield();
  EXPECT_EQ(pool.unload("lasting").code(), StatusCode::kNotFound);
  EXPECT_EQ(pool.pin("brief", true).code(), StatusCode::kNotFound);
  EXPECT_EQ(pool.planned_bytes(), 0U);
}

TEST(EnginePool, AFailedLoadFailsTheRequestAlone) {
  EnginePool pool({.memory_budget = std::uint64_t{1} << 30});
  EXPECT_FALSE(pool.acquire("none", spec_of("no-such-model")).ok());
  EXPECT_TRUE(pool.list().empty());
  EXPECT_TRUE(pool.acquire("llama", spec_of("llama")).ok());
}

}  // namespace
}  // namespace mlxr
