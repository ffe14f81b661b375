// @ts-check
// The parameters of a pasted function, in any order.

/** Maps names to indexes of the arguments of a body. @type {Record<string, number>} */
const NAMES = { event: 0, events: 0, $event: 0, evt: 0, steps: 1, step: 1, params: 2, auths: 3, auth: 3, $send: 4, $respond: 5, $end: 6 };

/** The index of the argument for each parameter; null for the usual order. @param {any} body @returns {number[] | null} */
export function orderOf(body) {
  const source = Function.prototype.toString.call(body);
  const match = /^(?:async\s*)?(?:function\b\s*\*?\s*[\w$]*\s*)?(?:\(([\w$,\s]*)\)|([\w$]+)\s*=>)/.exec(source);
  if (match === null) return null; // defaults and patterns get arguments by position
  const names = (match[1] ?? match[2]).split(',').map(name => name.trim()).filter(name => name !== '');
  const order = names.map((name, i) => Object.hasOwn(NAMES, name) ? NAMES[name] : i);
  return order.every((index, i) => index === i) ? null : order;
}
