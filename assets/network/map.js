// The map: regulators in one column, the other genes in another, folded into bundles by the regulators that
// they share. An edge leaves in its regulator's row, changes rows between the columns, where nothing stands,
// and arrives in the row of its target: so it never passes a dot or a name that is not its own.

import { plural } from "./elements.js";
import { beside, between, fit, LABEL, LINE, onlyWords, regulatorNames, spread } from "./layout.js";
import { chain, fold } from "./model.js";

const MARGIN = 8; // pixels above and below the rows
const ROW = LINE + 4; // a bundle's row that has one line
const TALL_ROW = 2 * LINE + 10; // one with the names of its genes below
const NUMBERED = 36; // pixels for each regulator, from which on the number of its targets is below its name
const TWO_SIDES = 620; // least pixels across for bundles on either side of the regulators
const MOST_REGULATORS = 40;
const REST = "\u0000rest"; // key of what is folded together for want of room
const CLEAR = 9; // pixels between the widest of a column and where edges begin to change rows
export const COUNT = 9.5; // pixels of the letters of a number on an edge
const ENDS = 38; // pixels from a bundle to the box of its genes: number and head of its lines are between
const RUN = 12; // pixels before a bundle for the end of a line
const LEAST_PITCH = 7; // pixels between two lines from which on each has its number of edges

/** Pixels of the end of a line, along it. */
export const headOf = (width) => 5 + width * 1.1;

/** before: `now` of the picture before, while the threshold is dragged and nobody should change places. */
export function mapLayout(graph, edges, { width, height, open, measure, before }) {
  const folded = fold(graph, edges);
  const room = height - 2 * MARGIN;
  const shown = folded.regulators.slice(0, Math.min(MOST_REGULATORS, Math.floor(room / LINE)));
  const kept = new Set(shown);
  const column = columnOrder(graph, shown, folded.targets, before?.column);
  const drawn = folded.bundles
    .map((bundle) => ({ ...bundle, regulators: bundle.regulators.filter((gene) => kept.has(gene)) }))
    .filter((bundle) => bundle.regulators.length);
  const perSide = Math.floor(room / ROW);
  const two = width >= TWO_SIDES && (before?.two ?? drawn.length > perSide);
  const { rows, left } = withRest(drawn, (two ? 2 : 1) * perSide, open);
  const nodes = placeRegulators(graph, column, folded, { width, room, two, measure });
  const at = new Map(nodes.map((node, k) => [node.gene, k]));
  const side = takeSides(rows, column, two, perSide, before?.side);
  const names = two ? between(90, width * 0.22, 230) : between(112, width * 0.34, 300);
  for (const way of two ? [1, -1] : [1])
    placeRows(
      rows.filter((row) => row.side === way),
      way,
      { graph, nodes, at, width, room, names, measure },
    );
  const links = [...bundleLinks(graph, at, rows, kept), ...innerLinks(graph, folded, at, kept)];
  layWays(nodes, links);
  return {
    kind: "whole",
    nodes,
    links,
    left: missing(folded, shown, left),
    now: { column, two, side },
    folded,
  };
}

function missing(folded, shown, left) {
  const words = [];
  const more = folded.regulators.length - shown.length;
  if (more)
    words.push(`${more.toLocaleString("en")} regulators with fewer targets are in the list and the matrix`);
  if (left) words.push(`${left.toLocaleString("en")} targets in small groups are folded together`);
  return words.join("; ");
}

function columnOrder(graph, shown, targets, before) {
  const now = new Set(shown);
  const known = (before || []).filter((gene) => now.has(gene));
  if (known.length === shown.length) return known;
  return shown.length ? chain(graph, shown, new Map(shown.map((gene) => [gene, targets.get(gene)]))) : [];
}

/** The bundles that get a row of their own; the smallest share one where there are too many. */
function withRest(drawn, most, open) {
  if (drawn.length <= most) return { rows: drawn, left: 0 };
  const opened = drawn.slice(most - 1).filter((bundle) => bundle.key === open);
  const rows = [...drawn.slice(0, most - 1 - opened.length), ...opened];
  const small = drawn.slice(rows.length - opened.length).filter((bundle) => !opened.includes(bundle));
  const genes = small.flatMap((bundle) => bundle.genes);
  const regulators = [...new Set(small.flatMap((bundle) => bundle.regulators))];
  const own = small.flatMap((bundle) => bundle.edges);
  rows.push({ key: REST, regulators, genes, edges: own, rest: small.length });
  return { rows, left: genes.length };
}

/** Every bundle on the side of its largest regulator, as long as there is room; the side of each of these. */
function takeSides(rows, column, two, perSide, before) {
  const side = new Map();
  const count = { 1: 0, "-1": 0 };
  for (const row of rows) {
    const [first] = row.regulators;
    const lighter = count[1] <= count["-1"] ? 1 : -1;
    if (!side.has(first)) side.set(first, two ? (before?.get(first) ?? lighter) : 1);
    const wanted = side.get(first);
    row.side = two && (count[wanted] >= perSide || count[wanted] > rows.length * 0.6) ? -wanted : wanted;
    count[row.side] += 1;
  }
  for (const gene of column) if (!side.has(gene)) side.set(gene, before?.get(gene) ?? 1);
  return side;
}

// ------------------------------------------------------------------------------------------------ places

/** The column of regulators: names to its left; where edges leave on both sides, to the right of the dots. */
function placeRegulators(graph, column, folded, { width, room, two, measure }) {
  const into = new Set(column.flatMap((gene) => folded.targets.get(gene).map((e) => graph.target[e])));
  const size = column.length * (LINE + 6) > room ? LABEL : LABEL + 2;
  const numbered = column.length * NUMBERED <= room;
  const wanted = (gene) => 4 + 2.6 * Math.sqrt(folded.targets.get(gene).length);
  const tall = (r, gene) => Math.max(2 * r + 6, size + (into.has(gene) ? 8 : 4), numbered ? 30 : 0);
  let largest = width < TWO_SIDES ? 14 : 24;
  const radius = (gene) => between(Math.min(6, largest), wanted(gene), largest);
  const total = () => column.reduce((sum, gene) => sum + tall(radius(gene), gene), 0);
  while (largest > 4 && total() > room) largest -= 1;
  const tight = total() > room;
  const gap = Math.max(0, room - total()) / column.length;
  const words = (gene) => measure(graph.names[gene], size, true);
  const names = Math.max(numbered ? measure("999 targets", 11) : 0, ...column.map(words));
  const most = Math.min(names, width < TWO_SIDES ? width * 0.24 : 130);
  const x = two ? (width - most - 7) / 2 : 10 + most + 7 + largest;
  let y = MARGIN;
  return column.map((gene) => {
    const r = radius(gene);
    const need = tight ? room / column.length : tall(r, gene) + gap;
    y += need;
    const node = { gene, x, y: y - need / 2, r, label: graph.names[gene], regulator: true };
    node.room = need;
    beside(node, two ? 1 : -1, most, measure, size, true);
    if (numbered) {
      node.note = plural(folded.targets.get(gene).length, "target");
      node.dy = -1;
    }
    return node;
  });
}

function placeRows(rows, side, { graph, nodes, at, width, room, names, measure }) {
  for (const row of rows)
    row.wish =
      row.regulators.reduce((sum, gene) => sum + nodes[at.get(gene)].y, 0) / row.regulators.length - MARGIN;
  let spare = room - rows.length * ROW;
  for (const row of rows) {
    row.tall = row.genes.length > 1 && spare >= TALL_ROW - ROW;
    if (row.tall) spare -= TALL_ROW - ROW;
  }
  const need = rows.map((row) => (row.tall ? TALL_ROW : ROW));
  const wishes = rows.map((row) => row.wish);
  const places = spread(wishes, need, room);
  rows.forEach((row, k) => {
    const single = row.genes.length === 1;
    const r = single ? 3.5 : between(5, 3 + 1.9 * Math.sqrt(row.genes.length), row.tall ? 17 : 8);
    const genes = row.genes.map((gene) => graph.names[gene]);
    const node = { bundle: row.key, row, gene: single ? row.genes[0] : undefined, r, side };
    Object.assign(node, { x: side > 0 ? width - names : names, y: MARGIN + places[k], room: need[k] });
    const wide = names - r - 14;
    node.label = single ? genes[0] : bundleTitle(graph, row, wide, measure);
    beside(node, side, wide, measure, LABEL, !single);
    if (row.tall) {
      node.note = fit(genes.slice(0, 12).join(", "), wide, measure, 11);
      node.dy = -1;
    }
    at.set(row.key, nodes.length);
    nodes.push(node);
  });
}

/** Whose genes they are and how many: where that is too long, the number stays and names are cut. */
function bundleTitle(graph, row, wide, measure) {
  const size = row.genes.length;
  const whole = row.rest ? `${size} genes in ${row.rest} small groups` : `: ${size} genes`;
  const names = row.rest ? "" : regulatorNames(graph, row.regulators);
  const only = onlyWords(graph, row.edges);
  const long = (words) => measure(words, LABEL, true);
  if (long(names + whole + only) <= wide) return names + whole + only;
  if (row.rest) return `${size} more genes`;
  return `${fit(names, wide - long(`: ${size}${only}`), measure, LABEL, true)}: ${size}${only}`;
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
  const x = // the ends of the lines, with their numbers, stay in sight
    node.side > 0 ? Math.min(node.x - node.r - ENDS - w, width - w - 8) : Math.max(node.x + node.r + ENDS, 8);
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

// ------------------------------------------------------------------------------------------------ edges

/** One link per regulator, bundle, sign and what a comparison says: its strand. */
function bundleLinks(graph, at, rows, kept) {
  const links = [];
  for (const row of rows) {
    const by = new Map();
    for (const e of row.edges) {
      if (!kept.has(graph.source[e])) continue;
      const key = `${graph.source[e]} ${graph.signOf(e)} ${graph.standingOf(e)}`;
      if (!by.has(key)) by.set(key, []);
      by.get(key).push(e);
    }
    for (const edges of by.values())
      links.push({
        a: at.get(graph.source[edges[0]]),
        b: at.get(row.key),
        edges,
        sign: graph.signOf(edges[0]),
        lane: `${graph.signOf(edges[0])} ${graph.standingOf(edges[0])}`,
        width: Math.min(row.tall ? 5 : 2.6, strand(edges.length)),
      });
  }
  return links;
}

function innerLinks(graph, folded, at, kept) {
  return [...kept].flatMap((gene) =>
    folded.targets
      .get(gene)
      .filter((e) => kept.has(graph.target[e]))
      .map((e) => ({
        a: at.get(gene),
        b: at.get(graph.target[e]),
        edges: [e],
        sign: graph.signOf(e),
        width: strand(1),
        inner: true,
      })),
  );
}

/** Pixels across a line that stands for so many edges. */
export const strand = (edges) => 1.4 + (edges > 1 ? Math.log2(edges) : 0);

// `way` of a link: four points {x, y, dx, dy}. Zooming stretches x and y; dx and dy are pixels from there.
// From the first to the second and from the third to the fourth it goes straight, in the rows of its ends.

function layWays(nodes, links) {
  for (const link of links) {
    const [a, b] = [nodes[link.a], nodes[link.b]];
    link.down = b.y > a.y;
    link.side = link.inner ? (a.anchor === "end" || link.down ? 1 : -1) : b.side;
  }
  for (const [k, node] of nodes.entries())
    if (node.regulator)
      for (const side of [1, -1]) {
        const own = links.filter((link) => link.side === side);
        const out = own.filter((link) => link.a === k);
        leave(
          nodes,
          node,
          side,
          out,
          own.filter((link) => link.b === k),
        );
      }
    else
      arrive(
        node,
        links.filter((link) => link.b === k),
      );
  for (const side of [1, -1])
    joinEnds(
      nodes,
      links.filter((link) => link.side === side),
      side,
    );
}

/** Where a regulator ends on a side, in pixels from its centre: behind its name where that stands there. */
function portOf(node, side) {
  const named = side > 0 && node.anchor === "start";
  return named ? node.dx + node.wide + 3 : node.r;
}

/** The ends on one side of a regulator: what comes from above on top, then what it regulates from the highest
 * to the lowest, then what comes from below. */
function leave(nodes, node, side, out, into) {
  const named = side > 0 && node.anchor === "start";
  const turn = (link) => (link.inner ? (link.down ? 1e6 : -1e6) : 0); // those to regulators turn back first
  const fan = [...out].sort((a, b) => turn(a) + nodes[a.b].y - turn(b) - nodes[b.b].y || b.sign - a.sign);
  const from = (down, signs) =>
    signs.map((sign) => into.filter((link) => link.down === down && link.sign === sign));
  const lanes = [...from(true, [1, 0, -1]), fan, ...from(false, [-1, 0, 1])].filter((lane) => lane.length);
  const half = Math.max(1, Math.min(node.room / 2 - 4.5, named ? LABEL / 2 : node.r));
  const pitch = lanes.length > 1 ? Math.min(9, (2 * half) / (lanes.length - 0.5)) : 0;
  const wide = Math.min(3 * (fan.length - 1), pitch ? pitch / 2 : 1.4 * half);
  lanes.forEach((lane, k) => {
    const middle = (k - (lanes.length - 1) / 2) * pitch;
    lane.forEach((link, nth) => {
      const out = lane === fan;
      const dy = middle + (out && fan.length > 1 ? (nth / (fan.length - 1) - 0.5) * wide : 0);
      const round = named ? 0 : node.r - Math.sqrt(Math.max(0, node.r ** 2 - dy ** 2));
      const end = { x: node.x, y: node.y, dx: side * (portOf(node, side) - round + (out ? 0 : 3)), dy };
      if (out) link.start = end;
      else link.end = end;
    });
  });
}

/** The ends of the edges into a bundle: a lane for each sign, with the number of its edges. */
function arrive(node, links) {
  const lanes = [...new Set(links.map((link) => link.lane))];
  lanes.sort((a, b) => Number.parseInt(b, 10) - Number.parseInt(a, 10));
  const pitch = Math.min((node.room - 2) / lanes.length, node.row.tall ? 13 : 8);
  node.counts = [];
  for (const [k, lane] of lanes.entries()) {
    const own = links.filter((link) => link.lane === lane);
    const dy = (k - (lanes.length - 1) / 2) * pitch;
    const dx = -node.side * (Math.sqrt(Math.max(0, node.r ** 2 - dy ** 2)) + 3);
    for (const link of own) link.end = { x: node.x, y: node.y, dx, dy };
    if (node.row.genes.length === 1 || (lanes.length > 1 && pitch < LEAST_PITCH)) continue;
    const head = headOf(Math.max(...own.map((link) => link.width)));
    const count = own.reduce((sum, link) => sum + link.edges.length, 0);
    node.counts.push({ words: String(count), sign: own[0].sign, dx: dx - node.side * (head + 2), dy });
  }
}

/** Joins the two ends of every edge on a side. Rows are changed where no dot and no name stands: from beyond
 * the widest regulator to before the widest bundle. */
function joinEnds(nodes, links, side) {
  const column = nodes.filter((node) => node.regulator);
  const bundles = nodes.filter((node) => node.side === side);
  if (!links.length) return;
  const near = side * (Math.max(...column.map((node) => portOf(node, side))) + CLEAR);
  const digits = Math.max(0, ...bundles.flatMap((node) => node.counts.map(({ words }) => words.length)));
  const far = -side * (Math.max(0, ...bundles.map((node) => node.r)) + RUN + (digits && digits * 6 + 10));
  const gap = bundles.length ? Math.abs(bundles[0].x + far - column[0].x - near) : 60;
  for (const link of links) {
    const { start, end } = link;
    link.way = [start, { ...start, dx: near }, { ...end, dx: link.inner ? near : far }, end];
    if (link.inner) link.bulge = side * Math.min(gap / 2, 10 + Math.abs(end.y - start.y) / 4);
  }
}

/** Points of a link on the screen: ends of curves, and between them the point that each curve leans to. */
export function wayOnScreen({ way, bulge }, { k, x, y }) {
  const [a, b, c, d] = way.map((p) => ({ x: p.x * k + x + p.dx, y: p.y * k + y + p.dy }));
  const middle = (p, q, part = 0.5) => [p.x + (q.x - p.x) * part, p.y + (q.y - p.y) * part];
  const [mx, my] = middle(b, c);
  const out = (bulge || 0) * k;
  const lean = out ? [out, out] : [0.3 * (c.x - b.x), -0.3 * (c.x - b.x)];
  return [
    [a.x, a.y],
    middle(a, b),
    [b.x, b.y],
    [b.x + lean[0], b.y],
    [mx + out, my],
    [c.x + lean[1], c.y],
    [c.x, c.y],
    middle(c, d),
    [d.x, d.y],
  ];
}
