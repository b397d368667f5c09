#pragma once
// The frame of an HTML report, and the pieces it is put together from.
//
// Two kinds of string pass through here. `text` is anything and gets escaped; `markup` is HTML that
// these functions made, and is placed as it is.

#include <string>
#include <vector>

#include "apps/ser/common/text_table.h"
#include "apps/ser/report/chart.h"
#include "apps/ser/report/report.h"

namespace serenade::ser {

/// One page: title, lead, table of contents, sections. Style sheet and pictures are inside it.
class Page {
 public:
  explicit Page(std::string title);

  /// Markup above the table of contents.
  void lead(const std::string& markup);
  /// A section without markup is left out, with its heading.
  void section(const std::string& heading, const std::string& explanation_text,
               const std::string& markup);
  std::string finish() const;

 private:
  std::string title_;
  std::string lead_;
  std::vector<std::string> headings_;
  std::string sections_;
};

std::string paragraph(const std::string& text);
/// A framed paragraph that the reader must not miss.
std::string notice(const std::string& text);
/// Empty without lines.
std::string bullet_list(const std::vector<std::string>& lines);
/// Empty without rows.
std::string html_table(const std::vector<TextTable::Column>& columns,
                       const std::vector<std::vector<std::string>>& rows);
/// Two columns, name and value. Empty without rows.
std::string name_table(const std::vector<NamedText>& rows);
/// One large figure with its name above and a remark below.
std::string card(const NamedText& figure, const std::string& remark);
std::string card_row(const std::string& cards_markup);
/// Pictures side by side where the window is wide enough. Empty pictures are left out.
std::string gallery(const std::vector<std::string>& pictures_markup);
/// A drawing with fixed colours of its own, on the white ground that these were made for.
std::string drawing(const std::string& picture_markup);
/// Folded away until the reader opens it. Empty without markup.
std::string folded(const std::string& summary_text, const std::string& markup);

/// Draws the chart with the height its legend needs.
std::string draw_with_legend(LineChart chart);

/// Parts (a) and (b) of Figure 3; a part without curves is left out.
std::string figure3_pictures(const Figure3& figure);
/// What Figure 3 shows, for the reader.
std::string figure3_explanation();

/// "58.2 to 68.0", per cent.
std::string percent_range(const Interval& interval);

}  // namespace serenade::ser
