#include "apps/ser/report/report_page.h"

#include "apps/ser/common/svg.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

// Colours are variables, so that dark mode is one block; both sets reach WCAG AA contrast.
constexpr const char* kPageStyle = R"css(
:root{color-scheme:light dark;--text:#16191d;--soft:#555c64;--page:#ffffff;--panel:#f6f8fa;
--line:#d8dde2;--link:#00588a;--warn:#fff4e0;--warn-line:#c98a00}
@media (prefers-color-scheme: dark){
:root{--text:#e8eaed;--soft:#a3abb3;--page:#16191d;--panel:#1f242a;
--line:#363d45;--link:#6cc0f5;--warn:#33290f;--warn-line:#f2b632}
}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1240px;padding:28px 24px 64px;background:var(--page);
color:var(--text);font:16px/1.5 system-ui,-apple-system,'Segoe UI','DejaVu Sans',Helvetica,Arial,
sans-serif}
h1{font-size:28px;line-height:1.2;margin:0 0 8px}
h2{font-size:20px;margin:44px 0 6px;padding-top:14px;border-top:1px solid var(--line)}
h3{font-size:16px;margin:22px 0 4px}
p{margin:6px 0 12px;max-width:78ch}
p.soft{color:var(--soft)}
a{color:var(--link)}
code{font:13px/1.45 ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;
overflow-wrap:anywhere}
ul{margin:6px 0 12px;padding-left:22px}
nav ul{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:4px 18px;font-size:14px}
.notice{border-left:5px solid var(--warn-line);background:var(--warn);padding:10px 16px;
margin:14px 0;font-weight:600;max-width:none}
.cards{display:flex;flex-wrap:wrap;gap:14px;margin:18px 0}
.card{flex:1 1 200px;background:var(--panel);border:1px solid var(--line);border-radius:8px;
padding:12px 16px;overflow-wrap:anywhere}
.card b{display:block;font-size:26px;line-height:1.25;font-variant-numeric:tabular-nums}
.card span{color:var(--soft);font-size:13px;display:block}
.scroll{overflow-x:auto;margin:12px 0}
table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums}
th,td{padding:5px 7px;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:600;vertical-align:bottom}
.right{text-align:right}
td.right{white-space:nowrap}
tbody tr:hover{background:var(--panel)}
.gallery{display:flex;flex-wrap:wrap;gap:18px;margin:12px 0}
.gallery>div{max-width:100%}
svg{max-width:100%;height:auto}
.drawing{background:#ffffff;border:1px solid var(--line);border-radius:8px;padding:12px;
margin:12px 0;overflow-x:auto}
.drawing svg{display:block;margin:0 auto}
.alphas{display:flex;flex-wrap:wrap;gap:10px 34px}
.alphas caption{text-align:left;font-weight:600}
.alphas td{border:0;padding:1px 7px}
.alphas .largest{font-weight:700}
.bar{width:170px}
.bar i{display:block;height:13px;margin-top:4px;min-width:1px;background:var(--link);
print-color-adjust:exact}
input[type=range]{width:min(420px,60vw);vertical-align:middle;margin-left:10px}
summary{cursor:pointer;color:var(--link);margin:8px 0}
@media print{
body{max-width:none;padding:0;font-size:11pt}
nav{display:none}
h2,h3{break-after:avoid}
tr,.card,.gallery>div,.drawing{break-inside:avoid}
.scroll{overflow:visible}
}
)css";

std::string element(const std::string& name, const std::string& text) {
  return "<" + name + ">" + escape_xml(text) + "</" + name + ">";
}

std::string table_cell(const char* name, Align align, const std::string& text) {
  return std::string("<") + name + (align == Align::right ? " class=\"right\">" : ">") +
         escape_xml(text) + "</" + name + ">";
}

}  // namespace

Page::Page(std::string title) : title_(std::move(title)) {}

void Page::lead(const std::string& markup) { lead_ += markup; }

void Page::section(const std::string& heading, const std::string& explanation_text,
                   const std::string& markup) {
  if (markup.empty()) return;
  headings_.push_back(heading);
  sections_ += "<section id=\"part" + std::to_string(headings_.size()) + "\">\n" +
               element("h2", heading) + "\n";
  if (!explanation_text.empty()) sections_ += paragraph(explanation_text);
  sections_ += markup + "</section>\n";
}

std::string Page::finish() const {
  std::string contents;
  for (std::size_t i = 0; i < headings_.size(); ++i) {
    contents += "<li><a href=\"#part" + std::to_string(i + 1) + "\">" + escape_xml(headings_[i]) +
                "</a></li>\n";
  }
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n" +
      element("title", title_) + "\n<style>" + kPageStyle + picture_style() +
      "</style>\n</head>\n<body>\n<header>\n" + element("h1", title_) + "\n" + lead_ +
      "</header>\n";
  if (!contents.empty()) {
    page += "<nav aria-label=\"Contents\"><ul>\n" + contents + "</ul></nav>\n";
  }
  return page + "<main>\n" + sections_ + "</main>\n</body>\n</html>\n";
}

std::string paragraph(const std::string& text) { return element("p", text) + "\n"; }

std::string notice(const std::string& text) {
  return "<p class=\"notice\" role=\"note\">" + escape_xml(text) + "</p>\n";
}

std::string bullet_list(const std::vector<std::string>& lines) {
  if (lines.empty()) return "";
  std::string list = "<ul>\n";
  for (const std::string& line : lines) list += element("li", line) + "\n";
  return list + "</ul>\n";
}

std::string html_table(const std::vector<TextTable::Column>& columns,
                       const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return "";
  std::string table = "<div class=\"scroll\"><table>\n<thead><tr>";
  for (const TextTable::Column& column : columns) {
    table += table_cell("th", column.align, column.title);
  }
  table += "</tr></thead>\n<tbody>\n";
  for (const std::vector<std::string>& row : rows) {
    table += "<tr>";
    for (std::size_t c = 0; c < columns.size(); ++c) {
      table += table_cell("td", columns[c].align, row.at(c));
    }
    table += "</tr>\n";
  }
  return table + "</tbody>\n</table></div>\n";
}

std::string name_table(const std::vector<NamedText>& rows) {
  std::vector<std::vector<std::string>> cells;
  for (const NamedText& row : rows) cells.push_back({row.name, row.value});
  return html_table({{"name", Align::left}, {"value", Align::left}}, cells);
}

std::string card(const NamedText& figure, const std::string& remark) {
  return "<div class=\"card\">" + element("span", figure.name) + element("b", figure.value) +
         element("span", remark) + "</div>\n";
}

std::string card_row(const std::string& cards_markup) {
  return "<div class=\"cards\">\n" + cards_markup + "</div>\n";
}

std::string gallery(const std::vector<std::string>& pictures_markup) {
  std::string pictures;
  for (const std::string& picture : pictures_markup) {
    if (!picture.empty()) pictures += "<div>" + picture + "</div>\n";
  }
  return pictures.empty() ? "" : "<div class=\"gallery\">\n" + pictures + "</div>\n";
}

std::string drawing(const std::string& picture_markup) {
  return picture_markup.empty() ? "" : "<div class=\"drawing\">" + picture_markup + "</div>\n";
}

std::string folded(const std::string& summary_text, const std::string& markup) {
  if (markup.empty()) return "";
  return "<details>" + element("summary", summary_text) + "\n" + markup + "</details>\n";
}

std::string draw_with_legend(LineChart chart) {
  // An upper estimate of the legend's rows; a row that is not needed makes the plot taller.
  double letters = 0;
  for (const Series& series : chart.series) letters += display_width(series.name) + 7.5;
  const double rows = letters * 6.6 / (chart.width - 160);
  chart.height += 18 * static_cast<int>(rows);
  return draw(chart);
}

std::string figure3_pictures(const Figure3& figure) {
  std::vector<std::string> pictures;
  if (!figure.supernet.empty()) pictures.push_back(draw_figure3a(figure));
  if (!figure.child.empty()) pictures.push_back(draw_figure3b(figure));
  std::string markup = gallery(pictures);
  if (!markup.empty() && !figure.child_summary.empty()) {
    markup += paragraph("The child that was followed: " + figure.child_summary);
  }
  return markup;
}

std::string figure3_explanation() {
  return "The paper's Figure 3: the training loss of the supernet, and that of one child (one path "
         "through it, drawn at random) with the weights it shares with the supernet. A low loss of "
         "the child says that shared weights also suit a single path. The supernet's loss is that "
         "of what its steps train; where they leave candidates out, the loss of the whole mixture "
         "after each epoch stands beside it, dashed. The child's layers have coefficients of 1; "
         "dashed are its losses with every layer brought to the mixture's root mean square, so "
         "that "
         "scale plays no part.";
}

std::string percent_range(const Interval& interval) {
  return percent(interval.low, 1) + " to " + percent(interval.high, 1);
}

}  // namespace serenade::ser
