// How far the edges in view can be believed: four numbers, counted anew at every threshold. Their words and
// their order are those of gpovae_core/reporting/trust.py.

import { count } from "./elements.js";
import { isKnown } from "./model.js";

const AGAIN = 50; // percent of the networks of an ensemble from which on an edge is said to come back
const SIGNIFICANCE = 0.05;

/** key -> [edges counted, of how many]; null where nothing is known. */
export function trustNumbers(graph, edges, falseShare) {
  const about = (known, yes) => {
    const of = edges.filter(known);
    return of.length ? [of.filter(yes).length, of.length] : null;
  };
  const rate = falseShare === null || falseShare === undefined || !edges.length ? null : falseShare;
  return {
    detours: about(
      (e) => graph.detours[e] >= 0,
      (e) => graph.detours[e] > 0,
    ),
    again: about(
      (e) => graph.again[e] >= 0,
      (e) => graph.again[e] >= AGAIN,
    ),
    held: about(
      (e) => isKnown(graph.adjusted[e]),
      (e) => graph.adjusted[e] < SIGNIFICANCE,
    ),
    false: rate === null ? null : [rate * edges.length, edges.length],
  };
}

/** Share of the edges that a measure leaves in doubt; -1 where it is not known. */
function doubtOf({ good }, pair) {
  if (!pair) return -1;
  return good ? 1 - pair[0] / pair[1] : pair[0] / pair[1];
}

/** "22 of 133"; an estimate as "about 6 of 133", or "fewer than 1 of 60". */
function counted({ about }, [number, of]) {
  const all = `of ${count(of)}`;
  if (!about) return `${count(number)} ${all}`;
  return number >= 0.5 ? `about ${count(Math.round(number))} ${all}` : `fewer than 1 ${all}`;
}

const filled = (words, values) => words.replace(/\{(\w+)\}/g, (_, name) => values[name]);

/** The four, the most sobering first, those that are not known last: value (null: not known), what it says,
 * what it does not, its warning, and a few words for a line. */
export function trustLines(graph, edges, falseShare) {
  const numbers = trustNumbers(graph, edges, falseShare);
  const { members, trust } = graph;
  const average = graph.memberEdges;
  return trust.measures
    .map((measure) => {
      const pair = numbers[measure.key];
      const doubt = doubtOf(measure, pair);
      if (!pair) return { key: measure.key, doubt, value: null, says: measure.unknown, limits: "" };
      const value = counted(measure, pair);
      const number = value.replace(/ of [^ ]+$/, "");
      const fill = (words) => filled(words, { count: value, number, members, average });
      const [says, limits, warning, short] = ["says", "limits", "warning", "short"].map((name) =>
        fill(measure[name]),
      );
      return { key: measure.key, doubt, value, says, limits, warning, short };
    })
    .sort((a, b) => b.doubt - a.doubt);
}

/** What not to believe of them, in one sentence: the weakest of the four. */
export function notToBelieve(graph, [worst]) {
  return worst.doubt > 0 ? worst.warning : graph.trust.no_doubt;
}

const knownOnes = (lines) => lines.filter(({ value }) => value !== null);

/** The known ones in a line, the most sobering first. */
export const inShort = (lines) =>
  knownOnes(lines)
    .map(({ short }) => short)
    .join(", ");

/** The same as a part of a sentence, with how many of how many. */
export const knownOf = (lines) =>
  knownOnes(lines)
    .map(({ value, says }) => `${value} ${says.replace(/\.$/, "")}`)
    .join("; ");
