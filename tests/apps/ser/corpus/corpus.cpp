// Corpora: fixture trees of the right names around tiny sounds, and EmoDB itself where it is there.

#include "apps/ser/corpus/corpus.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/ser/common/error.h"
#include "apps/ser/corpus/demo_corpus.h"
#include "tests/apps/ser/common/files.h"
#include "tests/ordinary_user.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

struct Turn {
  std::string id;
  std::string label;
};

// One dialogue of IEMOCAP: its label file, with all that surrounds labels, and its sounds.
void write_dialogue(const std::string& root, const std::string& session, const std::string& name,
                    const std::vector<Turn>& turns) {
  std::string text = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n";
  for (const Turn& turn : turns) {
    text += "[6.2901 - 8.2357]\t" + turn.id + "\t" + turn.label + "\t[2.5000, 2.5000, 2.5000]\r\n";
    text += "C-E2:\tNeutral;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n\n";
    write_tiny_wav(root + "/" + session + "/sentences/wav/" + name + "/" + turn.id + ".wav");
  }
  write_text(root + "/" + session + "/dialog/EmoEvaluation/" + name + ".txt", text);
}

// Every trap of the real tree in one small one.
void write_iemocap(const std::string& root) {
  write_dialogue(root, "Session1", "Ses01F_impro01",
                 {{"Ses01F_impro01_F000", "neu"},
                  {"Ses01F_impro01_M000", "ang"},  // spoken by Ses01M in the woman's dialogue
                  {"Ses01F_impro01_M001", "hap"},
                  {"Ses01F_impro01_F001", "exc"},
                  {"Ses01F_impro01_F002", "xxx"},
                  {"Ses01F_impro01_F003", "fru"}});
  write_dialogue(root, "Session1", "Ses01M_script01_1",
                 {{"Ses01M_script01_1_F000", "sad"}, {"Ses01M_script01_1_M000", "exc"}});
  write_dialogue(root, "Session3", "Ses03M_impro05a",
                 {{"Ses03M_impro05a_F000", "sad"}, {"Ses03M_impro05a_M012", "neu"}});
  write_dialogue(root, "Session3", "Ses03M_impro08b", {{"Ses03M_impro08b_M003", "sad"}});
  write_dialogue(root, "Session5", "Ses05M_script01_1b",
                 {{"Ses05M_script01_1b_F001", "ang"}, {"Ses05M_script01_1b_FXX0", "neu"}});
  write_dialogue(root, "Session5", "Ses05F_impro02",
                 {{"Ses05F_impro02_F000", "hap"}, {"Ses05F_impro02_MXX1", "ang"}});
  // Single annotators, AppleDouble stubs and hidden files are not labels.
  const std::string labels = root + "/Session1/dialog/EmoEvaluation/";
  write_text(labels + "Categorical/Ses01F_impro01_e2_cat.txt",
             "[6.2901 - 8.2357]\tSes01F_impro01_F777\tneu\t[2, 2, 2]\n");
  fs::create_directory(labels + "Evaluators.txt");
  write_text(labels + "._Ses01F_impro01.txt", std::string("\x00\x05\x16\x07", 4));
  write_text(labels + ".DS_Store", "[1 - 2]\tSes01F_impro01_F778\tneu\t[2, 2, 2]\n");
  write_text(root + "/Session1/sentences/wav/Ses01F_impro01/._Ses01F_impro01_F000.wav",
             std::string("\x00\x05\x16\x07", 4));
}

const Recording& find(const Corpus& corpus, const std::string& id) {
  for (const Recording& recording : corpus.recordings) {
    if (recording.id == id) return recording;
  }
  FAIL("no recording " << id);
  return corpus.recordings.front();
}

std::vector<int> class_counts(const Corpus& corpus) {
  std::vector<int> counts(4);
  for (const Recording& recording : corpus.recordings) ++counts[recording.label];
  return counts;
}

std::string refusal(const CorpusSpec& spec) {
  return message_of<InputError>([&] { load_corpus(spec); });
}

std::vector<std::string> ids(const Corpus& corpus) {
  std::vector<std::string> list;
  for (const Recording& recording : corpus.recordings) list.push_back(recording.id);
  return list;
}

}  // namespace

TEST_CASE(
    "corpus: labels of IEMOCAP that cannot be read are listed, and their dialogue is left out") {
  const TemporaryFolder folder;
  const std::string root = folder / "IEMOCAP_full_release";
  write_iemocap(root);
  const std::string labels = root + "/Session3/dialog/EmoEvaluation/Ses03M_impro05a.txt";
  std::filesystem::remove(labels);
  std::filesystem::create_symlink("nowhere.txt", labels);
  const Corpus corpus = load_corpus({.root = root});
  CHECK(corpus.recordings.size() == 6);
  REQUIRE(corpus.skipped.size() == 1);
  CHECK(corpus.skipped[0].path == labels);
  CHECK(corpus.skipped[0].reason == "is no file, or a link to none");
  fs::remove(labels);
  write_text(labels, "[1 - 2]\tSes03M_impro05a_F000\n");
  const Corpus cut = load_corpus({.root = root});
  REQUIRE(cut.skipped.size() == 1);
  CHECK(cut.skipped[0].path == labels + ":1");
  CHECK(cut.skipped[0].reason == "a label line needs a time, an utterance and a label");
  fs::permissions(labels, fs::perms::none);
  if (const OrdinaryUser user(folder.path()); user.valid()) {
    const Corpus closed = load_corpus({.root = root});
    CHECK(closed.recordings.size() == 6);
    REQUIRE(closed.skipped.size() == 1);
    CHECK(closed.skipped[0].path == labels);
    CHECK(closed.skipped[0].reason == "cannot be read: Permission denied; check its permissions");
  }
}

TEST_CASE("corpus: IEMOCAP's tree, its traps, and its label sets") {
  const TemporaryFolder folder;
  const std::string root = folder / "IEMOCAP_full_release";
  write_iemocap(root);
  const Corpus corpus = load_corpus({.root = root});
  CHECK(corpus.kind == "iemocap");
  CHECK(corpus.labels.name == "impro4");
  CHECK(corpus.classes == std::vector<std::string>{"neutral", "angry", "happy", "sad"});
  CHECK(class_counts(corpus) == std::vector<int>{2, 2, 2, 2});
  CHECK(corpus.skipped.empty());
  CHECK_FALSE(corpus.synthetic);
  // The speaker is the last F or M, not the dialogue's.
  CHECK(find(corpus, "Ses01F_impro01_M000").speaker == "Ses01M");
  CHECK(find(corpus, "Ses03M_impro05a_F000").speaker == "Ses03F");
  CHECK(find(corpus, "Ses05F_impro02_MXX1").speaker == "Ses05M");
  CHECK(find(corpus, "Ses03M_impro08b_M003").group == "Ses03M_impro08b");
  CHECK(find(corpus, "Ses01F_impro01_F000").relative_path ==
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav");
  CHECK(find(corpus, "Ses01F_impro01_F000").seconds == doctest::Approx(0.1));
  CHECK(corpus.left_out ==
        std::map<std::string, int>{
            {"excited", 1}, {"frustrated", 1}, {"no agreement", 1}, {"scripted", 4}});
  // Sessions 1, 3, 5 are there: they are numbered without gaps, and the rest is noted.
  CHECK(corpus.session_count() == 3);
  CHECK(corpus.session_speakers(1) == std::vector<std::string>{"Ses03F", "Ses03M"});
  REQUIRE(corpus.notes.size() == 1);
  CHECK(contains(corpus.notes[0], "Session2, Session4"));

  const Corpus excited = load_corpus({.root = root, .labels = "impro4exc"});
  CHECK(class_counts(excited) == std::vector<int>{2, 2, 3, 2});
  const Corpus all = load_corpus({.root = root, .labels = "all4exc"});
  CHECK(class_counts(all) == std::vector<int>{3, 3, 4, 3});
  CHECK(find(all, "Ses05M_script01_1b_FXX0").speaker == "Ses05F");
  CHECK(all.left_out == std::map<std::string, int>{{"frustrated", 1}, {"no agreement", 1}});
  const Corpus every = load_corpus({.root = root, .labels = "all"});
  CHECK(every.classes ==
        std::vector<std::string>{"neutral", "angry", "happy", "sad", "excited", "frustrated"});
  CHECK(every.recordings.size() == all.recordings.size() + 1);
  CHECK(every.left_out == std::map<std::string, int>{{"no agreement", 1}});
}

TEST_CASE("corpus: the root, its parent, and an explicit kind give the same IEMOCAP") {
  const TemporaryFolder folder;
  write_iemocap(folder / "IEMOCAP_full_release");
  const Corpus root = load_corpus({.root = folder / "IEMOCAP_full_release"});
  const Corpus parent = load_corpus({.root = folder.path()});
  const Corpus named = load_corpus({.kind = "iemocap", .root = folder.path()});
  CHECK(ids(root) == ids(parent));
  CHECK(ids(root) == ids(named));
  CHECK(std::is_sorted(
      root.recordings.begin(), root.recordings.end(),
      [](const Recording& a, const Recording& b) { return a.relative_path < b.relative_path; }));
  CHECK(root.recordings[0].relative_path == parent.recordings[0].relative_path);
}

TEST_CASE("corpus: missing, unreadable and misnamed recordings are reported, the rest is used") {
  const TemporaryFolder folder;
  write_iemocap(folder.path());
  write_dialogue(folder.path(), "Session2", "Ses02F_impro01",
                 {{"Ses02F_impro01_F000", "neu"},
                  {"Ses02F_impro01_F000", "sad"},
                  {"Ses02F_impro01_F001", "sad"},
                  {"Ses02F_impro01_F002", "sad"},
                  {"Ses01F_impro01_F009", "sad"},
                  {"holiday", "sad"}});
  const std::string sounds = folder / "Session2/sentences/wav/Ses02F_impro01/";
  fs::remove(sounds + "Ses02F_impro01_F001.wav");
  write_text(sounds + "Ses02F_impro01_F002.wav", "version https://git-lfs.github.com/spec/v1\n");
  fs::rename(sounds + "Ses02F_impro01_F000.wav", sounds + "Ses02F_impro01_F000.WAV");
  const Corpus corpus = load_corpus({.root = folder.path()});
  CHECK(find(corpus, "Ses02F_impro01_F000").label_name == "neutral");
  CHECK(corpus.recordings.size() == 9);
  int missing = 0, unreadable = 0, odd = 0;
  for (const SkippedFile& file : corpus.skipped) {
    missing += file.why == SkippedFile::Why::missing;
    unreadable += file.why == SkippedFile::Why::unreadable;
    odd += file.why == SkippedFile::Why::not_understood;
    if (file.why == SkippedFile::Why::unreadable) CHECK(contains(file.reason, "git lfs pull"));
  }
  CHECK(missing == 1);
  CHECK(unreadable == 1);
  CHECK(odd == 3);  // a second label, a line of another session, no utterance
  const CorpusCheck check = check_corpus(corpus);
  CHECK_FALSE(check.ok());
  CHECK(contains(to_text(check), "Skipped, missing"));
}

TEST_CASE("corpus: EmoDB by its names") {
  const TemporaryFolder folder;
  for (const char* name : {"03a01Fa", "03a01Nc", "08a02Wa", "08b03Tc", "10a04La", "16b10Ab",
                           "16b10Ec", "09a05Wb", "10a01F"}) {
    write_tiny_wav(folder / ("emodb/wav/" + std::string(name) + ".wav"));
  }
  write_tiny_wav(folder / "emodb/wav/._03a01Fa.wav");
  write_tiny_wav(folder / "emodb/wav/notes.wav");
  write_tiny_wav(folder / "emodb/lecture.wav");  // outside of the folder of its recordings
  write_text(folder / "emodb/erklaerung.txt", "text");
  for (const char* root : {"", "emodb", "emodb/wav"}) {
    const Corpus corpus = load_corpus({.root = folder / root});
    CHECK(corpus.kind == "emodb");
    CHECK(class_counts(corpus) == std::vector<int>{1, 2, 2, 1});
    CHECK(corpus.recordings[0].relative_path == "03a01Fa.wav");
    CHECK(corpus.recordings[0].group == "a01");
    CHECK(corpus.left_out ==
          std::map<std::string, int>{{"boredom", 1}, {"disgust", 1}, {"fear", 1}});
    CHECK(corpus.session_count() == 2);
    CHECK(corpus.session_speakers(0) == std::vector<std::string>{"03", "08"});
    CHECK(corpus.session_speakers(1) == std::vector<std::string>{"09", "10"});
    REQUIRE(corpus.skipped.size() == 1);
    CHECK(contains(corpus.skipped[0].path, "notes.wav"));
  }
}

TEST_CASE("corpus: EmoDB with speakers that are not in it, and with more than it had") {
  const TemporaryFolder folder;
  for (const char* name : {"03a01Fa", "08a01Nc", "17a02Wa", "18b03Tc"}) {
    write_tiny_wav(folder / (std::string(name) + ".wav"));
  }
  const auto bored = [&](int count) {  // that many, none of which is opened
    for (int n = 0; n < count; ++n) {
      const std::string text = std::to_string(100 + n / 26).substr(1);
      write_text(folder / ("03a" + text + "L" + static_cast<char>('a' + n % 26) + ".wav"), "");
    }
    return load_corpus({.root = folder.path()});
  };
  const Corpus corpus = bored(531);
  CHECK(corpus.session_speakers(0) == std::vector<std::string>{"03", "08"});
  CHECK(corpus.session_speakers(1) == std::vector<std::string>{"17", "18"});
  CHECK(corpus.notes.empty());
  CHECK(bored(532).notes ==
        std::vector<std::string>{"More than EmoDB's 535 recordings: release 2.0 adds 281 that "
                                 "listeners disagreed on."});
}

TEST_CASE("corpus: RAVDESS by its names") {
  const TemporaryFolder folder;
  for (const char* name : {"Actor_01/03-01-01-01-01-01-01", "Actor_01/03-01-02-01-01-01-01",
                           "Actor_02/03-01-05-02-01-01-02", "Actor_02/03-01-03-01-02-01-02",
                           "Actor_23/03-01-04-01-01-02-23", "Actor_24/03-02-04-01-01-02-24",
                           "Actor_24/03-01-08-01-01-02-24", "Actor_24/01-01-05-01-01-02-24",
                           "Actor_24/02-01-05-01-01-02-24", "copy/Actor_01/03-01-01-01-01-01-01"}) {
    write_tiny_wav(folder / (std::string(name) + ".wav"));
  }
  const Corpus corpus = load_corpus({.root = folder.path()});
  CHECK(corpus.kind == "ravdess");
  CHECK(class_counts(corpus) == std::vector<int>{1, 1, 1, 1});
  CHECK(corpus.left_out ==
        std::map<std::string, int>{{"calm", 1}, {"song", 1}, {"surprise", 1}, {"video", 2}});
  CHECK(corpus.session_speakers(0) == std::vector<std::string>{"01", "02"});
  CHECK(corpus.session_speakers(1) == std::vector<std::string>{"23"});
  REQUIRE(corpus.notes.size() == 1);
  CHECK(contains(corpus.notes[0], "1 files repeat"));
}

TEST_CASE("corpus: CREMA-D by its names, WAV before MP3") {
  const TemporaryFolder folder;
  for (const char* name : {"1001_DFA_ANG_XX", "1001_IEO_HAP_LO", "1002_IEO_SAD_HI",
                           "1003_TIE_NEU_XX", "1003_TIE_DIS_XX", "1091_WSI_FEA_XX"}) {
    write_tiny_wav(folder / ("AudioWAV/" + std::string(name) + ".wav"));
  }
  write_text(folder / "AudioMP3/1001_DFA_ANG_XX.mp3", "not even opened");
  const Corpus corpus = load_corpus({.root = folder.path()});
  CHECK(corpus.kind == "cremad");
  CHECK(class_counts(corpus) == std::vector<int>{1, 1, 1, 1});
  CHECK(corpus.recordings[0].relative_path == "AudioWAV/1001_DFA_ANG_XX.wav");
  CHECK(corpus.left_out == std::map<std::string, int>{{"disgust", 1}, {"fear", 1}});
  CHECK(corpus.skipped.empty());
}

TEST_CASE("corpus: URDU by its names, with its warning") {
  const TemporaryFolder folder;
  for (const char* name :
       {"Angry/SM1_F01_A01", "Happy/SM5_F02_H02", "Neutral/SM5_F03_N03", "Sad/SF24_F10_S100"}) {
    write_tiny_wav(folder / (std::string(name) + ".wav"));
  }
  const Corpus corpus = load_corpus({.root = folder.path()});
  CHECK(corpus.kind == "urdu");
  CHECK(class_counts(corpus) == std::vector<int>{1, 1, 1, 1});
  CHECK(corpus.speakers() == std::vector<std::string>{"SF24", "SM1", "SM5"});
  REQUIRE(corpus.notes.size() == 1);
  CHECK(contains(corpus.notes[0], "never use it alone"));
}

TEST_CASE("corpus: speakers without sessions are grouped in sorted order") {
  using Sessions = std::map<std::string, int>;
  CHECK(group_speakers({"d", "a", "c", "b", "a"}) ==
        Sessions{{"a", 0}, {"b", 0}, {"c", 1}, {"d", 1}});
  CHECK(group_speakers({"a", "b", "c", "d", "e"}) ==
        Sessions{{"a", 0}, {"b", 0}, {"c", 1}, {"d", 1}, {"e", 1}});
  CHECK(group_speakers({"a"}) == Sessions{{"a", 0}});
  CHECK(group_speakers({}).empty());
  for (const int count : {2, 3, 23, 24, 25, 26, 29, 91}) {
    CAPTURE(count);
    std::vector<std::string> names;
    for (int i = 0; i < count; ++i) names.push_back(std::to_string(1000 + i));
    std::map<int, int> sizes;
    for (const auto& [name, session] : group_speakers(names)) ++sizes[session];
    CHECK(sizes.size() == static_cast<std::size_t>(count <= 24 ? std::max(1, count / 2) : 5));
    for (const auto& [session, size] : sizes) CHECK(size >= 2);
  }
}

TEST_CASE("corpus: what cannot be loaded is refused, and why") {
  const TemporaryFolder folder;
  CHECK(contains(refusal({.root = folder / "absent"}), "no such folder"));
  CHECK(contains(refusal({}), "no corpus given"));
  CHECK(contains(refusal({.root = folder.path()}), "no sound file"));
  CHECK(contains(refusal({.kind = "iemocap", .root = folder.path()}), "no IEMOCAP tree"));
  CHECK(contains(refusal({.kind = "manifest", .root = folder.path()}), "manifest.csv"));
  write_tiny_wav(folder / "holiday.wav");
  CHECK(contains(refusal({.root = folder.path()}), "no corpus known"));
  CHECK(contains(refusal({.root = folder / "holiday.wav"}), "is a file"));
  write_tiny_wav(folder / "03a01Fa.wav");
  CHECK(contains(refusal({.kind = "cremad", .root = folder.path()}), "no file is named"));
  CHECK(contains(refusal({.root = folder.path(), .labels = "impro4"}), "label set impro4"));
  write_tiny_wav(folder / "1001_DFA_ANG_XX.wav");
  CHECK(contains(refusal({.root = folder.path()}), "several corpora"));
  write_iemocap(folder / "tree");
  CHECK(contains(refusal({.root = folder / "tree", .labels = "four"}), "impro4exc"));
  CHECK(contains(refusal({.kind = "imocap", .root = folder / "tree"}), "did you mean 'iemocap'"));
  CHECK(contains(refusal({.root = folder / "tree", .labels = "seven"}), "no label set seven"));
}

TEST_CASE("corpus: a tree whose sounds are all stubs says so") {
  const TemporaryFolder folder;
  for (const char* name : {"1001_DFA_ANG_XX", "1001_DFA_HAP_XX", "1001_DFA_SAD_XX"}) {
    write_text(folder / (std::string(name) + ".wav"), "version https://git-lfs.github.com/spec/v1");
  }
  const std::string message = refusal({.root = folder.path()});
  CHECK(contains(message, "no usable recording"));
  CHECK(contains(message, "git lfs pull"));
}

TEST_CASE("corpus: check counts, finds equal contents, and writes JSON") {
  const TemporaryFolder folder;
  for (const char* name : {"03a01Fa", "03a01Nc", "08a02Wa", "08b03Tc"}) {
    write_tiny_wav(folder / (std::string(name) + ".wav"));
  }
  fs::copy_file(folder / "03a01Fa.wav", folder / "16a01Fa.wav");
  const CorpusCheck check = check_corpus(load_corpus({.root = folder.path()}));
  CHECK_FALSE(check.ok());
  REQUIRE(check.duplicates.size() == 1);
  CHECK(check.duplicates[0] == std::vector<std::string>{"03a01Fa.wav", "16a01Fa.wav"});
  CHECK(check.total.found == 5);
  CHECK(check.total.expected == 339);
  CHECK(contains(to_text(check), "Same content: 03a01Fa.wav 16a01Fa.wav"));
  const auto json = nlohmann::json::parse(to_json(check));
  CHECK(json["ok"] == false);
  CHECK(json["classes"][1]["name"] == "angry");
  CHECK(json["classes"][1]["expected"] == 127);
  CHECK(json["classes"][1]["found"] == 1);
  CHECK(json["sessions"].size() == 2);
  CHECK(json["hours"].get<double>() == doctest::Approx(0.5 / 3600));
  CHECK(json["silence"]["share"] == 0);
}

TEST_CASE("corpus: check tells how much of the recordings is silent, and how much at their edges") {
  const TemporaryFolder folder;
  std::vector<float> wave = tone(300, 32000);
  std::fill(wave.begin(), wave.begin() + 8000, 0.0f);            // a quarter; of 2 s
  std::fill(wave.begin() + 16000, wave.begin() + 19200, 0.0f);   // a tenth
  for (std::size_t i = 27200; i < 32000; ++i) wave[i] *= 5e-3f;  // 15 %, at -46 dB
  write_wav(folder / "a.wav", wave);
  write_wav(folder / "b.wav", tone(500, 32000));
  write_text(folder / "whole.csv", "path,label,speaker\na.wav,sad,A\nb.wav,sad,B\n");
  write_text(folder / "parts.csv",
             "path,label,speaker,start,end\na.wav,sad,A,0.25,0.75\na.wav,sad,B,0.75,1.5\n");
  const CorpusCheck whole = check_corpus(load_corpus({.root = folder / "whole.csv"}));
  CHECK(whole.silence == doctest::Approx(0.25));
  CHECK(whole.silent_edges == doctest::Approx(0.2));
  CHECK(contains(to_text(whole),
                 "Silence: 25.0 % of the time lies 40 dB or more below a "
                 "recording's loudest 10 ms, 20.0 % at its edges"));
  const auto json = nlohmann::json::parse(to_json(whole));
  CHECK(json["silence"]["decibels"] == 40);
  CHECK(json["silence"]["share"].get<double>() == doctest::Approx(0.25));
  CHECK(json["silence"]["at_edges"].get<double>() == doctest::Approx(0.2));
  const CorpusCheck parts = check_corpus(load_corpus({.root = folder / "parts.csv"}));
  CHECK(parts.silence == doctest::Approx((0.25 + 0.2) / 1.25));
  CHECK(parts.silent_edges == doctest::Approx(0.25 / 1.25));
}

TEST_CASE("corpus: EmoDB itself has its published counts") {
  const std::string root = std::string(SERENADE_SOURCE_DIR) + "/../shared/corpora/emodb/wav";
  if (!fs::is_directory(root)) {
    MESSAGE("skipped: EmoDB is not here");
    return;
  }
  const Corpus corpus = load_corpus({.root = root});
  CHECK(class_counts(corpus) == std::vector<int>{79, 127, 71, 62});
  const CorpusCheck check = check_corpus(corpus);
  CHECK(check.ok());
  CHECK(check.total.found == 339);
  CHECK(check.speakers.size() == 10);
  CHECK(check.sessions ==
        std::vector<std::vector<std::string>>{
            {"03", "08"}, {"09", "10"}, {"11", "13"}, {"12", "14"}, {"15", "16"}});
  CHECK(corpus.left_out ==
        std::map<std::string, int>{{"boredom", 81}, {"disgust", 46}, {"fear", 69}});
  const Corpus all = load_corpus({.root = root, .labels = "all"});
  CHECK(all.recordings.size() == 535);
  CHECK(all.classes ==
        std::vector<std::string>{"neutral", "angry", "happy", "sad", "boredom", "disgust", "fear"});
  CHECK(check_corpus(all).ok());
  CHECK(check_corpus(all).total.expected == 535);
}

}  // namespace serenade::ser
