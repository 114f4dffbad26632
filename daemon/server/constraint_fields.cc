#include "daemon/server/constraint_fields.h"

#include <utility>
#include <vector>

#include <fmt/core.h>

namespace mlxr::server {
namespace {

constexpr std::size_t kMaxChoices = 4096;

// Sets the constraint unless there is one.
class ConstraintSlot {
 public:
  ConstraintSlot(RequestNotes& notes, Constraint& constraint) : notes_(notes), constraint_(constraint) {}

  void put(const std::string& field, Constraint constraint) {
    if (constraint_.kind != Constraint::Kind::kNone) {
      notes_.invalid(field, fmt::format("and field '{}' both say what the answer must look like", field_));
      return;
    }
    field_ = field;
    constraint_ = std::move(constraint);
  }

 private:
  RequestNotes& notes_;
  Constraint& constraint_;
  std::string field_;
};

Constraint constraint_of(Constraint::Kind kind, std::string source) {
  Constraint constraint;
  constraint.kind = kind;
  constraint.source = std::move(source);
  return constraint;
}

// An object, or JSON text of one.
void put_schema(JsonFields& fields, std::string_view name, ConstraintSlot& slot) {
  const Json* schema = fields.any(name);
  if (schema == nullptr) return;
  if (schema->is_string()) {
    const Result<Json> parsed = parse_json_text(schema->get_ref<const std::string&>());
    if (!parsed.ok() || !parsed->is_object()) {
      fields.invalid(name, "must be a JSON schema; it is a string that holds no JSON object");
      return;
    }
  } else if (!schema->is_object()) {
    fields.invalid(name, fmt::format("must be a JSON schema; it is {}", describe_json(*schema)));
    return;
  }
  slot.put(fields.path_of(name), constraint_of(Constraint::Kind::kJsonSchema,
                                               schema->is_string() ? schema->get<std::string>() : json_text(*schema)));
}

void put_text(JsonFields& fields, std::string_view name, Constraint::Kind kind, ConstraintSlot& slot) {
  std::optional<std::string> text = fields.string(name);
  if (!text.has_value() || text->empty()) return;
  slot.put(fields.path_of(name), constraint_of(kind, std::move(*text)));
}

void put_choices(JsonFields& fields, std::string_view name, ConstraintSlot& slot) {
  std::optional<std::vector<std::string>> choices = fields.strings(name, kMaxChoices);
  if (!choices.has_value()) return;
  if (choices->empty()) {
    fields.invalid(name, "has no choices");
    return;
  }
  Constraint constraint;
  constraint.kind = Constraint::Kind::kChoices;
  constraint.choices = std::move(*choices);
  slot.put(fields.path_of(name), std::move(constraint));
}

void put_structured(const Json& value, RequestNotes& notes, ConstraintSlot& slot) {
  static constexpr KnownField kOthers[] = {
      {"structural_tag", FieldTreatment::kRefuse, "tools with tool_choice do what it is for"},
      {"whitespace_pattern", FieldTreatment::kRefuse, "white space between JSON tokens is fixed"},
      {"disable_fallback", FieldTreatment::kSilent, ""},
      {"disable_any_whitespace", FieldTreatment::kWarn, "white space between JSON tokens is fixed"},
      {"disable_additional_properties", FieldTreatment::kRefuse, "say additionalProperties in the schema"},
      {"_backend", FieldTreatment::kSilent, ""},
  };
  JsonFields fields(value, "structured_outputs.", notes);
  put_schema(fields, "json", slot);
  put_text(fields, "regex", Constraint::Kind::kRegex, slot);
  put_choices(fields, "choice", slot);
  put_text(fields, "grammar", Constraint::Kind::kGbnf, slot);
  if (fields.boolean("json_object").value_or(false)) {
    slot.put("structured_outputs.json_object", constraint_of(Constraint::Kind::kJsonObject, {}));
  }
  fields.treat(kOthers);
  fields.finish();
}

}  // namespace

void read_response_format(const Json& format, const std::string& path, RequestNotes& notes, Constraint& constraint) {
  JsonFields fields(format, path + ".", notes);
  if (!fields.has("type")) {
    fields.invalid("type", "is missing");
    return;
  }
  const std::string type = fields.choice("type", {"text", "json_object", "json_schema"}).value_or("");
  ConstraintSlot slot(notes, constraint);
  if (type == "json_object") {
    // llama-server and others take a schema here too.
    if (fields.has("schema")) {
      put_schema(fields, "schema", slot);
    } else {
      slot.put(path, constraint_of(Constraint::Kind::kJsonObject, {}));
    }
  } else if (type == "json_schema") {
    const Json* named = fields.object("json_schema");
    if (named != nullptr) {
      JsonFields inner(*named, path + ".json_schema.", notes);
      inner.string("name");
      inner.string("description");
      inner.boolean("strict");
      if (!inner.has("schema")) inner.invalid("schema", "is missing");
      put_schema(inner, "schema", slot);
      inner.finish();
    } else {
      fields.string("name");
      fields.string("description");
      fields.boolean("strict");
      if (!fields.has("schema")) fields.invalid("schema", "is missing");
      put_schema(fields, "schema", slot);
    }
  }
  fields.finish();
}

void read_constraint(JsonFields& fields, GenerateCall& call) {
  static constexpr KnownField kOthers[] = {
      {"guided_whitespace_pattern", FieldTreatment::kRefuse, "white space between JSON tokens is fixed"},
      {"guided_decoding_backend", FieldTreatment::kSilent, ""},
      {"grammar_lazy", FieldTreatment::kRefuse, "a grammar holds from the first token of the answer"},
      {"grammar_triggers", FieldTreatment::kRefuse, "a grammar holds from the first token of the answer"},
  };
  ConstraintSlot slot(fields.notes(), call.constraint);
  if (const Json* format = fields.any("response_format")) {
    Constraint constraint;
    read_response_format(*format, "response_format", fields.notes(), constraint);
    if (constraint.kind != Constraint::Kind::kNone) slot.put("response_format", std::move(constraint));
  }
  if (const Json* structured = fields.any("structured_outputs")) put_structured(*structured, fields.notes(), slot);
  put_schema(fields, "guided_json", slot);
  put_text(fields, "guided_regex", Constraint::Kind::kRegex, slot);
  put_choices(fields, "guided_choice", slot);
  put_text(fields, "guided_grammar", Constraint::Kind::kGbnf, slot);
  put_schema(fields, "json_schema", slot);
  put_text(fields, "grammar", Constraint::Kind::kGbnf, slot);
  fields.treat(kOthers);
}

}  // namespace mlxr::server
