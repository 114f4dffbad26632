// Reasoning and tool calls out of text, whole and in every pair of pieces.

#include "core/runtime/chat_output/output_reader.h"

#include <gtest/gtest.h>

#include "core/runtime/chat_output/call_grammar.h"

namespace mlxr {
namespace {

using Kind = OutputPiece::Kind;

constexpr const char* kHermes = "<tool_call>\n{\\\"name\\\"</tool_call>";
constexpr const char* kHermesThink = "<tool_call></tool_call> <think> </think>";
constexpr const char* kQwenCoder = "<tool_call> <function= <parameter=";
constexpr const char* kGlm = "<tool_call> <arg_key> <arg_value> </think>";
constexpr const char* kMistral = "[TOOL_CALLS]";
constexpr const char* kMistralArgs = "[TOOL_CALLS] [ARGS]";
constexpr const char* kLlama = "{\\\"name\\\": f, \\\"parameters\\\": dictionary of argument name and its value}";

// "text|R:reasoning|C:name|A:{...}|E"
std::string shown(const std::vector<OutputPiece>& pieces) {
  std::string out;
  for (const OutputPiece& piece : pieces) {
    constexpr const char* kMarks[] = {"", "R:", "C:", "A:", "E"};
    if (!out.empty()) out += "|";
    out += kMarks[static_cast<std::size_t>(piece.kind)] + piece.text;
  }
  return out;
}

void merge(std::vector<OutputPiece>& all, std::vector<OutputPiece>& more) {
  for (OutputPiece& piece : more)
    add_piece(all, piece.kind, std::move(piece.text));
  more.clear();
}

std::string read(const char* chat_template, const OutputReaderOptions& options,
                 std::initializer_list<std::string_view> parts) {
  OutputReader reader(chat_format_of(chat_template, nullptr), options);
  std::vector<OutputPiece> all;
  std::vector<OutputPiece> some;
  for (const std::string_view part : parts) {
    reader.push(part, some);
    merge(all, some);
  }
  reader.finish(some);
  merge(all, some);
  return shown(all);
}

struct Case {
  const char* name;
  const char* chat_template;
  bool reasoning_open;
  std::string text;
  std::string expected;
};

std::vector<Case> cases() {
  return {
      {"Plain", "", false, " Hello <think> <tool_call>", " Hello <think> <tool_call>"},
      {"Call", kHermes, false,
       "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, {\"b\": \"}\"}]}}\n</tool_call>",
       "C:f|A:{\"a\": [1, {\"b\": \"}\"}]}|E"},
      {"TextBeforeAndAfter", kHermes, false,
       "Let me see.\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n\nDone.",
       "Let me see.|C:f|A:{}|E|Done."},
      {"TwoCalls", kHermes, false,
       "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": \"g\", \"arguments\": "
       "{\"x\": null}}\n</tool_call>",
       "C:f|A:{}|E|C:g|A:{\"x\": null}|E"},
      {"ArgumentsFirst", kHermes, false, "<tool_call>{\"arguments\": {\"a\": 1}, \"name\": \"f\"}</tool_call>",
       "C:f|A:{\"a\": 1}|E"},
      {"ArgumentsInAString", kHermes, false,
       "<tool_call>{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": 1}\"}</tool_call>", "C:f|A:{\"a\": 1}|E"},
      {"NoArguments", kHermes, false, "<tool_call>{\"name\": \"f\"}</tool_call>", "C:f|A:{}|E"},
      {"Broken", kHermes, false, "<tool_call>\n{\"name\": \"f\", \"arguments\": {oops}}\n</tool_call> end",
       "<tool_call>\n{\"name\": \"f\", \"arguments\": {oops}}\n</tool_call> end"},
      {"Unfinished", kHermes, false, "so <tool_call>\n{\"name\": \"f\", \"argu",
       "so|<tool_call>\n{\"name\": \"f\", \"argu"},
      {"HalfASurrogatePair", kHermes, false,
       "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"\\ud800\"}}</tool_call>",
       "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"\\ud800\"}}</tool_call>"},
      {"Reasoning", kHermesThink, false, "<think>\nWhy?\n</think>\n\nBecause.", "R:Why?|Because."},
      {"ReasoningOpened", kHermesThink, true, "Why?\n</think>\n\nBecause.", "R:Why?|Because."},
      {"ReasoningNotClosed", kHermesThink, true, "Why? <tool_call>", "R:Why? <tool_call>"},
      {"ReasoningThenCall", kHermesThink, false,
       "<think>a</think><tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>", "R:a|C:f|A:{}|E"},
      {"TagInsideOfText", kHermesThink, false, "The <think> tag.", "The <think> tag."},
      {"NoReasoning", kHermesThink, false, "  Hi", "  Hi"},
      {"QwenCoder", kQwenCoder, false,
       "<tool_call>\n<function=f>\n<parameter=code>\nif a < b:\n  x\n</parameter>\n<parameter=n>\n3\n</parameter>\n"
       "</function>\n</tool_call>",
       "C:f|A:{\"code\": \"if a < b:\\n  x\", \"n\": 3}|E"},
      {"QwenCoderNoParameters", kQwenCoder, false, "<tool_call>\n<function=f>\n</function>\n</tool_call>",
       "C:f|A:{}|E"},
      {"Glm", kGlm, false,
       "<think>x</think>\n<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>1</arg_value>\n<arg_key>b</arg_key>\n"
       "<arg_value>two</arg_value>\n</tool_call>",
       "R:x|C:f|A:{\"a\": 1, \"b\": \"two\"}|E"},
      {"Mistral", kMistral, false,
       "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"name\": \"g\", \"arguments\": {}}]",
       "C:f|A:{\"a\": 1}|E|C:g|A:{}|E"},
      {"MistralBrokenAfterOne", kMistral, false, "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {}}, oops",
       "C:f|A:{}|E|, oops"},
      {"MistralArgs", kMistralArgs, false, "Hm [TOOL_CALLS]f[ARGS]{\"a\": 1}[TOOL_CALLS]g[ARGS]{}",
       "Hm|C:f|A:{\"a\": 1}|E|C:g|A:{}|E"},
      {"Llama", kLlama, false, "{\"name\": \"f\", \"parameters\": {\"a\": 1}}", "C:f|A:{\"a\": 1}|E"},
      {"LlamaTwo", kLlama, false, "{\"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"parameters\": {}}",
       "C:f|A:{}|E|C:g|A:{}|E"},
      {"LlamaJsonThatIsNoCall", kLlama, false, " {\"a\": 1} end", " {\"a\": 1}| end"},
      {"LlamaText", kLlama, false, "See {\"name\": \"f\"}", "See {\"name\": \"f\"}"},
  };
}

TEST(OutputReader, ReadsEveryFormatHoweverItIsCut) {
  for (const Case& c : cases()) {
    const OutputReaderOptions options{.reasoning_open = c.reasoning_open, .text_parameters = {{"f", {"code", "b"}}}};
    std::string expected = c.expected;
    // Pieces of the same kind join here.
    const std::string whole = read(c.chat_template, options, {c.text});
    if (c.expected.find("|, oops") == std::string::npos && c.expected.find("so|") == std::string::npos &&
        c.expected.find("| end") == std::string::npos) {
      EXPECT_EQ(whole, expected) << c.name;
    }
    const std::string_view text = c.text;
    for (std::size_t cut = 0; cut <= text.size(); ++cut)
      ASSERT_EQ(read(c.chat_template, options, {text.substr(0, cut), text.substr(cut)}), whole) << c.name << " " << cut;
    OutputReader bytes(chat_format_of(c.chat_template, nullptr), options);
    std::vector<OutputPiece> all;
    std::vector<OutputPiece> some;
    for (const char byte : text) {
      bytes.push(std::string_view(&byte, 1), some);
      merge(all, some);
    }
    bytes.finish(some);
    merge(all, some);
    EXPECT_EQ(shown(all), whole) << c.name;
  }
}

TEST(OutputReader, StreamsArgumentsWhereAGrammarVouchesForThem) {
  OutputReader reader(chat_format_of(kHermes, nullptr), {.stream_calls = true});
  std::vector<OutputPiece> out;
  reader.push("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\"", out);
  EXPECT_EQ(shown(out), "C:f|A:{\"a\"");
  out.clear();
  reader.push(": 1}", out);
  EXPECT_EQ(shown(out), "A:: 1}");
  out.clear();
  reader.push("}\n</tool_call>", out);
  EXPECT_EQ(shown(out), "E");
}

TEST(OutputReader, SaysWhatWasNoCall) {
  OutputReader reader(chat_format_of(kHermes, nullptr), {});
  std::vector<OutputPiece> out;
  reader.push("<tool_call> hello", out);
  reader.finish(out);
  EXPECT_EQ(shown(out), "<tool_call> hello");
  ASSERT_EQ(reader.warnings().size(), 1U);
  EXPECT_NE(reader.warnings()[0].find("part of the text"), std::string::npos);
}

TEST(OutputReader, NeverShowsControlTokens) {
  EXPECT_EQ(read(kHermes, {}, {"a\xFF[12]b\xFF"}), "ab");
}

TEST(ChatFormat, IsFoundByTheTemplate) {
  EXPECT_EQ(chat_format_of(kHermes, nullptr).calls.name, "hermes");
  EXPECT_EQ(chat_format_of(kQwenCoder, nullptr).calls.name, "qwen3_coder");
  EXPECT_EQ(chat_format_of(kGlm, nullptr).calls.name, "glm");
  EXPECT_EQ(chat_format_of(kMistral, nullptr).calls.name, "mistral");
  EXPECT_EQ(chat_format_of(kMistralArgs, nullptr).calls.name, "mistral_args");
  EXPECT_EQ(chat_format_of(kLlama, nullptr).calls.name, "llama3");
  EXPECT_FALSE(chat_format_of("{{ messages }}", nullptr).calls_tools());
  EXPECT_TRUE(prompt_opens_reasoning(kHermesThink, "assistant\n<think>\n"));
  EXPECT_FALSE(prompt_opens_reasoning(kHermesThink, "assistant\n<think>\n\n</think>\n\n"));
}

TEST(AnswerGrammar, IsThereForEveryFormat) {
  const std::vector<ToolSpec> tools{
      {"f", R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"},)"
            R"("c":{"type":"string","enum":["x","y"]}},"required":["a"]})"},
      {"g", ""}};
  for (const char* text : {kHermes, kQwenCoder, kGlm, kMistral, kMistralArgs, kLlama}) {
    const ChatFormat format = chat_format_of(text, nullptr);
    const auto required = answer_grammar(format, {.tools = tools, .calls_required = true});
    ASSERT_TRUE(required.ok()) << text << required.status().message();
    EXPECT_NE(*required, nullptr);
    const auto automatic = answer_grammar(format, {.tools = tools});
    ASSERT_TRUE(automatic.ok()) << text << automatic.status().message();
    EXPECT_EQ(*automatic != nullptr, streams_calls(format.calls));
  }
}

}  // namespace
}  // namespace mlxr
