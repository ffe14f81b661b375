// replace.mjs FILE FROM TO: replaces a text that the file holds once, however its lines are broken. Prints how often the file holds it.
import { readFileSync, writeFileSync } from "node:fs";

const [file, from, to] = process.argv.slice(2);
const text = readFileSync(file, "utf8");
const tokens = from.match(/\w+|[^\s\w]/g).map((token) => token.replace(/[^\w]/, "\\$&"));
const found = [...text.matchAll(new RegExp(tokens.join("\\s*"), "g"))];
if (found.length === 1) writeFileSync(file, text.slice(0, found[0].index) + to + text.slice(found[0].index + found[0][0].length));
console.log(found.length);
