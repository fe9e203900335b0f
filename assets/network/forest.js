// A forest plot: an effect in every part of the cells, with its interval.

import { make, plural, shape, signed } from "./elements.js";
import { isKnown } from "./model.js";

/** The effect in every guide, batch or donor, with its interval, and in all of them. */
export function forest(parts, source, target) {
  const rows = [...parts.rows, { ...parts.whole, whole: true }].filter((row) => isKnown(row.fold));
  const ends = rows.flatMap((row) => [row.low, row.high]).filter(isKnown);
  const [low, high] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  const x = (value) => 84 + ((value - low) / (high - low || 1)) * 146;
  const tall = 8 + 15 * rows.length;
  const space = make(
    "div",
    { class: "forest" },
    make("h4", { text: `${parts.title}: log2 change in all cells` }),
  );
  const svg = shape("svg", { viewBox: `0 0 280 ${tall + 14}`, role: "img" }, space);
  svg.setAttribute("aria-label", `Effect of ${source} on ${target}, ${parts.title.toLowerCase()}`);
  shape("line", { class: "none", x1: x(0), x2: x(0), y1: 2, y2: tall }, svg);
  rows.forEach((row, k) => {
    const y = 11 + 15 * k;
    const kind = row.whole ? "whole" : row.odd ? "odd" : "";
    const group = shape("g", { class: kind }, svg);
    const words = (text, at, anchor) =>
      (shape("text", { x: at, y: y + 3.5, "text-anchor": anchor }, group).textContent = text);
    words(row.name.length > 13 ? `${row.name.slice(0, 12)}…` : row.name, 78, "end");
    words(signed(row.fold), 278, "end");
    if (isKnown(row.low)) shape("line", { x1: x(row.low), x2: x(row.high), y1: y, y2: y }, group);
    const size = row.whole ? 5 : 3.4;
    const at = x(row.fold);
    const mark = row.whole
      ? `M${at - size} ${y}L${at} ${y - size}L${at + size} ${y}L${at} ${y + size}Z`
      : `M${at - size} ${y - size}h${2 * size}v${2 * size}h${-2 * size}Z`;
    shape("path", { d: mark }, group);
    shape("title", {}, group).textContent =
      `${row.name}: ${plural(row.cells, "cell")}, log2 fold change ${signed(row.fold)}` +
      (isKnown(row.low) ? ` (${signed(row.low)} to ${signed(row.high)})` : "");
  });
  shape("text", { x: x(0), y: tall + 10, "text-anchor": "middle" }, svg).textContent = "0";
  const odd = parts.rows.some((row) => row.odd);
  space.append(make("p", { class: odd ? "doubt" : "quiet", text: parts.words }));
  if (parts.more) space.append(make("p", { class: "quiet", text: parts.more }));
  return space;
}
