#pragma once
// Parts of an HTML page of which one is seen at a time: a slider goes through the epochs.

#include <string>
#include <vector>

namespace serenade {

/// The slider, the parts, and the script that belongs to them; nothing else on a page is needed or
/// touched. parts: markup, one for each epoch. The last is seen at first; where no script runs, it
/// stays, and there is no slider. A part alone has none either; empty without parts.
std::string epoch_slider(const std::vector<std::string>& parts);

}  // namespace serenade
