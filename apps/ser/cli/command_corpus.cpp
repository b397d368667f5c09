// `serenade corpus list|check|make`.

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <numeric>

#include "apps/ser/cli/commands.h"
#include "apps/ser/cli/config_options.h"
#include "apps/ser/common/error.h"
#include "apps/ser/common/names.h"
#include "apps/ser/common/text_table.h"
#include "apps/ser/corpus/corpus_row.h"
#include "apps/ser/corpus/demo_corpus.h"
#include "nn/training/progress.h"

namespace serenade::ser {

namespace {

// Licences and ways to obtain the corpora are those of their own pages.
void list_corpora() {
  TextTable table({{"kind", Align::left},
                   {"corpus", Align::left},
                   {"four classes", Align::right},
                   {"speakers", Align::right},
                   {"how it is obtained", Align::left}});
  for (const CorpusRow& row : corpus_rows()) {
    const std::vector<int>& counts = row.label_sets.front().class_counts;
    const int recordings = std::accumulate(counts.begin(), counts.end(), 0);
    table.add_row({row.name, row.title, recordings > 0 ? std::to_string(recordings) : "",
                   row.speakers > 0 ? std::to_string(row.speakers) : "", row.about});
  }
  std::cout << table.to_text();
}

struct CheckOptions {
  std::string path;
  LabelOptions labels;
  bool json = false;
  bool strict = false;
};

void run_check(const CheckOptions& options) {
  const CorpusCheck check = check_corpus(load_corpus(options.labels.spec(options.path)));
  std::cout << (options.json ? to_json(check) + "\n" : to_text(check));
  if (options.strict && !check.ok()) {
    throw InputError(options.path + ": the corpus differs from what is expected (--strict)");
  }
}

struct MakeOptions {
  std::string folder;
  DemoOptions demo;
};

void run_make(MakeOptions options) {
  std::unique_ptr<ProgressBar> sized;
  options.demo.progress = [&](std::int64_t done, std::int64_t total) {
    if (!sized) sized = std::make_unique<ProgressBar>("synthetic voices", total);
    sized->update(done);
  };
  make_demo_corpus(options.folder, options.demo);
  if (sized) sized->finish();
  std::cout << options.folder << ": demonstration corpus of synthetic speech\n";
}

void set_up_corpus(CLI::App& corpus) {
  corpus.require_subcommand(1);
  corpus.add_subcommand("list", "the corpora that can be read")->callback(list_corpora);

  auto check = std::make_shared<CheckOptions>();
  CLI::App* check_command = corpus.add_subcommand("check", "compare counts with the expected ones");
  check_command->add_option("folder", check->path, "folder or CSV manifest")->required();
  check->labels.add_to(*check_command);
  check_command->add_flag("--json", check->json, "one JSON document on stdout");
  check_command->add_flag("--strict", check->strict, "exit code 2 where something differs");
  check_command->callback([check] { run_check(*check); });

  auto make = std::make_shared<MakeOptions>();
  CLI::App* make_command = corpus.add_subcommand(
      "make", "write a demo corpus of SYNTHETIC speech with espeak-ng, in IEMOCAP's tree");
  make_command->add_option("folder", make->folder, "where to")->required();
  make_command->add_option("--utterances", make->demo.utterances, "per voice and emotion")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  make_command->add_option("--seed", make->demo.seed, "of texts and jitter")->capture_default_str();
  make_command->callback([make] { run_make(*make); });
}

}  // namespace

Command corpus_command() {
  return {"corpus", "list known corpora, check one, or make a demo", set_up_corpus};
}

}  // namespace serenade::ser
