// A CSV manifest beside a few recordings.

#include <fstream>

#include "apps/ser/corpus/corpus.h"
#include "tests/fuzz/target.h"

namespace serenade::fuzz {

namespace {

std::vector<std::string> seeds() {
  return {
      "path,label,speaker\na.wav,neutral,1\nb.wav,angry,2\na.wav,happy,3\nb.wav,sad,4\n",
      "path,label,speaker,group,start,end\n"
      "a.wav,neutral,1,x,0,0.01\r\nb.wav,anger,2,x,0.005,\r\n\"a.wav\",joy,3,y,,0.02\r\n"
      "b.wav,sadness,\"A, \"\"B\"\"\",y,,\r\n",
      "speaker;label;path\n1;neu;a.wav\n2;ang;b.wav\n",
      "\xef\xbb\xbfpath\tlabel\tspeaker\na.wav\tneutral\t03\nmissing.wav\tsad\t3\n",
  };
}

void run(const std::string& input) {
  static const bool made = [] {
    for (const char* name : {"a.wav", "b.wav"}) {
      const std::vector<float> samples(320, name[0] == 'a' ? 0.25f : -0.5f);
      ser::write_wav(scratch_folder() + "/" + name, samples);
    }
    return true;
  }();
  static_cast<void>(made);
  const std::string path = scratch_file("manifest.csv", input);
  ser::Corpus corpus;
  const std::string message =
      refusal([&] { corpus = ser::load_corpus({.kind = "manifest", .root = path}); });
  if (!message.empty()) return;
  if (corpus.recordings.empty()) fault("a corpus without recordings is accepted");
  for (const ser::Recording& recording : corpus.recordings) {
    if (recording.speaker.empty()) fault("a recording without a speaker");
    if (!std::ifstream(recording.path)) fault("a recording that is not there: " + recording.path);
  }
  refusal([&] { to_text(check_corpus(corpus)); });
  refusal([&] { to_json(check_corpus(corpus)); });
}

}  // namespace

Target manifest_target() {
  return {.name = "manifest",
          .seeds = seeds,
          .run = run,
          .words = {"path",    "label", "speaker", "group",    "start", "end", "a.wav", "b.wav",
                    "neutral", "angry", "happy",   "sad",      "1e18",  "-1",  "nan",   "inf",
                    "../",     "\"\"",  "\r\n",    "\xff\xfe", ";",     "\t"}};
}

}  // namespace serenade::fuzz
