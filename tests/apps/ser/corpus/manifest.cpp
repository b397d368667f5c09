// Corpora described by a CSV file.

#include <doctest/doctest.h>

#include "apps/ser/common/error.h"
#include "apps/ser/corpus/corpus.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

// Four sounds beside a manifest of the given text; loads it.
Corpus load(const TemporaryFolder& folder, const std::string& text) {
  for (const char* name : {"a.wav", "b, c.wav", "sub/d.wav", "e.wav"}) {
    write_tiny_wav(folder / name);
  }
  write_text(folder / "mine.csv", text);
  return load_corpus({.root = folder / "mine.csv"});
}

std::string refusal(const std::string& text) {
  const TemporaryFolder folder;
  return message_of<InputError>([&] { load(folder, text); });
}

constexpr const char* kRows =
    "a.wav,neutral,s1\n\"b, c.wav\",ANGRY,s2\nsub/d.wav,happy,s3\ne.wav,sad,s4\n";

}  // namespace

TEST_CASE("manifest: paths, labels and speakers") {
  const TemporaryFolder folder;
  const Corpus corpus = load(folder, std::string("path,label,speaker\n") + kRows);
  CHECK(corpus.kind == "manifest");
  CHECK(corpus.name == "mine");
  REQUIRE(corpus.recordings.size() == 4);
  CHECK(corpus.recordings[1].relative_path == "b, c.wav");
  CHECK(corpus.recordings[1].label_name == "angry");
  CHECK(corpus.recordings[3].relative_path == "sub/d.wav");
  CHECK(corpus.session_count() == 2);
  CHECK(corpus.session_speakers(0) == std::vector<std::string>{"s1", "s2"});
  CHECK(check_corpus(corpus).ok());
  CHECK(check_corpus(corpus).total.expected == -1);
}

TEST_CASE("manifest: groups, ranges, quotes, byte order mark, line ends, any order of columns") {
  const TemporaryFolder folder;
  const Corpus corpus = load(folder,
                             "\xef\xbb\xbfSpeaker,path,label,start,end,group\r\n"
                             "\"the \"\"first\"\"\",a.wav,neu,0,0.05,east\r\n"
                             "\"the \"\"first\"\"\",a.wav,anger,0.05,,east\r\n"
                             "\r\n"
                             "two , sub/../e.wav , joy,,,west\r\n"
                             "three,sub/d.wav,sadness,,,east\r\n"
                             "three,e.wav,bored,,,east");
  REQUIRE(corpus.recordings.size() == 4);
  const Recording& first = corpus.recordings[0];
  CHECK(first.speaker == "the \"first\"");
  CHECK(first.seconds == doctest::Approx(0.05));
  CHECK(first.id == "a.wav#0-0.05");
  CHECK(first.range.end == 0.05);
  CHECK(corpus.recordings[1].seconds == doctest::Approx(0.05));
  CHECK(corpus.recordings[1].range.end == -1);
  CHECK(corpus.recordings[2].relative_path == "e.wav");
  CHECK(corpus.session_speakers(0) == std::vector<std::string>{"the \"first\"", "three"});
  CHECK(corpus.session_speakers(1) == std::vector<std::string>{"two"});
  CHECK(corpus.left_out == std::map<std::string, int>{{"bored", 1}});
}

TEST_CASE("manifest: semicolons and tabs, and columns that nobody knows, which are named once") {
  for (const char separator : {';', '\t'}) {
    std::string text =
        "age,text,speaker,label,path,mood\n31,\"ja, so\",s1,sad,a.wav,\n"
        "40,nein,s2,angry,e.wav,x\n";
    // The comma within the quotes is the one that stays.
    for (char& c : text) c = c == ',' ? separator : c;
    text.replace(text.find("\"ja"), 4, "\"ja,");
    const TemporaryFolder folder;
    const Corpus corpus = load(folder, text);
    REQUIRE(corpus.recordings.size() == 2);
    CHECK(corpus.recordings[0].speaker == "s1");
    CHECK(corpus.recordings[1].label_name == "angry");
    REQUIRE(!corpus.notes.empty());
    CHECK(contains(corpus.notes[0], "are not read: \"age\", \"text\", \"mood\"; known are"));
  }
  const TemporaryFolder folder;
  const Corpus wide =
      load(folder, "path,label,speaker,a,b,c,d,e,f,g\na.wav,sad,s1,1,2,3,4,5,6,7\n");
  CHECK(contains(wide.notes[0], "\"d\", \"e\", ..; known"));
}

TEST_CASE("manifest: one group for all, and paths from the root") {
  const TemporaryFolder folder;
  const Corpus corpus = load(folder, "path,label,speaker,group\n" + (folder / "sub/../a.wav") +
                                         ",sad,s1,east\ne.wav,joy,s2,east\n");
  REQUIRE(corpus.recordings.size() == 2);
  CHECK(corpus.recordings[0].relative_path == folder / "a.wav");
  CHECK(corpus.recordings[0].id == folder / "sub/../a.wav");
  CHECK(corpus.recordings[1].relative_path == "e.wav");
  CHECK(corpus.session_count() == 1);
  CHECK(corpus.session_speakers(0) == std::vector<std::string>{"s1", "s2"});
}

TEST_CASE("manifest: found by its name in a folder") {
  const TemporaryFolder folder;
  load(folder, std::string("path,label,speaker\n") + kRows);
  write_text(folder / "manifest.csv", std::string("path,label,speaker\n") + kRows);
  CHECK(load_corpus({.root = folder.path()}).name == "manifest");
}

TEST_CASE("manifest: files that are not there, and ranges after the end, are skipped") {
  const TemporaryFolder folder;
  const Corpus corpus = load(folder, std::string("path,label,speaker,start\n") +
                                         "a.wav,neutral,s1,\n\"b, c.wav\",angry,s2,\n"
                                         "sub/d.wav,happy,s3,\ne.wav,sad,s4,\n"
                                         "absent.wav,sad,s4,\ne.wav,sad,s4,7\n");
  CHECK(corpus.recordings.size() == 4);
  REQUIRE(corpus.skipped.size() == 2);
  CHECK(corpus.skipped[0].why == SkippedFile::Why::missing);
  CHECK(contains(corpus.skipped[1].reason, "after the end"));
}

TEST_CASE("manifest: mistakes are refused with the line they are on") {
  const std::string header = "path,label,speaker\n";
  CHECK(contains(refusal(""), "is empty"));
  CHECK(contains(refusal("a.wav,neutral,s1\n"), ":1: no column \"path\""));
  CHECK(contains(refusal("path,label\na.wav,sad\n"), ":1: no column \"speaker\""));
  CHECK(contains(refusal("path,label,speaker,path\n"), ":1: two columns path"));
  CHECK(contains(refusal(header + kRows + "a.wav,sad\n"), ":6: 2 fields"));
  CHECK(contains(refusal(header + "a.wav,sad,\n"), ":2: speaker is empty"));
  CHECK(contains(refusal(header + "\"a.wav,sad,s1\n"), ":2: a quote is not closed"));
  CHECK(contains(refusal(header + "\"a.wav\"x,sad,s1\n"), ":2: text after"));
  CHECK(contains(refusal(header + kRows + "a.wav,neutral,s1\n"), ":6: a.wav is listed twice"));
  CHECK(contains(refusal(header + "a.wav,bored,s1\n"), "no usable recording"));
  const std::string ranged = "path,label,speaker,start,end\n";
  CHECK(contains(refusal(ranged + "a.wav,sad,s1,x,2\n"), ":2: start must be seconds"));
  CHECK(contains(refusal(ranged + "a.wav,sad,s1,nan,2\n"), ":2: start must be seconds"));
  CHECK(contains(refusal(ranged + "a.wav,sad,s1,-1,2\n"), ":2: start must be seconds"));
  CHECK(contains(refusal(ranged + "a.wav,sad,s1,3,2\n"), ":2: end must be later"));
  const std::string grouped = "path,label,speaker,group\n";
  CHECK(contains(refusal(grouped + "a.wav,sad,s1,x\ne.wav,sad,s1,y\n"), ":3: speaker s1 is in"));
  CHECK(contains(refusal(grouped + "a.wav,sad,s1,x\ne.wav,sad,s2,\n"), "some rows have a group"));
}

}  // namespace serenade::ser
