#pragma once
// Answers of /v1/chat/completions: chunks of a stream and whole ones.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/server/answer_pump.h"
#include "daemon/server/json.h"
#include "daemon/server/openai/call_fields.h"
#include "daemon/server/sse.h"

namespace mlxr::server {

// What all chunks of an answer have in common.
struct OpenAiHead {
  std::string id;  // "chatcmpl-..."
  std::int64_t created = 0;
  std::string model;  // as the request names it
  OpenAiAnswerOptions options = {};
  std::vector<std::string> warnings = {};  // of reading the request
  // The bytes of tokens of the prompt; for prompt_logprobs and echoed log probabilities.
  std::function<std::vector<std::string>(const std::vector<TokenId>& tokens)> pieces = {};
};

inline constexpr const char* kSystemFingerprint = "fp_mlxr";

// stop, length or tool_calls.
const char* openai_finish_reason(const ChoiceFinished& finish);
// vLLM's stop_reason: the stop string, or the token, or null.
Json openai_stop_reason(const ChoiceFinished& finish);
// A warning where finish_reason cannot say it.
void warn_of_finish(const ChoiceFinished& finish, std::vector<std::string>& warnings);
// vLLM's prompt_logprobs: null for the first token, then {token: {logprob, rank, decoded_token}} each.
Json prompt_logprobs_json(const OpenAiHead& head, const CollectedAnswer& answer);

std::unique_ptr<AnswerWriter> chat_stream_writer(OpenAiHead head, int num_choices);
http::Response chat_response(const OpenAiHead& head, const CollectedAnswer& answer);

// Shared by the streams of chat and completions: the comment lines of an idle stream, progress and errors.
class OpenAiStreamWriter : public AnswerWriter {
 public:
  OpenAiStreamWriter(OpenAiHead head, std::string_view object);

  bool over() const override { return over_; }
  void idle(http::Exchange& exchange) override;

 protected:
  // A chunk with these choices (JSON text of an array) and further members (",\"a\":1").
  void chunk(http::Exchange& exchange, std::string_view choices, std::string_view more = {});
  void progress(http::Exchange& exchange, const LoadProgress& event);
  void progress(http::Exchange& exchange, const PrefillProgress& event);
  void started(const AnswerStarted& event);
  void fail(http::Exchange& exchange, const AnswerFailed& failed);
  // The usage chunk, when it was asked for, and the end.
  void finish(http::Exchange& exchange, const Json& usage, const Json& timings);
  // ",\"usage\":..." of a chunk that is not the usage chunk.
  std::string usage_member() const;
  // ",\"timings\":...,\"warnings\":..." of the last chunk.
  std::string last_members(const Json& timings) const;

  OpenAiHead head_;
  SseStream sse_;
  std::int64_t prompt_tokens_ = 0;
  std::int64_t generated_tokens_ = 0;

 private:
  std::string prefix_;  // of each chunk, up to its choices
  bool over_ = false;
};

}  // namespace mlxr::server
