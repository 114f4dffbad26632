// Facts as the database keeps them.

#include <nlohmann/json.hpp>

#include "daemon/registry/model_facts.h"

namespace mlxr {
namespace {

using nlohmann::json;

std::string dump(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

json details_object(const ModelDetails& details) {
  return {{"format", details.format},
          {"family", details.family},
          {"families", details.families},
          {"parameter_size", details.parameter_size},
          {"num_parameters", details.num_parameters},
          {"quantization_level", details.quantization_level},
          {"context_length", details.context_length},
          {"embedding_length", details.embedding_length},
          {"parent_model", details.parent_model}};
}

// Throws what json throws.
void read_details(const json& object, ModelDetails& details) {
  object.at("format").get_to(details.format);
  object.at("family").get_to(details.family);
  object.at("families").get_to(details.families);
  object.at("parameter_size").get_to(details.parameter_size);
  object.at("num_parameters").get_to(details.num_parameters);
  object.at("quantization_level").get_to(details.quantization_level);
  object.at("context_length").get_to(details.context_length);
  object.at("embedding_length").get_to(details.embedding_length);
  object.at("parent_model").get_to(details.parent_model);
}

// Runs `read` on the document; false when anything is not as written.
template <class Read>
bool read_json(const std::string& text, Read read) {
  try {
    read(json::parse(text));
    return true;
  } catch (const json::exception&) {
    return false;
  }
}

}  // namespace

std::string details_to_json(const ModelDetails& details, const std::vector<std::string>& capabilities) {
  return dump({{"details", details_object(details)}, {"capabilities", capabilities}});
}

void details_from_json(const std::string& text, ModelDetails& details, std::vector<std::string>& capabilities) {
  const bool read = read_json(text, [&](const json& document) {
    read_details(document.at("details"), details);
    document.at("capabilities").get_to(capabilities);
  });
  if (read) return;
  details = {};
  capabilities.clear();
}

std::string facts_to_json(const ModelFacts& facts) {
  return dump({{"details", details_object(facts.details)},
               {"capabilities", facts.capabilities},
               {"chat_template", facts.chat_template},
               {"license", facts.license},
               {"warnings", facts.warnings}});
}

bool facts_from_json(const std::string& text, ModelFacts& facts) {
  return read_json(text, [&](const json& document) {
    read_details(document.at("details"), facts.details);
    document.at("capabilities").get_to(facts.capabilities);
    document.at("chat_template").get_to(facts.chat_template);
    document.at("license").get_to(facts.license);
    document.at("warnings").get_to(facts.warnings);
  });
}

std::string files_to_json(const std::vector<ModelFile>& files) {
  json list = json::array();
  for (const ModelFile& file : files)
    list.push_back({file.path, file.size_bytes, file.modified_ns});
  return dump(list);
}

std::vector<ModelFile> files_from_json(const std::string& text) {
  std::vector<ModelFile> files;
  const bool read = read_json(text, [&](const json& document) {
    for (const json& entry : document) {
      files.push_back(
          {entry.at(0).get<std::string>(), entry.at(1).get<std::uint64_t>(), entry.at(2).get<std::int64_t>()});
    }
  });
  if (!read) files.clear();
  return files;
}

}  // namespace mlxr
