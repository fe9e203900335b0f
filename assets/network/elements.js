// Elements of the page, and numbers as they are written. Names from the data only ever become textContent.

import { isKnown } from "./model.js";

const SVG = "http://www.w3.org/2000/svg";
export const count = (number) => number.toLocaleString("en");
export const percent = (share) => {
  const value = 100 * share;
  return `${value > 0 && value < 1 ? "<1" : Math.round(value)} %`;
};
export const fixed = (value, digits = 2) => (isKnown(value) ? value.toFixed(digits) : "");
export const signed = (value) => (isKnown(value) ? `${value > 0 ? "+" : ""}${value.toFixed(2)}` : "");
export const small = (p) =>
  !isKnown(p) ? "" : p < 1e-15 ? "<1e-15" : p < 0.001 ? p.toExponential(0) : p.toPrecision(2);
export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

/** An element: make("button", {class: "x", text: "name", click: f, title: "…"}, ...children). */
export function make(tag, { text, click, ...rest } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(rest))
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  if (text !== undefined) element.textContent = text;
  if (click) element.addEventListener("click", click);
  if (tag === "button") element.type = "button";
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function shape(tag, attributes, parent) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent.append(element);
  return element;
}
