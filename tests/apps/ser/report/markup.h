#pragma once
// Checks that markup is well formed: every tag closed in order, no attribute twice, '&' and '<'
// only where they mean something. Understands HTML's elements without content and its raw <style>.

#include <cctype>
#include <set>
#include <string>
#include <vector>

#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace detail {

inline bool is_name_letter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == ':';
}

/// "" or what is wrong with a piece of text or an attribute's value.
inline std::string check_text(const std::string& text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '<') return "'<' inside text: " + text.substr(i, 40);
    if (text[i] != '&') continue;
    std::size_t end = i + 1;
    if (end < text.size() && text[end] == '#') ++end;
    while (end < text.size() && is_name_letter(text[end])) ++end;
    if (end == i + 1 || end == text.size() || text[end] != ';') {
      return "bare '&': " + text.substr(i, 40);
    }
  }
  return "";
}

/// Reads name="value" pairs; "" or what is wrong.
inline std::string check_attributes(const std::string& text) {
  std::set<std::string> seen;
  std::size_t i = 0;
  while (true) {
    while (i < text.size() && std::isspace(static_cast<unsigned char>(text[i])) != 0) ++i;
    if (i == text.size()) return "";
    const std::size_t begin = i;
    while (i < text.size() && is_name_letter(text[i])) ++i;
    const std::string name = text.substr(begin, i - begin);
    if (name.empty()) return "attributes: " + text;
    if (!seen.insert(name).second) return "attribute twice: " + text;
    if (i == text.size() || text[i] != '=') continue;  // an attribute without value, as HTML allows
    if (i + 1 >= text.size() || text[i + 1] != '"') return "unquoted attribute: " + text;
    const std::size_t end = text.find('"', i + 2);
    if (end == std::string::npos) return "open quote: " + text;
    const std::string problem = check_text(text.substr(i + 2, end - i - 2));
    if (!problem.empty()) return problem;
    i = end + 1;
  }
}

}  // namespace detail

/// Empty if the markup is well formed, else the first thing that is wrong.
inline std::string markup_problem(const std::string& markup) {
  static const std::set<std::string> kVoid = {"meta", "br", "hr", "img", "link", "col"};
  std::vector<std::string> open;
  std::size_t i = 0;
  while (i < markup.size()) {
    const std::size_t tag = markup.find('<', i);
    std::string problem = detail::check_text(markup.substr(i, tag - i));
    if (!problem.empty()) return problem;
    if (tag == std::string::npos) break;
    if (markup.compare(tag, 4, "<!--") == 0) {
      const std::size_t end = markup.find("-->", tag);
      if (end == std::string::npos) return "open comment";
      i = end + 3;
      continue;
    }
    const std::size_t end = markup.find('>', tag);
    if (end == std::string::npos) return "open tag: " + markup.substr(tag, 40);
    i = end + 1;
    std::string inside = markup.substr(tag + 1, end - tag - 1);
    if (inside.empty()) return "empty tag";
    if (inside[0] == '!' || inside[0] == '?') continue;
    if (inside[0] == '/') {
      if (open.empty() || open.back() != inside.substr(1)) {
        return "</" + inside.substr(1) + "> closes " + (open.empty() ? "nothing" : open.back());
      }
      open.pop_back();
      continue;
    }
    const bool closed = inside.back() == '/';
    if (closed) inside.pop_back();
    std::size_t length = 0;
    while (length < inside.size() && detail::is_name_letter(inside[length])) ++length;
    const std::string name = inside.substr(0, length);
    if (name.empty()) return "tag without name: <" + inside + ">";
    problem = detail::check_attributes(inside.substr(length));
    if (!problem.empty()) return problem;
    if (!closed && kVoid.count(name) == 0) open.push_back(name);
    if (name == "style" && !closed) {
      i = markup.find("</style>", i);
      if (i == std::string::npos) return "open style";
    }
  }
  return open.empty() ? "" : "<" + open.back() + "> is never closed";
}

/// How often a part occurs.
inline int occurrences(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t i = text.find(part); i != std::string::npos; i = text.find(part, i + 1)) ++count;
  return count;
}

}  // namespace serenade::ser
