#pragma once
// An engine over a small real model, as tests want it.

#include <gtest/gtest.h>

#include "core/runtime/engine/engine.h"
#include "daemon/scheduler/fair_scheduler.h"
#include "tests/support/paths.h"

namespace mlxr::test {

struct EngineSetup {
  std::string model = fixture("hf/llama");
  EngineOptions engine = {};
  SchedulerOptions scheduler = {};
  bool tokenizer = true;
};

// Keeps prefixes only where the test names a folder.
inline Result<std::unique_ptr<Engine>> start_engine(EngineSetup setup) {
  setup.engine.keep_prefixes = !setup.engine.store_folder.empty();
  MLXR_ASSIGN_OR_RETURN(auto model, LoadedModel::open(setup.model, {.num_threads = 2,
                                                                    .context = setup.engine.context,
                                                                    .own_cache = false,
                                                                    .tokenizer = setup.tokenizer}));
  MLXR_ASSIGN_OR_RETURN(auto scheduler, FairScheduler::create(std::move(setup.scheduler)));
  return Engine::start(std::move(model), std::move(scheduler), setup.engine);
}

// The same, for tests that cannot go on without.
inline std::unique_ptr<Engine> engine_or_die(EngineSetup setup) {
  Result<std::unique_ptr<Engine>> engine = start_engine(std::move(setup));
  if (!engine.ok()) {
    ADD_FAILURE() << engine.status().message();
    std::abort();
  }
  return std::move(engine).value();
}

// Random ids below `vocab`, the same for the same seed.
inline std::vector<TokenId> random_prompt(std::uint64_t seed, std::size_t length, TokenId vocab) {
  std::vector<TokenId> ids(length);
  std::uint64_t state = seed * 0x9E3779B97F4A7C15U + 1;
  for (TokenId& id : ids) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    id = static_cast<TokenId>((state >> 33) % static_cast<std::uint64_t>(vocab));
  }
  return ids;
}

inline CompletedRequest answer(Engine& engine, GenerateRequest request) {
  Result<std::shared_ptr<ResponseStream>> stream = engine.generate(std::move(request));
  EXPECT_TRUE(stream.ok()) << stream.status().message();
  if (!stream.ok()) return {};
  Result<CompletedRequest> done = collect(**stream);
  EXPECT_TRUE(done.ok()) << done.status().message();
  return done.ok() ? std::move(done).value() : CompletedRequest{};
}

}  // namespace mlxr::test
