// Drives a tokenizer for scripts/compare_tokenizers.py: one JSON string a line on stdin, one JSON list of ids a line on
// stdout. With --bench FILE it encodes the file over and over for two seconds and prints MB/s; with --to-json OUT it
// writes the tokenizer as a tokenizer.json.
//
// usage: tokenize_lines MODEL [--pre NAME] [--plain] [--add-special] [--bench FILE] [--to-json OUT]

#include <cstdio>
#include <ctime>
#include <fstream>
#include <iostream>
#include <string>

#include <nlohmann/json.hpp>

#include "core/io/json_file.h"
#include "core/runtime/tokenizer/load_tokenizer.h"
#include "core/runtime/tokenizer/tokenizer_to_json.h"

namespace {

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int fail(const mlxr::Status& status) {
  std::fprintf(stderr, "tokenize_lines: %s\n", status.message().c_str());
  return 1;
}

int bench(const mlxr::Tokenizer& tokenizer, const std::string& path, const mlxr::EncodeOptions& options) {
  const auto text = mlxr::read_text_file(path);
  if (!text.ok()) return fail(text.status());
  std::size_t tokens = 0;
  int rounds = 0;
  const double start = seconds();
  double spent = 0;
  do {
    tokens = tokenizer.encode(*text, options).size();
    ++rounds;
    spent = seconds() - start;
  } while (spent < 2.0);
  std::printf("%.2f MB/s, %zu tokens\n", static_cast<double>(text->size()) * rounds / spent / 1e6, tokens);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string model;
  std::string bench_file;
  std::string json_file;
  mlxr::LoadTokenizerOptions load;
  mlxr::EncodeOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool has_value = i + 1 < argc;
    if (argument == "--plain") {
      options.parse_special = false;
    } else if (argument == "--add-special") {
      options.add_special = true;
    } else if (argument == "--pre" && has_value) {
      load.pre = argv[++i];
    } else if (argument == "--bench" && has_value) {
      bench_file = argv[++i];
    } else if (argument == "--to-json" && has_value) {
      json_file = argv[++i];
    } else {
      model = argument;
    }
  }
  const double start = seconds();
  const auto tokenizer = mlxr::load_tokenizer(model, load);
  if (!tokenizer.ok()) return fail(tokenizer.status());
  std::fprintf(stderr, "loaded in %.0f ms\n", (seconds() - start) * 1e3);
  if (!bench_file.empty()) return bench(**tokenizer, bench_file, options);
  if (!json_file.empty()) {
    const auto written = mlxr::tokenizer_to_json(**tokenizer);
    if (!written.ok()) return fail(written.status());
    std::ofstream(json_file) << written->dump() << '\n';
    return 0;
  }
  for (std::string line; std::getline(std::cin, line);) {
    const auto text = mlxr::parse_json(line, "stdin");
    if (!text.ok()) return fail(text.status());
    if (!text->is_string()) return fail(mlxr::invalid_argument("stdin: not a JSON string"));
    std::cout << nlohmann::json((*tokenizer)->encode(text->get_ref<const std::string&>(), options)).dump() << '\n';
  }
  return 0;
}
