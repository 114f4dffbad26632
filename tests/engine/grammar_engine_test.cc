// Constrained answers in the engine: alone and together, with speculation, with jumps over what is forced.

#include <nlohmann/json.hpp>

#include "core/runtime/grammar/grammar.h"
#include "tests/support/engine_testing.h"

namespace mlxr {
namespace {

using test::answer;
using test::engine_or_die;
using test::EngineSetup;

constexpr const char* kSchema = R"({
  "type": "object",
  "properties": {
    "name": {"type": "string", "maxLength": 20},
    "kind": {"enum": ["animal", "vegetable", "mineral"]},
    "legs": {"type": "integer", "minimum": 0, "maximum": 8}
  },
  "required": ["name", "kind", "legs"],
  "additionalProperties": false
})";

std::unique_ptr<Engine> sprout(bool speculate) {
  EngineSetup setup{.model = test::sprout("sprout-28m-q5_k_m.gguf")};
  setup.engine.speculate = speculate;
  if (speculate) setup.engine.draft_path = test::sprout("sprout-draft-3m-q8_0.gguf");
  return engine_or_die(setup);
}

GenerateRequest ask(const Engine& engine, std::shared_ptr<const Grammar> grammar, float temperature,
                    std::uint64_t seed) {
  GenerateRequest request;
  request.prompt = engine.model().tokenizer()->encode("A description of a thing:");
  request.sampling.temperature = temperature;
  request.sampling.seed = seed;
  request.max_tokens = 120;
  request.grammar = std::move(grammar);
  return request;
}

std::shared_ptr<const Grammar> schema() {
  GrammarOptions options;
  options.whitespace = JsonWhitespace::kCompact;
  Result<std::shared_ptr<const Grammar>> grammar = Grammar::from_json_schema(kSchema, options);
  EXPECT_TRUE(grammar.ok()) << grammar.status().message();
  return *grammar;
}

TEST(ConstrainedAnswers, FollowTheirSchema) {
  const auto engine = sprout(true);
  const auto grammar = schema();
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const Choice choice = answer(*engine, ask(*engine, grammar, seed == 0 ? 0.0F : 1.3F, seed)).choices.at(0);
    EXPECT_EQ(choice.finish.reason, FinishReason::kEndOfText) << choice.text;
    const auto document = nlohmann::json::parse(choice.text, nullptr, false);
    ASSERT_TRUE(document.is_object()) << choice.text;
    EXPECT_EQ(document.size(), 3U);
    EXPECT_LE(document["legs"].get<int>(), 8);
  }
}

TEST(ConstrainedAnswers, AreTheSameTogetherAndWithSpeculation) {
  const auto plain = sprout(false);
  const auto fast = sprout(true);
  const auto grammar = schema();
  const auto other = schema();
  std::vector<std::shared_ptr<ResponseStream>> streams;
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    // Every second one is free.
    streams.push_back(*fast->generate(ask(*fast, seed % 2 == 0 ? grammar : nullptr, 1.0F, seed)));
  }
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const Result<CompletedRequest> done = collect(*streams[seed]);
    ASSERT_TRUE(done.ok()) << done.status().message();
    const Choice expected = answer(*plain, ask(*plain, seed % 2 == 0 ? other : nullptr, 1.0F, seed)).choices.at(0);
    EXPECT_EQ(done->choices.at(0).tokens, expected.tokens) << seed;
  }
}

TEST(ConstrainedAnswers, WhatIsForcedTakesNoSteps) {
  const auto engine = sprout(false);
  const std::vector<std::string> choices = {"the only thing that this answer may ever say, word for word"};
  const auto grammar = Grammar::from_choices(choices);
  ASSERT_TRUE(grammar.ok());
  const std::uint64_t before = engine->stats().num_steps;
  const Choice choice = answer(*engine, ask(*engine, *grammar, 1.0F, 1)).choices.at(0);
  EXPECT_EQ(choice.text, choices[0]);
  EXPECT_LT(engine->stats().num_steps - before, choice.tokens.size());
}

}  // namespace
}  // namespace mlxr
