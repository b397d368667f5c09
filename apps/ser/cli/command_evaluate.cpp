// `serenade evaluate` and `serenade predict`: a trained model on a corpus, or on anybody's
// recordings.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>

#include "apps/ser/cli/commands.h"
#include "apps/ser/cli/config_options.h"
#include "apps/ser/cli/file_answers.h"
#include "apps/ser/cli/level_check.h"
#include "apps/ser/common/compute_device.h"
#include "apps/ser/common/decibels.h"
#include "apps/ser/common/error.h"
#include "apps/ser/common/names.h"
#include "apps/ser/common/text_table.h"
#include "apps/ser/corpus/activity.h"
#include "apps/ser/evaluation/evaluate.h"
#include "apps/ser/evaluation/statistics.h"
#include "apps/ser/features/sound_pieces.h"
#include "apps/ser/training/experiment.h"
#include "apps/ser/training/model_file.h"
#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nn/training/progress.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

using Json = nlohmann::ordered_json;

struct EvaluateOptions {
  std::string model, corpus, cache = "build/features";
  LabelOptions labels;
  std::vector<std::string> speakers;
  bool allow_seen = false;
  bool json = false;
  LevelOptions levels;
  MachineOptions machine;
};

// The recordings of the wanted speakers; all where none is named.
std::vector<std::int64_t> recordings_of(const Corpus& corpus,
                                        const std::vector<std::string>& speakers) {
  const std::vector<std::string> known = corpus.speakers();
  for (const std::string& speaker : speakers) {
    if (std::find(known.begin(), known.end(), speaker) == known.end()) {
      throw InputError("--speakers: the corpus has no speaker '" + speaker + "'; the nearest is '" +
                       nearest_word(speaker, known) + "'");
    }
  }
  std::vector<std::int64_t> wanted;
  for (std::size_t i = 0; i < corpus.recordings.size(); ++i) {
    const std::string& speaker = corpus.recordings[i].speaker;
    if (speakers.empty() || std::count(speakers.begin(), speakers.end(), speaker) > 0) {
      wanted.push_back(static_cast<std::int64_t>(i));
    }
  }
  return wanted;
}

Json evaluation_json(const Corpus& corpus, const ConfusionMatrix& matrix,
                     const AccuracyIntervals& intervals) {
  Json recalls = Json::object(), counts = Json::array();
  for (int row = 0; row < matrix.size(); ++row) {
    recalls[matrix.classes()[static_cast<std::size_t>(row)]] =
        matrix.recalls()[static_cast<std::size_t>(row)];
    Json line = Json::array();
    for (int column = 0; column < matrix.size(); ++column)
      line.push_back(matrix.count(row, column));
    counts.push_back(line);
  }
  return {{"corpus", shown(corpus.name)},
          {"synthetic", corpus.synthetic},
          {"recordings", matrix.total()},
          {"wa", matrix.wa()},
          {"wa_interval", {intervals.wa.low, intervals.wa.high}},
          {"ua", matrix.ua()},
          {"ua_interval", {intervals.ua.low, intervals.ua.high}},
          {"majority_wa", matrix.majority_baseline()},
          {"recalls", recalls},
          {"classes", matrix.classes()},
          {"confusion", counts}};
}

// Which classes UA is a mean over, where they are not all.
std::string occurring_note(const ConfusionMatrix& matrix) {
  std::vector<std::string> occurring;
  for (int k = 0; k < matrix.size(); ++k) {
    if (matrix.row_total(k) > 0) {
      occurring.push_back(matrix.classes()[static_cast<std::size_t>(k)]);
    }
  }
  if (static_cast<int>(occurring.size()) == matrix.size()) return "";
  return "UA is the mean recall of the classes that occur: " + join(occurring, ", ") + ".\n";
}

std::string evaluation_text(const Corpus& corpus, const ConfusionMatrix& matrix,
                            const AccuracyIntervals& intervals) {
  std::vector<TextTable::Column> columns = {{"true \\ predicted", Align::left}};
  for (const std::string& name : matrix.classes()) columns.push_back({name, Align::right});
  columns.push_back({"recall %", Align::right});
  TextTable table(columns);
  for (int row = 0; row < matrix.size(); ++row) {
    std::vector<std::string> cells = {matrix.classes()[static_cast<std::size_t>(row)]};
    for (int column = 0; column < matrix.size(); ++column) {
      cells.push_back(std::to_string(matrix.count(row, column)));
    }
    cells.push_back(percent(matrix.recalls()[static_cast<std::size_t>(row)], 1));
    table.add_row(cells);
  }
  std::ostringstream text;
  text << shown(corpus.name) << (corpus.synthetic ? " (SYNTHETIC speech)" : "") << ", "
       << matrix.total() << " recordings\n\n"
       << table.to_text() << "\nWA:       " << percent(matrix.wa(), 1) << " %  (95% interval "
       << percent(intervals.wa.low, 1) << " .. " << percent(intervals.wa.high, 1)
       << ")\nUA:       " << percent(matrix.ua(), 1) << " %  (95% interval "
       << percent(intervals.ua.low, 1) << " .. " << percent(intervals.ua.high, 1)
       << ")\nmajority: WA " << percent(matrix.majority_baseline(), 1) << " %\n"
       << occurring_note(matrix);
  return text.str();
}

// The corpus with the classes of the model: by the model's own labels, or by those that were asked
// for, which must be among them.
Corpus load_for(const Config& model, const EvaluateOptions& options) {
  CorpusSpec spec = options.labels.spec(options.corpus);
  if (spec.map.empty()) spec.map = model.label_map;
  const bool asked = !options.labels.set.empty() || !options.labels.labels.empty();
  if (!asked) {
    spec.classes = model.classes;
    spec.complete = false;  // a part of a corpus can be evaluated
  }
  Corpus corpus = load_corpus(spec);
  for (Recording& recording : corpus.recordings) {
    const auto name = std::find(model.classes.begin(), model.classes.end(), recording.label_name);
    if (name == model.classes.end()) {
      throw InputError(options.model + ": knows " + shown(join(model.classes, ", ")) +
                       ", and the corpus has '" + shown(recording.label_name) +
                       "' as well; leave out --label-set and --labels, or choose among these");
    }
    recording.label = static_cast<int>(name - model.classes.begin());
  }
  corpus.classes = model.classes;
  return corpus;
}

// Refuses recordings that the model has heard, and those of speakers whom it has.
void check_unheard(const EvaluateOptions& options, const std::optional<ModelOrigin>& origin,
                   const Corpus& corpus) {
  const std::vector<std::int64_t> wanted = recordings_of(corpus, options.speakers);
  if (!origin) {
    std::cerr << "note: the model does not say on whom it was trained; on speakers that it has "
                 "heard its accuracies are too good. Name others with --speakers.\n";
    return;
  }
  const std::vector<HeardRecording> heard = heard_recordings(*origin, corpus, wanted);
  if (heard.empty()) return;
  const HeardRecording& first = heard.front();
  std::string message =
      corpus.recordings[static_cast<std::size_t>(first.recording)].relative_path + " " + first.why;
  if (heard.size() > 1) {
    message += "; of " + std::to_string(wanted.size()) + " recordings the model knows " +
               std::to_string(heard.size() - 1) + " more in this way";
  }
  if (options.allow_seen) {
    std::cerr << "note: the accuracies are too good: " << shown(message) << " (--allow-seen).\n";
    return;
  }
  std::set<std::string> known;
  for (const HeardRecording& recording : heard) {
    known.insert(corpus.recordings[static_cast<std::size_t>(recording.recording)].speaker);
  }
  std::vector<std::string> others = corpus.speakers();
  std::erase_if(others, [&](const std::string& name) { return known.contains(name); });
  throw InputError(options.model + ": its accuracies would be too good: " + message +
                   (others.empty() || !options.speakers.empty()
                        ? "; give recordings that it does not know"
                        : "; choose others: --speakers " + join(others, ",")) +
                   ", or pass --allow-seen");
}

void run_evaluate(const EvaluateOptions& options) {
  options.machine.apply();
  ModelFile model = read_model(options.model);
  Corpus corpus = load_for(model.config, options);
  check_unheard(options, model.origin, corpus);  // before any work, as are names of speakers
  ProgressBar bar("features", static_cast<std::int64_t>(corpus.recordings.size()));
  std::vector<DamagedRecording> damaged;
  std::vector<Features> features =
      extract_features(corpus, model.config.features,
                       {.cache_folder = options.cache,
                        .progress = [&](std::int64_t done, std::int64_t) { bar.update(done); },
                        .damaged = &damaged});
  bar.finish();
  leave_out_damaged(corpus, features, damaged);
  for (const std::string& warning : corpus.warnings()) {
    std::cerr << "note: " << shown(warning) << "\n";
  }
  const std::vector<std::int64_t> wanted = recordings_of(corpus, options.speakers);
  std::vector<int> labels;
  for (const Recording& recording : corpus.recordings) labels.push_back(recording.label);
  const Dataset data(features, labels, wanted, model.normalisation, model.config.segments);
  const std::vector<Prediction> predictions = evaluate(*model.recognizer, data, corpus);
  const ConfusionMatrix matrix = confusion(predictions, corpus.classes);
  const AccuracyIntervals intervals = bootstrap_intervals(predictions, matrix.size());
  const std::vector<LevelScore> levels =
      score_levels(model, corpus, features, wanted, predictions, options.levels.asked());
  if (options.json) {
    Json document = evaluation_json(corpus, matrix, intervals);
    if (!levels.empty()) document.update(Json::parse(to_json(levels)));
    std::cout << document.dump(2) << "\n";
  } else {
    std::cout << evaluation_text(corpus, matrix, intervals) << to_text(levels);
  }
}

struct PredictOptions {
  std::string model;
  std::vector<std::string> files;
  bool json = false;
  LevelOptions levels;
  MachineOptions machine;
};

// What a model says about a sound.
struct Answer {
  double speech_seconds = 0;
  /// As recorded, then at each of the other levels; without values where there is no speech.
  std::vector<MeanProbabilities> probabilities;

  bool has_speech() const { return !probabilities.front().values().empty(); }
};

void add_piece(ModelFile& model, std::vector<float> piece, float gain, const std::string& file,
               MeanProbabilities& mean) {
  for (float& sample : piece) sample *= gain;
  const Features features = features_of(piece, model.config.features, file);
  const Dataset data({features}, {0}, {0}, model.normalisation, model.config.segments);
  const Variable scores = model.recognizer->forward(data.utterance(0).input.to(compute_device()));
  const std::vector<real> probabilities = softmax(scores, -1).value().to_vector();
  mean.add(probabilities.data(), static_cast<std::int64_t>(probabilities.size()), features.frames);
}

// Pieces without speech have no part in the answer.
Answer answer_of(ModelFile& model, const std::string& file, const std::vector<double>& levels) {
  const NoGrad no_grad;
  Answer answer;
  answer.probabilities.resize(1 + levels.size());
  const AudioInfo info = for_each_piece(file, [&](const std::vector<float>& piece) {
    const double seconds = speech_seconds(levels_of(piece, kSampleRate));
    answer.speech_seconds += seconds;
    if (seconds < kLeastSpeechSeconds) return;
    add_piece(model, piece, 1, file, answer.probabilities[0]);
    for (std::size_t i = 0; i < levels.size(); ++i) {
      add_piece(model, piece, gain_of(levels[i]), file, answer.probabilities[1 + i]);
    }
  });
  print_remarks(file, info);
  return answer;
}

// Probabilities under the names of the classes, the most probable one first as `emotion`.
Json answer_json(const std::vector<double>& probabilities, const std::vector<std::string>& classes,
                 const std::string& file) {
  Json by_class = Json::object();
  for (std::size_t k = 0; k < classes.size(); ++k) by_class[classes[k]] = probabilities.at(k);
  return {{"emotion", classes.at(static_cast<std::size_t>(most_probable(probabilities, file)))},
          {"probabilities", by_class}};
}

constexpr const char* kNoSpeech = "no speech";

// One file's element of the JSON document.
Json file_json(const Answer& answer, const std::vector<std::string>& classes,
               const std::vector<double>& levels, const std::string& file) {
  Json element = {{"file", shown(file)}};
  if (!answer.has_speech()) {
    element.update({{"emotion", kNoSpeech}, {"probabilities", nullptr}});
  } else {
    element.update(answer_json(answer.probabilities[0].values(), classes, file));
    Json others = Json::array();
    bool depends = false;
    for (std::size_t i = 0; i < levels.size(); ++i) {
      Json other = {{"decibels", levels[i]}};
      other.update(answer_json(answer.probabilities[1 + i].values(), classes, file));
      depends |= other["emotion"] != element["emotion"];
      others.push_back(other);
    }
    if (!levels.empty()) element.update({{"level_dependent", depends}, {"levels", others}});
  }
  element["speech_seconds"] = answer.speech_seconds;
  return element;
}

// "level-dependent: sad at -6 dB", or nothing to be said.
std::string volume_text(const Json& element) {
  std::string text;
  for (const Json& other : element.value("levels", Json::array())) {
    if (other["emotion"] == element["emotion"]) continue;
    text += (text.empty() ? "level-dependent: " : ", ") + other["emotion"].get<std::string>() +
            " at " + level_name(other["decibels"]);
  }
  return text;
}

void run_predict(const PredictOptions& options) {
  options.machine.apply();
  ModelFile model = read_model(options.model);
  const std::vector<std::string>& classes = model.config.classes;
  Json list = Json::array();
  std::vector<TextTable::Column> columns = {{"file", Align::left}, {"emotion", Align::left}};
  for (const std::string& name : classes) columns.push_back({name, Align::right});
  const std::vector<double> levels = options.levels.asked();
  if (!levels.empty()) columns.push_back({"volume", Align::left});
  TextTable table(columns);
  FileAnswers answers;
  for (const std::string& file : options.files) {
    answers.add(file, [&] {
      const Answer answer = answer_of(model, file, levels);
      const Json element = file_json(answer, classes, levels, file);
      std::vector<std::string> cells = {element["file"], element["emotion"]};
      for (const std::string& name : classes) {
        cells.push_back(answer.has_speech() ? fixed(element["probabilities"][name], 3) : "");
      }
      if (!levels.empty()) cells.push_back(volume_text(element));
      table.add_row(cells);
      list.push_back(element);
    });
  }
  if (options.json) {
    std::cout << list.dump(2) << "\n";
  } else if (!list.empty()) {
    std::cout << table.to_text();
  }
  answers.finish();
}

void set_up_evaluate(CLI::App& command) {
  auto options = std::make_shared<EvaluateOptions>();
  command.add_option("model", options->model, "model.safetensors of a run")->required();
  command.add_option("--corpus", options->corpus, "folder or CSV manifest")->required();
  options->labels.add_to(command);
  command.add_option("--cache", options->cache, "folder of computed features");
  command.add_option("--speakers", options->speakers, "only these, separated by commas")
      ->delimiter(',');
  command.add_flag("--allow-seen", options->allow_seen,
                   "evaluate also what the model was trained on, and say so");
  command.add_flag("--json", options->json, "one JSON document on stdout");
  options->levels.add_to(command);
  options->machine.add_to(command);
  command.callback([options] { run_evaluate(*options); });
}

void set_up_predict(CLI::App& command) {
  auto options = std::make_shared<PredictOptions>();
  command.add_option("model", options->model, "model.safetensors of a run")->required();
  command.add_option("files", options->files, "sound files")->required();
  command.add_flag("--json", options->json, "one JSON document on stdout");
  options->levels.add_to(command);
  options->machine.add_to(command);
  command.callback([options] { run_predict(*options); });
}

}  // namespace

Command evaluate_command() {
  return {"evaluate", "WA, UA and confusion of a model on a corpus", set_up_evaluate};
}

Command predict_command() {
  return {"predict", "class probabilities of sound files of any length and format", set_up_predict};
}

}  // namespace serenade::ser
