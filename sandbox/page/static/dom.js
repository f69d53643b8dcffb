// Making elements. Text from outside only ever becomes a text node: nothing here reads HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: el("p", {class: "hint", onclick: act}, "words", otherElement). */
export function el(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

function furnish(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) set(node, name, value);
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function set(node, name, value) {
  if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
  else if (value === true) node.setAttribute(name, "");
  else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
}

/** An event's answer that replaces the browser's own. */
export const instead = (act) => (event) => {
  event.preventDefault();
  act();
};

/** Replace what *node* holds, and give the focus back to what had it, where that is still there. */
export function refill(node, ...children) {
  const held = node.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
  if (held) [...node.querySelectorAll("[data-key]")].find((each) => each.dataset.key === held)?.focus();
}

/** Let *node* hold these keyed children in this order; one whose content is as it was is left alone. */
export function align(node, wanted) {
  const there = new Map([...node.children].map((child) => [child.dataset.item, child]));
  const next = wanted.map(([key, content, make]) => same(there.get(key), content) ?? stamped(make(), key, content));
  for (const child of [...node.children]) if (!next.includes(child)) swap(child, next);
  for (const [place, child] of next.entries()) {
    if (node.children[place] !== child) node.insertBefore(child, node.children[place] ?? null);
  }
}

function same(child, content) {
  return child && child.content === content ? child : undefined;
}

function stamped(child, key, content) {
  child.dataset.item = key;
  child.content = content;
  return child;
}

/** Take *child* away; where another takes its place, that one gets the focus that was in it. */
function swap(child, next) {
  const held = child.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const heir = next.find((each) => each.dataset.item === child.dataset.item);
  if (heir) child.replaceWith(heir);
  else child.remove();
  if (held) [...(heir?.querySelectorAll("[data-key]") ?? [])].find((each) => each.dataset.key === held)?.focus();
}

let numbers = 0;
/** An id that no other element of this page has. */
export const fresh = (prefix) => `${prefix}-${++numbers}`;
