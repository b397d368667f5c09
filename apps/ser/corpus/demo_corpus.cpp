// Synthetic speech through the espeak-ng program, laid out as IEMOCAP is.

#include "apps/ser/corpus/demo_corpus.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <vector>

#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/common/parallel.h"
#include "apps/ser/corpus/audio.h"
#include "tensor/random.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

constexpr int kDemoVersion = 1;  // raise it when the same options make other files
constexpr int kEmotions = 4;
constexpr int kDialogues = 4;  // per session; two are named after each speaker, as in IEMOCAP

struct Voice {
  const char* speaker;
  const char* name;  // espeak-ng's
  double pitch;      // 0 .. 99, where the voice speaks neutrally
  double rate;       // words per minute
};

// Two voices of one session share an accent, and no two sessions do.
constexpr std::array<Voice, 10> kVoices = {{{"Ses01F", "en-us+f1", 52, 168},
                                            {"Ses01M", "en-us+m1", 46, 160},
                                            {"Ses02F", "en-gb+f2", 48, 172},
                                            {"Ses02M", "en-gb+m2", 50, 165},
                                            {"Ses03F", "en-gb-scotland+f3", 55, 160},
                                            {"Ses03M", "en-gb-scotland+m3", 44, 170},
                                            {"Ses04F", "en-gb-x-rp+f4", 50, 158},
                                            {"Ses04M", "en-gb-x-rp+m4", 48, 174},
                                            {"Ses05F", "en-029+f5", 46, 166},
                                            {"Ses05M", "en-029+m7", 52, 162}}};

// How a manner differs from the voice's neutral one. Directions follow the acoustics of vocal
// emotion (reviewed by Scherer, Speech Communication 40, 2003): anger and joy higher, wider, faster
// and louder; sadness lower, flatter, slower and softer.
struct Manner {
  const char* code;  // IEMOCAP's label
  double pitch;      // added to the voice's
  double range;      // percent of the voice's own intonation
  double rate;       // factor
  double loudness;   // espeak-ng's amplitude, 0 .. 200
  double valence, activation, dominance;
};
constexpr std::array<Manner, kEmotions> kManners = {{{"neu", 0, 100, 1.00, 60, 2.5, 2.5, 2.5},
                                                     {"ang", 8, 130, 1.15, 100, 1.5, 4.0, 4.0},
                                                     {"hap", 20, 190, 1.08, 75, 4.0, 3.5, 3.0},
                                                     {"sad", -12, 45, 0.78, 38, 1.5, 1.5, 2.0}}};

constexpr std::array<const char*, 24> kSentences = {
    "The train leaves at noon today.",     "She put the letters on the table.",
    "We are meeting them after lunch.",    "There is a parcel at the door.",
    "He told me about the new house.",     "They moved to another city.",
    "I have not seen it since Monday.",    "The bus stops near the river.",
    "You said that the shop was open.",    "It will be ready in an hour.",
    "My brother is coming this evening.",  "The keys are in the other coat.",
    "We walked all the way home.",         "Nobody told us about the plan.",
    "The window was open all night.",      "He wants to speak with you.",
    "This is the last one we have.",       "The meeting starts in ten minutes.",
    "I found your bag in the kitchen.",    "They have changed the number.",
    "She is waiting outside the station.", "We need to talk about the garden.",
    "The doctor called this morning.",     "Somebody left the lights on."};

// One recording to make.
struct Utterance {
  const Voice* voice;
  const Manner* manner;
  std::string id;
  fs::path path;
  std::uint64_t index;  // element of the random streams
};

std::string session_folder(int session) { return "Session" + std::to_string(session + 1); }

std::string find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::stringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::error_code ignored;
    std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
    if (access(candidate.c_str(), X_OK) == 0 && fs::is_regular_file(candidate, ignored)) {
      return candidate;
    }
  }
  throw InputError("demo corpus: the program " + name +
                   " is not installed; install it (Debian, Ubuntu: apt-get install " + name + ")");
}

// Runs a program without a shell and without its output; returns its exit status, or -1.
int run_program(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t process = 0;
  const int failed =
      posix_spawn(&process, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed) return -1;
  int status = 0;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// The random values of one utterance, from the streams of the seed.
class Jitter {
 public:
  Jitter(std::uint64_t seed, std::uint64_t index) : key_{seed, Purpose::data, index} {}

  /// Normal with the given stddev, cut at two stddevs.
  double operator()(double stddev) { return stddev * std::clamp(normal(key_, next_++), -2.0, 2.0); }
  std::int64_t below(std::int64_t bound) { return random_integer(key_, next_++, bound); }

 private:
  RandomKey key_;
  std::uint64_t next_ = 0;
};

void speak(const std::string& program, const Utterance& utterance, std::uint64_t seed) {
  const Voice& voice = *utterance.voice;
  const Manner& manner = *utterance.manner;
  Jitter jitter(seed, utterance.index);
  const char* sentence = kSentences[jitter.below(kSentences.size())];
  const double pitch = std::clamp(voice.pitch + manner.pitch + jitter(7), 0.0, 99.0);
  const double range = std::clamp(manner.range * std::exp(jitter(0.2)), 10.0, 250.0);
  const double rate = std::clamp(voice.rate * manner.rate * std::exp(jitter(0.07)), 90.0, 260.0);
  const double loudness = std::clamp(manner.loudness * std::exp(jitter(0.2)), 10.0, 160.0);
  const auto whole = [](double value) { return std::to_string(std::lround(value)); };
  const std::string text =
      "<speak><prosody range=\"" + whole(range) + "%\">" + sentence + "</prosody></speak>";
  const std::string raw = utterance.path.string() + ".part.wav";
  const int status = run_program({program, "-m", "-v", voice.name, "-p", whole(pitch), "-s",
                                  whole(rate), "-a", whole(loudness), "-w", raw, text});
  std::error_code ignored;
  if (status != 0 || !fs::exists(raw, ignored)) {
    throw InputError("demo corpus: " + program + " failed for the voice " + voice.name +
                     " (exit status " + std::to_string(status) +
                     "); check that it speaks: espeak-ng -v " + voice.name + " hello");
  }
  Audio audio = read_audio(raw);
  // It does not say that a disk is full: there must be room for more than it wrote.
  const bool whole_file = bool(std::ofstream(raw, std::ios::app).put('\0').flush());
  fs::remove(raw, ignored);
  if (!whole_file) throw IoError(raw + ": could not be written whole; is the disk full?");
  // A quiet room: without it, pauses would be digital silence, which no microphone records.
  const RandomKey room{seed, Purpose::data, (std::uint64_t{1} << 32) + utterance.index};
  for (std::size_t n = 0; n < audio.samples.size(); ++n) {
    audio.samples[n] += static_cast<float>(0.002 * (2.0 * uniform(room, n) - 1.0));
  }
  write_wav(utterance.path.string(), audio.samples);
}

std::vector<Utterance> plan_utterances(const fs::path& folder, const DemoOptions& options) {
  std::vector<Utterance> plan;
  for (std::size_t v = 0; v < kVoices.size(); ++v) {
    const int session = static_cast<int>(v / 2);
    const std::string speaker = kVoices[v].speaker;
    std::array<int, kDialogues> turns{};
    for (int i = 0; i < kEmotions * options.utterances; ++i) {
      const int dialogue = (i / kEmotions) % kDialogues;
      const std::string name = "Ses0" + std::to_string(session + 1) + (dialogue % 2 ? "M" : "F") +
                               "_impro0" + std::to_string(dialogue / 2 + 1);
      char turn[16];
      std::snprintf(turn, sizeof turn, "_%c%03d", speaker.back(), turns[dialogue]++);
      const std::string id = name + turn;
      plan.push_back({&kVoices[v], &kManners[i % kEmotions], id,
                      folder / session_folder(session) / "sentences" / "wav" / name / (id + ".wav"),
                      plan.size()});
    }
  }
  return plan;
}

// One label file per dialogue, in IEMOCAP's format, turns one after the other.
void write_labels(const fs::path& folder, const std::vector<Utterance>& plan) {
  std::map<fs::path, std::string> files;
  std::map<fs::path, double> clock;
  for (const Utterance& utterance : plan) {
    const std::string dialogue = utterance.path.parent_path().filename().string();
    const std::string session = "Session" + dialogue.substr(4, 1);
    const fs::path file = folder / session / "dialog" / "EmoEvaluation" / (dialogue + ".txt");
    std::string& text = files[file];
    if (text.empty()) text = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n";
    const double start = clock[file];
    const double end = start + survey_audio(utterance.path.string()).info.seconds();
    clock[file] = end + 0.5;
    const Manner& manner = *utterance.manner;
    char line[160];
    std::snprintf(line, sizeof line, "[%.4f - %.4f]\t%s\t%s\t[%.4f, %.4f, %.4f]\n", start, end,
                  utterance.id.c_str(), manner.code, manner.valence, manner.activation,
                  manner.dominance);
    text += line;
  }
  for (const auto& [file, text] : files) write_text_file(file.string(), text);
}

const char* readme() {
  return "SYNTHETIC SPEECH, not recordings of people.\n"
         "\n"
         "Made by `serenade corpus make` with the espeak-ng speech synthesiser: ten voices, five\n"
         "sessions, four manners of speaking that mimic emotions by pitch, intonation, rate and\n"
         "loudness. The folders and label files follow the layout of the IEMOCAP corpus, so that\n"
         "the program can be tried without it; not one sound of IEMOCAP is in here.\n"
         "\n"
         "Results on this corpus show that the software works. They say nothing about people.\n"
         "The file SYNTHETIC_SPEECH makes every report say so; please leave it in place.\n";
}

constexpr const char* kUnfinished = "unfinished\n";
const std::string kMarkerStart = "demo corpus version ";

std::string marker_text(const DemoOptions& options) {
  return kMarkerStart + std::to_string(kDemoVersion) + ", utterances " +
         std::to_string(options.utterances) + ", seed " + std::to_string(options.seed) + "\n";
}

// Whether an earlier run made the folder: a file of that name is not enough.
bool is_demo_corpus(const fs::path& folder) {
  const fs::path marker = folder / kSyntheticMarker;
  std::error_code ignored;
  if (!fs::is_regular_file(marker, ignored)) return false;
  const std::string text = read_text_file(marker.string());
  return text == kUnfinished || text.starts_with(kMarkerStart);
}

// Only what an earlier run made is ever removed.
void clear_folder(const fs::path& folder) {
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  if (status.type() == fs::file_type::not_found) return;
  error.clear();
  const bool empty = fs::is_directory(status) && fs::is_empty(folder, error);
  if (error) throw IoError(folder.string() + ": cannot be opened: " + error.message());
  if (empty) return;
  if (!fs::is_directory(status) || !is_demo_corpus(folder)) {
    throw InputError(folder.string() +
                     ": exists and is no demo corpus; choose a new or empty folder");
  }
  for (int session = 0; session < 5; ++session) {
    const fs::path made = folder / session_folder(session);
    fs::remove_all(made, error);
    if (error) throw IoError(made.string() + ": cannot be removed: " + error.message());
  }
}

}  // namespace

void make_demo_corpus(const std::string& folder, const DemoOptions& options) {
  if (options.utterances < 1 || options.utterances > 1000) {
    throw InputError(
        "demo corpus: utterances per speaker and emotion must be from 1 to 1000; got " +
        std::to_string(options.utterances));
  }
  const std::string program = find_program("espeak-ng");
  clear_folder(folder);
  make_folder(folder);
  write_text_file((fs::path(folder) / kSyntheticMarker).string(), kUnfinished);
  write_text_file((fs::path(folder) / "README.txt").string(), readme());
  const std::vector<Utterance> plan = plan_utterances(folder, options);
  for (const Utterance& utterance : plan) make_folder(utterance.path.parent_path().string());
  for (int session = 0; session < 5; ++session) {
    make_folder(folder + "/" + session_folder(session) + "/dialog/EmoEvaluation");
  }
  std::mutex mutex;
  std::int64_t done = 0;
  const auto total = static_cast<std::int64_t>(plan.size());
  parallel_for(total, options.threads, [&](std::int64_t i) {
    speak(program, plan[i], options.seed);
    const std::lock_guard lock(mutex);
    ++done;
    if (options.progress) options.progress(done, total);
  });
  write_labels(folder, plan);
  write_text_file((fs::path(folder) / kSyntheticMarker).string(), marker_text(options));
}

}  // namespace serenade::ser
