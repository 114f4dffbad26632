#include "cli/completion_script.h"

#include <CLI/CLI.hpp>
#include <fmt/core.h>

namespace mlxr::cli {
namespace {

struct Choice {
  std::string name;
  std::string help;
};

// One place in the tree: "run", or "keys create".
struct Place {
  std::string path;
  std::vector<Choice> choices;  // subcommands and options
  bool names_models = false;    // its first argument is a model of the daemon
};

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

Place place_of(const CLI::App& app, const std::string& path) {
  Place place{.path = path, .choices = {}};
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!sub->get_name().empty()) place.choices.push_back({sub->get_name(), first_line(sub->get_description())});
  }
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames())
      place.choices.push_back({"--" + name, first_line(option->get_description())});
    const std::string positional = option->get_name(true);
    if (option->get_lnames().empty() && positional == "model") place.names_models = true;
  }
  return place;
}

void collect(const CLI::App& app, const std::string& path, std::vector<Place>& places) {
  places.push_back(place_of(app, path));
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!sub->get_name().empty()) collect(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), places);
  }
}

// In single quotes of a shell.
std::string shell_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text)
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

constexpr const char* kModels = "mlxr list 2>/dev/null | awk 'NR > 1 {print $1}'";

std::string names_of(const Place& place) {
  std::string names;
  for (const Choice& choice : place.choices)
    names += (names.empty() ? "" : " ") + choice.name;
  return names;
}

std::string bash_script(const std::vector<Place>& places) {
  std::string cases;
  for (const Place& place : places) {
    cases += fmt::format("    {}) words={} models={} ;;\n", shell_quoted(place.path), shell_quoted(names_of(place)),
                         place.names_models ? 1 : 0);
  }
  return R"sh(# bash completion of mlxr: source it, or put it into ~/.local/share/bash-completion/completions/mlxr
_mlxr() {
  local word path='' words='' models=0 i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case "$word" in -*) continue ;; esac
    case " $(_mlxr_words "$path") " in
      *" $word "*) path="${path:+$path }$word" ;;
      *) break ;;
    esac
  done
  _mlxr_place "$path"
  word=${COMP_WORDS[COMP_CWORD]}
  if [[ $models == 1 && $word != -* ]]; then
    words=$()sh" +
         std::string(kModels) + R"sh()
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
_mlxr_words() {
  local words models
  _mlxr_place "$1"
  printf '%s' "$words"
}
_mlxr_place() {
  case "$1" in
)sh" + cases +
         R"sh(    *) words='' models=0 ;;
  esac
}
complete -o default -F _mlxr mlxr
)sh";
}

std::string zsh_script(const std::vector<Place>& places) {
  std::string cases;
  for (const Place& place : places) {
    std::string entries;
    for (const Choice& choice : place.choices) {
      std::string name = choice.name;
      entries += " " + shell_quoted(name + ":" + choice.help);
    }
    cases += fmt::format("    {}) entries=({}) models={} ;;\n", shell_quoted(place.path), entries,
                         place.names_models ? 1 : 0);
  }
  return R"sh(#compdef mlxr
# zsh completion of mlxr: put it as _mlxr into a folder of $fpath
_mlxr_place() {
  case "$1" in
)sh" + cases +
         R"sh(    *) entries=() models=0 ;;
  esac
}
_mlxr() {
  local place='' word
  local -a entries names
  local models=0 i
  for ((i = 2; i < CURRENT; i++)); do
    word=${words[i]}
    [[ $word == -* ]] && continue
    _mlxr_place "$place"
    names=("${(@)entries%%:*}")
    (( ${names[(Ie)$word]} )) || break
    place="${place:+$place }$word"
  done
  _mlxr_place "$place"
  if [[ $models == 1 && ${words[CURRENT]} != -* ]]; then
    names=(${(f)"$()sh" +
         std::string(kModels) + R"sh()"})
    compadd -a names
    _files
    return
  fi
  _describe 'mlxr' entries
}
if [[ ${funcstack[1]} == _mlxr ]]; then _mlxr "$@"; else compdef _mlxr mlxr; fi
)sh";
}

std::string fish_script(const std::vector<Place>& places) {
  std::string out = "# fish completion of mlxr: put it into ~/.config/fish/completions/mlxr.fish\n";
  for (const Place& place : places) {
    std::string condition = "__fish_use_subcommand";
    if (!place.path.empty()) {
      condition = "__fish_seen_subcommand_from " + place.path;
      if (const std::size_t space = place.path.find(' '); space != std::string::npos) {
        condition = "__fish_seen_subcommand_from " + place.path.substr(0, space) +
                    "; and __fish_seen_subcommand_from " + place.path.substr(space + 1);
      }
    }
    for (const Choice& choice : place.choices) {
      const bool option = choice.name.starts_with("--");
      out += fmt::format("complete -c mlxr -n {} {} {} -d {}\n", shell_quoted(condition), option ? "-l" : "-f -a",
                         option ? choice.name.substr(2) : choice.name, shell_quoted(choice.help));
    }
    if (place.names_models)
      out += fmt::format("complete -c mlxr -n {} -a {}\n", shell_quoted(condition),
                         shell_quoted("(" + std::string(kModels) + ")"));
  }
  return out;
}

}  // namespace

Result<std::string> completion_script(const CLI::App& root, std::string_view shell) {
  std::vector<Place> places;
  collect(root, "", places);
  if (shell == "bash") return bash_script(places);
  if (shell == "zsh") return zsh_script(places);
  if (shell == "fish") return fish_script(places);
  return invalid_argument(fmt::format("no completion for \"{}\": there are bash, zsh and fish", shell));
}

}  // namespace mlxr::cli
