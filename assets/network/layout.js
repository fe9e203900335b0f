// Where things stand in the three pictures. A picture is {nodes, links, left}: nodes have a place, a radius
// and a label with its own place, links join two nodes and stand for one edge or several; `left` says in
// words what did not fit. Labels of one picture never cover one another: each has a line of its own.

import { chain, fold, HERE, THERE } from "./model.js";

export const LABEL = 12; // pixels of the letters
const MATRIX_CELL = 6; // least pixels across
const LINE = 14; // pixels from one label to the next
const MOST_REGULATORS = 40;
const REST = "\u0000rest"; // key of what is folded together for want of room

export const short = (name, length) => (name.length > length ? `${name.slice(0, length - 1)}…` : name);
const between = (low, value, high) => Math.max(low, Math.min(high, value));

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

function beside(node, side, room, measure, size = LABEL, bold = false) {
  return Object.assign(node, {
    label: fit(node.label, room, measure, size, bold),
    dx: side * (node.r + 7),
    dy: size * 0.36,
    anchor: side > 0 ? "start" : "end",
    size,
    bold,
  });
}

// ------------------------------------------------------------------------------------------------ map

/** Regulators on a ring, the other genes folded into bundles on either side. */
export function mapLayout(graph, edges, { width, height, open, measure, order }) {
  const folded = fold(graph, edges);
  const shown = folded.regulators.slice(0, MOST_REGULATORS);
  const kept = new Set(shown);
  const ring = ringOrder(graph, shown, folded.targets, order);
  const column = between(96, width * 0.23, 230);
  const centre = { x: width / 2, y: height / 2 };
  const rx = between(60, (width - 2 * column) / 2 - 110, 190);
  const places = around(ring.length, centre, rx, height / 2 - 34);
  const nodes = ring.map((gene, k) => {
    const count = folded.targets.get(gene).length;
    const r =
      ring.length > 24 ? 4 + Math.min(5, Math.sqrt(count)) : between(5, 4 + 2.6 * Math.sqrt(count), 24);
    const node = {
      gene,
      x: places[k].x,
      y: places[k].y,
      r,
      label: graph.names[gene],
      regulator: true,
      count,
    };
    const size = ring.length > 24 ? 12 : 14;
    return beside(node, places[k].side, 96, measure, size, true);
  });
  const at = new Map(nodes.map((node, k) => [node.gene, k]));
  const { rows, left } = bundleRows(folded.bundles, kept, height, open);
  const sides = sidesOf(rows, nodes, at, height);
  for (const side of [1, -1])
    placeRows(sides.get(side), side, { graph, nodes, at, width, height, column, measure });
  const links = mapLinks(graph, folded, at, rows, kept);
  const more = folded.regulators.length - shown.length;
  const words = [];
  if (more)
    words.push(`${more.toLocaleString("en")} regulators with fewer targets are in the list and the matrix`);
  if (left) words.push(`${left.toLocaleString("en")} targets in small groups are folded together`);
  return { kind: "whole", nodes, links, left: words.join("; "), order: ring, folded };
}

function ringOrder(graph, shown, targets, order) {
  const now = new Set(shown);
  const known = (order || []).filter((gene) => now.has(gene));
  if (known.length === shown.length) return known; // while the threshold is dragged, nobody changes places
  return shown.length ? chain(graph, shown, new Map(shown.map((gene) => [gene, targets.get(gene)]))) : [];
}

/** The bundles that get a row of their own; the smallest share one where there are too many. */
function bundleRows(bundles, kept, height, open) {
  const drawn = bundles
    .map((bundle) => ({ ...bundle, regulators: bundle.regulators.filter((gene) => kept.has(gene)) }))
    .filter((bundle) => bundle.regulators.length);
  const most = 2 * Math.floor((height - 20) / (LINE + 4));
  if (drawn.length <= most) return { rows: drawn, left: 0 };
  const rows = drawn.filter((bundle, k) => k < most - 1 || bundle.key === open);
  const small = drawn.filter((bundle) => !rows.includes(bundle));
  const genes = small.flatMap((bundle) => bundle.genes);
  const regulators = [...new Set(small.flatMap((bundle) => bundle.regulators))];
  rows.push({
    key: REST,
    regulators,
    genes,
    edges: small.flatMap((bundle) => bundle.edges),
    rest: small.length,
  });
  return { rows, left: genes.length };
}

/** Every bundle on the side where its regulators are, as long as there is room. */
function sidesOf(rows, nodes, at, height) {
  const middle = nodes.length ? nodes.reduce((sum, node) => sum + node.x, 0) / nodes.length : 0;
  const mean = (row, axis) =>
    row.regulators.reduce((sum, gene) => sum + nodes[at.get(gene)][axis], 0) / row.regulators.length;
  const sides = new Map([
    [1, []],
    [-1, []],
  ]);
  const tall = new Map([
    [1, 0],
    [-1, 0],
  ]);
  const total = rows.reduce((sum, row) => sum + rowHeight(row), 0);
  const fair = Math.max(total * 0.56, Math.min(height * 0.8, total));
  for (const row of rows) {
    row.wish = mean(row, "y");
    const wanted = mean(row, "x") >= middle - 1 ? 1 : -1;
    const side = tall.get(wanted) + rowHeight(row) <= fair ? wanted : -wanted;
    sides.get(side).push(row);
    tall.set(side, tall.get(side) + rowHeight(row));
  }
  return sides;
}

const rowHeight = (row) => (row.genes.length > 1 ? 2 * LINE + 10 : LINE + 4);

function placeRows(rows, side, { graph, nodes, at, width, height, column, measure }) {
  const room = height - 16;
  let need = rows.map((row) => (row.openRows ? row.openRows * LINE + 26 : rowHeight(row)));
  const full = need.reduce((sum, one) => sum + one, 0) <= room;
  if (!full) need = rows.map((row, k) => (row.openRows ? need[k] : LINE + 4));
  const places = spread(
    rows.map((row) => row.wish),
    need,
    room,
  );
  rows.forEach((row, k) => {
    const single = row.genes.length === 1;
    const r = single ? 3.5 : between(5, 3 + 1.9 * Math.sqrt(row.genes.length), full ? 17 : 8);
    const x = side > 0 ? width - column : column;
    const names = row.genes.map((gene) => graph.names[gene]);
    const title = row.rest
      ? `${names.length} genes in ${row.rest} small groups`
      : `${regulatorNames(graph, row.regulators)}: ${names.length} genes${onlyWords(graph, row.edges)}`;
    const node = {
      bundle: row.key,
      row,
      gene: single ? row.genes[0] : undefined,
      x,
      y: 8 + places[k],
      r,
      side,
      label: single ? names[0] : title,
    };
    beside(node, side, column - r - 14, measure, LABEL, !single);
    if (!single && full) {
      node.note = fit(names.slice(0, 12).join(", "), column - r - 14, measure, 11);
      node.dy = -1;
    }
    at.set(row.key, nodes.length);
    nodes.push(node);
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

/** One link per regulator and bundle and sign, and one per edge among regulators. */
function mapLinks(graph, folded, at, rows, kept) {
  const links = [];
  for (const row of rows) {
    const by = new Map();
    for (const e of row.edges) {
      if (!kept.has(graph.source[e])) continue;
      const key = `${graph.source[e]} ${graph.signOf(e)} ${graph.standingOf(e)}`;
      if (!by.has(key)) by.set(key, []);
      by.get(key).push(e);
    }
    const pairs = new Map();
    for (const list of by.values()) {
      const from = graph.source[list[0]];
      pairs.set(from, (pairs.get(from) || 0) + 1);
      links.push({
        a: at.get(from),
        b: at.get(row.key),
        edges: list,
        sign: graph.signOf(list[0]),
        bend: 0.06,
        shift: (pairs.get(from) - 1) * 5,
      });
    }
  }
  for (const gene of kept)
    for (const e of folded.targets.get(gene))
      if (kept.has(graph.target[e]))
        links.push({
          a: at.get(gene),
          b: at.get(graph.target[e]),
          edges: [e],
          sign: graph.signOf(e),
          bend: 0.16,
          inner: true,
        });
  return links;
}

/** The genes of an opened bundle, in columns of names over the picture: {box, genes with their places}. */
export function openBundle(graph, node, { width, height, measure }) {
  const names = node.row.genes.map((gene) => graph.names[gene]);
  const longest = Math.max(...names.map((name) => measure(name, LABEL, false)));
  const widest = between(116, longest + 26, 146);
  const across = between(
    1,
    Math.ceil((names.length * LINE) / (height * 0.55)),
    Math.floor((width * 0.6) / widest),
  );
  const down = Math.ceil(names.length / across);
  const w = across * widest + 12;
  const h = down * LINE + 30;
  const x =
    node.side > 0 ? Math.min(node.x - node.r - 12 - w, width - w - 8) : Math.max(node.x + node.r + 12, 8);
  const y = between(6, node.y - h / 2, Math.max(6, height - h - 6));
  const genes = node.row.genes.map((gene, k) => ({
    gene,
    x: x + 14 + Math.floor(k / down) * widest,
    y: y + 30 + (k % down) * LINE,
    r: 3,
    dx: 8,
    dy: LABEL * 0.36,
    anchor: "start",
    size: LABEL,
    label: fit(graph.names[gene], widest - 24, measure),
    inBundle: true,
  }));
  return { x, y, w, h, genes };
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
  const label = one ? between(70, width / 2 - 150, 190) : between(60, width / 4 - 60, 130);
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
    const ry = Math.min(height / 2 - 16, Math.max(110, ordered.length * 6.2));
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
