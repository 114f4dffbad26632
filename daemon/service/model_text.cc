#include "daemon/service/model_text.h"

#include <algorithm>
#include <filesystem>

#include <fmt/core.h>

#include "core/io/gguf.h"
#include "core/io/hf_folder.h"
#include "core/io/json_file.h"
#include "core/io/open_weights.h"
#include "core/models/architecture.h"
#include "core/runtime/tokenizer/load_tokenizer.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

bool has_word(std::string text, std::string_view word) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text.find(word) != std::string::npos;
}

FileFacts gguf_facts(const Metadata& metadata) {
  FileFacts facts;
  facts.architecture = std::string(metadata.get_string("general.architecture").value_or(""));
  facts.name = std::string(metadata.get_string("general.name").value_or(""));
  // llama.cpp's numbers: none, mean, first token, last token, rank.
  switch (metadata.get_int(facts.architecture + ".pooling_type").value_or(0)) {
    case 1:
      facts.pooling = Pooling::kMean;
      break;
    case 2:
      facts.pooling = Pooling::kCls;
      break;
    case 3:
      facts.pooling = Pooling::kLast;
      break;
    case 4:
      facts.ranks = true;
      break;
    default:
      break;
  }
  return facts;
}

// sentence-transformers says it in a folder of its own.
FileFacts folder_facts(const HfFolder& folder) {
  FileFacts facts;
  facts.name = fs::path(folder.path()).filename().string();
  const std::string path = folder.file_path("1_Pooling/config.json");
  std::error_code error;
  if (!fs::exists(path, error)) return facts;
  const auto config = read_json_file(path);
  if (!config.ok() || !config->is_object()) return facts;
  const auto is_set = [&](const char* field) {
    const auto found = config->find(field);
    return found != config->end() && *found == true;
  };
  if (is_set("pooling_mode_mean_tokens")) facts.pooling = Pooling::kMean;
  if (is_set("pooling_mode_cls_token")) facts.pooling = Pooling::kCls;
  if (is_set("pooling_mode_lasttoken")) facts.pooling = Pooling::kLast;
  return facts;
}

// The override where it is a template; else the model's own, with a warning.
Status apply_template(const ResolvedModel& resolved, ModelText& text) {
  if (!resolved.chat_template.empty()) {
    auto made = ChatPrompt::from_source(resolved.chat_template, *text.tokenizer);
    if (made.ok()) {
      text.chat = std::make_shared<const ChatPrompt>(std::move(made).value());
    } else if (text.chat == nullptr) {
      return made.status().with_context(fmt::format("the template of \"{}\"", resolved.name));
    } else {
      text.warnings.push_back(fmt::format("the template of \"{}\" is not used but that of its file: {}", resolved.name,
                                          made.status().message()));
    }
  }
  if (text.chat) text.format = chat_format_of(text.chat->source(), text.tokenizer);
  return {};
}

}  // namespace

bool ModelText::has_thinking_switch() const {
  return chat && (chat->mentions("enable_thinking") || chat->mentions("thinking"));
}

bool ModelText::thinks() const {
  return format.reasons() || has_thinking_switch() || (chat && chat->mentions("reasoning_effort"));
}

ModelAbilities ModelText::abilities() const {
  const SpecialTokens& special = tokenizer->special();
  return {.completion = true,
          .chat = chat != nullptr,
          .tools = chat && chat->supports_tools(),
          .thinking = thinks(),
          .insert = special.fim_pre && special.fim_suf && special.fim_mid,
          .embedding = false};
}

Result<ModelText> text_of(const LoadedModel& model, const ResolvedModel& resolved) {
  if (model.tokenizer() == nullptr) return unsupported(fmt::format("\"{}\" has no tokenizer", resolved.name));
  ModelText text;
  text.tokenizer = model.tokenizer();
  // The engine's own, which stays as long as the lease.
  if (model.chat_prompt() != nullptr) text.chat = {std::shared_ptr<const void>(), model.chat_prompt()};
  MLXR_RETURN_IF_ERROR(apply_template(resolved, text));
  return text;
}

FileFacts file_facts(const WeightSource& source, const std::string& path) {
  FileFacts facts;
  if (const auto* folder = dynamic_cast<const HfFolder*>(&source)) facts = folder_facts(*folder);
  if (const auto* file = dynamic_cast<const GgufFile*>(&source)) facts = gguf_facts(file->metadata());
  if (const auto config = read_model_config(source); config.ok()) facts.context_length = config->context_length;
  const std::string file_name = fs::path(path).filename().string();
  facts.ranks = facts.ranks || has_word(facts.name + " " + file_name, "rerank");
  facts.embeds = !facts.ranks && (facts.pooling.has_value() || has_word(facts.architecture, "bert") ||
                                  has_word(facts.name + " " + file_name, "embed"));
  return facts;
}

Result<std::shared_ptr<const TextCache::Entry>> TextCache::open(const std::string& path) {
  std::error_code error;
  const auto changed = fs::last_write_time(path, error).time_since_epoch().count();
  const std::string key = fmt::format("{} {}", path, changed);
  {
    const std::lock_guard lock(mutex_);
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (entry->first != key) continue;
      entries_.splice(entries_.begin(), entries_, entry);
      return entry->second;
    }
  }
  auto made = std::make_shared<Entry>();
  made->path = path;
  MLXR_ASSIGN_OR_RETURN(const auto source, open_weights(path));
  MLXR_ASSIGN_OR_RETURN(auto tokenizer, load_tokenizer(path));
  made->tokenizer = std::move(tokenizer);
  made->facts = file_facts(*source, path);
  Result<ChatPrompt> chat = ChatPrompt::make(*source, *made->tokenizer);
  if (chat.ok()) {
    made->chat = std::make_shared<const ChatPrompt>(std::move(chat).value());
  } else if (chat.status().code() != StatusCode::kNotFound) {
    made->warnings.push_back(chat.status().message());
  }
  const std::lock_guard lock(mutex_);
  entries_.emplace_front(key, made);
  if (entries_.size() > kMaxEntries) entries_.pop_back();
  return std::shared_ptr<const Entry>(made);
}

Result<ModelText> TextCache::text_of(const ResolvedModel& resolved) {
  MLXR_ASSIGN_OR_RETURN(const auto entry, open(resolved.path));
  ModelText text;
  text.owner = entry;
  text.tokenizer = entry->tokenizer.get();
  text.chat = entry->chat;
  text.warnings = entry->warnings;
  MLXR_RETURN_IF_ERROR(apply_template(resolved, text));
  return text;
}

}  // namespace mlxr
