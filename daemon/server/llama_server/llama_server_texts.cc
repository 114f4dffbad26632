// /tokenize, /detokenize and /apply-template: what tokenizers and templates do by themselves.

#include <utility>

#include "core/base/utf8.h"
#include "daemon/server/chat_fields.h"
#include "daemon/server/llama_server/llama_server_errors.h"
#include "daemon/server/llama_server/llama_server_handlers.h"
#include "daemon/service/model_service.h"

namespace mlxr::server {
namespace {

constexpr std::size_t kMaxTokens = 1'000'000;

// Text where it is one, otherwise its bytes.
Json piece_json(const std::string& piece) {
  if (to_valid_utf8(piece) == piece) return piece;
  Json bytes = Json::array();
  for (const char c : piece)
    bytes.push_back(static_cast<unsigned>(static_cast<unsigned char>(c)));
  return bytes;
}

Result<Json> tokenize(ModelService& models, const std::string& model, const std::string& text,
                      const ModelService::TokenizeOptions& options, bool with_pieces) {
  MLXR_ASSIGN_OR_RETURN(const std::vector<TokenId> tokens, models.tokenize(model, text, options));
  if (!with_pieces) return Json{{"tokens", tokens}};
  MLXR_ASSIGN_OR_RETURN(const std::vector<std::string> pieces, models.pieces(model, tokens));
  Json out = Json::array();
  for (std::size_t i = 0; i < tokens.size() && i < pieces.size(); ++i)
    out.push_back({{"id", tokens[i]}, {"piece", piece_json(pieces[i])}});
  return Json{{"tokens", std::move(out)}};
}

void respond(const SharedExchange& exchange, Result<Json> body, const RequestNotes& notes) {
  exchange->respond(body.ok() ? llama_server_answer(std::move(body).value(), notes.warnings)
                              : llama_server_error(to_api_error(body.status())));
}

// `read` takes the fields and gives the work, which is done when nothing is wrong with the request.
template <class Read>
void answer_text(const LlamaServerServices& services, const SharedExchange& exchange, const Read& read) {
  const std::optional<Json> body = llama_server_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  JsonFields fields(*body, "", notes);
  const auto work = read(fields);
  CallOptions options;
  choose_model(services, exchange, fields, options);
  fields.finish();
  if (!notes.ok()) {
    exchange->respond(llama_server_error(*notes.error));
    return;
  }
  respond(exchange, work(*services.common.models, options.model), notes);
}

}  // namespace

void answer_tokenize(const LlamaServerServices& services, const SharedExchange& exchange) {
  answer_text(services, exchange, [](JsonFields& fields) {
    ModelService::TokenizeOptions options;
    std::string content = fields.required_string("content");
    options.add_special = fields.boolean("add_special").value_or(false);
    options.parse_special = fields.boolean("parse_special").value_or(true);
    const bool with_pieces = fields.boolean("with_pieces").value_or(false);
    return [=, content = std::move(content)](ModelService& models, const std::string& model) {
      return tokenize(models, model, content, options, with_pieces);
    };
  });
}

void answer_detokenize(const LlamaServerServices& services, const SharedExchange& exchange) {
  answer_text(services, exchange, [](JsonFields& fields) {
    if (!fields.has("tokens")) fields.invalid("tokens", "is missing");
    std::vector<TokenId> tokens = fields.tokens("tokens", kMaxTokens).value_or(std::vector<TokenId>());
    return [tokens = std::move(tokens)](ModelService& models, const std::string& model) -> Result<Json> {
      MLXR_ASSIGN_OR_RETURN(const std::string text, models.detokenize(model, tokens));
      return Json{{"content", text}};
    };
  });
}

void answer_template(const LlamaServerServices& services, const SharedExchange& exchange) {
  answer_text(services, exchange, [](JsonFields& fields) {
    ChatInput chat;
    read_messages(fields, chat);
    read_tools(fields, chat);
    chat.add_generation_prompt = fields.boolean("add_generation_prompt").value_or(true);
    if (const Json* variables = fields.object("chat_template_kwargs")) chat.template_variables = *variables;
    return [chat = std::move(chat)](ModelService& models, const std::string& model) -> Result<Json> {
      MLXR_ASSIGN_OR_RETURN(const std::string text, models.render(model, chat));
      return Json{{"prompt", text}};
    };
  });
}

}  // namespace mlxr::server
