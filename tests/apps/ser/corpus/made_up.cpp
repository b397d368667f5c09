// A corpus that only this file knows: what it costs to add one.

#include <doctest/doctest.h>

#include "apps/ser/common/error.h"
#include "apps/ser/corpus/named_files.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

// Names like anna-joy-3.wav.
CorpusRow made_up_corpus() {
  CorpusRow row;
  row.name = "made_up";
  row.title = "Made-up";
  row.speakers = 4;
  row.about = "in this test only";
  row.label_sets = {
      {.name = "four", .class_counts = {1, 1, 1, 1}, .speaker_counts = {{"anna", 3}}}};
  row.sign = "file is named as in the made-up corpus (anna-joy-3.wav)";
  return with_named_files(
      row, {.pattern = "([a-z]+)-([a-z]+)-([0-9])", .fields = [](const std::smatch& match) {
              return NameFields{.speaker = match[1],
                                .group = match[3],
                                .label = match[2] == "joy" ? "happy" : match[2].str()};
            }});
}

}  // namespace

TEST_CASE("corpus: a made-up one is a row, and is recognised, read, and checked as any other") {
  const TemporaryFolder folder;
  for (const char* name :
       {"anna-joy-1", "anna-sad-1", "bert-angry-2", "cleo-neutral-1", "dora-bored-1", "notes"}) {
    write_tiny_wav(folder / (std::string(name) + ".wav"));
  }
  for (const char* kind : {"auto", "made_up"}) {
    const Corpus corpus = load_corpus({.kind = kind, .root = folder.path()}, {made_up_corpus()});
    CHECK(corpus.kind == "made_up");
    CHECK(corpus.name == "Made-up");
    CHECK(corpus.recordings.size() == 4);
    CHECK(corpus.recordings.front().label_name == "happy");
    CHECK(corpus.session_speakers(0) == std::vector<std::string>{"anna", "bert", "cleo"});
    CHECK(corpus.left_out == std::map<std::string, int>{{"bored", 1}});
    CHECK(corpus.skipped.size() == 1);
    const CorpusCheck check = check_corpus(corpus);
    CHECK(check.total.expected == 4);
    CHECK(check.speakers.front().expected == 3);
    CHECK(check.speakers.front().found == 2);
  }
  const Corpus all = load_corpus({.root = folder.path(), .labels = "all"}, {made_up_corpus()});
  CHECK(all.classes == std::vector<std::string>{"neutral", "angry", "happy", "sad", "bored"});
  CHECK(all.recordings.size() == 5);
  CHECK_THROWS_AS(load_corpus({.root = folder.path()}), InputError);  // without the row
}

TEST_CASE("corpus: a description beats folders, and folders beat file names") {
  const TemporaryFolder folder;
  write_tiny_wav(folder / "anna-joy-1.wav");
  CorpusRow tree = made_up_corpus();
  tree.name = "tree";
  tree.evidence = Evidence::folders;
  tree.find = [](const CorpusPlace& place) { return place.path() + "/."; };
  tree.read = [](const std::string&, const LabelChoice&) -> Corpus {
    throw InputError("tree read");
  };
  const auto refusal = [&](const std::vector<CorpusRow>& rows) {
    return message_of<InputError>([&] { load_corpus({.root = folder.path()}, rows); });
  };
  CHECK(refusal({made_up_corpus(), tree}) == "tree read");
  CHECK(contains(refusal({tree, tree}), "several corpora (tree, tree)"));
  write_text(folder / "manifest.csv", "path,label,speaker\n");
  CHECK(contains(refusal({tree}), "no usable recording"));
}

}  // namespace serenade::ser
