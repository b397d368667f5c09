#pragma once
// A small writer of SVG: shapes and text with classes, so that one style sheet colours every
// picture for light and dark mode.
//
// Colours are after Okabe & Ito, "Color Universal Design" (2008), told apart with every common kind
// of colour blindness; the dark set is the same hues, lightened.

#include <string>
#include <vector>

namespace serenade::ser {

/// How many series colours there are; series n takes colour n modulo this.
inline constexpr int kSeriesColors = 7;

/// The rules of every picture, without the <style> tag.
std::string picture_style();

/// Coordinates are pixels, y downwards. Classes: see picture_style().
class Svg {
 public:
  /// `title` is read aloud by screen readers.
  Svg(double width, double height, const std::string& title);

  void line(double x1, double y1, double x2, double y2, const std::string& classes);
  void rect(double x, double y, double width, double height, const std::string& classes,
            const std::string& tooltip = "", double opacity = 1);
  void circle(double x, double y, double radius, const std::string& classes,
              const std::string& tooltip = "");
  void diamond(double x, double y, double radius, const std::string& classes,
               const std::string& tooltip = "");
  /// Open line through points (x0, y0, x1, y1, ..).
  void polyline(const std::vector<double>& points, const std::string& classes);
  /// Filled and closed, points likewise.
  void polygon(const std::vector<double>& points, const std::string& classes, double opacity = 1);
  /// anchor: "start", "middle" or "end"; rotated counter-clockwise about (x, y) if upright.
  void text(double x, double y, const std::string& text, const std::string& classes,
            const std::string& anchor = "start", bool upright = false);

  /// The whole <svg> element. `standalone` adds the style sheet and a background; a report gives
  /// the style once for all its pictures.
  std::string finish(bool standalone) const;

 private:
  double width_, height_;
  std::string title_;
  std::string body_;
};

}  // namespace serenade::ser
