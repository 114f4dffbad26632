// A request's body (behind a byte that says of which route): reading it ends with a call or an error, whose text is one
// line.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "daemon/server/anthropic/messages_request.h"
#include "daemon/server/openai/chat_request.h"
#include "daemon/server/openai/completion_request.h"
#include "daemon/server/openai/responses_request.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const mlxr::Result<mlxr::server::Json> body = mlxr::server::parse_json_text(text);
  if (!body.ok()) return 0;
  mlxr::server::RequestNotes notes;
  switch (data[0] % 4) {
    case 0:
      mlxr::server::read_chat_request(*body, notes);
      break;
    case 1:
      mlxr::server::read_completion_request(*body, notes);
      break;
    case 2: {
      auto request = mlxr::server::read_responses_request(*body, notes);
      if (notes.ok()) mlxr::server::read_conversation(request, {}, notes);
      break;
    }
    default:
      mlxr::server::read_messages_request(*body, {}, notes);
      break;
  }
  if (notes.error.has_value() && notes.error->message.find('\n') != std::string::npos) std::abort();
  return 0;
}
