// The picture: what the layouts placed, drawn, and what lies under the pointer. Colours say the sign, the
// end of a line says it again, and how faint a line is says how unsure.

import { plural } from "./elements.js";
import { aroundLayout, LABEL, matrixLayout, short } from "./layout.js";
import { COUNT, headOf, mapLayout, openBundle, strand, wayOnScreen } from "./map.js";
import { HERE, OTHER_SIGN, OTHER_STRENGTH, SIGN_WORDS, standingWords, THERE, UNTOLD } from "./model.js";
import { CanvasPen, StrokePen } from "./pens.js";

// Okabe and Ito's colours, a darker and a lighter set.
export const PALETTES = {
  light: {
    1: "#0072B2",
    "-1": "#C34E00",
    0: "#707070",
    path: "#00785A",
    here: "#A08600",
    there: "#8E3A8E",
    regulator: "#3F4A5A",
    target: "#7D8896",
  },
  dark: {
    1: "#5FB2E6",
    "-1": "#FF8A4D",
    0: "#A8A8A8",
    path: "#2BC79B",
    here: "#E8C547",
    there: "#D99AE0",
    regulator: "#D5DCE6",
    target: "#98A4B3",
  },
};
export const INK = "#1A1A1A"; // of a figure
const PAPER = { background: "#FFFFFF", text: INK, border: "#9AA0A8" };
const REACH = 9; // pixels around the pointer in which a gene is taken
const EDGE_REACH = 6; // the same for edges, where no gene is near
const STRONG = 1.5; // log2 fold change that has the full colour in the matrix
const FADED = 0.1;
const DIM = 0.62; // of labels beside what is chosen: still readable
const STAR = 3.2; // half of the mark of an edge whose sign is not that of its measured effect
const STAR_CLEAR = 8; // pixels from the mark to other lines, so that it is clear whose it is
const MOST_STARS = 20; // with more of them none looks for a better place
// How far along a line of the map, and along any other, the mark may stand: near the end if it can be.
const STAR_AT = { map: [0.62, 0.56, 0.7, 0.5, 0.44, 0.38], other: [0.78, 0.7, 0.62, 0.54] };

export const DASHES = { [THERE]: [9, 5], [UNTOLD]: [2, 3] };

/** Colour of the lines on both sides of an edge that an open comparison tells apart; the edge keeps that of
 * its sign. */
export const casingOf = (standing, { palette, text }) =>
  ({ [HERE]: palette.here, [THERE]: palette.there, [OTHER_SIGN]: text, [OTHER_STRENGTH]: text })[standing];

/** Points on a chain of curves, `most` for each. */
export function along(points, most) {
  const found = [];
  for (let k = 0; k + 2 < points.length; k += 2) {
    const [p, c, q] = points.slice(k, k + 3);
    for (let n = 0; n <= most; n++) {
      const [t, s] = [n / most, 1 - n / most];
      const on = (axis) => s * s * p[axis] + 2 * s * t * c[axis] + t * t * q[axis];
      found.push([on(0), on(1)]);
    }
  }
  return found;
}

/** "JAK2 activates 14, represses 17" of these edges. */
function signsInWords(graph, gene, edges) {
  const own = edges.filter((e) => graph.source[e] === gene);
  const told = [1, -1, 0]
    .map((sign) => [SIGN_WORDS[sign], own.filter((e) => graph.signOf(e) === sign).length])
    .filter(([, number]) => number)
    .map(([words, number]) => `${words} ${number}`);
  return `${short(graph.names[gene], 40)} ${told.join(", ")}`;
}

/** "\n*: …" where any of these edges has another sign than its measured effect. */
function againstInWords(graph, edges) {
  const against = edges.filter((e) => graph.contrary[e]).length;
  if (!against) return "";
  const which = edges.length > 1 ? ` of ${plural(against, "edge")}` : "";
  return `\n*: sign${which} against the measured effect`;
}

export class Picture {
  constructor(canvas, tip, on) {
    Object.assign(this, { canvas, tip, on, zoom: { k: 1, x: 0, y: 0 }, cursor: -1 });
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.letGo(event));
    canvas.addEventListener("pointerleave", () => this.hideTip());
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => {
      this.cursor = -1;
      this.draw();
    });
  }

  /** scene: graph, edges above the threshold, view, focus, edge, open, lit pairs, hops, direction, look. */
  show(scene, { keep = false } = {}) {
    this.scene = scene;
    const box = this.canvas.getBoundingClientRect();
    this.size = { width: Math.max(200, box.width), height: Math.max(160, box.height) };
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(this.size.width * ratio), Math.round(this.size.height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h)
      Object.assign(this.canvas, { width: w, height: h });
    this.pen = new CanvasPen(this.canvas.getContext("2d"), scene.look.font);
    const sight = [scene.view, scene.view === "ego" && scene.focus, scene.graph.facts.run].join("|");
    if (sight !== this.sight) this.zoom = { k: 1, x: 0, y: 0 };
    const before = keep && sight === this.sight ? this.layout?.now : undefined;
    this.sight = sight;
    this.layout = this.place(scene, before);
    this.opened = null;
    const open =
      scene.view === "whole" && scene.open && this.layout.nodes.find((node) => node.bundle === scene.open);
    if (open) this.opened = openBundle(scene.graph, open, { ...this.size, measure: this.measure });
    this.draw();
  }

  place(scene, before) {
    const { graph, edges } = scene;
    const common = { ...this.size, measure: this.measure, whole: scene.onPaper };
    if (scene.view === "matrix") return matrixLayout(graph, edges, common);
    if (scene.view === "ego") {
      const also = [...new Set(scene.lit.flat())];
      return aroundLayout(graph, scene.focus, edges, {
        ...common,
        hops: scene.hops,
        direction: scene.direction,
        also,
      });
    }
    return mapLayout(graph, edges, { ...common, open: scene.open, before });
  }

  measure = (words, size, bold) => this.pen.width(words, size, bold);

  // ------------------------------------------------------------------ drawing

  draw() {
    if (!this.layout) return;
    const context = this.canvas.getContext("2d");
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.globalAlpha = 1;
    context.fillStyle = this.scene.look.background;
    context.fillRect(0, 0, this.size.width, this.size.height);
    this.drawWith(this.pen);
  }

  drawWith(pen) {
    if (this.layout.kind === "matrix") this.drawMatrix(pen);
    else this.drawNetwork(pen);
  }

  at(node) {
    return { x: node.x * this.zoom.k + this.zoom.x, y: node.y * this.zoom.k + this.zoom.y };
  }

  /** Genes and bundles that stay bright beside the chosen one; null where everything does. */
  bright() {
    const { focus, edge, open, lit, mark } = this.scene;
    if (this.layout.kind === "ego" && !edge && !lit.length) return null;
    const { nodes, links } = this.layout;
    const of = (gene) => nodes.findIndex((node) => node.gene === gene || node.row?.genes.includes(gene));
    const chosen = new Set();
    const add = (k) => k >= 0 && chosen.add(k);
    if (mark) {
      for (const gene of mark) add(of(gene));
      return chosen;
    }
    if (lit.length || edge) {
      for (const gene of [...lit.flat(), ...(edge || [])]) add(of(gene));
      return chosen;
    }
    if (focus !== null && this.layout.kind === "whole") {
      const k = of(focus);
      add(k);
      const out = links.filter((link) => link.a === k);
      for (const link of out.length ? out : links.filter((one) => one.b === k)) {
        add(link.a);
        add(link.b);
      }
      return chosen;
    }
    if (open) {
      const k = nodes.findIndex((node) => node.bundle === open);
      add(k);
      for (const link of links) if (link.b === k) add(link.a);
      return chosen.size ? chosen : null;
    }
    return null;
  }

  drawNetwork(pen) {
    const { nodes, links } = this.layout;
    const { palette, text, background } = this.scene.look;
    const bright = this.bright();
    const isLit = this.litLinks();
    const shining = this.shining();
    for (const faint of [true, false])
      for (const link of links) {
        if (shining.has(link) === faint || isLit.has(link)) continue;
        const sure = this.alphaOf(link);
        this.drawLink(pen, link, palette[link.sign], link.width ?? strand(1), faint ? sure * FADED : sure);
      }
    for (const link of isLit) this.drawLink(pen, link, palette.path, 4, 1);
    this.drawStars(pen, (link) => (shining.has(link) || isLit.has(link) ? 1 : FADED));
    for (const [k, node] of nodes.entries()) {
      const { x, y } = this.at(node);
      const dim = bright !== null && !bright.has(k);
      const chosen = node.gene !== undefined && node.gene === this.scene.focus;
      const ends = node.gene !== undefined && this.scene.edge?.includes(node.gene);
      pen.circle(
        x,
        y,
        node.r,
        node.regulator ? palette.regulator : palette.target,
        background,
        1.5,
        dim ? 0.4 : 1,
      );
      if (chosen || ends || k === this.cursor)
        pen.circle(x, y, node.r + 3.5, "", chosen || ends ? text : palette[1], k === this.cursor ? 3 : 2, 1);
    }
    for (const [k, node] of nodes.entries()) {
      const dim = bright !== null && !bright.has(k);
      this.drawCounts(pen, node, dim ? FADED : 1);
      this.drawLabel(pen, node, dim);
    }
    if (this.opened) this.drawOpened(pen);
  }

  /** Links that are not faded beside what is chosen. */
  shining() {
    const bright = this.bright();
    const near = (link) => bright.has(link.a) && bright.has(link.b) && this.belongs(link);
    return new Set(bright ? this.layout.links.filter(near) : this.layout.links);
  }

  /** With a gene chosen only its own edges shine, not those among its targets. */
  belongs(link) {
    const { focus, edge, lit, mark } = this.scene;
    if (focus === null || edge || lit.length || mark || this.layout.kind !== "whole") return true;
    const own = (k) => this.layout.nodes[k].gene === focus || this.layout.nodes[k].row?.genes.includes(focus);
    const out = this.layout.links.some((one) => own(one.a));
    return out ? own(link.a) : own(link.b);
  }

  litLinks() {
    const { graph, lit, edge } = this.scene;
    const wanted = new Set([...lit, ...(edge ? [edge] : [])].map(([a, b]) => `${a} ${b}`));
    if (!wanted.size) return new Set();
    const of = (e) => `${graph.source[e]} ${graph.target[e]}`;
    return new Set(this.layout.links.filter((link) => link.edges.some((e) => wanted.has(of(e)))));
  }

  alphaOf(link) {
    const { graph } = this.scene;
    if (graph.standingOf(link.edges[0]) === THERE) return 0.95; // its certainty is another network's
    const sure = link.edges.reduce((sum, e) => sum + graph.certainty(e), 0) / link.edges.length;
    return (0.22 + 0.73 * sure) * (link.aside ? 0.45 : 1);
  }

  /** A link on the screen, shortened by the radii of its nodes: where its curves end, and between these the
   * points that they lean to. */
  geometry(link) {
    if (link.way) return wayOnScreen(link, this.zoom);
    const [a, b] = [this.layout.nodes[link.a], this.layout.nodes[link.b]];
    const [p, q] = [this.at(a), this.at(b)];
    const far = Math.hypot(q.x - p.x, q.y - p.y) || 1;
    const normal = { x: -(q.y - p.y) / far, y: (q.x - p.x) / far };
    const bend = far * (link.bend || 0);
    const c = { x: (p.x + q.x) / 2 + normal.x * bend, y: (p.y + q.y) / 2 + normal.y * bend };
    const toward = (from, to, by) => {
      const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
      const step = Math.min(by, length * 0.45);
      return [from.x + ((to.x - from.x) * step) / length, from.y + ((to.y - from.y) * step) / length];
    };
    return [toward(p, c, a.r + 1), [c.x, c.y], toward(q, c, b.r + 3)];
  }

  drawLink(pen, link, color, width, alpha) {
    const points = this.geometry(link);
    const [[cx, cy], [x, y]] = points.slice(-2);
    const far = Math.hypot(x - cx, y - cy) || 1;
    const [ux, uy] = [(x - cx) / far, (y - cy) / far];
    const head = headOf(width);
    const back = [x - ux * head, y - uy * head];
    const wing = head * 0.5;
    const { graph, look } = this.scene;
    const blind = link.edges.every((e) => !graph.perturbed[graph.source[e]]);
    const line = link.sign > 0 ? [...points.slice(0, -1), back] : points;
    const standing = graph.standingOf(link.edges[0]);
    const casing = casingOf(standing, look);
    const dash = DASHES[standing] ?? (blind ? [5, 4] : []);
    if (casing) {
      const pale = alpha < 2 * FADED ? FADED : 1;
      pen.curve(line, casing, width + 5, pale, []);
      pen.curve(line, look.background, width + 2, 1, []);
    }
    pen.curve(line, color, width, alpha, dash);
    const across = (from, by) => [
      [from[0] - uy * by, from[1] + ux * by],
      [from[0] + uy * by, from[1] - ux * by],
    ];
    const [left, right] = across(back, wing);
    if (link.sign > 0) pen.path([[x, y], left, right], color, width, alpha, true);
    else if (link.sign < 0) pen.path(across([x, y], wing * 1.2), color, Math.max(2.2, width * 0.8), alpha);
    else pen.path([left, [x, y], right], color, Math.max(1.2, width * 0.7), alpha);
  }

  isContrary(link) {
    return link.edges.some((e) => this.scene.graph.contrary[e]);
  }

  /** Whether anything in the picture has the mark of a sign against the measured effect. */
  get hasContrary() {
    const { kind, links, edges } = this.layout ?? {};
    if (kind === "matrix") return edges.some((e) => this.scene.graph.contrary[e]);
    return links?.some((link) => this.isContrary(link)) ?? false;
  }

  /** Of its own edges, how many are in the picture. */
  get drawn() {
    const { kind, links, edges } = this.layout;
    const all = kind === "matrix" ? edges : links.flatMap((link) => link.edges);
    return new Set(all.filter((e) => this.scene.graph.standingOf(e) !== THERE)).size;
  }

  drawStars(pen, alphaOf) {
    const { palette, background } = this.scene.look;
    const marked = this.layout.links.filter((link) => this.isContrary(link));
    for (const link of marked) {
      link.star ??= this.starAt(link, marked.length > MOST_STARS);
      const { x, y } = this.onLink(link, link.star);
      pen.circle(x, y, STAR + 1.2, background, "", 0, alphaOf(link));
      this.drawStar(pen, x, y, STAR, palette[link.sign], alphaOf(link));
    }
  }

  /** How far along a link its mark stands, as clear of other lines as can be; hurried: at the first place. */
  starAt(link, hurried) {
    const places = link.way ? STAR_AT.map : STAR_AT.other;
    if (hurried) return places[0];
    this.layout.lines ??= this.layout.links.map((one) => along(this.geometry(one), 28));
    const lines = this.layout.lines.filter((_, k) => this.layout.links[k] !== link);
    const room = places.map((part) => {
      const at = this.onLink(link, part);
      let least = STAR_CLEAR ** 2;
      for (const line of lines)
        for (const [x, y] of line) least = Math.min(least, (x - at.x) ** 2 + (y - at.y) ** 2);
      return least;
    });
    return places[room.indexOf(Math.max(...room))];
  }

  /** An asterisk drawn, not written: as small as its place asks, and the same in every pen. */
  drawStar(pen, x, y, r, color, alpha) {
    for (const turn of [90, 30, -30]) {
      const [dx, dy] = [Math.cos, Math.sin].map((of) => r * of((turn * Math.PI) / 180));
      pen.path(
        [
          [x - dx, y - dy],
          [x + dx, y + dy],
        ],
        color,
        Math.min(1.4, r / 2),
        alpha,
      );
    }
  }

  /** How many edges of each sign end at a bundle, on their line. */
  drawCounts(pen, node, alpha) {
    const { palette, background } = this.scene.look;
    const { x, y } = this.at(node);
    const size = Math.max(COUNT, pen.least || 0);
    for (const { words, sign, dx, dy } of node.counts || [])
      pen.text(words, x + dx, y + dy + size * 0.36, {
        size,
        anchor: node.side > 0 ? "end" : "start",
        color: palette[sign],
        halo: background,
        bold: true,
        alpha,
      });
  }

  /** Left, top, right and bottom of a name, with what stands below it. */
  labelBox(node) {
    const { x, y } = this.at(node);
    const wide = Math.max(
      this.measure(node.label, node.size, node.bold),
      node.note ? this.measure(node.note, 11) : 0,
    );
    const left =
      node.anchor === "start" ? x + node.dx : node.anchor === "end" ? x + node.dx - wide : x - wide / 2;
    const top = y + node.dy - node.size * 0.85;
    return [left, top, left + wide, top + node.size + (node.note ? 13 : 1)];
  }

  /** The same of each number of edges at a bundle. */
  countBoxes(node) {
    const { x, y } = this.at(node);
    return (node.counts || []).map(({ words, dx, dy }) => {
      const wide = this.measure(words, COUNT, true);
      const left = node.side > 0 ? x + dx - wide : x + dx;
      return [left, y + dy - COUNT / 2, left + wide, y + dy + COUNT / 2];
    });
  }

  drawLabel(pen, node, dim) {
    const { x, y } = this.at(node);
    const { text, background } = this.scene.look;
    const style = { anchor: node.anchor, color: text, halo: background, alpha: dim ? DIM : 1 };
    pen.text(node.label, x + node.dx, y + node.dy, { ...style, size: node.size, bold: node.bold });
    if (node.note)
      pen.text(node.note, x + node.dx, y + node.dy + 13, { ...style, size: 11, alpha: dim ? DIM : 0.85 });
  }

  drawOpened(pen) {
    const { palette, text, background, border } = this.scene.look;
    const { graph } = this.scene;
    const { x, y, w, h, genes } = this.opened;
    const node = this.layout.nodes.find((one) => one.bundle === this.scene.open);
    pen.rect(x, y, w, h, background, border, 1.5, 1);
    pen.text(`${node.row.genes.length} genes: click one`, x + 10, y + 17, {
      size: 11,
      color: text,
      alpha: 0.85,
    });
    for (const one of genes) {
      const signs = new Set(
        graph.in[one.gene].filter((e) => node.row.edges.includes(e)).map((e) => graph.signOf(e)),
      );
      const sign = signs.size === 1 ? [...signs][0] : 0;
      this.drawSign(pen, sign, one.x, one.y, palette[sign]);
      const against = graph.in[one.gene].some((e) => node.row.edges.includes(e) && graph.contrary[e]);
      pen.text(one.label + (against ? "*" : ""), one.x + one.dx, one.y + one.dy, {
        size: one.size,
        color: text,
        bold: one.gene === this.scene.focus || this.scene.edge?.includes(one.gene),
      });
    }
  }

  /** The end of a line alone: arrow, bar or open head. */
  drawSign(pen, sign, x, y, color) {
    const tip = [
      [x - 4, y - 4],
      [x + 3, y],
      [x - 4, y + 4],
    ];
    if (sign < 0)
      pen.path(
        [
          [x + 2, y - 5],
          [x + 2, y + 5],
        ],
        color,
        2.4,
        1,
      );
    else pen.path(tip, color, 1.5, 1, sign > 0);
  }

  drawMatrix(pen) {
    const m = this.layout;
    const { graph, focus, edge, mark } = this.scene;
    const { palette, text, background, border } = this.scene.look;
    const { width, height } = this.size;
    const cell = this.cells();
    const onscreen = (x, y) => x > m.x - cell.w && y > m.y - cell.h && x < width && y < height;
    const marked = mark ? new Set(mark) : null;
    for (const e of m.edges) {
      const x = cell.x + m.column.get(graph.target[e]) * cell.w;
      const y = cell.y + m.row.get(graph.source[e]) * cell.h;
      if (!onscreen(x, y)) continue;
      const size = Number.isNaN(graph.effect[e]) ? 0.35 : Math.min(1, Math.abs(graph.effect[e]) / STRONG);
      const faint = marked && !(marked.has(graph.source[e]) && marked.has(graph.target[e]));
      const gap = cell.w > 8 ? 1 : Math.min(0.4, cell.w / 5);
      const color = palette[graph.signOf(e)];
      const standing = graph.standingOf(e);
      const depth = standing === THERE ? 0 : (0.18 + 0.82 * size) * (faint ? 0.25 : 1);
      pen.rect(x, y, cell.w - gap, cell.h - 1, color, "", 0, depth);
      const frame = casingOf(standing, this.scene.look);
      if (frame) pen.rect(x + 0.75, y + 0.75, cell.w - gap - 1.5, cell.h - 2.5, "", frame, 1.5, 1);
      if (standing === THERE) this.drawSign(pen, graph.signOf(e), x + cell.w / 2, y + cell.h / 2, color);
      if (graph.replicated(e) && cell.w >= 5)
        pen.circle(
          x + (cell.w - gap) / 2,
          y + (cell.h - 1) / 2,
          Math.min(2.2, cell.w / 4),
          size > 0.45 ? background : text,
          "",
          0,
          1,
        );
      if (graph.contrary[e]) {
        const r = Math.min(STAR, (cell.w - gap) / 2, cell.h / 4);
        this.drawStar(pen, x + (cell.w - gap) / 2, y + r + 0.5, r, size > 0.45 ? background : text, 1);
      }
      if (edge && graph.source[e] === edge[0] && graph.target[e] === edge[1])
        pen.rect(x - 1, y - 1, cell.w + 1, cell.h + 1, "", text, 2, 1);
    }
    pen.rect(0, 0, width, m.y - 2, background, "", 0, 1);
    pen.rect(0, 0, m.x - 2, height, background, "", 0, 1);
    pen.rect(m.x - 1, m.y - 1, width - m.x, height - m.y, "", border, 1, 1);
    let last = -1e9;
    m.rows.forEach((gene, k) => {
      const y = cell.y + (k + 0.5) * cell.h + 4;
      if (y < m.y + 6 || y > height - 2 || y - last < LABEL) return;
      last = y;
      pen.text(short(graph.names[gene], 12), m.x - 6, y, {
        anchor: "end",
        color: text,
        bold: gene === focus || k === this.cursor,
        size: LABEL,
      });
      if (gene === focus || k === this.cursor)
        pen.rect(m.x - 1, cell.y + k * cell.h - 1, width - m.x, cell.h + 1, "", text, 1.2, 1);
    });
    last = -1e9;
    m.columns.forEach((gene, k) => {
      const x = cell.x + (k + 0.5) * cell.w + 4;
      if (x < m.x + 4 || x > width - 34 || (x - last < LABEL + 1 && gene !== focus)) return;
      last = x;
      const bold = gene === focus || Boolean(edge?.includes(gene));
      pen.text(short(graph.names[gene], 11), x, m.y - 6, { turn: -60, color: text, size: 11, bold });
    });
  }

  /** Where the first cell is and how large cells are, at this zoom; the matrix never leaves the picture. */
  cells() {
    const m = this.layout;
    const { k } = this.zoom;
    const [w, h] = [m.cw * k, m.rh * (0.5 + k / 2)];
    const lowest = (room, all) => Math.min(0, room - all - 6);
    this.zoom.x = Math.min(0, Math.max(lowest(this.size.width - m.x, m.columns.length * w), this.zoom.x));
    this.zoom.y = Math.min(0, Math.max(lowest(this.size.height - m.y, m.rows.length * h), this.zoom.y));
    return { x: m.x + this.zoom.x, y: m.y + this.zoom.y, w, h };
  }

  // ------------------------------------------------------------------ pointer

  spot(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  /** What lies under a point: {gene}, {bundle}, {edge}, or null. */
  under(at) {
    if (!this.layout) return null;
    if (this.layout.kind === "matrix") return this.underMatrix(at);
    if (this.opened) {
      const { x, y, w, h, genes } = this.opened;
      if (at.x >= x && at.x <= x + w && at.y >= y && at.y <= y + h) {
        const width = (one) => one.dx + this.measure(one.label, one.size) + 8;
        const one = genes.find((g) => at.x >= g.x - 8 && at.x <= g.x + width(g) && Math.abs(at.y - g.y) <= 7);
        return one ? { gene: one.gene } : null;
      }
    }
    const node = this.nodeUnder(at);
    if (node)
      return node.bundle !== undefined && node.gene === undefined
        ? { bundle: node.bundle, node }
        : { gene: node.gene, node };
    const link = this.linkUnder(at);
    return link ? { link, edge: link.edges.length === 1 ? link.edges[0] : undefined } : null;
  }

  nodeUnder(at) {
    let best = null;
    let least = REACH;
    for (const node of this.layout.nodes) {
      const { x, y } = this.at(node);
      const far = Math.hypot(at.x - x, at.y - y) - node.r;
      if (far < least) [best, least] = [node, far];
    }
    if (best && least <= 2) return best;
    const labelled = this.layout.nodes.find((node) => {
      const [left, top, right, bottom] = this.labelBox(node);
      return at.x >= left - 2 && at.x <= right + 2 && at.y >= top - 1 && at.y <= bottom + 1;
    });
    return labelled || best;
  }

  linkUnder(at) {
    let best = null;
    let least = EDGE_REACH;
    for (const link of this.layout.links) {
      const points = this.geometry(link);
      const across = points.map(([x]) => x);
      if (at.x < Math.min(...across) - 8 || at.x > Math.max(...across) + 8) continue;
      for (const [x, y] of along(points, 12)) {
        const far = Math.hypot(at.x - x, at.y - y);
        if (far < least) [best, least] = [link, far];
      }
    }
    return best;
  }

  underMatrix(at) {
    const m = this.layout;
    const { graph } = this.scene;
    const cell = this.cells();
    const row = Math.floor((at.y - cell.y) / cell.h);
    const column = Math.floor((at.x - cell.x) / cell.w);
    const [source, target] = [m.rows[row], m.columns[column]];
    if (at.x < m.x) return at.y >= m.y && source !== undefined ? { gene: source } : null;
    if (at.y < m.y) {
      const along = Math.floor((at.x - (m.y - at.y) * 0.577 - cell.x) / cell.w);
      return m.columns[along] === undefined ? null : { gene: m.columns[along] };
    }
    if (source === undefined || target === undefined) return null;
    const e = graph.edgeOf(source, target);
    return this.scene.within.has(e) ? { edge: e } : null;
  }

  press(event) {
    this.canvas.focus({ preventScroll: true });
    this.held = { at: this.spot(event), zoom: { ...this.zoom }, moved: false };
    this.canvas.setPointerCapture(event.pointerId);
  }

  move(event) {
    const at = this.spot(event);
    if (this.held) {
      const [dx, dy] = [at.x - this.held.at.x, at.y - this.held.at.y];
      if (!this.held.moved && Math.hypot(dx, dy) < 4) return;
      this.held.moved = true;
      Object.assign(this.zoom, { x: this.held.zoom.x + dx, y: this.held.zoom.y + dy });
      this.opened = null;
      this.hideTip();
      this.draw();
      return;
    }
    const found = this.under(at);
    this.canvas.style.cursor = found ? "pointer" : "default";
    const words = found ? this.describe(found) : "";
    if (!words) return this.hideTip();
    this.tip.textContent = words;
    this.tip.hidden = false;
    const left = Math.min(at.x + 14, this.size.width - this.tip.offsetWidth - 6);
    const top =
      at.y + 18 + this.tip.offsetHeight > this.size.height ? at.y - this.tip.offsetHeight - 10 : at.y + 18;
    this.tip.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
  }

  hideTip() {
    this.tip.hidden = true;
  }

  letGo(event) {
    const held = this.held;
    this.held = null;
    if (!held || held.moved) return;
    this.choose(this.under(this.spot(event)), event.shiftKey);
  }

  choose(found, aim = false) {
    this.hideTip();
    if (!found) this.on.nothing();
    else if (found.gene !== undefined) this.on.gene(found.gene, aim);
    else if (found.bundle !== undefined) this.on.bundle(found.bundle);
    else if (found.edge !== undefined) this.on.edge(found.edge);
    else if (found.link) this.on.bundle(this.layout.nodes[found.link.b].bundle);
  }

  /** Facts about what is under the pointer, for the tip and for screen readers. */
  describe(found) {
    const { graph } = this.scene;
    if (found.bundle !== undefined) {
      const { row } = found.node;
      const names = row.genes.map((gene) => graph.names[gene]).join(", ");
      const who = row.regulators.map((gene) => signsInWords(graph, gene, row.edges)).join("\n");
      const against = againstInWords(graph, row.edges);
      return `${row.genes.length} genes\n${short(who, 220)}${against}\n${short(names, 220)}`;
    }
    if (found.gene !== undefined) {
      const own = this.scene.own.filter((e) => graph.source[e] === found.gene).length;
      const into = this.scene.own.filter((e) => graph.target[e] === found.gene).length;
      const cells = graph.cells[found.gene] >= 0 ? `, ${graph.cells[found.gene]} training cells` : "";
      const kind = graph.perturbed[found.gene] ? `perturbed${cells}` : "never perturbed";
      return `${short(graph.names[found.gene], 80)}\n${kind}\nregulates ${own}, regulated by ${into}`;
    }
    if (found.edge === undefined) {
      const [a, b] = [this.layout.nodes[found.link.a], this.layout.nodes[found.link.b]];
      const words = `${SIGN_WORDS[found.link.sign]} ${found.link.edges.length} genes`;
      const against = againstInWords(graph, found.link.edges);
      return `${short(graph.names[a.gene], 40)} ${words}: ${b.label}${against}`;
    }
    const e = found.edge;
    const again = graph.again[e] >= 0 ? `\ncomes back in ${graph.again[e]} %` : "";
    const beside = graph.compared ? `\n${standingWords(graph, e)}` : "";
    const weight = `${graph.facts.measure} ${graph.weight[e].toPrecision(3)}`;
    return (
      `${short(graph.names[graph.source[e]], 40)} → ${short(graph.names[graph.target[e]], 40)}\n` +
      `${SIGN_WORDS[graph.signOf(e)]}, ${weight}${againstInWords(graph, [e])}${again}${beside}`
    );
  }

  wheel(event) {
    const mine = event.ctrlKey || event.metaKey || this.canvas.matches(":focus");
    if (!mine || !this.layout) return;
    event.preventDefault();
    if (this.layout.kind === "matrix" && !event.ctrlKey && !event.metaKey) {
      this.zoom.y -= event.deltaY;
      this.zoom.x -= event.deltaX;
      this.draw();
    } else this.zoomBy(Math.exp(-event.deltaY * 0.0016), this.spot(event));
    this.hideTip();
  }

  zoomBy(factor, at = { x: this.size.width / 2, y: this.size.height / 2 }) {
    const k = Math.max(1, Math.min(12, this.zoom.k * factor));
    const by = k / this.zoom.k;
    const origin = this.layout.kind === "matrix" ? { x: this.layout.x, y: this.layout.y } : { x: 0, y: 0 };
    const shift = (p, o, z) => p - o - (p - o - z) * by;
    this.zoom = { k, x: shift(at.x, origin.x, this.zoom.x), y: shift(at.y, origin.y, this.zoom.y) };
    if (k === 1 && this.layout.kind !== "matrix") this.zoom = { k: 1, x: 0, y: 0 };
    this.opened = null;
    this.draw();
  }

  fit() {
    this.zoom = { k: 1, x: 0, y: 0 };
    this.show(this.scene, { keep: true });
  }

  // ------------------------------------------------------------------ keyboard

  key(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (way) this.step(way);
    else if (event.key === "Enter" && this.cursor >= 0) this.choose(this.cursorAsFound());
    else if (event.key === "+" || event.key === "=") this.zoomBy(1.4);
    else if (event.key === "-") this.zoomBy(1 / 1.4);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  cursorAsFound() {
    if (this.layout.kind === "matrix") return { gene: this.layout.rows[this.cursor] };
    const node = this.layout.nodes[this.cursor];
    return node.gene !== undefined ? { gene: node.gene, node } : { bundle: node.bundle, node };
  }

  /** The nearest gene or bundle that way from where the keyboard is. */
  step([dx, dy]) {
    if (this.layout.kind === "matrix") {
      const last = this.layout.rows.length - 1;
      this.cursor = Math.max(0, Math.min(last, this.cursor + (dy || dx)));
    } else if (this.cursor < 0) {
      this.cursor = Math.max(
        0,
        this.layout.nodes.findIndex((node) => node.gene === this.scene.focus),
      );
    } else {
      const from = this.layout.nodes[this.cursor];
      let best = this.cursor;
      let least = Number.POSITIVE_INFINITY;
      this.layout.nodes.forEach((node, k) => {
        const along = (node.x - from.x) * dx + (node.y - from.y) * dy;
        const aside = Math.abs((node.x - from.x) * dy) + Math.abs((node.y - from.y) * dx);
        if (k !== this.cursor && along > 0.5 && along + 2.5 * aside < least)
          [best, least] = [k, along + 2.5 * aside];
      });
      this.cursor = best;
    }
    if (this.cursor < 0) return;
    this.draw();
    this.on.say(this.describe(this.cursorAsFound()).replaceAll("\n", ", "));
  }

  // ------------------------------------------------------------------ for tests, exports

  /** A point on a link, so much of the way along it. */
  onLink(link, part) {
    const points = along(this.geometry(link), 40);
    const [x, y] = points[Math.round(part * (points.length - 1))];
    return { x, y };
  }

  /** Where a gene is drawn, by itself or in its bundle, in pixels of the canvas; null where it is not. */
  placeOf(gene) {
    if (this.layout.kind === "matrix") {
      const cell = this.cells();
      const row = this.layout.row.get(gene);
      return row === undefined ? null : { x: this.layout.x - 20, y: cell.y + (row + 0.5) * cell.h };
    }
    const opened = this.opened?.genes.find((one) => one.gene === gene);
    if (opened) return { x: opened.x, y: opened.y };
    const node =
      this.layout.nodes.find((one) => one.gene === gene) ||
      this.layout.nodes.find((one) => one.row?.genes.includes(gene));
    return node ? this.at(node) : null;
  }

  /** A place for every gene of these edges, as far as the picture has one: [[gene, x, y], ...]. */
  places(edges) {
    if (this.layout.kind === "matrix") return [];
    const { graph } = this.scene;
    const found = new Map();
    for (const e of edges) {
      for (const gene of [graph.source[e], graph.target[e]]) {
        if (found.has(gene)) continue;
        const node = this.layout.nodes.find((one) => one.gene === gene);
        const bundle = node ? null : this.layout.nodes.find((one) => one.row?.genes.includes(gene));
        if (node) found.set(gene, [node.x, node.y]);
        else if (bundle) {
          const k = bundle.row.genes.indexOf(gene);
          found.set(gene, [bundle.x + bundle.side * (60 + 70 * (k % 3)), bundle.y + 34 * Math.floor(k / 3)]);
        }
      }
    }
    return [...found].map(([gene, [x, y]]) => [gene, Math.round(x), Math.round(y)]);
  }

  /** Laid out anew on a white sheet so many units wide: {width, height, strokes, drawn, contrary}; drawn: how
   * many edges, contrary: whether one of them has the mark of a sign against its effect. */
  strokes(width) {
    const { size, pen, zoom, layout, opened, cursor, scene } = this;
    const height = Math.round(Math.max(0.75 * width, Math.min(size.height, 1.5 * width)));
    const recording = new StrokePen(pen);
    const look = { ...scene.look, ...PAPER, palette: PALETTES.light };
    try {
      Object.assign(this, {
        size: { width, height },
        pen: recording,
        scene: { ...scene, look, onPaper: true },
      });
      Object.assign(this, { zoom: { k: 1, x: 0, y: 0 }, opened: null, cursor: -1 });
      this.layout = this.place(this.scene);
      const { kind, y, rows, rh } = this.layout;
      if (kind === "matrix") this.size.height = Math.min(height, Math.ceil(y + rows.length * rh + 4));
      this.drawWith(recording);
      const { drawn, hasContrary: contrary } = this;
      return { ...this.size, strokes: recording.strokes, drawn, contrary };
    } finally {
      Object.assign(this, { size, pen, zoom, layout, opened, cursor, scene });
    }
  }
}
