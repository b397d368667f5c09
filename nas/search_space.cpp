#include "nas/search_space.h"

#include <algorithm>
#include <set>

#include "tensor/check.h"
#include "tensor/fnv.h"
#include "tensor/text.h"

namespace serenade {

std::int64_t SearchSpace::size() const {
  check(is_countable(), "search space", "the number of architectures must fit in 63 bits; it does ",
        "not with these ", choices.size(), " choices");
  std::int64_t product = 1;
  for (const Choice& choice : choices) product *= choice.size();
  return product;
}

bool SearchSpace::is_countable() const {
  std::int64_t product = 1;
  for (const Choice& choice : choices) {
    if (choice.size() > 0 && product > INT64_MAX / choice.size()) return false;
    product *= choice.size();
  }
  return true;
}

std::string SearchSpace::hash() const {
  // Separators that no name holds keep {"ab"} and {"a", "b"} apart.
  Fnv fnv;
  const auto feed = [&fnv](const std::string& text) { fnv.add(text.data(), text.size()); };
  for (const Choice& choice : choices) {
    feed(choice.name + '\x1d');
    for (const std::string& candidate : choice.candidates) feed(candidate + '\x1f');
    feed("\x1e");
  }
  return fnv.hex();
}

void SearchSpace::validate() const {
  check(!choices.empty(), "search space", "there must be at least one choice; got none");
  std::set<std::string> earlier = {"input"};
  for (const Choice& choice : choices) {
    check(!choice.name.empty(), "search space", "choices must have names; got an empty one");
    check(!choice.candidates.empty(), "search space",
          "every choice must have a candidate; choice '", choice.name, "' has none");
    std::set<std::string> seen;
    for (const std::string& candidate : choice.candidates) {
      check(!candidate.empty() && seen.insert(candidate).second, "search space",
            "candidates of a choice must differ and not be empty; choice '", choice.name, "' has '",
            candidate, "'", candidate.empty() ? "" : " twice");
    }
    for (const std::string& input : choice.inputs) {
      check(earlier.contains(input), "search space", "choice '", choice.name,
            "' must read earlier choices or 'input'; got '", input, "'");
    }
    check(earlier.insert(choice.name).second, "search space",
          "names of choices must differ, and from 'input'; got '", choice.name, "' again");
  }
}

std::size_t SearchSpace::index_of(const std::string& name) const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (choices[i].name == name) return i;
    names.push_back(choices[i].name);
  }
  check(false, "search space", "no choice is named '", name, "'; the nearest is '",
        nearest_word(name, names), "'");
  return 0;
}

std::int64_t Choice::index_of(const std::string& candidate) const {
  const auto found = std::find(candidates.begin(), candidates.end(), candidate);
  check(found != candidates.end(), "search space", "choice '", name, "' has no candidate '",
        candidate, "'; the nearest is '", nearest_word(candidate, candidates), "'");
  return found - candidates.begin();
}

std::string Choice::row_name(const std::string& candidate) const {
  return kind.empty() ? candidate : kind + "_" + candidate;
}

}  // namespace serenade
