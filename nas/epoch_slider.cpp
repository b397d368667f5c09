#include "nas/epoch_slider.h"

namespace serenade {

namespace {

constexpr const char* kSlider =
    "<p hidden=\"\"><label>After epoch <output></output> "
    "<input type=\"range\" min=\"1\" autocomplete=\"off\"/></label></p>\n";

// The maximum goes before the value, which it bounds.
constexpr const char* kScript = R"(<script>
(() => {
  const here = document.currentScript.parentElement;
  const slider = here.querySelector('input'), epochs = here.querySelectorAll('.epoch');
  const show = () => {
    here.querySelector('output').textContent = slider.value + ' of ' + epochs.length;
    epochs.forEach((epoch, i) => { epoch.hidden = i != slider.value - 1; });
  };
  slider.max = epochs.length;
  slider.value = epochs.length;
  slider.oninput = show;
  slider.closest('p').hidden = false;
  show();
})();
</script>
)";

}  // namespace

std::string epoch_slider(const std::vector<std::string>& parts) {
  if (parts.empty()) return "";
  const bool several = parts.size() > 1;
  std::string html = "<div>\n" + std::string(several ? kSlider : "");
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    html += std::string("<div class=\"epoch\"") + (last ? "" : " hidden=\"\"") + ">\n" + parts[i] +
            "</div>\n";
  }
  return html + (several ? kScript : "") + "</div>\n";
}

}  // namespace serenade
