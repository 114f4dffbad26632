#pragma once
// Modelfiles: the text from which a model is made. Grammar as Ollama reads it (docs/modelfile of ollama/ollama and its
// parser): lines of NAME VALUE, where NAME is of any case, and VALUE is the rest of the line, or a text between " or
// """ that may go over several lines. There are no escapes. A '#' at the beginning of a line begins a comment.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "daemon/registry/model_record.h"

namespace mlxr {

struct Modelfile {
  std::vector<std::string> from = {};  // a model, a path; more than one for a projector or a split file
  std::vector<std::string> adapters = {};
  std::vector<std::string> drafts = {};
  std::optional<std::string> template_text = {};
  std::optional<std::string> system = {};
  std::vector<std::string> licenses = {};
  ModelParameters parameters = {};
  std::vector<ModelMessage> messages = {};
  std::string renderer = {};
  std::string parser = {};
  std::string requires_version = {};

  bool operator==(const Modelfile&) const = default;
};

inline constexpr std::size_t kMaxModelfileBytes = std::size_t{16} << 20;

// UTF-8 or, with a byte order mark, UTF-16. kInvalidArgument with the line: `line 3: command must be one of "from",
// ...`, `no FROM line`, an unknown parameter or a value of the wrong type.
Result<Modelfile> parse_modelfile(std::string_view bytes);

// Reads back as the same Modelfile. Only a text that holds a line ending in """ and another ending in " cannot be
// written; it comes out cut there.
std::string write_modelfile(const Modelfile& modelfile);

// What `show --modelfile` prints of a model: FROM its file, with a hint at the name.
std::string modelfile_of(const ModelRecord& record);

}  // namespace mlxr
