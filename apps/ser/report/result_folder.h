#pragma once
// The rules for a folder that results go into, the same for a run and for a table: nothing is
// overwritten unasked, and nothing is continued under another configuration.

#include <string>
#include <vector>

#include "apps/ser/training/config.h"

namespace serenade::ser {

/// What to do where the folder exists already.
enum class OverwritePolicy { refuse, resume, replace };

/// Whether results may go into the folder; changes nothing, so it can be asked before long work.
/// `refuse`: throws InputError if it exists and is not empty. `resume`: throws InputError if its
/// config.json differs from this configuration in a key other than `free_keys`, naming the first
/// that does. `resume` and `replace`: throws InputError if it is neither empty nor a folder of
/// results (has a config.json). Throws IoError where the system refuses to look.
void check_result_folder(const std::string& path, const Config& config, OverwritePolicy overwrite,
                         const std::vector<std::string>& free_keys = {});

/// The same check; then clears the folder (`replace` only), makes it, and writes its config.json.
void open_result_folder(const std::string& path, const Config& config, OverwritePolicy overwrite,
                        const std::vector<std::string>& free_keys = {});

}  // namespace serenade::ser
