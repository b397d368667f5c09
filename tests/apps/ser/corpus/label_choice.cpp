// What the labels of a corpus count as: sets, choices, maps, and what is refused of them.

#include "apps/ser/corpus/label_choice.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "apps/ser/common/error.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

using Names = std::vector<std::string>;

/// A manifest with one recording of each label, of speakers s0, s1, ..
std::string write_labels(const TemporaryFolder& folder, const Names& labels) {
  std::string csv = "path,label,speaker\n";
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::string name = "sound" + std::to_string(i) + ".wav";
    write_tiny_wav(folder / name);
    csv += name + "," + labels[i] + ",s" + std::to_string(i) + "\n";
  }
  write_text(folder / "manifest.csv", csv);
  return folder / "manifest.csv";
}

const Names kMany = {"neutral", "Boredom", "joy", "sad", "excited", "calm", "boredom", "anger"};

Corpus load(CorpusSpec spec, const Names& labels = kMany) {
  const TemporaryFolder folder;
  spec.root = write_labels(folder, labels);
  return load_corpus(spec);
}

std::string refusal(const CorpusSpec& spec, const Names& labels = kMany) {
  return message_of<InputError>([&] { load(spec, labels); });
}

std::string labels_of(const Corpus& corpus) {
  std::string text;
  for (const Recording& recording : corpus.recordings) {
    CHECK(corpus.classes.at(static_cast<std::size_t>(recording.label)) == recording.label_name);
    text += recording.label_name + " ";
  }
  return text;
}

}  // namespace

TEST_CASE("labels: the four by default, and all that there are when asked for, the four first") {
  const Corpus four = load({});
  CHECK(four.classes == class_names());
  CHECK(labels_of(four) == "neutral happy sad angry ");
  CHECK(four.left_out == std::map<std::string, int>{{"boredom", 2}, {"calm", 1}, {"excited", 1}});
  CHECK(four.found_labels.at("boredom").recordings == 2);
  CHECK(four.found_labels.at("boredom").counts_as.empty());
  CHECK(four.found_labels.at("happy").counts_as == "happy");
  const Corpus all = load({.labels = "all"});
  CHECK(all.classes == Names{"neutral", "angry", "happy", "sad", "boredom", "calm", "excited"});
  CHECK(all.recordings.size() == kMany.size());
  CHECK(all.left_out.empty());
  CHECK(check_corpus(all).total.expected == -1);
  CHECK(load({.labels = "all"}, {"b", "a"}).classes == Names{"a", "b"});
}

TEST_CASE("labels: those that are asked for, in their order") {
  const Corpus corpus = load({.classes = {"sad", "boredom", "neutral"}});
  CHECK(corpus.classes == Names{"sad", "boredom", "neutral"});
  CHECK(labels_of(corpus) == "neutral boredom sad boredom ");
  CHECK(label_names(" sad, not so sad ,b") == Names{"sad", "not so sad", "b"});
  CHECK(label_names("").empty());
}

TEST_CASE("labels: a map merges, renames, adds and leaves out") {
  const char* map = R"({"excited": "happy", "boredom": null})";
  const Corpus four = load({.map = map});
  CHECK(four.classes == class_names());
  CHECK(labels_of(four) == "neutral happy sad happy angry ");
  CHECK(four.notes.empty());
  CHECK(load({.labels = "all", .map = map}).classes ==
        Names{"neutral", "angry", "happy", "sad", "calm"});
  CHECK(load({.map = R"({"sad": null, "calm": "calm"})"}).classes ==
        Names{"neutral", "angry", "happy", "calm"});
  const Corpus two = load({.map = R"({"angry": "bad", "sad": "bad", "neutral": null})"});
  CHECK(two.classes == Names{"bad", "happy"});
  CHECK(labels_of(two) == "happy bad bad ");
  CHECK(labels_of(load({.classes = {"low", "happy"},
                        .map = R"({"boredom": "low", "calm": "low", "sad": "low"})"})) ==
        "low happy low low low ");
}

TEST_CASE("labels: a map's label that no recording has is said, and the classes stay") {
  const Corpus corpus = load({.map = R"({"bordom": "sad"})"});
  REQUIRE(corpus.notes.size() == 1);
  CHECK(contains(corpus.notes[0], "'bordom', which no recording has"));
  CHECK(contains(corpus.notes[0], "boredom 2"));
}

TEST_CASE("labels: what cannot be a choice is refused in one line") {
  const std::string unknown = refusal({.classes = {"sad", "bored"}});
  CHECK(contains(unknown, "no recording has the label 'bored'"));
  CHECK(contains(unknown, "there are angry 1, boredom 2, calm 1, excited 1, happy 1, neutral 1"));
  CHECK(contains(refusal({.map = R"({"sad": null, "happy": null, "angry": null})"}),
                 "only the class neutral"));
  CHECK(contains(refusal({.labels = "all"}, {"a", "a"}), "only the class a"));
  Names many;
  for (int i = 0; i < 101; ++i) many.push_back("text " + std::to_string(i));
  CHECK(contains(refusal({.labels = "all"}, many), "more than 100 classes"));
  // A part of a corpus, for a model that knows more.
  CHECK(load({.classes = {"sad", "bored"}, .complete = false}).recordings.size() == 1);
  const auto names = [](const std::string& text) {
    return message_of<InputError>([&] { label_names(text); });
  };
  CHECK(contains(names("sad"), "at least two"));
  CHECK(contains(names("sad,a,sad"), "sad is named twice"));
  CHECK(contains(names("sad,,a"), "is empty"));
  CHECK(contains(names("a,b,"), "is empty"));
  CHECK(contains(names("a,b\x1b"), "control character"));
}

TEST_CASE("labels: a map is a JSON object of names, in a file or as it stands") {
  const TemporaryFolder folder;
  write_text(folder / "map.json", "{\"excited\":\n  \"happy\", \"b\": null}\n");
  CHECK(label_map_text(folder / "map.json") == R"({"excited":"happy","b":null})");
  CHECK(label_map_text(R"( {"a": "b"})") == R"({"a":"b"})");
  CHECK(label_map_text("").empty());
  const auto refused = [&](const std::string& text) {
    write_text(folder / "map.json", text);
    const std::string said = message_of<InputError>([&] { label_map_text(folder / "map.json"); });
    CHECK(said.starts_with(folder / "map.json"));
    return said;
  };
  CHECK(contains(refused("[1]"), "is a JSON object such as"));
  CHECK(contains(refused("{\"a\": 3}"), "'a' counts as is neither a text nor null"));
  CHECK(contains(refused("{\"a\": \"\"}"), "is empty"));
  CHECK(contains(refused("{\"a\""), "JSON"));
  CHECK_THROWS_AS(label_map_text(folder / "absent.json"), IoError);
}

TEST_CASE("labels: check prints every label that there is and what it counts as") {
  const TemporaryFolder folder;
  const std::string root = write_labels(folder, kMany);
  const CorpusCheck check = check_corpus(load_corpus({.root = root}));
  CHECK(contains(to_text(check), "boredom           2  -"));
  CHECK(contains(to_text(check), "happy             1  happy"));
  const auto json = nlohmann::json::parse(to_json(check));
  CHECK(json["labels"][1]["name"] == "boredom");
  CHECK(json["labels"][1]["recordings"] == 2);
  CHECK(json["labels"][1]["counts_as"].is_null());
  CHECK(json["labels"][4]["counts_as"] == "happy");
}

}  // namespace serenade::ser
