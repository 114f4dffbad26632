#include "core/runtime/tokenizer/pretokenizer.h"

#include <algorithm>
#include <utility>

#include "core/base/utf8.h"
#include "core/runtime/tokenizer/byte_alphabet.h"
#include "core/runtime/tokenizer/metaspace.h"

namespace mlxr {
namespace {

// A pattern whose search is more than linear sees runs of white space, and of anything else, of at most this length.
constexpr std::size_t kMaxRunBytes = 2048;

using Pieces = PreTokenizer::Pieces;

struct Stretch {
  TextRange range;
  bool match = false;
};

// The stretches of `piece`, matches and gaps in order, with offsets into the whole text.
void find_stretches(std::string_view text, TextRange piece, Regex::Search& search, std::vector<Stretch>& out) {
  search.start(text.substr(piece.begin, piece.end - piece.begin));
  std::size_t done = piece.begin;
  TextRange match;
  while (search.next(match)) {
    const TextRange range{piece.begin + match.begin, piece.begin + match.end};
    if (range.begin > done) out.push_back({{done, range.begin}, false});
    out.push_back({range, true});
    done = range.end;
  }
  if (done < piece.end) out.push_back({{done, piece.end}, false});
}

void append_stretches(std::vector<Stretch>& stretches, const PreTokenizerStep& step, std::vector<TextRange>& out) {
  if (step.invert) {
    for (Stretch& s : stretches)
      s.match = !s.match;
  }
  const auto put = [&](TextRange range) {
    if (range.end > range.begin) out.push_back(range);
  };
  switch (step.behavior) {
    case SplitBehavior::kIsolated:
      for (const Stretch& s : stretches)
        put(s.range);
      return;
    case SplitBehavior::kRemoved:
      for (const Stretch& s : stretches) {
        if (!s.match) put(s.range);
      }
      return;
    case SplitBehavior::kContiguous:
      for (std::size_t i = 0; i < stretches.size();) {
        std::size_t j = i + 1;
        while (j < stretches.size() && stretches[j].match == stretches[i].match)
          ++j;
        put({stretches[i].range.begin, stretches[j - 1].range.end});
        i = j;
      }
      return;
    case SplitBehavior::kMergedWithPrevious:
      for (std::size_t i = 0; i < stretches.size();) {
        const bool joins = !stretches[i].match && i + 1 < stretches.size() && stretches[i + 1].match;
        put({stretches[i].range.begin, stretches[joins ? i + 1 : i].range.end});
        i += joins ? 2 : 1;
      }
      return;
    case SplitBehavior::kMergedWithNext:
      for (std::size_t i = 0; i < stretches.size();) {
        const bool joins = stretches[i].match && i + 1 < stretches.size() && !stretches[i + 1].match;
        put({stretches[i].range.begin, stretches[joins ? i + 1 : i].range.end});
        i += joins ? 2 : 1;
      }
      return;
  }
}

// Cuts `piece` so that no run of white space, or of anything else, is longer than kMaxRunBytes.
void cut_long_runs(std::string_view text, TextRange piece, std::vector<TextRange>& out) {
  if (piece.end - piece.begin <= kMaxRunBytes) {
    out.push_back(piece);
    return;
  }
  std::size_t cut = piece.begin;
  std::size_t run = piece.begin;
  bool run_is_space = false;
  for (std::size_t at = piece.begin; at < piece.end;) {
    const Utf8Char c = decode_utf8(text.substr(at));
    const bool space = is_white_space(c.code_point);
    if (space != run_is_space) {
      run = at;
      run_is_space = space;
    } else if (at - run >= kMaxRunBytes) {
      out.push_back({cut, at});
      cut = at;
      run = at;
    }
    at += c.length;
  }
  out.push_back({cut, piece.end});
}

void split(Pieces& pieces, const PreTokenizerStep& step, Regex::Search& search) {
  std::vector<TextRange> out;
  out.reserve(pieces.text.size() / 4 + 4);
  std::vector<Stretch> stretches;
  std::vector<TextRange> parts;
  for (const TextRange piece : pieces.ranges) {
    parts.clear();
    if (step.regex->linear()) {
      parts.push_back(piece);
    } else {
      cut_long_runs(pieces.text, piece, parts);
    }
    for (const TextRange part : parts) {
      stretches.clear();
      find_stretches(pieces.text, part, search, stretches);
      append_stretches(stretches, step, out);
    }
  }
  pieces.ranges = std::move(out);
}

// Rewrites every piece; `rewrite` appends the new spelling of a piece to the text.
template <class Rewrite>
void rewrite_pieces(Pieces& pieces, const Rewrite& rewrite) {
  std::string text;
  text.reserve(pieces.text.size() + pieces.text.size() / 4 + 8);
  for (TextRange& piece : pieces.ranges) {
    const std::size_t begin = text.size();
    rewrite(std::string_view(pieces.text).substr(piece.begin, piece.end - piece.begin), text);
    piece = {begin, text.size()};
  }
  pieces.text = std::move(text);
}

void add_prefix_space(Pieces& pieces) {
  rewrite_pieces(pieces, [](std::string_view piece, std::string& out) {
    if (!piece.starts_with(' ')) out += ' ';
    out += piece;
  });
}

// Cuts where U+2581 follows another character, or at every U+2581.
void cut_at_metaspace(Pieces& pieces, bool every) {
  const std::string_view text = pieces.text;
  std::vector<TextRange> out;
  for (const TextRange piece : pieces.ranges) {
    std::size_t begin = piece.begin;
    std::size_t at = text.find(kSpaceMark, begin);
    while (at < piece.end) {
      const bool after_space = at >= begin + kSpaceMark.size() && text.substr(at - kSpaceMark.size(), 3) == kSpaceMark;
      if (at > begin && (every || !after_space)) {
        out.push_back({begin, at});
        begin = at;
      }
      at = text.find(kSpaceMark, at + kSpaceMark.size());
    }
    if (piece.end > begin) out.push_back({begin, piece.end});
  }
  pieces.ranges = std::move(out);
}

void apply_metaspace(Pieces& pieces, const PreTokenizerStep& step, bool first) {
  bool may_prepend = step.prepend == PreTokenizerStep::Prepend::kAlways ||
                     (step.prepend == PreTokenizerStep::Prepend::kFirst && first);
  rewrite_pieces(pieces, [&](std::string_view piece, std::string& out) {
    if (may_prepend && !piece.starts_with(' ') && !piece.starts_with(kSpaceMark)) out += kSpaceMark;
    if (step.prepend == PreTokenizerStep::Prepend::kFirst) may_prepend = false;
    for (const char c : piece) {
      if (c == ' ') {
        out += kSpaceMark;
      } else {
        out += c;
      }
    }
  });
  if (step.split) cut_at_metaspace(pieces, true);
}

}  // namespace

PreTokenizer::Scratch::Scratch(const PreTokenizer& pre_tokenizer) {
  for (const PreTokenizerStep& step : pre_tokenizer.steps()) {
    if (step.kind == PreTokenizerStep::Kind::kSplit) searches.emplace_back(*step.regex);
  }
}

Pieces PreTokenizer::apply(std::string text, bool first, Scratch& scratch) const {
  Pieces pieces;
  pieces.text = std::move(text);
  if (!pieces.text.empty()) pieces.ranges.push_back({0, pieces.text.size()});
  std::size_t next_search = 0;
  for (const PreTokenizerStep& step : steps_) {
    switch (step.kind) {
      case PreTokenizerStep::Kind::kSplit:
        split(pieces, step, scratch.searches[next_search++]);
        break;
      case PreTokenizerStep::Kind::kByteAlphabet:
        rewrite_pieces(pieces, [](std::string_view piece, std::string& out) { out += to_byte_alphabet(piece); });
        pieces.in_byte_alphabet = true;
        break;
      case PreTokenizerStep::Kind::kPrefixSpace:
        add_prefix_space(pieces);
        break;
      case PreTokenizerStep::Kind::kMetaspace:
        apply_metaspace(pieces, step, first);
        break;
      case PreTokenizerStep::Kind::kWordStarts:
        cut_at_metaspace(pieces, false);
        break;
    }
  }
  return pieces;
}

}  // namespace mlxr
