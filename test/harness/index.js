// Node 24 takes the folder in `node --test test/harness/` as a module, Node 20 searches it for *.test.mjs.
for (const name of ['send', 'steps', 'run', 'warnings', 'templates', 'props', 'helpers']) import(`./${name}.test.mjs`);
