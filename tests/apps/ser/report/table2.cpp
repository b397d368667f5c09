// The table of systems and modes as one job that can be broken off and continued.

#include "apps/ser/report/table2.h"

#include <doctest/doctest.h>

#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

#include "apps/ser/cli/commands.h"
#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/report/run_results.h"
#include "apps/ser/report/table2_results.h"
#include "kernels/runtime/threads.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

// Two sessions of two speakers, who say each emotion once at a pitch of its own: 16 sounds.
std::string write_corpus(const TemporaryFolder& folder) {
  const std::vector<std::string> labels = {"neutral", "angry", "happy", "sad"};
  std::string csv = "path,label,speaker,group\n";
  for (int speaker = 0; speaker < 4; ++speaker) {
    for (int label = 0; label < 4; ++label) {
      const std::string name =
          std::string("s") + std::to_string(speaker) + "_" + labels[label] + ".wav";
      write_wav(folder / name, tone(300.0 * (label + 1) + 20 * speaker, 8000));
      csv += name + "," + labels[label] + ",s" + std::to_string(speaker) + ",session" +
             std::to_string(speaker / 2) + "\n";
    }
  }
  write_text(folder / "corpus.csv", csv);
  return folder / "corpus.csv";
}

TablePlan tiny_plan(const std::string& corpus) {
  TablePlan plan;
  plan.config.corpus = corpus;
  plan.config.cache.clear();
  set_value(plan.config, "preset", "mel");
  plan.config.segments = {.length = 32, .minimum = 8};
  plan.config.direction = Direction::first;
  plan.config.folds = 1;
  plan.config.epochs = 1;
  plan.config.search_epochs = 1;
  plan.config.batch_size = 8;
  plan.modes = {"none", "sampling", "dropout"};
  plan.resolve();
  return plan;
}

// A saved run without the times it took.
nlohmann::json result_of(const std::string& path) {
  auto run = nlohmann::json::parse(read_text_file(path));
  run.erase("search_seconds");
  run.erase("train_seconds");
  run.erase("hash");
  for (auto& epoch : run["epochs"]) epoch.erase("seconds");
  return run;
}

std::size_t file_count(const std::string& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

int run_command(std::vector<std::string> words) {
  std::vector<const char*> line = {"serenade"};
  for (const std::string& word : words) line.push_back(word.c_str());
  return run_program(static_cast<int>(line.size()), line.data());
}

int run_report_command(const std::string& folder) { return run_command({"report", folder}); }

TableRuns run_in(const TablePlan& plan, const LoadedCorpus& loaded, const std::string& path,
                 OverwritePolicy overwrite, int jobs = 0, int* computed = nullptr) {
  ResultFolder folder(table_folder(plan, path, overwrite));
  return run_table(plan, loaded, folder, {.jobs = jobs}, computed);
}

// A finished table, computed once for all tests; each works on a copy of its folder.
struct Finished {
  TemporaryFolder folder;
  TablePlan plan = tiny_plan(write_corpus(folder));
  LoadedCorpus loaded = prepare_corpus(plan.config);
  int computed = -1;
  TableRuns runs = run_in(plan, loaded, folder / "table", OverwritePolicy::refuse, 1, &computed);
};

const Finished& finished() {
  static const Finished table;
  return table;
}

}  // namespace

TEST_CASE("table2: runs side by side give what they give one after the other") {
  const TemporaryFolder folder;
  TablePlan plan = tiny_plan(write_corpus(folder));
  plan.config.direction = Direction::both;
  plan.config.folds = 0;
  plan.modes = {"none", "joint", "dropout"};
  const LoadedCorpus loaded = prepare_corpus(plan.config);
  const int threads = cpu::thread_count();
  int computed = -1;
  run_in(plan, loaded, folder / "one", OverwritePolicy::refuse, 1, &computed);
  CHECK(computed == 2 * 3 * 4);
  run_in(plan, loaded, folder / "several", OverwritePolicy::refuse, 3, &computed);
  CHECK(computed == 2 * 3 * 4);
  CHECK(cpu::thread_count() == threads);
  for (const auto& cell : fs::directory_iterator(folder / "one/cells")) {
    const std::string name = cell.path().filename();
    CAPTURE(name);
    CHECK(result_of(folder / "one/cells/" + name) == result_of(folder / "several/cells/" + name));
  }
}

TEST_CASE("table2: every run is kept, none is computed twice, and a lost one comes back the same") {
  const TableRuns& first = finished().runs;
  const LoadedCorpus& loaded = finished().loaded;
  TablePlan plan = finished().plan;
  const TemporaryFolder copy;
  const std::string out = copy / "table";
  fs::copy(finished().folder / "table", out, fs::copy_options::recursive);
  const std::string cell =
      out + "/cells/CNN_SeqCap-dropout-" + loaded.folds[0].name + "-seed0.json";
  int computed = -1;

  CHECK(finished().computed == 6);
  CHECK(first.failures.empty());
  CHECK(file_count(out + "/cells") == 6);
  REQUIRE(fs::exists(cell));

  SUBCASE("continuing computes what is missing and nothing else") {
    run_in(plan, loaded, out, OverwritePolicy::resume, 0, &computed);
    CHECK(computed == 0);
    const nlohmann::json before = result_of(cell);
    fs::remove(cell);
    run_in(plan, loaded, out, OverwritePolicy::resume, 0, &computed);
    CHECK(computed == 1);
    CHECK(result_of(cell) == before);
  }

  SUBCASE("one more mode computes only that mode") {
    plan.systems = {kGruAtt};
    plan.modes = {"none", "joint"};
    const TableRuns grown = run_in(plan, loaded, out, OverwritePolicy::resume, 0, &computed);
    CHECK(computed == 1);
    CHECK(grown.of(kGruAtt, "joint").size() == 1);
    CHECK(file_count(out + "/cells") == 7);
    REQUIRE(make_table2(grown, "").comparisons.size() == 1);  // joint with none, not with dropout
    CHECK(make_table2(grown, "").comparisons[0].second == "CNN_GRU_att joint");
  }

  SUBCASE("strategies that the paper has not are rows like others") {
    plan.systems = {kSeqCap};
    plan.modes = {"none", "random", "gumbel"};
    const TableRuns grown = run_in(plan, loaded, out, OverwritePolicy::resume, 0, &computed);
    CHECK(computed == 2);
    const Table2 table = make_table2(grown, "");
    REQUIRE(table.cells.size() == 3);
    CHECK(table.cells[2].mode == "gumbel");
    CHECK(table.cells[2].confusion.total() == 4);
    const auto cells = nlohmann::json::parse(to_json(table)).at("cells");
    CHECK(cells[1].contains("paper"));
    CHECK_FALSE(cells[2].contains("paper"));
    REQUIRE(table.comparisons.size() == 3);  // random and gumbel with none, gumbel with random
    CHECK(table.comparisons[2].first == "CNN_SeqCap random");
    CHECK(table.comparisons[2].second == "CNN_SeqCap gumbel");
    REQUIRE(table_figure3(grown, kSeqCap).supernet.size() == 1);
    CHECK(table_figure3(grown, kSeqCap).supernet[0].mode == "gumbel");
    CHECK(contains(table_command(grown.plan, out), "--strategies none,random,gumbel"));
    plan.modes = {"gumbl"};
    CHECK(contains(message_of<InputError>([&] { plan.resolve(); }), "did you mean 'gumbel'"));
  }

  SUBCASE("another configuration is refused, and so is a folder that exists") {
    CHECK(contains(
        message_of<InputError>([&] { run_in(plan, loaded, out, OverwritePolicy::refuse); }),
        "--resume"));
    plan.config.epochs = 2;
    CHECK(contains(
        message_of<InputError>([&] { run_in(plan, loaded, out, OverwritePolicy::resume); }),
        "'epochs'"));
    CHECK(file_count(out + "/cells") == 6);
  }

  SUBCASE("the table has every row, every comparison and the curves of the searches") {
    const Table2 table = make_table2(first, "the command");
    REQUIRE(table.cells.size() == 6);
    for (const Table2Cell& row : table.cells) {
      CHECK(row.run_wa.size() == 1);
      CHECK(row.confusion.total() == 4);  // the test speaker's recordings
      CHECK(row.confusion.wa() == doctest::Approx(row.run_wa[0]));
      const FoldRun& run = *first.of(row.system, row.mode)[0];
      CHECK(row.mean_parameters == static_cast<double>(run.parameters));
      CHECK(row.genotypes[0] == run.genotype.summary());
      CHECK(row.seconds > 0);
    }
    CHECK(table.cells[2].system == kGruAtt);
    CHECK(table.cells[2].mode == "dropout");
    // Of each system: sampling and dropout against none, and dropout against sampling.
    REQUIRE(table.comparisons.size() == 6);
    CHECK(table.comparisons[2].first == "CNN_GRU_att sampling");
    CHECK(table.comparisons[2].second == "CNN_GRU_att dropout");
    CHECK(table.comparisons[2].pairs == 4);
    const Figure3 figure = table_figure3(first, kSeqCap);
    REQUIRE(figure.child.size() == 2);
    CHECK(figure.child[0].loss[0] == first.of(kSeqCap, "sampling")[0]->epochs[0].child_loss);
    CHECK(contains(figure.child_summary, "conv1="));
    TableRuns seeds = first;
    seeds.plan.seeds = 2;
    CHECK(table_figure3(seeds, kSeqCap).child_summary == figure.child_summary + " (of seed 0)");
  }

  SUBCASE("a table without a search has no figure, and one without a run is none") {
    plan.modes = {"none"};
    TableRuns small = first;
    small.plan = plan;
    std::erase_if(small.runs, [](const TableRun& run) { return run.mode != "none"; });
    small.runs[0].result->warnings = {"one"};
    small.runs[1].result->warnings = {"first", "second", "third"};
    CHECK(write_table2(small, copy.path()).cells.size() == 2);
    const std::string page = read_text_file(copy / "report.html");
    CHECK(contains(page, small.runs[0].name() + ": one<"));
    CHECK(contains(page, small.runs[1].name() + ": first (and 2 more)"));
    for (const auto& entry : fs::directory_iterator(copy.path())) {
      CHECK_FALSE(entry.path().filename().string().starts_with("figure3"));
    }
    for (TableRun& run : small.runs) run.result.reset();
    CHECK(message_of<InputError>([&] { make_table2(small, ""); }) ==
          "table2: no run of this table is finished");
  }

  SUBCASE("a table is read back without its corpus") {
    fs::remove(cell);
    const TableRuns read = read_table(out);
    CHECK(read.corpus == "corpus");
    CHECK(read.corpus_warnings == finished().loaded.corpus.warnings());
    CHECK(read.runs.size() == 6);
    CHECK(read.of(kSeqCap, "dropout").empty());
    CHECK(make_table2(read, "").cells.size() == 5);
    CHECK(contains(make_table2(read, "").notes.back(), "Not finished: 1 of 6 runs"));
    CHECK(run_report_command(out) == 0);
    CHECK(fs::file_size(out + "/report.html") > 1000);
    CHECK(fs::exists(out + "/figure3_CNN_GRU_att_a.svg"));
    auto list = nlohmann::json::parse(read_text_file(out + "/table.json"));
    const auto with_classes = [&](const nlohmann::json& classes) {
      list["classes"] = classes;
      write_text(out + "/table.json", list.dump());
      return message_of<InputError>([&] { read_table(out); });
    };
    CHECK(contains(with_classes({"good"}), "table.json: "));
    CHECK(contains(with_classes({"good", "good"}), "table.json: "));
    CHECK(contains(with_classes({"good", "bad"}), "has other classes than the table"));
    list.erase("classes");  // of before
    write_text(out + "/table.json", list.dump());
    CHECK(run_report_command(out) == 0);
    CHECK(read_table(out).classes == class_names());
    write_text(cell, "{}");
    CHECK(contains(message_of<InputError>([&] { read_table(out); }), cell));
  }
}

TEST_CASE("table2: a run that stops being finite is left out, and the others go on") {
  const TemporaryFolder folder;
  TablePlan plan = finished().plan;
  plan.systems = {kGruAtt};
  plan.modes = {"none"};
  plan.config.folds = 0;
  LoadedCorpus loaded = prepare_corpus(plan.config);
  REQUIRE(loaded.folds.size() == 2);
  // A recording that the first fold trains on, and the second one then does not see.
  const std::int64_t damaged = loaded.folds[1].validation.front();
  std::erase(loaded.folds[1].validation, damaged);
  Features& features = loaded.features[static_cast<std::size_t>(damaged)];
  const std::vector<float> holes(static_cast<std::size_t>(features.bins * features.frames), NAN);
  features.values = holes.data();
  const TableRuns runs = run_in(plan, loaded, folder / "table", OverwritePolicy::refuse);
  REQUIRE(runs.failures.size() == 1);
  CHECK(contains(runs.failures[0], "CNN_GRU_att none session1-test-s0 seed 0: "));
  CHECK(file_count(folder / "table/cells") == 1);
  const Table2 table = make_table2(runs, "");
  CHECK(table.cells[0].run_wa.size() == 1);
  CHECK(table.notes.back() == runs.failures[0]);
}

TEST_CASE("table2: plans that cannot be run are refused") {
  TablePlan plan;
  const auto refusal = [&] { return message_of<InputError>([&] { plan.resolve(); }); };
  plan.seeds = 0;
  CHECK(contains(refusal(), "seeds"));
  plan.seeds = 1;
  plan.modes = {"none", "none"};
  CHECK(contains(refusal(), "twice"));
  plan.modes = {};
  CHECK(contains(refusal(), "strategies"));
  plan.modes = {"none"};
  plan.systems = {"CNN_LSTM"};
  CHECK(contains(refusal(), "CNN_LSTM"));
  plan.systems = {kGruAtt};
  plan.config.genotype = "mine.json";
  CHECK(contains(refusal(), "genotype"));
  plan.config.genotype.clear();
  CHECK(refusal() == "");
}

TEST_CASE("figure 3: the finding names the lowest curve, whichever it is") {
  Figure3 figure{.system = "S",
                 .supernet = {{"joint", {2, 1}}, {"dropout", {3, 1.5}}},
                 .child = {{"joint", {2, 0.75}}, {"dropout", {1, 0.5}}},
                 .child_summary = ""};
  CHECK(contains(figure3_finding(figure), "lowest under joint (joint 1.0000, dropout 1.5000)"));
  CHECK(contains(figure3_finding(figure), "lowest under dropout (joint 0.7500, dropout 0.5000)"));
  CHECK(figure3_finding(figure).ends_with("this is so."));
  figure.matched_child = {{"joint", {1, 0.25}}, {"dropout", {1, 0.5}}};
  CHECK(figure3_finding(figure).ends_with(
      "this is so. With each layer of the child at the mixture's scale it is lowest under joint "
      "(joint 0.2500, dropout 0.5000)."));
  figure.child[1].loss.back() = 0.8;
  CHECK(contains(figure3_finding(figure), "this is not so."));
  figure.child[1].mode = "sampling";
  CHECK(figure3_finding(figure) == "");
  figure.child.pop_back();
  CHECK(figure3_finding(figure) == "");
}

TEST_CASE("figure 3: the mean over the runs, of epochs that train weights") {
  const auto epoch = [](int number, double loss, double child) {
    return EpochRecord{.stage = "search", .epoch = number, .train_loss = loss, .child_loss = child};
  };
  std::vector<FoldRun> runs(2);
  runs[0].epochs = {epoch(1, 2, 3), epoch(2, 1, 2), epoch(3, 0, 2)};
  runs[1].epochs = {epoch(1, 4, 1), epoch(2, 2, 1), epoch(3, 0, 1)};
  const Figure3 figure = figure3_of(runs, "S", "dropout");
  REQUIRE(figure.supernet.size() == 1);
  CHECK(figure.supernet[0].loss == std::vector<double>{3, 1.5});
  CHECK(figure.child[0].loss == std::vector<double>{2, 1.5});
  CHECK(figure.mixture.empty());  // runs of before
  CHECK(figure.matched_child.empty());
}

TEST_CASE("figure 3: the whole mixture stands beside a supernet that is trained in parts") {
  std::vector<FoldRun> runs(2);
  for (FoldRun& run : runs) {
    run.epochs = {{.stage = "search",
                   .train_loss = 2,
                   .child_loss = 3,
                   .mixture_loss = 1.5,
                   .matched_child_loss = 2.5}};
    run.history = {{.weight_steps = 8,
                    .choices = {{.name = "conv",
                                 .candidates = {"3x3", "5x5"},
                                 .alphas = {0, 0},
                                 .probabilities = {0.5, 0.5},
                                 .updates = {3, 5}}}}};
  }
  runs[1].epochs[0].mixture_loss = 0.5;
  const Figure3 figure = figure3_of(runs, "S", "sampling");
  REQUIRE(figure.mixture.size() == 1);
  CHECK(figure.mixture[0].mode == "sampling");
  CHECK(figure.mixture[0].loss == std::vector<double>{1});
  CHECK(contains(draw_figure3a(figure), "sampling, whole mixture"));
  CHECK(figure.matched_child.at(0).loss == std::vector<double>{2.5});
  CHECK(contains(draw_figure3b(figure), "sampling, at the mixture"));
  CHECK(contains(to_csv(figure), "matched child,sampling,1,2.5\n"));
  CHECK(contains(to_csv(figure), "mixture,sampling,1,1\n"));
  for (FoldRun& run : runs) run.history[0].choices[0].updates = {8, 8};
  CHECK(figure3_of(runs, "S", "joint").mixture.empty());
}

TEST_CASE("report: the page and the figure of a run are written again") {
  const TemporaryFolder folder;
  const std::string corpus = write_corpus(folder), out = folder / "run";
  REQUIRE(run_command({"search", "--corpus", corpus, "--cache", "", "--preset", "mel", "--epochs",
                       "1", "--search-epochs", "1", "--segment-frames", "32", "--segment-minimum",
                       "8", "--direction", "first", "--out", out}) == 0);
  const std::string page = read_text_file(out + "/report.html");
  const std::string figure = read_text_file(out + "/figure3.csv");
  fs::remove(out + "/report.html");
  fs::remove(out + "/figure3.csv");
  REQUIRE(run_report_command(out) == 0);
  CHECK(read_text_file(out + "/figure3.csv") == figure);
  CHECK(read_text_file(out + "/report.html").size() == page.size());  // but for the minute in it
  auto results = nlohmann::json::parse(read_text_file(out + "/results.json"));
  results["classes"] = {"good", "bad"};  // those of the folds are others
  write_text(out + "/results.json", results.dump());
  CHECK(run_report_command(out) == 2);
  results.erase("classes");  // of before, when there were the four
  write_text(out + "/results.json", results.dump());
  CHECK(run_report_command(out) == 0);
  CHECK(read_text_file(out + "/report.html").size() == page.size());
  fs::remove(out + "/results.json");
  CHECK(run_report_command(out) == 2);
}

TEST_CASE("report: a folder that is neither a run nor a table is refused") {
  const TemporaryFolder folder;
  CHECK(run_report_command(folder.path()) == 2);
  CHECK(run_report_command(folder / "missing") == 2);
}

}  // namespace serenade::ser
