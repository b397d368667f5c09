// Whose folder it is: nothing of others is touched, nothing is lost, one process writes.

#include "apps/ser/report/result_folder.h"

#include <doctest/doctest.h>
#include <sys/file.h>
#include <sys/wait.h>

#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>

#include "apps/ser/common/error.h"
#include "apps/ser/report/own_files.h"
#include "tensor/files.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

const Fingerprint kFingerprint = {{"corpus", "3 recordings, abc"}, {"device", "cpu"}};

FolderPlan plan_of(const std::string& path, OverwritePolicy overwrite = OverwritePolicy::refuse) {
  FolderPlan plan{.path = path, .kind = "run", .config = {}, .overwrite = overwrite};
  plan.config.corpus = "/somewhere/corpus";
  plan.config.cache = "/somewhere/cache";
  plan.config.resolve();
  return plan;
}

FolderPlan resume_of(const std::string& path) { return plan_of(path, OverwritePolicy::resume); }
FolderPlan replace_of(const std::string& path) { return plan_of(path, OverwritePolicy::replace); }

// A folder with results, as a finished run leaves it.
void make_run(const std::string& path, const std::string& result = "old") {
  ResultFolder folder(plan_of(path));
  folder.begin(kFingerprint);
  write_text(path + "/results.json", result);
  write_text(path + "/folds/a/model.safetensors", result);
  write_text(path + "/checkpoint/a.json", result);
  folder.publish();
}

// Everything below a folder, with the contents of its files.
std::map<std::string, std::string> contents_of(const std::string& folder) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string path = entry.path().string();
    contents[path] = entry.is_regular_file() ? read_file(path) : "folder";
  }
  return contents;
}

template <class Error = InputError>
std::string refusal_of(const FolderPlan& plan) {
  return message_of<Error>([&] { ResultFolder folder(plan); });
}

// What is said on stderr meanwhile.
std::string said_during(const std::function<void()>& work) {
  std::ostringstream said;
  std::streambuf* const before = std::cerr.rdbuf(said.rdbuf());
  const std::shared_ptr<void> restore(nullptr, [&](void*) { std::cerr.rdbuf(before); });
  work();
  return said.str();
}

}  // namespace

TEST_CASE("result folder: a folder of somebody else is never replaced, resumed or written into") {
  const TemporaryFolder folder;
  const std::map<std::string, std::map<std::string, std::string>> foreign = {
      {"config", {{"config.json", "{}"}}},
      {"thesis", {{"config.json", "{}"}, {"thesis.tex", "precious"}}},
      {"looks_like_one", {{"config.json", to_json(Config())}, {"checkpoint/notes.txt", "mine"}}},
      {"hidden", {{".git/config", "mine"}}},
      {"model",
       {{"config.json", R"({"model_type": "bert"})"},
        {"model.safetensors", "mine"},
        {"checkpoint/opt.safetensors", "mine"}}},
      {"list", {{"config.json", "[]"}, {"checkpoint/a.json", "mine"}}},
      {"torn", {{"config.json", "{"}, {"cells/a.json", "mine"}}},
      {"solar", {{"config.json", R"({"system": "solar"})"}, {"cells/a.json", "mine"}}}};
  for (const auto& [name, files] : foreign) {
    CAPTURE(name);
    for (const auto& [file, text] : files) write_text(folder / name + "/" + file, text);
    const auto before = contents_of(folder.path());
    for (const OverwritePolicy policy :
         {OverwritePolicy::refuse, OverwritePolicy::resume, OverwritePolicy::replace}) {
      CHECK(contains(refusal_of(plan_of(folder / name, policy)), "choose another --out"));
    }
    CHECK(contents_of(folder.path()) == before);
  }
  write_text(folder / "file", "x");
  CHECK(contains(refusal_of(replace_of(folder / "file")), "a file of that name exists"));
  fs::create_directories(folder / "shelf/empty");
  CHECK(refusal_of(plan_of(folder / "shelf")) ==
        folder / "shelf" +
            ": this folder exists and is not empty; choose another --out, or pass --resume to "
            "continue it or --replace to start over");
}

TEST_CASE("result folder: one foreign file in a run of ours is named, and keeps all of it") {
  const TemporaryFolder folder;
  for (const char* guest : {"notes.txt", "folds/a/notes.txt", "folds/a/more/model.safetensors",
                            "checkpoint/a.json.mine", "folds/.hidden/model.safetensors"}) {
    CAPTURE(guest);
    const std::string path = folder / "run";
    make_run(path);
    write_text(path + "/" + guest, "mine");
    const auto before = contents_of(folder.path());
    CHECK(
        contains(refusal_of(replace_of(path)), "nothing is removed that serenade has not written"));
    CHECK(contents_of(folder.path()) == before);
    fs::remove_all(path);
  }
  // A link is nobody's file, whatever it points to: a file, a folder, itself, or nothing.
  make_run(folder / "run");
  const std::vector<std::pair<std::string, std::string>> links = {{"report.html", "/etc/hostname"},
                                                                  {"cells", "/etc"},
                                                                  {"loop", "loop"},
                                                                  {"table2.md", "absent"}};
  for (const auto& [name, target] : links) {
    fs::create_symlink(target, folder / "run/" + name);
    CHECK(refusal_of(replace_of(folder / "run")) ==
          folder / "run" + ": not a folder of results alone, it holds " + name +
              "; nothing is removed that serenade has not written: choose another --out");
    fs::remove(folder / "run/" + name);
  }
}

TEST_CASE("result folder: the old run stands until the new one is there") {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  make_run(path);
  {
    ResultFolder next(replace_of(path));
    CHECK(next.path() == fs::canonical(path).string() + ".serenade-new");
    next.begin(kFingerprint);
    write_text(next.file("results.json"), "new");
    CHECK(read_file(path + "/results.json") == "old");
  }  // killed
  CHECK(read_file(path + "/results.json") == "old");
  CHECK(contains(refusal_of(plan_of(path)), "--resume"));
  {
    ResultFolder next(resume_of(path));  // goes on with the new one
    next.begin(kFingerprint);
    CHECK(read_file(next.file("results.json")) == "new");
    CHECK(stored_folder_config(path)->corpus == "/somewhere/corpus");
    next.publish();
    CHECK(next.file("results.json") == fs::canonical(path).string() + "/results.json");
  }
  CHECK(read_file(path + "/results.json") == "new");
  CHECK_FALSE(fs::exists(path + "/folds"));
  CHECK_FALSE(fs::exists(path + ".serenade-new"));
  CHECK_FALSE(fs::exists(path + ".serenade-old"));

  // Killed between the two renamings: the new one may be continued, and started over.
  const std::string real = fs::canonical(path);
  for (const OverwritePolicy policy : {OverwritePolicy::resume, OverwritePolicy::replace}) {
    {
      ResultFolder newer(replace_of(path));
      newer.begin(kFingerprint);
      write_text(newer.file("results.json"), "newer");
    }
    fs::rename(path, path + ".serenade-old");
    CHECK(refusal_of(plan_of(path)) == path + ": " + real +
                                           ".serenade-new is to take its place; pass --resume to "
                                           "continue it or --replace to start over");
    ResultFolder last(plan_of(path, policy));
    CHECK(last.path() == real + ".serenade-new");
    last.begin(kFingerprint);
    last.publish();
    CHECK(fs::exists(path + "/results.json") == (policy == OverwritePolicy::resume));
    CHECK(fs::exists(path + "/config.json"));
    CHECK_FALSE(fs::exists(path + ".serenade-new"));
    CHECK_FALSE(fs::exists(path + ".serenade-old"));
  }
  // What is begun over is a folder of ours alone, too.
  {
    ResultFolder newest(replace_of(path));
    newest.begin(kFingerprint);
    write_text(newest.file("notes.txt"), "mine");
  }
  CHECK(refusal_of(replace_of(path)) ==
        real +
            ".serenade-new: not a folder of results alone, it holds notes.txt; nothing is removed "
            "that serenade has not written: choose another --out");
}

TEST_CASE("result folder: runs of names that look like ours beside a run are left alone") {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  make_run(path);
  for (const char* suffix : {".new", ".old", ".1"}) make_run(path + suffix, suffix);
  {
    ResultFolder next(replace_of(path));
    next.begin(kFingerprint);
    write_text(next.file("results.json"), "new");
    next.publish();
  }
  CHECK(read_file(path + "/results.json") == "new");
  for (const char* suffix : {".new", ".old", ".1"}) {
    CHECK(read_file(path + suffix + "/results.json") == suffix);
  }
  // A run in the very place that is needed is in the way.
  make_run(path + ".serenade-new", "mine");
  CHECK(contains(refusal_of(replace_of(path)), "is in the way"));
  CHECK(refusal_of(resume_of(path)).empty());
  CHECK(read_file(path + ".serenade-new/results.json") == "mine");
}

TEST_CASE("result folder: a run is not resumed with fewer epochs") {
  const TemporaryFolder folder;
  make_run(folder / "run");
  FolderPlan plan = resume_of(folder / "run");
  plan.free_keys = {"epochs"};
  plan.config.epochs += 1;
  CHECK(refusal_of(plan).empty());
  plan.config.epochs -= 2;
  CHECK(contains(refusal_of(plan), "fewer epochs"));
}

TEST_CASE("result folder: what came into the old folder meanwhile is kept") {
  const TemporaryFolder folder;
  const std::string path = fs::canonical(folder.path()).string() + "/run";
  const std::string old = path + ".serenade-old";
  const auto replace_with_notes = [&](const std::string& notes) {
    ResultFolder next(replace_of(path));
    next.begin(kFingerprint);
    if (!notes.empty()) write_text(path + "/notes.txt", notes);
    return said_during([&] { next.publish(); });
  };
  make_run(path);
  fs::create_directory(old);  // empty, so it may be taken
  const std::string kept = ": is kept, it holds files that serenade has not written\n";
  CHECK(replace_with_notes("mine") == old + kept);
  CHECK(read_file(old + "/notes.txt") == "mine");
  CHECK_FALSE(fs::exists(old + "/results.json"));
  // It is not written over, and neither is what is no folder.
  CHECK(replace_with_notes("more") == old + kept + old + "-2" + kept);
  CHECK(read_file(old + "/notes.txt") == "mine");
  CHECK(read_file(old + "-2/notes.txt") == "more");
  make_run(folder / "other");
  for (const char* text : {"", "mine"}) {
    fs::remove_all(old);
    write_text(old, text);
    CHECK(replace_with_notes("") == "");
    CHECK(read_file(old) == text);
  }
  for (const char* target : {"other", "absent"}) {
    fs::remove(old);
    fs::create_symlink(target, old);
    CHECK(replace_with_notes("") == "");
    CHECK(fs::is_symlink(old));
  }
  CHECK(read_file(folder / "other/results.json") == "old");
}

TEST_CASE("result folder: a link stays a link") {
  const TemporaryFolder folder;
  make_run(folder / "run");
  fs::create_directory_symlink("run", folder / "link");
  {
    ResultFolder next(replace_of(folder / "link"));
    next.begin(kFingerprint);
    write_text(next.file("results.json"), "new");
    next.publish();
  }
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(read_file(folder / "link/results.json") == "new");
  CHECK_FALSE(fs::is_symlink(folder / "run"));
  fs::create_symlink("loop", folder / "loop");
  CHECK(refusal_of<IoError>(plan_of(folder / "loop")) ==
        folder / "loop" + ": cannot be looked at: Too many levels of symbolic links");
  // A slash at the end is no part of the name.
  CHECK(ResultFolder(plan_of(folder / "new/")).path() ==
        fs::canonical(folder.path()).string() + "/new");
}

TEST_CASE("result folder: the current folder is not replaced") {
  const TemporaryFolder folder;
  make_run(folder / "run");
  const fs::path before = fs::current_path();
  fs::current_path(folder / "run");
  const std::string refusal = refusal_of(replace_of("."));
  fs::current_path(before);
  CHECK(contains(refusal, "current folder"));
  CHECK(fs::exists(folder / "run/results.json"));
}

TEST_CASE("result folder: inputs and results are kept apart, before anything is computed") {
  const TemporaryFolder folder;
  make_run(folder / "run");
  for (const char* option : {"--corpus", "--genotype", "--cache"}) {
    FolderPlan plan = replace_of(folder / "run");
    (option == std::string("--corpus")     ? plan.config.corpus
     : option == std::string("--genotype") ? plan.config.genotype
                                           : plan.config.cache) = folder / "run/below";
    CHECK(contains(refusal_of(plan), option));
    plan.path = folder / "new";
    CHECK(refusal_of(plan).empty());
    plan.path = folder.path();
    CHECK(contains(refusal_of(plan), "lies in the folder of the results"));
  }
  CHECK(fs::exists(folder / "run/results.json"));
}

TEST_CASE("result folder: a second writer is refused with the first one's process and host") {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  std::string holder;
  {
    ResultFolder first(plan_of(path));
    first.begin(kFingerprint);
    for (const OverwritePolicy policy :
         {OverwritePolicy::refuse, OverwritePolicy::resume, OverwritePolicy::replace}) {
      CHECK(contains(refusal_of(plan_of(path, policy)),
                     "process " + std::to_string(getpid()) + " on "));
    }
  }
  // The lock of a process that has died is nobody's.
  const pid_t child = fork();
  if (child == 0) {
    const FolderLock lock(path);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(refusal_of(resume_of(path)).empty());
  // A writer that has not said its name yet.
  write_text(path + "/serenade.lock", "");
  {
    const Descriptor nameless(path + "/serenade.lock", O_RDONLY);
    REQUIRE(flock(nameless.number(), LOCK_EX) == 0);
    CHECK(refusal_of(resume_of(path)) ==
          path + ": another process is writing into it; wait for its end, or choose another --out");
  }
  // What stands where the lock must be.
  fs::remove(path + "/serenade.lock");
  fs::create_directory(path + "/serenade.lock");
  CHECK(refusal_of<IoError>(resume_of(path)) ==
        fs::canonical(path).string() +
            "/serenade.lock: cannot be made: Is a directory; "
            "check the permissions");
  // While a run is being replaced, neither of the two folders may be written.
  make_run(folder / "other");
  ResultFolder next(replace_of(folder / "other"));
  CHECK(contains(refusal_of(resume_of(folder / "other")), "is writing into it"));
  CHECK(contains(refusal_of(replace_of(folder / "other")), "is writing into it"));
}

TEST_CASE("result folder: a resumed run has the same configuration, recordings and machine") {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  make_run(path);
  FolderPlan plan = resume_of(path);
  plan.config.seed = 7;
  CHECK(contains(refusal_of(plan), "'seed' was 0 in this run, not 7"));
  plan.free_keys = {"seed"};
  CHECK(refusal_of(plan).empty());
  for (const std::string& what : {std::string("corpus"), std::string("device")}) {
    Fingerprint other = kFingerprint;
    for (auto& [name, value] : other) value += name == what ? " of another kind" : "";
    ResultFolder resumed(resume_of(path));
    CHECK(contains(message_of<InputError>([&] { resumed.begin(other); }),
                   "cannot resume, the " + what + " was "));
  }
  plan = resume_of(path);
  plan.kind = "table";
  CHECK(contains(refusal_of(plan), "holds a run, not a table"));
  ResultFolder resumed(resume_of(path));
  resumed.begin(kFingerprint);
  CHECK(read_file(path + "/results.json") == "old");
}

TEST_CASE("result folder: every state of a folder has a way on") {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  // Nothing begun: bad input leaves no folder, but an empty one that was there stays.
  { ResultFolder unused(plan_of(path)); }
  CHECK_FALSE(fs::exists(path));
  fs::create_directory(path);
  { ResultFolder unused(plan_of(path)); }
  CHECK(fs::is_empty(path));
  CHECK_FALSE(stored_folder_config(path));

  // Killed before the first result: it may be resumed, begun anew, and replaced.
  for (const OverwritePolicy policy :
       {OverwritePolicy::refuse, OverwritePolicy::resume, OverwritePolicy::replace}) {
    fs::remove_all(path);
    const pid_t child = fork();
    if (child == 0) {
      const ResultFolder killed(plan_of(path));
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    REQUIRE(fs::exists(path + "/serenade.json"));
    CHECK(stored_folder_config(path)->corpus == "/somewhere/corpus");
    ResultFolder again(plan_of(path, policy));
    again.begin(kFingerprint);
    again.publish();
    CHECK(fs::exists(path + "/config.json"));
  }

  // config.json lost or damaged: the mark has a copy. Both: another --out, or --replace.
  for (const char* text : {"", "{", "{\"seed\": \"many\"}"}) {
    write_text(path + "/config.json", text);
    CHECK(stored_folder_config(path)->corpus == "/somewhere/corpus");
  }
  fs::remove(path + "/config.json");
  write_text(path + "/results.json", "old");
  CHECK(stored_folder_config(path)->corpus == "/somewhere/corpus");
  { ResultFolder resumed(resume_of(path)); }
  const std::string no_copy =
      path +
      "/config.json: missing, and there is no copy of it in serenade.json; give all settings again "
      "with another --out, or with --replace";
  const auto no_config = [&] {
    return message_of<InputError>([&] { stored_folder_config(path); });
  };
  for (const char* damaged :
       {"{", "[]", "{}", R"({"format": "serenade-folder-1", "kind": 3})",
        R"({"format": "serenade-folder-1", "replaces": {}})",
        R"({"format": "serenade-folder-1", "also": ["a"]})",
        R"({"format": "serenade-folder-1", "fingerprint": [1]})",
        R"({"format": "serenade-folder-1", "fingerprint": {"device": "cpu", "corpus": 3}})"}) {
    CAPTURE(damaged);
    write_text(path + "/serenade.json", damaged);
    CHECK(no_config() == no_copy);
    CHECK(stored_folder_also(path) == "");
    CHECK(refusal_of(resume_of(path)) ==
          path +
              ": serenade.json is damaged, so nobody can tell whether the recordings and the "
              "machine are still the same; start over with --replace");
    CHECK(refusal_of(replace_of(path)).empty());
  }
  write_text(path + "/serenade.json", R"({"format": "serenade-folder-1"})");
  CHECK(no_config() == no_copy);
  write_text(path + "/config.json", to_json(plan_of(path).config));
  {
    ResultFolder resumed(resume_of(path));
    const std::string unknown =
        ": no fingerprint in serenade.json, so nobody can tell whether the recordings and the "
        "machine are those that it was begun with\n";
    CHECK(said_during([&] { resumed.begin(kFingerprint); }) == path + unknown);
    CHECK(said_during([&] { resumed.begin(kFingerprint); }) == "");
  }
  write_text(path + "/serenade.json", R"({"format": "serenade-folder-99"})");
  CHECK(contains(refusal_of(resume_of(path)), "another version"));
}

TEST_CASE(
    "result folder: a run of before there were marks is resumed, and replaced if it is whole") {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  make_run(path);
  fs::remove(path + "/serenade.json");
  CHECK(refusal_of(replace_of(path)).empty());
  CHECK(stored_folder_config(path)->corpus == "/somewhere/corpus");
  CHECK(stored_folder_also(path) == "");
  {
    ResultFolder resumed(resume_of(path));
    resumed.begin(kFingerprint);
    CHECK(fs::exists(path + "/serenade.json"));
  }
  // A table had cells, and no checkpoint.
  fs::remove(path + "/serenade.json");
  fs::remove_all(path + "/checkpoint");
  write_text(path + "/cells/a.json", "old");
  CHECK(refusal_of(resume_of(path)) == path + ": holds a table, not a run; choose another --out");
  FolderPlan plan = resume_of(path);
  plan.kind = "table";
  plan.also = "two systems";
  ResultFolder table(plan);
  table.begin(kFingerprint);
  CHECK(stored_folder_also(path) == "two systems");
}

TEST_CASE("result folder: a file that a killed program left unfinished is gone at the next start") {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  make_run(path);
  write_text(path + "/report.html.12.0.partial", "half");
  write_text(path + "/checkpoint/a.json.12.1.partial", "half");
  CHECK(foreign_entry(path) == "");
  write_text(path + "/film.partial", "mine");
  ResultFolder resumed(resume_of(path));
  CHECK_FALSE(fs::exists(path + "/report.html.12.0.partial"));
  CHECK_FALSE(fs::exists(path + "/checkpoint/a.json.12.1.partial"));
  CHECK(read_file(path + "/film.partial") == "mine");
}

}  // namespace serenade::ser
