// Pens with the same strokes: one paints a canvas, one notes the strokes down for a figure that Python draws
// (gpovae_core/plots/paper.py). What is drawn is said once, in picture.js.

export class CanvasPen {
  constructor(context, font) {
    this.context = context;
    this.font = font;
  }

  /** Curves one after the other: points where they end, and between them those that they lean to. */
  curve(points, color, width, alpha, dash) {
    const c = this.context;
    c.globalAlpha = alpha;
    c.strokeStyle = color;
    c.lineWidth = width;
    c.setLineDash(dash || []);
    c.beginPath();
    c.moveTo(...points[0]);
    for (let k = 1; k + 1 < points.length; k += 2) c.quadraticCurveTo(...points[k], ...points[k + 1]);
    c.stroke();
  }

  /** A line through points, filled where asked. */
  path(points, color, width, alpha, filled) {
    const c = this.context;
    c.globalAlpha = alpha;
    c.setLineDash([]);
    c.beginPath();
    for (const [k, [x, y]] of points.entries()) k ? c.lineTo(x, y) : c.moveTo(x, y);
    if (filled) {
      c.closePath();
      c.fillStyle = color;
      c.fill();
    } else {
      c.strokeStyle = color;
      c.lineWidth = width;
      c.stroke();
    }
  }

  circle(x, y, r, fill, stroke, width, alpha) {
    const c = this.context;
    c.globalAlpha = alpha;
    c.setLineDash([]);
    c.beginPath();
    c.arc(x, y, r, 0, 2 * Math.PI);
    if (fill) {
      c.fillStyle = fill;
      c.fill();
    }
    if (stroke) {
      c.strokeStyle = stroke;
      c.lineWidth = width;
      c.stroke();
    }
  }

  rect(x, y, w, h, fill, stroke, width, alpha) {
    const c = this.context;
    c.globalAlpha = alpha;
    c.setLineDash([]);
    if (fill) {
      c.fillStyle = fill;
      c.fillRect(x, y, w, h);
    }
    if (stroke) {
      c.strokeStyle = stroke;
      c.lineWidth = width;
      c.strokeRect(x, y, w, h);
    }
  }

  /** One line of text; anchor: start, middle, end; turn: degrees; halo: colour around it, or "". */
  text(words, x, y, { size = 12, anchor = "start", color, halo = "", bold = false, turn = 0, alpha = 1 }) {
    const c = this.context;
    c.save();
    c.globalAlpha = alpha;
    c.setLineDash([]);
    c.font = `${bold ? "600 " : ""}${size}px ${this.font}`;
    c.textAlign = anchor === "middle" ? "center" : anchor;
    c.textBaseline = "alphabetic";
    c.translate(x, y);
    if (turn) c.rotate((turn * Math.PI) / 180);
    if (halo) {
      c.strokeStyle = halo;
      c.lineWidth = 3;
      c.lineJoin = "round";
      c.strokeText(words, 0, 0);
    }
    c.fillStyle = color;
    c.fillText(words, 0, 0);
    c.restore();
  }

  width(words, size, bold) {
    this.context.font = `${bold ? "600 " : ""}${size}px ${this.font}`;
    return this.context.measureText(words).width;
  }
}

const WIDER = 1.2; // letters of the figure's font over those of the page

export class StrokePen {
  constructor(measuring) {
    this.measuring = measuring;
    this.least = 11; // of letters: six points in print
    this.strokes = [];
  }

  curve(points, line, width, alpha, dash) {
    for (let k = 0; k + 2 < points.length; k += 2)
      this.strokes.push({
        kind: "curve",
        points: points.slice(k, k + 3),
        line,
        width,
        alpha,
        dash: dash || [],
      });
  }

  path(points, color, width, alpha, filled) {
    const paint = filled ? { fill: color } : { line: color, width };
    this.strokes.push({ kind: "path", points, alpha, ...paint });
  }

  circle(x, y, r, fill, line, width, alpha) {
    this.strokes.push({ kind: "circle", points: [[x, y]], size: [r], fill, line, width, alpha });
  }

  rect(x, y, w, h, fill, line, width, alpha) {
    this.strokes.push({ kind: "rect", points: [[x, y]], size: [w, h], fill, line, width, alpha });
  }

  text(words, x, y, { size = 12, anchor = "start", color, halo = "", bold = false, turn = 0, alpha = 1 }) {
    const how = { anchor, bold, turn, alpha, halo: Boolean(halo) };
    this.strokes.push({ kind: "text", points: [[x, y]], size: [size], fill: color, words, ...how });
  }

  width(words, size, bold) {
    return this.measuring.width(words, size, bold) * WIDER;
  }
}
