// The command line, one word a line, in a folder that holds a corpus, a model, a run and foreign
// files. The program sees nothing of the machine but this folder and one beside it (chroot; where
// that is not allowed, words that lead out of the folder are left out). Whatever the words, it ends
// with a code of its own and one line; the corpus and the foreign files are as they were, and what
// is new outside the folder has a name that a word gave it (--out /elsewhere).

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "apps/ser/cli/commands.h"
#include "apps/ser/corpus/audio.h"
#include "tests/fuzz/target.h"

namespace serenade::fuzz {

namespace {

namespace fs = std::filesystem;

using Words = std::vector<std::string>;

struct Answer {
  int code = 0;
  std::string errors;
};

Answer call(const Words& words) {
  std::vector<const char*> arguments = {"serenade"};
  for (const std::string& word : words) arguments.push_back(word.c_str());
  std::ostringstream out, errors;
  std::streambuf* const usual_out = std::cout.rdbuf(out.rdbuf());
  std::streambuf* const usual_errors = std::cerr.rdbuf(errors.rdbuf());
  const int code = ser::run_program(static_cast<int>(arguments.size()), arguments.data());
  std::cout.rdbuf(usual_out);
  std::cerr.rdbuf(usual_errors);
  return {code, errors.str()};
}

Words lines_of(const std::string& text) {
  Words lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

const Words kQuick = {"--epochs", "1",   "--search-epochs",       "1", "--folds",  "1",
                      "--preset", "mel", "--architecture-epochs", "1", "--trials", "2"};

// Trainings that would last are made short: numbers of one digit, and small ones if not given.
Words made_quick(Words words) {
  const auto named = [&](const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  if (!named("train") && !named("search") && !named("table2")) return words;
  for (std::string& word : words) {
    std::string shorter;
    for (const char c : word) {
      const bool digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
      if (digit && !shorter.empty() && std::isdigit(static_cast<unsigned char>(shorter.back()))) {
        shorter.pop_back();
      }
      shorter += c;
    }
    word = shorter;
  }
  for (std::size_t i = 0; i < kQuick.size(); i += 2) {
    const bool given = std::any_of(words.begin(), words.end(), [&](const std::string& word) {
      return word == kQuick[i] || word.starts_with(kQuick[i] + "=");
    });
    if (!given) words.insert(words.end(), {kQuick[i], kQuick[i + 1]});
  }
  return words;
}

// What is at a place: every file with its size and time, every folder.
std::map<std::string, std::string> contents(const std::string& folder) {
  std::map<std::string, std::string> found;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    std::error_code error;
    std::string about = "folder";
    if (entry.is_regular_file(error)) {
      about = std::to_string(entry.file_size(error)) + " " +
              std::to_string(entry.last_write_time(error).time_since_epoch().count());
    }
    found[entry.path().string().substr(folder.size() + 1)] = about;
  }
  return found;
}

class Sandbox {
 public:
  Sandbox() {
    fs::create_directories(home_ + "/proj");
    fs::create_directories(root_ + "/outside/run");
    for (const char* name : {"/outside/run/model.safetensors", "/outside/run/config.json",
                             "/home/proj/thesis.tex", "/home/proj/config.json"}) {
      std::ofstream(root_ + name) << "{}";
    }
    make_corpus();
    fs::current_path(home_);
    Words words = {"train", "--corpus", "corpus.csv", "--cache", "cache", "--out", "run"};
    words.insert(words.end(), kQuick.begin(), kQuick.end());
    const Answer trained = call(words);
    if (trained.code != 0) fault("the sandbox has no run: " + trained.errors);
    fs::copy("run/model.safetensors", "model.safetensors");
    fs::copy("run/genotype.json", "genotype.json");
    fs::copy("run/config.json", "config.json");
    fs::current_path(start_);
    fs::copy(home_, pristine_, fs::copy_options::recursive);
    home_before_ = contents(home_);
    root_before_ = contents_beside_home();
  }

  bool confined() const { return confined_; }

  Answer run(const Words& words) {
    confined_ = chroot(root_.c_str()) == 0;
    fs::current_path(confined_ ? "/home" : home_);
    const Answer answer = call(words);
    if (confined_ && (fchdir(real_root_) != 0 || chroot(".") != 0)) std::abort();
    fs::current_path(start_);
    return answer;
  }

  // Says what is not as it must be, and makes all as it was.
  void check_and_restore(const std::string& input) {
    check_beside_home(input);
    const auto after = contents(home_);
    if (after == home_before_) return;
    for (const auto& [path, about] : home_before_) {
      const bool replaceable = path.starts_with("run") || path.starts_with("cache");
      const auto found = after.find(path);
      if (!replaceable && (found == after.end() || found->second != about)) {
        fault(path + " was not the program's to change");
      }
    }
    fs::remove_all(home_);
    fs::copy(pristine_, home_, fs::copy_options::recursive);
    home_before_ = contents(home_);
  }

 private:
  void make_corpus() {
    std::ofstream csv(home_ + "/corpus.csv");
    csv << "path,label,speaker,group\n";
    fs::create_directories(home_ + "/wav");
    for (int i = 0; i < 24; ++i) {
      const std::string path = "wav/" + std::to_string(i) + ".wav";
      std::vector<float> samples(800 + i);
      for (std::size_t k = 0; k < samples.size(); ++k) {
        samples[k] = float(k % std::size_t(i + 2)) / float(i + 2) - 0.5f;
      }
      ser::write_wav(home_ + "/" + path, samples);
      const char* labels[] = {"neutral", "angry", "happy", "sad"};
      csv << path << ',' << labels[i % 4] << ",s" << i / 4 << ",g" << i / 8 << '\n';
    }
  }

  void check_beside_home(const std::string& input) {
    const auto after = contents_beside_home();
    for (const auto& [path, about] : root_before_) {
      const auto found = after.find(path);
      if (found == after.end() || found->second != about) fault("/" + path + " was changed");
    }
    for (const auto& [path, about] : after) {
      if (root_before_.contains(path) || !fs::exists(root_ + "/" + path)) continue;
      // The outermost is met first, for the paths are in order, and takes the rest with it.
      const std::string name = fs::path(path).filename();
      if (input.find(name) == std::string::npos) fault("/" + path + " is new, and nobody named it");
      fs::remove_all(root_ + "/" + path);
    }
  }

  std::map<std::string, std::string> contents_beside_home() const {
    std::map<std::string, std::string> found = contents(root_);
    std::erase_if(found, [](const auto& entry) { return entry.first.starts_with("home"); });
    return found;
  }

  std::string root_ = scratch_folder() + "/root";
  std::string home_ = root_ + "/home";
  std::string pristine_ = scratch_folder() + "/pristine";
  std::string start_ = fs::current_path().string();
  int real_root_ = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool confined_ = chroot("/") == 0;
  std::map<std::string, std::string> home_before_, root_before_;
};

std::vector<std::string> seeds() {
  return {
      "info\n--json",
      "corpus\ncheck\ncorpus.csv\n--json",
      "corpus\nmake\nout",
      "features\nwav/1.wav\n--preset\nmel",
      "features\n--corpus\ncorpus.csv\n--cache\nout/cache",
      "predict\nmodel.safetensors\nwav/1.wav\nwav/2.wav\n--json",
      "evaluate\nmodel.safetensors\n--corpus\ncorpus.csv\n--cache\ncache",
      "report\nrun",
      "report\nproj",
      "train\n--corpus\ncorpus.csv\n--out\nrun\n--cache\ncache\n--replace",
      "train\n--corpus\ncorpus.csv\n--out\nrun\n--cache\ncache\n--resume",
      "train\n--corpus\ncorpus.csv\n--out\n.\n--cache\ncache\n--replace",
      "train\n--corpus\ncorpus.csv\n--out\nproj\n--replace",
      "train\n--corpus\nrun\n--out\nrun\n--replace",
      "train\n--corpus\ncorpus.csv\n--out\nrun\n--genotype\nrun/genotype.json\n--replace",
      "train\n--config\nconfig.json\n--out\nout/../../outside/run\n--replace",
      "search\n--corpus\ncorpus.csv\n--out\nout\n--strategy\nsampling\n--cache\n",
      "table2\n--corpus\ncorpus.csv\n--strategies\nnone\n--systems\nCNN_GRU_att\n--out\n/outside"};
}

void run(const std::string& input) {
  static Sandbox sandbox;
  if (input.find('\0') != std::string::npos) return;
  if (!sandbox.confined() &&
      (input.find("..") != std::string::npos || input.find('/') == 0 ||
       input.find("\n/") != std::string::npos || input.find("=/") != std::string::npos)) {
    return;
  }
  // After a crash the fuzzer cannot write beside the sandbox what it tried: here it is.
  scratch_file("input", input);
  const Answer answer = sandbox.run(made_quick(lines_of(input)));
  sandbox.check_and_restore(input);
  if (answer.code == 0) return;
  const Words errors = lines_of(answer.errors);
  if (answer.code < 2 || answer.code > 5) fault("exit code 1: " + answer.errors);
  // A file's own failure begins with its name, which may be anything.
  if (input.find("serenade: ") != std::string::npos) return;
  const auto ours = std::count_if(errors.begin(), errors.end(), [](const std::string& line) {
    return line.starts_with("serenade: ");
  });
  if (ours != 1 || !errors.back().starts_with("serenade: ")) {
    fault("not one line of error: " + answer.errors);
  }
}

}  // namespace

Target command_line_target() {
  return {.name = "command_line",
          .seeds = seeds,
          .run = run,
          .words = {"train",
                    "search",
                    "table2",
                    "predict",
                    "evaluate",
                    "features",
                    "report",
                    "corpus",
                    "info",
                    "check",
                    "make",
                    "--out",
                    "--replace",
                    "--resume",
                    "--corpus",
                    "--cache",
                    "--config",
                    "--genotype",
                    "--json",
                    "--strategy",
                    "--threads",
                    "--device",
                    "--seed",
                    "--help",
                    "run",
                    "proj",
                    "out",
                    ".",
                    "..",
                    "/outside/run",
                    "../outside",
                    "model.safetensors",
                    "genotype.json",
                    "corpus.csv",
                    "wav/1.wav"}};
}

}  // namespace serenade::fuzz
