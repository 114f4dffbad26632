// What models may write, in every known format: whole and in pieces it reads the same, calls have JSON arguments, and
// nothing is lost that was no mark.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/check.h"
#include "core/base/utf8.h"
#include "core/runtime/chat_output/output_reader.h"

namespace {

using mlxr::OutputPiece;

constexpr const char* kTemplates[] = {
    "<tool_call></tool_call> <think> </think>",       "<tool_call> <function= <parameter= </think>",
    "<tool_call> <arg_key> <arg_value> </think>",     "[TOOL_CALLS]",
    "[TOOL_CALLS] [ARGS] [THINK] [/THINK]",           "\"parameters\": dictionary of argument name </think>",
    "<｜tool▁calls▁begin｜> <｜tool▁sep｜> </think>", "<|tool_call|> <|/tool_call|>",
};

std::vector<OutputPiece> read(const mlxr::ChatFormat& format, const mlxr::OutputReaderOptions& options,
                              std::string_view text, std::size_t piece_bytes) {
  mlxr::OutputReader reader(format, options);
  std::vector<OutputPiece> all;
  std::vector<OutputPiece> some;
  const auto take = [&] {
    for (OutputPiece& piece : some)
      mlxr::add_piece(all, piece.kind, std::move(piece.text));
    some.clear();
  };
  for (std::size_t at = 0; at < text.size(); at += piece_bytes) {
    reader.push(text.substr(at, piece_bytes), some);
    take();
  }
  reader.finish(some);
  take();
  return all;
}

bool same(const std::vector<OutputPiece>& a, const std::vector<OutputPiece>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].kind != b[i].kind || a[i].text != b[i].text) return false;
  }
  return true;
}

void check_calls(const std::vector<OutputPiece>& pieces, bool valid_text) {
  std::string arguments;
  bool open = false;
  for (const OutputPiece& piece : pieces) {
    if (piece.kind == OutputPiece::Kind::kCall) {
      MLXR_CHECK(!open && !piece.text.empty(), "a call has a name and begins behind the one before");
      open = true;
      arguments.clear();
    } else if (piece.kind == OutputPiece::Kind::kArguments) {
      MLXR_CHECK(open, "arguments belong to a call");
      arguments += piece.text;
    } else if (piece.kind == OutputPiece::Kind::kCallEnd) {
      MLXR_CHECK(open, "a call ends once");
      open = false;
      if (valid_text) MLXR_CHECK(nlohmann::json::accept(arguments), "arguments are JSON");
    }
  }
  MLXR_CHECK(!open, "a call that is shown is complete");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const mlxr::ChatFormat format = mlxr::chat_format_of(kTemplates[data[0] % std::size(kTemplates)], nullptr);
  const mlxr::OutputReaderOptions options{
      .reasoning_open = (data[1] & 1) != 0, .stream_calls = (data[1] & 2) != 0, .text_parameters = {{"f", {"a"}}}};
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto whole = read(format, options, text, text.size() + 1);
  if (!options.stream_calls) check_calls(whole, mlxr::is_valid_utf8(text));
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{3}, std::size_t{7}})
    MLXR_CHECK(same(whole, read(format, options, text, bytes)), "the cuts of a text do not show");
  return 0;
}
