// Corpora with something wrong: it is left out and listed, or refused with the place; never a
// crash, a hang, or a recording used in part.

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/ser/common/error.h"
#include "apps/ser/corpus/corpus.h"
#include "apps/ser/corpus/path_spelling.h"
#include "tensor/files.h"
#include "tests/apps/ser/common/files.h"
#include "tests/ordinary_user.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

constexpr const char* kHeader = "path,label,speaker\n";

// Four sounds, and a manifest of the rows that name them and of those given.
struct Made {
  TemporaryFolder folder;
  std::string rows = "a.wav,neutral,s1\nb.wav,angry,s2\nc.wav,happy,s3\nd.wav,sad,s4\n";

  Made() {
    for (const char* name : {"a.wav", "b.wav", "c.wav", "d.wav"}) write_tiny_wav(folder / name);
  }
  Corpus load(const std::string& more, const std::string& header = kHeader) const {
    write_text(folder / "m.csv", header + rows + more);
    return load_corpus({.root = folder / "m.csv"});
  }
  // What is wrong with the manifest, after its path.
  std::string refusal(const std::string& more, const std::string& header = kHeader) const {
    const std::string message = message_of<InputError>([&] { load(more, header); });
    CHECK_FALSE(contains(message, "\n"));
    const std::string path = folder / "m.csv";
    return message.starts_with(path) ? message.substr(path.size()) : message;
  }
};

bool any_contains(const std::vector<std::string>& lines, const std::string& part) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return contains(line, part); });
}

void write_float_wav(const std::string& path, const std::vector<float>& samples) {
  const auto number = [](std::uint32_t value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * i & 0xff);
    return text;
  };
  const std::string data(reinterpret_cast<const char*>(samples.data()), samples.size() * 4);
  const auto size = static_cast<std::uint32_t>(data.size());
  write_text(path, "RIFF" + number(size + 36, 4) + "WAVEfmt " + number(16, 4) + number(3, 2) +
                       number(1, 2) + number(16000, 4) + number(64000, 4) + number(4, 2) +
                       number(32, 2) + "data" + number(size, 4) + data);
}

}  // namespace

TEST_CASE("corpus faults: a recording that cannot be decoded is left out and listed") {
  const Made made;
  write_float_wav(made.folder / "nan.wav", {0, std::numeric_limits<float>::quiet_NaN()});
  write_float_wav(made.folder / "integers.wav", {0, 20000, -30000});
  const std::string bytes = read_file(made.folder / "a.wav");
  write_text(made.folder / "cut.wav", bytes.substr(0, bytes.size() / 2));
  fs::create_symlink("loop.wav", made.folder / "loop.wav");
  REQUIRE(mkfifo((made.folder / "pipe.wav").c_str(), 0600) == 0);
  const Corpus corpus = made.load(
      "nan.wav,sad,s1\ncut.wav,sad,s1\nloop.wav,sad,s1\npipe.wav,sad,s1\nabsent.wav,sad,s1\n"
      "integers.wav,sad,s1\nx.wav,,s1\n");
  CHECK(corpus.recordings.size() == 5);
  CHECK(corpus.skipped.size() == 6);
  const auto reason = [&](const std::string& path) {
    for (const SkippedFile& file : corpus.skipped) {
      if (file.path == made.folder / path) return file.reason;
    }
    return std::string();
  };
  CHECK(contains(reason("nan.wav"), "not finite"));
  CHECK(contains(reason("cut.wav"), "promises 1600 frames, and 789 are there"));
  CHECK(contains(reason("loop.wav"), "leads back to itself"));
  CHECK(contains(reason("pipe.wav"), "is a pipe"));
  CHECK(reason("absent.wav") == "listed, but not there");
  CHECK(reason("m.csv:12") == "x.wav: its label is empty");
  const std::vector<std::string> warnings = corpus.warnings();
  CHECK(any_contains(warnings, "Left out, unreadable: " + made.folder / "nan.wav: holds samples"));
  CHECK(any_contains(warnings, "integers.wav: its floats are far beyond 1"));
  const std::string text = to_text(check_corpus(corpus));
  CHECK(contains(text, "Skipped, unreadable: " + made.folder / "nan.wav: holds samples"));
  CHECK(contains(text, "Note: " + made.folder / "integers.wav: its floats"));
}

TEST_CASE("corpus faults: ranges") {
  const std::string header = "path,label,speaker,start,end\n";
  Made ranged;  // sounds of 0.1 s
  ranged.rows =
      "a.wav,neutral,s1,,\nb.wav,angry,s2,,1e18\nc.wav,happy,s3,0.05,999999\n"
      "d.wav,sad,s4,0,0.05\n";
  const Corpus corpus = ranged.load(
      "a.wav,sad,s1,0.1,\nb.wav,sad,s2,0.09999,0.2\nc.wav,sad,s3,1e300,1e301\n", header);
  CHECK(corpus.recordings.size() == 4);
  CHECK(corpus.skipped.size() == 3);
  CHECK(any_contains(corpus.notes, "2 ranges end later than their file"));
  for (const SkippedFile& file : corpus.skipped) {
    CHECK(contains(file.reason, "starts after the end of the file, at 0.1"));
  }
  // What was found usable can be read.
  for (const Recording& recording : corpus.recordings) {
    CHECK(read_audio(recording.path, 16000, recording.range).seconds() ==
          doctest::Approx(recording.seconds));
  }
  for (const char* bad : {"x", "nan", "inf", "-1", "1e999", "0x10", "1 2", "1e"}) {
    CHECK(contains(ranged.refusal(std::string("a.wav,sad,s1,") + bad + ",\n", header),
                   ":6: start must be seconds, 0 or more; got \""));
  }
  CHECK(contains(ranged.refusal("a.wav,sad,s1,\"0,5\",\n", header), "with a point for the comma"));
}

TEST_CASE("corpus faults: names that can be none are refused with their line") {
  const Made made;
  const std::string grouped = "path,label,speaker,group\n";
  CHECK(made.refusal("e.wav,sad,\n") == ":6: speaker is empty");
  CHECK(made.refusal(",sad,s1\n") == ":6: path is empty");
  CHECK(made.refusal("e.wav,sad,\"a\nb\"\n") == ":6: speaker holds a control character");
  CHECK(made.refusal("e.wav,sad,a\x1b[2J\n") == ":6: speaker holds a control character");
  CHECK(made.refusal("\"e\x07.wav\",sad,s1\n") == ":6: path holds a control character");
  CHECK(made.refusal("e.wav,sa\x01,s1\n") == ":6: label holds a control character");
  CHECK(contains(made.refusal("e.wav,sad,\xc4nne\n"), ":6: is not UTF-8: '\\xC4nne'"));
  CHECK(contains(made.refusal("e.wav,sad," + std::string(201, 'x') + "\n"),
                 ":6: speaker has 201 bytes, more than 200"));
  CHECK(contains(made.refusal("e.wav,sad," + std::string(70, '/') + "\n"),
                 ":6: speaker is too long for the name of a folder (210 bytes"));
  CHECK(contains(made.refusal("e.wav," + std::string(201, 'x') + ",s1\n"), ":6: label has 201"));
  CHECK(contains(made.refusal(std::string(1001, 'x') + ",sad,s1\n"), ":6: path has 1001 bytes"));
  CHECK(made.load("").recordings.size() == 4);
  // Unusual ones are names as well.
  const Corpus corpus = made.load("a.wav#,sad,/../../../x\nb.wav#,sad,actor/03\n");
  CHECK(corpus.skipped.size() == 2);
}

TEST_CASE("corpus faults: names of files that are not UTF-8 are left out and shown") {
  const TemporaryFolder folder;
  for (const char* name : {"03a01Fa", "03a01Nc", "08a02Wa", "08b03Tc"}) {
    write_tiny_wav(folder / (std::string(name) + ".wav"));
  }
  write_tiny_wav(folder / "\xe4/08b03Ta.wav");
  const Corpus corpus = load_corpus({.root = folder.path()});
  CHECK(corpus.recordings.size() == 4);
  REQUIRE(corpus.skipped.size() == 1);
  CHECK(corpus.skipped[0].path == folder / "\\xE4/08b03Ta.wav");
  CHECK(contains(corpus.skipped[0].reason, "is not UTF-8"));
  CHECK(contains(to_json(check_corpus(corpus)), "\\\\xE4/08b03Ta.wav"));
}

TEST_CASE("corpus faults: folders behind links are followed, once, and loops end") {
  const TemporaryFolder folder;
  for (const char* name : {"03a01Fa", "03a01Nc", "08a02Wa", "08b03Tc"}) {
    write_tiny_wav(folder / ("elsewhere/" + std::string(name) + ".wav"));
  }
  fs::create_directories(folder / "corpus/sub");
  fs::create_directory_symlink("../elsewhere", folder / "corpus/wav");
  fs::create_directory_symlink("../../elsewhere", folder / "corpus/sub/again");
  fs::create_directory_symlink("..", folder / "corpus/sub/up");
  fs::create_directory_symlink("self", folder / "corpus/self");
  const Corpus corpus = load_corpus({.root = folder / "corpus"});
  CHECK(corpus.recordings.size() == 4);
  CHECK(corpus.skipped.empty());
  CHECK(corpus.notes.empty());
  CHECK(corpus.recordings[0].relative_path == "03a01Fa.wav");
  fs::create_directory_symlink("corpus", folder / "link");
  CHECK(load_corpus({.root = folder / "link"}).recordings.size() == 4);
}

TEST_CASE("corpus faults: broken links, other formats and closed folders are listed") {
  const TemporaryFolder folder;
  for (const char* name : {"03a01Fa", "03a01Nc", "08a02Wa", "08b03Tc"}) {
    write_tiny_wav(folder / (std::string(name) + ".wav"));
  }
  fs::create_symlink("nowhere.wav", folder / "08b03Ta.wav");
  fs::create_symlink("08b03Tb.wav", folder / "08b03Tb.wav");
  write_text(folder / "08b03Td.m4a", std::string("\0\0\0\x20", 4) + "ftypM4A ....");
  write_text(folder / "holiday.aac", "\xff\xf1");
  for (const char* name : {"lost+found", "closed"}) {
    fs::create_directory(folder / name);
    fs::permissions(folder / name, fs::perms::none);
  }
  std::optional<OrdinaryUser> user(folder.path());
  const Corpus corpus = load_corpus({.root = folder.path()});
  CHECK(corpus.recordings.size() == 4);
  std::vector<std::string> lines;
  for (const SkippedFile& file : corpus.skipped) lines.push_back(file.path + ": " + file.reason);
  CHECK(any_contains(lines, "08b03Ta.wav: is a link to a file that is not there"));
  CHECK(any_contains(lines, "08b03Tb.wav: is a link that leads back to itself"));
  CHECK(any_contains(lines, "08b03Td.m4a: is MPEG-4 (AAC, ALAC), which cannot be read; convert"));
  CHECK(any_contains(lines, "holiday.aac: not named as in the corpus EmoDB"));
  if (user->valid()) {
    CHECK(any_contains(lines, "lost+found: permission denied, so its recordings are not seen"));
    CHECK(contains(message_of<IoError>([&] { load_corpus({.root = folder / "closed"}); }),
                   "cannot be opened: Permission denied; check its permissions"));
    CHECK(contains(message_of<IoError>([&] { load_corpus({.root = folder / "closed/x"}); }),
                   "Permission denied; check its permissions"));
  }
  user.reset();
  for (const char* name : {"lost+found", "closed"}) {
    fs::permissions(folder / name, fs::perms::owner_all);  // so that they can be removed
  }
}

TEST_CASE("corpus faults: a recording that may not be opened is left out and listed") {
  const Made made;
  fs::permissions(made.folder / "a.wav", fs::perms::none);
  write_text(made.folder / "m.csv", kHeader + made.rows);
  const OrdinaryUser user(made.folder.path());
  if (!user.valid()) return;
  const Corpus corpus = load_corpus({.root = made.folder / "m.csv"});
  CHECK(corpus.recordings.size() == 3);
  REQUIRE(corpus.skipped.size() == 1);
  CHECK(corpus.skipped[0].reason == "cannot be opened: Permission denied; check its permissions");
  CHECK(any_contains(corpus.warnings(), "a.wav: cannot be opened: Permission denied"));
}

TEST_CASE("corpus faults: a class may be absent") {
  Made made;
  made.rows = "a.wav,neutral,s1\nd.wav,sad,s2\n";
  const Corpus corpus = made.load("");
  CHECK(corpus.recordings.size() == 2);
  REQUIRE(corpus.notes.size() == 1);
  CHECK(contains(corpus.notes[0], "Without a usable recording of the class angry, happy"));
  const auto json = nlohmann::json::parse(to_json(check_corpus(corpus)));
  CHECK(json["classes"][1]["found"] == 0);
}

TEST_CASE("corpus faults: one sound under two names, and for two speakers, is found") {
  const Made made;
  fs::copy_file(made.folder / "a.wav", made.folder / "copy.wav");
  fs::create_symlink("b.wav", made.folder / "link.wav");
  const Corpus corpus =
      made.load("copy.wav,neutral,s1\n./c.wav,happy,s4\nlink.wav,sad,s2\nsub/../d.wav,angry,s1\n");
  using Names = std::vector<std::vector<std::string>>;
  CHECK(corpus.duplicates ==
        Names{{"./c.wav", "c.wav"}, {"a.wav", "copy.wav"}, {"b.wav", "link.wav"}});
  CHECK(corpus.leaks == Names{{"./c.wav", "c.wav"}});
  CHECK(any_contains(corpus.warnings(),
                     "stands for different speakers, so that training hears what "
                     "is tested: ./c.wav, c.wav"));
  CHECK(any_contains(corpus.warnings(), "2 sounds are there twice or more"));
  const CorpusCheck check = check_corpus(corpus);
  CHECK_FALSE(check.ok());
  CHECK(contains(to_text(check), "Same content for different speakers"));
  CHECK(nlohmann::json::parse(to_json(check))["leaks"][0][1] == "c.wav");
}

TEST_CASE("corpus faults: parts of one sound are duplicates where they overlap by half") {
  Made made;
  const std::string header = "path,label,speaker,start,end\n";
  made.rows = "a.wav,neutral,s1,0,0.04\nb.wav,angry,s2,,\nc.wav,happy,s3,,\nd.wav,sad,s4,,\n";
  CHECK(made.load("a.wav,sad,s1,0.04,0.08\na.wav,sad,s2,0.08,\n", header).duplicates.empty());
  CHECK(made.load("a.wav,sad,s1,0.03,0.08\n", header).duplicates.empty());
  const Corpus corpus = made.load("a.wav,sad,s2,0.01,0.05\n", header);
  CHECK(corpus.leaks == std::vector<std::vector<std::string>>{{"a.wav#0-0.04", "a.wav#0.01-0.05"}});
}

TEST_CASE("corpus faults: speakers that differ in spelling only are noted") {
  Made made;
  made.rows = "a.wav,neutral,3\nb.wav,angry,03\nc.wav,happy,Anna\nd.wav,sad,anna\n";
  const Corpus corpus = made.load("");
  REQUIRE(corpus.notes.size() == 2);
  CHECK(contains(corpus.notes[0], "The speakers 03, 3 differ in spelling only"));
  CHECK(contains(corpus.notes[1], "The speakers Anna, anna differ"));
  made.rows = "a.wav,neutral,10\nb.wav,angry,1\nc.wav,happy,a0\nd.wav,sad,a\n";
  CHECK(made.load("").notes.empty());
  made.rows = "a.wav,neutral,a10\nb.wav,angry,a1\nc.wav,happy,100\nd.wav,sad,a01\n";
  CHECK(made.load("").notes.size() == 1);
}

TEST_CASE("corpus faults: paths are found in other spellings") {
  const Made made;
  write_tiny_wav(made.folder / "sub/Zu\xcc\x88rich \xea\xb0\x80.wav");  // decomposed on disk
  write_tiny_wav(made.folder / "caf\xc3\xa9.wav");                      // composed on disk
  const Corpus corpus = made.load(
      "sub\\Z\xc3\xbcrich \xe1\x84\x80\xe1\x85\xa1.wav,sad,s1\ncafe\xcc\x81.wav,sad,s1\n");
  CHECK(corpus.skipped.empty());
  CHECK(corpus.recordings.size() == 6);
  CHECK(std::any_of(corpus.recordings.begin(), corpus.recordings.end(), [](const Recording& r) {
    return r.relative_path == "sub/Zu\xcc\x88rich \xea\xb0\x80.wav";
  }));
  CHECK(decomposed("\xe1\xbb\x86") == "E\xcc\xa3\xcc\x82");  // two marks
  CHECK(decomposed("\xea\xb0\x81") == "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8");
  CHECK(decomposed("\xe3\x81\x8c") == "\xe3\x81\x8b\xe3\x82\x99");
  CHECK(decomposed("plain \xff") == "plain \xff");
  CHECK(decomposed("\xed\x9e\xa4 \xf0\x9f\x98\x80") ==
        "\xed\x9e\xa4 \xf0\x9f\x98\x80");  // after Korean
}

TEST_CASE("corpus faults: of several files that another spelling means, the first is found") {
  // E with two marks, in its three spellings, twice: eight of the nine are there.
  const TemporaryFolder folder;
  const char* spellings[] = {"E\xcc\xa3\xcc\x82", "\xe1\xba\xb8\xcc\x82", "\xe1\xbb\x86"};
  for (const char* first : spellings) {
    for (const char* second : spellings) write_text(folder / (std::string(first) + second), "");
  }
  const std::string asked = std::string(spellings[2]) + spellings[1];
  fs::remove(folder / asked);
  CHECK(SpellingFinder().find(folder / asked) ==
        folder / (std::string(spellings[0]) + spellings[0]));
  // Where a path begins with a name, it is one in the folder that the program was started in.
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  const std::string found = SpellingFinder().find(asked);
  const std::string absent = SpellingFinder().find("absent");
  fs::current_path(before);
  CHECK(found == std::string(spellings[0]) + spellings[0]);
  CHECK(absent == "absent");
}

TEST_CASE("corpus faults: manifests as spreadsheets write them") {
  Made made;
  made.rows = "";
  for (const std::string& text :
       {std::string("path;label;speaker\r\na.wav;neutral;s1\r\nb.wav;angry;s2\r\n"),
        std::string("path\tlabel\tspeaker\ra.wav\tneutral\ts1\rb.wav\tangry\ts2\r"),
        std::string(",path,label,speaker\n0,a.wav,neutral,s1\n1,b.wav,angry,s2\n"),
        std::string("path,label,speaker,\na.wav,neutral,s1,\nb.wav,angry,s2,\n"),
        std::string("Unnamed: 0,path,label,speaker\n0,a.wav,neutral,s1\n1,b.wav,angry,s2\n")}) {
    CAPTURE(text);
    CHECK(made.load("", text).recordings.size() == 2);
  }
  CHECK(contains(made.refusal("", "path,label,speaker\na.wav,sad\n"), ":2: 2 fields where"));
  CHECK(contains(made.refusal("", "path,label,speaker\n"), "has no usable recording"));
}

TEST_CASE("corpus faults: what is no folder and no file is refused, not waited for") {
  const TemporaryFolder folder;
  REQUIRE(mkfifo((folder / "pipe.csv").c_str(), 0600) == 0);
  CHECK(contains(message_of<InputError>([&] { load_corpus({.root = folder / "pipe.csv"}); }),
                 "give the corpus folder or a .csv manifest"));
  CHECK(contains(message_of<InputError>([&] { load_corpus({.root = "/dev/zero"}); }),
                 "give the corpus folder"));
  fs::create_symlink("loop", folder / "loop");
  CHECK_FALSE(
      message_of<std::runtime_error>([&] { load_corpus({.root = folder / "loop"}); }).empty());
}

}  // namespace serenade::ser
