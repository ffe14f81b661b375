// The code editor: Monaco in a separate document, the frame of CodeEditor. Monaco adds style sheets to the head of its document at run
// time, and in the head of the page, navigation would remove them.
const TYPING_MS = 300, RETRY_MS = 1_000, MOST_CHARS = 1024 * 1024;
const SEVERITY = 8; // MarkerSeverity.Error

// TypeScript is 7 MB of code: it is loaded when the reader first points at the code, enters it, or presses a button that needs it.
let use;
const used = new Promise(resolve => { use = resolve; });
for (const kind of ['pointermove', 'focusin', 'keydown']) addEventListener(kind, use, { once: true });

async function load() {
  const monaco = await new Promise((resolve, reject) => {
    window.require.config({ paths: { vs: '/monaco' } });
    window.require(['vs/editor/editor.main'], () => resolve(window.monaco), reject);
  });
  const { getWorker } = window.MonacoEnvironment;
  window.MonacoEnvironment.getWorker = async (module, label) => {
    if (label === 'javascript' || label === 'typescript') await used;
    return getWorker(module, label);
  };
  const { javascriptDefaults, typescriptDefaults, ScriptTarget, ModuleKind, ModuleResolutionKind } = monaco.languages.typescript;
  const types = await (await fetch('/assets/sendoff.d.ts')).text();
  for (const language of [javascriptDefaults, typescriptDefaults]) {
    language.setCompilerOptions({
      target: ScriptTarget.ESNext, module: ModuleKind.ESNext, moduleResolution: ModuleResolutionKind.NodeJs, lib: ['esnext'],
      allowJs: true, allowNonTsExtensions: true, esModuleInterop: true,
    });
    // Packages are not available here. The check on the server reports missing imports.
    language.setDiagnosticsOptions({ noSemanticValidation: true, noSyntaxValidation: false });
    language.setEagerModelSync(true);
    language.addExtraLib(types, 'file:///sendoff.d.ts');
  }
  return monaco;
}

const loading = load();
const system = matchMedia('(prefers-color-scheme: dark)'), narrow = matchMedia('(max-width: 719px)');

const isDark = () => document.documentElement.dataset.theme ? document.documentElement.dataset.theme === 'dark' : system.matches;

/** The page's own ground, and comments and unused names that can be read on it. @returns the theme's name */
function theme(monaco) {
  const [red, green, blue] = getComputedStyle(document.getElementById('code')).backgroundColor.match(/\d+/g).map(Number);
  const background = `#${[red, green, blue].map(part => part.toString(16).padStart(2, '0')).join('')}`;
  monaco.editor.defineTheme('sendoff', {
    base: isDark() ? 'vs-dark' : 'vs', inherit: true, rules: [{ token: 'comment', foreground: isDark() ? '8fb77f' : '3d7a35' }],
    colors: { 'editor.background': background, 'editorUnnecessaryCode.opacity': '#000000ff', 'editorUnnecessaryCode.border': '#80808080' },
  });
  return 'sendoff';
}

/** Completes the names of variables and secrets: after `process.env.` in code and templates, and after `${` in YAML. */
const completeNames = (monaco, names) => monaco.languages.registerCompletionItemProvider(['javascript', 'typescript', 'yaml'], {
  triggerCharacters: ['.', '{'],
  provideCompletionItems(model, { lineNumber, column }) {
    const before = model.getValueInRange({ startLineNumber: lineNumber, startColumn: 1, endLineNumber: lineNumber, endColumn: column });
    const typed = /(?:\bprocess\.env\.|\$\{)([A-Za-z0-9_]*)$/.exec(before);
    if (typed === null || typed[0].startsWith('$') && model.getLanguageId() !== 'yaml') return { suggestions: [] };
    const range = { startLineNumber: lineNumber, startColumn: column - typed[1].length, endLineNumber: lineNumber, endColumn: column };
    return {
      suggestions: names.map(
        name => ({
          label: name, insertText: name, kind: monaco.languages.CompletionItemKind.Variable, detail: 'variable or secret', range,
        }))
    };
  },
});

/** The editor of a workflow's files; `dotnet` is told what is typed and pressed. The page calls it (frame.js). */
window.createEditor = async (workflow, names, dotnet) => {
  const monaco = await loading;
  const editor = monaco.editor.create(document.getElementById('code'), {
    model: null, theme: theme(monaco), automaticLayout: true, wordWrap: narrow.matches ? 'on' : 'off', minimap: { enabled: false },
    scrollBeyondLastLine: false, renderFinalNewline: 'on', tabSize: 2, fontSize: 13,
    ariaLabel: 'Code', fixedOverflowWidgets: true, renderLineHighlightOnlyWhenFocus: true, padding: { top: 8, bottom: 8 },
  });
  const follow = () => {
    const chosen = localStorage.getItem('theme');
    if (chosen) document.documentElement.dataset.theme = chosen;
    else delete document.documentElement.dataset.theme;
    monaco.editor.setTheme(theme(monaco));
  };
  system.addEventListener('change', follow);
  addEventListener('theme', follow);
  const wrap = () => editor.updateOptions({ wordWrap: narrow.matches ? 'on' : 'off' });
  narrow.addEventListener('change', wrap);
  editor.addCommand(monaco.KeyMod.CtrlCmd | monaco.KeyCode.KeyS, () => dotnet.invokeMethodAsync('Pressed', 'check'));
  editor.addCommand(monaco.KeyMod.CtrlCmd | monaco.KeyCode.Enter, () => dotnet.invokeMethodAsync('Pressed', 'test'));

  const completion = completeNames(monaco, names);

  let timer = 0, quiet = false;
  const at = path => monaco.Uri.file(`/${path}`);
  // Input that the server has not received is kept in the browser, so that a server restart or a closed window loses nothing.
  const keyOf = path => `typed:${workflow}:${path}`;
  const tell = async () => {
    clearTimeout(timer);
    if (timer === 0) return;
    timer = 0;
    const model = editor.getModel(), path = model.uri.path.slice(1), text = model.getValue();
    if (text.length > MOST_CHARS) {
      return dotnet.invokeMethodAsync(
        'Refused', `A file has ${MOST_CHARS.toLocaleString('en')} characters at most here. The last change is not saved.`);
    }
    try {
      const isSaved = await dotnet.invokeMethodAsync('Typed', path, text);
      if (isSaved && localStorage.getItem(keyOf(path)) === text) localStorage.removeItem(keyOf(path));
    } catch {
      // The server cannot be reached.
      timer ||= setTimeout(tell, RETRY_MS);
    }
  };
  editor.onDidChangeModelContent(() => {
    if (quiet) return;
    const model = editor.getModel();
    keep(keyOf(model.uri.path.slice(1)), model.getValue());
    clearTimeout(timer);
    timer = setTimeout(tell, TYPING_MS);
  });
  editor.onDidBlurEditorText(tell);

  return {
    /** Shows a file; its undo history is kept while the editor is open. */
    async show(path, text, language) {
      await tell();
      quiet = true;
      let model = monaco.editor.getModel(at(path));
      const kept = model === null ? localStorage.getItem(keyOf(path)) : null;
      if (model === null) model = monaco.editor.createModel(text, language, at(path));
      else if (model.getValue() !== text) model.pushEditOperations([], [{ range: model.getFullModelRange(), text }], () => null);
      if (editor.getModel() !== model) editor.setModel(model);
      quiet = false;
      if (kept !== null && kept !== text) editor.executeEdits('kept', [{ range: model.getFullModelRange(), text: kept }]);
    },
    /** What is wrong in the file that is shown. */
    mark(problems) {
      const model = editor.getModel();
      monaco.editor.setModelMarkers(model, 'sendoff', problems.map(({ line, column, message }) => {
        const at = Math.min(Math.max(line, 1), model.getLineCount()), from = Math.min(Math.max(column, 1), model.getLineMaxColumn(at));
        const word = model.getWordAtPosition({ lineNumber: at, column: from });
        return {
          severity: SEVERITY, message, source: 'Sendoff', startLineNumber: at, endLineNumber: at, startColumn: from,
          endColumn: word?.endColumn ?? model.getLineMaxColumn(at),
        };
      }));
    },
    reveal(line) {
      editor.revealLineInCenter(line);
      editor.setPosition({ lineNumber: line, column: 1 });
      editor.focus();
    },
    /** What was typed and not saved is given up. */
    forget() {
      for (const key of Object.keys(localStorage)) if (key.startsWith(keyOf(''))) localStorage.removeItem(key);
    },
    format() {
      use();
      return editor.getAction('editor.action.formatDocument').run();
    },
    nextMistake() {
      use();
      editor.focus();
      editor.trigger('sendoff', 'editor.action.marker.next');
    },
    /** What was typed is known to the server when this has ended. */
    flush: () => tell(),
    dispose() {
      system.removeEventListener('change', follow); removeEventListener('theme', follow); narrow.removeEventListener('change', wrap);
      clearTimeout(timer);
      completion.dispose();
      for (const model of monaco.editor.getModels()) model.dispose();
      editor.dispose();
    },
  };
};

function keep(key, text) {
  try {
    localStorage.setItem(key, text);
  } catch {
    // The browser's storage is full or disabled. The server will have the text in a moment.
  }
}
