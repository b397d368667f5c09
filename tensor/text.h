#pragma once
// What every layer needs of text: words out of a list, with a message that helps, and XML.

#include <cstddef>
#include <string>
#include <vector>

namespace serenade {

/// The word that takes the fewest single-letter changes (Levenshtein distance) to become `word`;
/// the first of several, empty if `known` is empty. Only the first 100 letters count. For messages.
std::string nearest_word(const std::string& word, const std::vector<std::string>& known);

/// The index of `word` in `known`. Throws std::invalid_argument otherwise, in one line:
/// "`what` must be one of a, b; got 'x'; did you mean 'a'?".
std::size_t find_word(const std::string& what, const std::string& word,
                      const std::vector<std::string>& known);

/// "a, b, c" with the separator ", ".
std::string join(const std::vector<std::string>& words, const std::string& separator);

/// Characters that a UTF-8 text takes on a terminal, counting one for each code point.
int display_width(const std::string& text);

/// Escapes & < > " ' for XML and HTML and drops control characters that XML forbids.
std::string escape_xml(const std::string& text);

}  // namespace serenade
