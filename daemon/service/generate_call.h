#pragma once
// What a caller asks of the service, whatever dialect it was said in. A dialect fills one in and refuses what it cannot
// express; the service reports what it does not honour in AnswerEvents' warnings.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/runtime/engine/request.h"
#include "core/runtime/tokenizer/vocabulary.h"

namespace mlxr {

// Values that are absent come from the model (Modelfile parameters, then its authors' defaults), then the dialect.
struct SamplingOverrides {
#define MLXR_SAMPLING_FIELD(type, name) std::optional<type> name = {};
#include "daemon/service/sampling_fields.def"
#undef MLXR_SAMPLING_FIELD
  std::map<std::int32_t, float> logit_bias = {};       // by token
  std::map<std::string, float> logit_bias_texts = {};  // each token of the text
  std::vector<std::string> bad_words = {};
  bool ignore_eos = false;
  std::int64_t min_tokens = 0;

  // What is set here stays; the rest is taken from `lower`.
  void fill_from(const SamplingOverrides& lower);
};

enum class ToolChoice : std::uint8_t { kAuto, kNone, kRequired, kNamed };

// A conversation. Messages are objects as chat templates want them: role (system, user, assistant, tool), content (a
// string), and for an assistant reasoning_content and tool_calls [{id, type, function {name, arguments {...}}}], for a
// tool tool_call_id and name. Images are refused by the dialect until a model can see them.
struct ChatInput {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  nlohmann::ordered_json tools;  // [{type: function, function {name, description, parameters}}]; null: none
  ToolChoice tool_choice = ToolChoice::kAuto;
  std::string tool_name = {};  // of kNamed
  bool parallel_tool_calls = true;
  std::optional<bool> think = {};             // absent: as the model does by itself
  std::string reasoning_effort = {};          // low, medium, high; for templates that take one
  std::int64_t reasoning_budget = -1;         // tokens of reasoning at most; -1: no limit of its own
  nlohmann::ordered_json template_variables;  // further ones (chat_template_kwargs); null: none
  std::string chat_template = {};             // Jinja, instead of the model's
  bool add_generation_prompt = true;
  bool continue_final_message = false;  // the last message is the beginning of the answer
  bool parse_output = true;             // false: reasoning and tool calls stay in the text as the model wrote them
  // Tokens of an earlier prompt and its answer, which the conversation goes on from.
  std::vector<TokenId> earlier_tokens = {};
  // For a model without a chat template the last message's content is the prompt. Otherwise that is an error.
  bool text_without_template = false;
};

struct TextInput {
  std::string text;
  std::optional<std::string> suffix = {};  // fill in the middle: for models with tokens for that
  bool add_special = true;                 // BOS and such, as the model wants them
  bool parse_special = true;               // special tokens that are written out are those tokens
};

struct TokenInput {
  std::vector<TokenId> tokens;
};

// What an answer must look like.
struct Constraint {
  enum class Kind : std::uint8_t { kNone, kJsonObject, kJsonSchema, kGbnf, kRegex, kChoices };
  Kind kind = Kind::kNone;
  std::string source = {};                // schema, grammar or expression as text
  std::vector<std::string> choices = {};  // of kChoices
};

// When a prompt is longer than the context: never silently.
enum class Overflow : std::uint8_t {
  kRefuse,    // kResourceExhausted with both numbers
  kTruncate,  // whole messages go, oldest first, system and last message stay; of texts the beginning. With a warning
};

// Of every kind of call.
struct CallOptions {
  std::string request_id = {};  // unique among the open ones; by it a request is cancelled and traced
  std::string model = {};       // a name of the registry or of the model folders
  std::string dialect = {};     // for logs and metrics: "openai", "ollama", ...
  RequestOrigin origin = {};    // caller_key and cache_salt are set from the caller's key by the server
  // How long the model stays after this; negative: for ever; absent: the setting. 0: goes right after.
  std::optional<std::chrono::milliseconds> keep_alive = {};
  std::optional<std::int64_t> context = {};  // wanted at least; a model that is loaded with less gives a warning
  bool store_prompt = false;                 // the request log may keep texts of this request
};

struct GenerateCall {
  CallOptions options = {};
  std::variant<ChatInput, TextInput, TokenInput> input = TextInput{};
  Overflow overflow = Overflow::kRefuse;

  SamplingOverrides sampling = {};
  SamplingOverrides dialect_defaults = {};  // what this dialect's users expect where nobody says anything
  std::int64_t max_tokens = -1;             // of each choice; -1: until the end or the context is full; 0: none
  std::vector<std::string> stop = {};
  std::vector<TokenId> stop_tokens = {};
  int n = 1;
  int best_of = 0;
  bool logprobs = false;
  int top_logprobs = 0;
  bool prompt_logprobs = false;
  bool echo = false;  // AnswerStarted carries the prompt's text
  Constraint constraint = {};
  bool reuse_prefix = true;
  bool speculate = true;
  bool return_progress = false;  // PrefillProgress events
  bool render_only = false;      // ends with AnswerStarted, which carries the rendered prompt; nothing is generated
};

struct EmbedCall {
  CallOptions options = {};
  std::vector<std::variant<std::string, std::vector<TokenId>>> inputs = {};
  std::optional<Pooling> pooling = {};  // absent: the model's own, else mean
  bool normalize = true;
  std::int64_t dimensions = 0;  // the first ones, normalised again; 0: all
  Overflow overflow = Overflow::kRefuse;
};

struct RerankCall {
  CallOptions options = {};
  std::string query;
  std::vector<std::string> documents;
};

}  // namespace mlxr
