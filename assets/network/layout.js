// Where things stand in the pictures (of the map: map.js). A picture is {nodes, links, left}: nodes have a
// place, a radius and a label with its own place, links join two nodes and stand for one edge or several;
// `left` says in words what did not fit. Labels of one picture never cover one another: each has a line.

import { chain, HERE, THERE } from "./model.js";

export const LABEL = 12; // pixels of the letters
const MATRIX_CELL = 6; // least pixels across
export const LINE = 14; // pixels from one label to the next

export const short = (name, length) => (name.length > length ? `${name.slice(0, length - 1)}…` : name);
export const between = (low, value, high) => Math.max(low, Math.min(high, value));

/** As much of a text as fits. */
export function fit(words, room, measure, size = LABEL, bold = false) {
  if (measure(words, size, bold) <= room) return words;
  let low = 1;
  let high = words.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (measure(`${words.slice(0, middle)}…`, size, bold) <= room) low = middle;
    else high = middle - 1;
  }
  return `${words.slice(0, low)}…`;
}

/** Places with at least `need` between the neighbours, as close to the wishes as possible, inside 0..room. */
export function spread(wishes, need, room) {
  const total = need.reduce((sum, one) => sum + one, 0);
  const squeeze = total > room ? room / total : 1;
  const order = wishes.map((_, k) => k).sort((a, b) => wishes[a] - wishes[b] || a - b);
  const places = new Array(wishes.length);
  let end = 0;
  for (const k of order) {
    const half = (need[k] * squeeze) / 2;
    places[k] = Math.max(wishes[k], end + half);
    end = places[k] + half;
  }
  let start = room;
  for (const k of [...order].reverse()) {
    const half = (need[k] * squeeze) / 2;
    places[k] = Math.min(places[k], start - half);
    start = places[k] - half;
  }
  return places;
}

/** Items around an ellipse, clockwise from the top, evenly in height, labels outward: one line for each. */
function around(count, centre, rx, ry) {
  const right = Math.ceil(count / 2);
  return Array.from({ length: count }, (_, k) => {
    const onRight = k < right;
    const of = onRight ? right : count - right;
    const nth = onRight ? k : count - 1 - k;
    const part = of === 1 ? 0 : (2 * (nth + 0.5)) / of - 1; // -1 top, 1 bottom
    const x = rx * Math.sqrt(Math.max(0.08, 1 - part * part * 0.92));
    return { x: centre.x + (onRight ? x : -x), y: centre.y + ry * part, side: onRight ? 1 : -1 };
  });
}

/** A node with its label on one side of it, as long as there is room. */
export function beside(node, side, room, measure, size = LABEL, bold = false) {
  const label = fit(node.label, room, measure, size, bold);
  return Object.assign(node, {
    label,
    wide: measure(label, size, bold),
    dx: side * (node.r + 7),
    dy: size * 0.36,
    anchor: side > 0 ? "start" : "end",
    size,
    bold,
  });
}

/** ", only here" where an open comparison says so of all these edges. */
export function onlyWords(graph, edges) {
  const told = graph.compared ? new Set(edges.map((e) => graph.standingOf(e))) : new Set();
  if (told.size !== 1) return "";
  return { [HERE]: ", only here", [THERE]: ", only there" }[[...told][0]] ?? "";
}

/** The first of them by name, and how many more. */
export function regulatorNames(graph, regulators) {
  const names = regulators.slice(0, 4).map((gene) => graph.names[gene]);
  return names.join(", ") + (regulators.length > 4 ? ` +${regulators.length - 4}` : "");
}

// ------------------------------------------------------------------------------------------------ around

/** Edges around a gene, nearest first: what `hops` edges reach, `direction` out, in or both. */
export function reach(graph, gene, edges, hops, direction) {
  const shown = new Set(edges);
  const distance = new Map([[gene, 0]]);
  let front = [gene];
  for (let hop = 1; hop <= hops; hop++) {
    const next = [];
    for (const i of front) {
      const steps = [];
      if (direction !== "in")
        for (const e of graph.out[i]) if (shown.has(e)) steps.push([e, graph.target[e]]);
      if (direction !== "out")
        for (const e of graph.in[i]) if (shown.has(e)) steps.push([e, graph.source[e]]);
      for (const [, other] of steps.sort((a, b) => a[0] - b[0]))
        if (!distance.has(other)) {
          distance.set(other, hop);
          next.push(other);
        }
    }
    front = next;
  }
  return distance;
}

/** One gene in the middle, those around it on one or two ellipses, the next hop outside. */
export function aroundLayout(graph, gene, edges, { width, height, hops, direction, measure, also }) {
  const distance = reach(graph, gene, edges, hops, direction);
  for (const other of also || []) if (!distance.has(other)) distance.set(other, 1);
  const others = [...distance.keys()].filter((i) => i !== gene);
  const first = (i) =>
    Math.min(...[...graph.out[i], ...graph.in[i]].filter((e) => touches(graph, e, gene, i)), 1e9);
  const strength = new Map(others.map((i) => [i, first(i)]));
  const perSide = Math.max(3, Math.floor((height - 24) / LINE));
  const centre = { x: width / 2, y: height / 2 };
  const near = others.filter((i) => distance.get(i) === 1);
  const far = others.filter((i) => distance.get(i) > 1);
  const all = [...near.sort((a, b) => strength.get(a) - strength.get(b)), ...far];
  const fits = all.slice(0, (width > 620 ? 4 : 2) * perSide);
  const one = fits.length <= 2 * perSide && !far.length;
  const inner = one
    ? fits
    : fits.slice(0, Math.min(2 * perSide, Math.max(near.length, Math.ceil(fits.length / 2))));
  const outer = one ? [] : fits.slice(inner.length);
  const longest = 14 + Math.max(0, ...fits.map((i) => measure(graph.names[i], LABEL, true)));
  const label = Math.min(longest, one ? between(70, width / 2 - 150, 190) : between(60, width / 4 - 60, 130));
  const nodes = [
    {
      gene,
      x: centre.x,
      y: centre.y,
      r: 16,
      label: graph.names[gene],
      dx: 0,
      dy: 34,
      anchor: "middle",
      size: 15,
      bold: true,
      regulator: true,
    },
  ];
  const arc = (genes, rx) => {
    const ordered = bySign(graph, gene, genes);
    const ry = Math.min(height / 2 - 16, Math.max(130, ordered.length * 10));
    for (const [k, place] of around(ordered.length, centre, rx, ry).entries()) {
      const i = ordered[k];
      const r = graph.out[i].length && graph.perturbed[i] ? 6 : 4;
      const node = {
        gene: i,
        x: place.x,
        y: place.y,
        r,
        label: graph.names[i],
        regulator: graph.perturbed[i] === 1,
      };
      nodes.push(beside(node, place.side, label, measure, LABEL, graph.perturbed[i] === 1));
    }
  };
  if (one) arc(inner, width / 2 - label - 26);
  else {
    arc(inner, between(70, width / 2 - 2 * label - 60, 190));
    arc(outer, width / 2 - label - 18);
  }
  const at = new Map(nodes.map((node, k) => [node.gene, k]));
  const shown = new Set(edges);
  const links = edges
    .filter((e) => at.has(graph.source[e]) && at.has(graph.target[e]) && graph.source[e] !== graph.target[e])
    .map((e) => ({
      a: at.get(graph.source[e]),
      b: at.get(graph.target[e]),
      edges: [e],
      sign: graph.signOf(e),
      bend: graph.source[e] !== gene && graph.target[e] !== gene ? 0.2 : mutual(graph, e, shown) ? 0.07 : 0,
      aside: graph.source[e] !== gene && graph.target[e] !== gene,
    }));
  const missing = all.length - fits.length;
  const left = missing ? `${missing.toLocaleString("en")} more with weaker edges are in the table` : "";
  return { kind: "ego", nodes, links, left };
}

/** Whether the edge the other way is among these, too. */
const mutual = (graph, e, shown) => shown.has(graph.edgeOf(graph.target[e], graph.source[e]));

const touches = (graph, e, a, b) =>
  (graph.source[e] === a && graph.target[e] === b) || (graph.source[e] === b && graph.target[e] === a);

/** Targets that it activates, then those that it represses, then its regulators; each by strength. */
function bySign(graph, gene, genes) {
  const kind = (i) => {
    const e = graph.edgeOf(gene, i);
    return e < 0 ? 3 : graph.signOf(e) > 0 ? 0 : graph.signOf(e) < 0 ? 1 : 2;
  };
  return genes
    .map((i, k) => [i, kind(i), k])
    .sort((a, b) => a[1] - b[1] || a[2] - b[2])
    .map(([i]) => i);
}

// ------------------------------------------------------------------------------------------------ matrix

/** Regulators in rows, targets in columns, both beside those that are like them. */
/** whole: on a sheet of paper, where nothing can be dragged: cells as small as they have to be. */
export function matrixLayout(graph, edges, { width, height, whole = false }) {
  const targets = new Map();
  for (const e of edges) {
    if (!targets.has(graph.source[e])) targets.set(graph.source[e], []);
    targets.get(graph.source[e]).push(e);
  }
  const largest = [...targets.keys()].sort((a, b) => targets.get(b).length - targets.get(a).length || a - b);
  const rows = largest.length ? chain(graph, largest, targets) : [];
  const row = new Map(rows.map((gene, k) => [gene, k]));
  const into = new Map();
  for (const e of edges) {
    if (!into.has(graph.target[e])) into.set(graph.target[e], []);
    into.get(graph.target[e]).push(row.get(graph.source[e]));
  }
  const key = new Map(
    [...into].map(([gene, list]) => [
      gene,
      [Math.min(...list), list.reduce((sum, one) => sum + one, 0) / list.length, -list.length],
    ]),
  );
  const columns = [...into.keys()].sort((a, b) => {
    const [x, y] = [key.get(a), key.get(b)];
    return x[0] - y[0] || x[1] - y[1] || x[2] - y[2] || a - b;
  });
  const left = 92;
  const top = 84;
  return {
    kind: "matrix",
    rows,
    columns,
    row,
    column: new Map(columns.map((gene, k) => [gene, k])),
    edges,
    x: left,
    y: top,
    cw: between(whole ? 0 : MATRIX_CELL, (width - left - 8) / Math.max(1, columns.length), 26),
    rh: between(whole ? 0 : LINE, (height - top - 8) / Math.max(1, rows.length), 28),
    left:
      columns.length * MATRIX_CELL > width - left
        ? `${columns.length.toLocaleString("en")} targets: drag to see the rest`
        : "",
  };
}
