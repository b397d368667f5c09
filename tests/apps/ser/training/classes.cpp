// Runs with other classes than the four.

#include <doctest/doctest.h>

#include "apps/ser/common/error.h"
#include "apps/ser/evaluation/evaluate.h"
#include "apps/ser/report/run_results.h"
#include "apps/ser/training/model_file.h"
#include "tensor/safetensors.h"
#include "tests/apps/ser/training/tones.h"

namespace serenade::ser {

namespace {

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("classes: three and seven, in both systems, their supernets, model files and results") {
  for (const Names& labels :
       {Names{"low", "high", "sad"}, Names{"a", "b", "c", "d", "e", "neutral", "f"}}) {
    const TemporaryFolder folder;
    const std::string corpus = make_tone_corpus(folder, labels);
    for (const char* system : {kGruAtt, kSeqCap}) {
      for (const char* strategy : {"none", "dropout"}) {
        CAPTURE(labels.size());
        CAPTURE(system);
        CAPTURE(strategy);
        Config config = small_config(corpus, system, strategy);
        config.epochs = config.search_epochs = 1;
        config.label_set = "all";
        const LoadedCorpus loaded = prepare_corpus(config);
        config = config.with_classes(loaded.corpus.classes);
        REQUIRE(config.classes.size() == labels.size());
        CHECK(config.classes.front() == (labels.size() == 3 ? "sad" : "neutral"));
        TrainedFold trained = run_fold(config, loaded, loaded.folds.front(), {});
        const std::string path = folder / "model.safetensors";
        write_model(path, config, trained.run.genotype, trained.normalisation, *trained.recognizer);
        const ModelFile model = read_model(path);
        CHECK(model.config.classes == config.classes);
        const Dataset test(loaded.features, loaded.labels, loaded.folds.front().test,
                           model.normalisation, model.config.segments);
        const std::vector<Prediction> again = evaluate(*model.recognizer, test, loaded.corpus);
        REQUIRE(again.size() == trained.run.predictions.size());
        for (std::size_t i = 0; i < again.size(); ++i) {
          CHECK(again[i].probabilities == trained.run.predictions[i].probabilities);
          CHECK(again[i].probabilities.size() == labels.size());
        }
        const FoldRun read = fold_run_from_json(to_json(trained.run));
        CHECK(read.classes == config.classes);
        CHECK(to_json(read) == to_json(trained.run));
        const RunResults results = summarize(config, loaded.corpus, {trained.run});
        CHECK(results.confusion.size() == static_cast<int>(labels.size()));
        CHECK(results.confusion.majority_baseline_ua() ==
              doctest::Approx(1.0 / static_cast<double>(labels.size())));
        CHECK(contains(render_run_report(run_report(results, "")), ">" + labels.front() + "<"));
      }
    }
  }
}

TEST_CASE("classes: files of before have the four") {
  const TemporaryFolder folder;
  Config config = small_config(make_tone_corpus(folder), kGruAtt, "none");
  config.epochs = 1;
  const LoadedCorpus loaded = prepare_corpus(config);
  TrainedFold trained = run_fold(config, loaded, loaded.folds.front(), {});
  const std::string path = folder / "model.safetensors";
  write_model(path, config, trained.run.genotype, trained.normalisation, *trained.recognizer,
              origin_of(loaded.corpus, loaded.folds.front()));
  SafetensorsFile file = read_safetensors(path);
  CHECK(read_model(path).origin->test_speakers == Names{"A"});
  for (const auto& [key, text] : file.metadata) {
    CHECK(text.find(folder.path()) == std::string::npos);  // no path of this machine
  }
  file.metadata.erase("classes");
  file.metadata.erase("origin");
  write_safetensors(path, file);
  CHECK(read_model(path).config.classes == class_names());
  CHECK_FALSE(read_model(path).origin.has_value());
  for (const char* bad : {"[]", "[\"a\"]", R"(["a", "a"])", "{}", "[1, 2]", "[\"a\", \"b\"]"}) {
    CAPTURE(bad);
    file.metadata["classes"] = bad;  // the last fits nobody's weights
    write_safetensors(path, file);
    CHECK(contains(message_of<InputError>([&] { read_model(path); }), path + ": "));
  }
}

}  // namespace serenade::ser
