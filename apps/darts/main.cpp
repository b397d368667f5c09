// The program `darts`: searches for cells, trains networks of them, draws them.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/darts/experiment.h"
#include "nas/cell_page.h"
#include "nas/cell_text.h"
#include "nn/training/program.h"
#include "nn/training/run_folder.h"
#include "tensor/files.h"

namespace serenade::darts {

namespace {

// The command and its options as JSON, but for what changes no result, and what files have held.
std::string config_of(const CLI::App& command, const Cells& given, const Images& images) {
  nlohmann::ordered_json config = {{"program", "darts"}, {"command", command.get_name()}};
  for (const CLI::Option* option : command.get_options()) {
    const std::string name = option->get_single_name(), value = option->as<std::string>();
    if (name == "help" || name == "made" || name == "out") continue;
    const bool number = nlohmann::json::accept(value);
    config[name] = number ? nlohmann::json::parse(value) : nlohmann::json(value);
  }
  if (!given.empty()) config["cells"] = to_text(cell_space(), given);
  config["training_images"] = images.training->size();
  config["data"] = content_hash(*images.training) + content_hash(*images.test);
  return config.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void run(const CLI::App& command, const Settings& settings, const std::string& out) {
  const std::string& name = command.get_name();
  const Cells given = name == "train" ? find_cells(settings.genotype, settings.seed) : Cells();
  const Images images =
      load_images(settings.cifar10, settings.images, settings.seed, settings.cutout);
  RunFolder folder("--out", out, config_of(command, given, images));
  DrawnLine accuracy{"accuracy", {}}, majority{"majority class", {}};
  const TrainerOptions hooks = folder.record({.on_epoch = [&](const EpochMetrics& epoch) {
    accuracy.values.push_back(epoch.values.at("accuracy"));
    majority.values.push_back(images.majority);
  }});
  const Result result =
      name == "search" ? search(settings, images, hooks) : train(given, settings, images, hooks);
  const std::string text = to_text(cell_space(), result.cells);
  SafetensorsFile model;
  model.tensors = result.weights;
  model.metadata["genotype"] = text;
  write_safetensors(folder.file("model.safetensors"), model);
  write_file(folder.file("genotype.txt"), text + "\n");
  CellPage page = {.title = "darts " + name, .history = result.history};
  for (const SearchRecord& epoch : result.history) page.cells.push_back(cell_space().derive(epoch));
  if (page.cells.empty()) page.cells = {given};
  page.lines_title = "Test images told right";
  page.lines = {majority, accuracy};
  write_file(folder.file("report.html"), to_html(cell_space(), page));
  folder.finish();
  std::printf("%s\n%s: %.1f %% of test images told right; majority class %.1f %%\n", text.c_str(),
              folder.file("report.html").c_str(), 100 * accuracy.values.back(),
              100 * images.majority);
}

CLI::App& add_command(CLI::App& app, const std::string& name, const std::string& help, Settings& s,
                      std::string& out) {
  CLI::App& command = *app.add_subcommand(name, help);
  const auto cifar = command.add_option("--cifar10", s.cifar10, "Folder of its binary files");
  command
      .add_flag_callback(
          "--made", [] {}, "Images that are made: the default")
      ->excludes(cifar);
  const auto add = [&](const std::string& option, auto& value, double low, double high) {
    const auto fault = [low, high](const std::string& word) -> std::string {
      double number = 0;
      if (CLI::detail::lexical_cast(word, number) && number >= low && number <= high) return "";
      std::ostringstream words;
      words << "must be from " << low << " to " << high << "; got " << word;
      return words.str();
    };
    return command.add_option(option, value)->check(fault, "NUMBER");
  };
  add("--images", s.images, 2, 1e6)->description("Made images to learn from")->excludes(cifar);
  add("--channels", s.channels, 2, 512)->description("Of a node of the first cells; even");
  add("--cells", s.cells, 3, 100);
  add("--epochs", s.epochs, 1, 1e5);
  add("--batch-size", s.batch_size, 2, 1e5);
  add("--learning-rate", s.learning_rate, 1e-9, 10)->description("Falls along half a cosine");
  command.add_flag("--cutout", s.cutout, "A square of each training image is blanked");
  command.add_option("--seed", s.seed)->check(fault_of_seed, "DIGITS");
  command.add_option("--out", out, "Folder; the same command goes on where it stopped");
  if (name == "search") {
    add("--alpha-learning-rate", s.alpha_learning_rate, 1e-9, 1);
    return command;
  }
  command.add_option("--genotype", s.genotype, "A file, DARTS_V1, DARTS_V2 or random");
  add("--drop-path", s.drop_path, 0, 0.99)->description("Of edges at the end; grows from 0");
  command.add_flag("--auxiliary", s.auxiliary, "A second classifier at two thirds");
  return command;
}

void parse_and_run(int argc, char** argv) {
  CLI::App app{"Differentiable search for the cells of an image classifier (DARTS)", "darts"};
  app.require_subcommand(1);
  app.option_defaults()->always_capture_default();
  Settings settings;
  std::string out = "runs/darts-search", train_out = "runs/darts-train", file;
  CLI::App& search = add_command(app, "search", "Search for cells", settings, out);
  CLI::App& train =
      add_command(app, "train", "Train a network of given cells", settings, train_out);
  CLI::App& draw = *app.add_subcommand("draw", "Draw cells on an HTML page");
  draw.add_option("--genotype", settings.genotype, "A file, DARTS_V1, DARTS_V2 or random");
  draw.add_option("--seed", settings.seed, "Of random cells")->check(fault_of_seed, "DIGITS");
  draw.add_option("--out", file, "The page")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0)
      throw InputError(std::string(error.what()) + " (see darts --help)");
    app.exit(error);  // --help
    return;
  }
  if (search) run(search, settings, out);
  if (train) run(train, settings, train_out);
  if (draw) {
    const Cells cells = find_cells(settings.genotype, settings.seed);
    write_file(file, to_html(cell_space(), {.title = settings.genotype, .cells = {cells}}));
  }
}

}  // namespace

}  // namespace serenade::darts

int main(int argc, char** argv) {
  return serenade::run_program("darts", [&] {
    try {
      serenade::darts::parse_and_run(argc, argv);
    } catch (const std::invalid_argument& error) {  // settings and files that cannot be
      throw serenade::InputError(error.what());
    }
  });
}
