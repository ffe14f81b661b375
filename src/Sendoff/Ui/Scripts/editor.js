// The Monaco editor, as the control CodeEditor uses it.
const MONACO = '/_content/BlazorMonaco/lib/monaco-editor/min/vs';
const TYPING_MS = 300, MOST_CHARS = 1024 * 1024;
const SEVERITY = 8; // MarkerSeverity.Error

let loading;

function load() {
  return loading ??= new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = `${MONACO}/loader.js`;
    script.onerror = () => reject(new Error('the editor cannot be loaded'));
    script.onload = () => {
      window.require.config({ paths: { vs: MONACO } });
      window.require(['vs/editor/editor.main'], () => resolve(window.monaco), reject);
    };
    document.head.append(script);
  }).then(async monaco => {
    const { javascriptDefaults, typescriptDefaults, ScriptTarget, ModuleKind, ModuleResolutionKind } = monaco.languages.typescript;
    // The editor's TypeScript is 4.8: type parameters that are `const` came with 5.0.
    const types = (await (await fetch('/assets/sendoff.d.ts')).text()).replaceAll('<const ', '<');
    for (const language of [javascriptDefaults, typescriptDefaults]) {
      language.setCompilerOptions({
        target: ScriptTarget.ESNext, module: ModuleKind.ESNext, moduleResolution: ModuleResolutionKind.NodeJs, lib: ['esnext'],
        allowJs: true, allowNonTsExtensions: true, esModuleInterop: true,
      });
      // Packages are not here: what an import leads to is found by a check on the server.
      language.setDiagnosticsOptions({ noSemanticValidation: true, noSyntaxValidation: false });
      language.setEagerModelSync(true);
      language.addExtraLib(types, 'file:///sendoff.d.ts');
    }
    return monaco;
  });
}

const dark = matchMedia('(prefers-color-scheme: dark)'), narrow = matchMedia('(max-width: 719px)');

/** The page's own ground, and comments and unused names that can be read on it. @returns the theme's name */
function theme(monaco) {
  const background = getComputedStyle(document.documentElement).getPropertyValue('--card').trim();
  const long = /^#...$/.test(background) ? background.replace(/[^#]/g, '$&$&') : background;
  monaco.editor.defineTheme('sendoff', {
    base: dark.matches ? 'vs-dark' : 'vs', inherit: true, rules: [{ token: 'comment', foreground: dark.matches ? '8fb77f' : '3d7a35' }],
    colors: { 'editor.background': long, 'editorUnnecessaryCode.opacity': '#000000ff', 'editorUnnecessaryCode.border': '#80808080' },
  });
  return 'sendoff';
}

export async function create(host, dotnet) {
  const monaco = await load();
  const editor = monaco.editor.create(host, {
    model: null, theme: theme(monaco), automaticLayout: true, wordWrap: narrow.matches ? 'on' : 'off', minimap: { enabled: false }, scrollBeyondLastLine: false, tabSize: 2, fontSize: 13,
    ariaLabel: 'Code', fixedOverflowWidgets: true, renderLineHighlightOnlyWhenFocus: true, padding: { top: 8, bottom: 8 },
  });
  const follow = () => monaco.editor.setTheme(theme(monaco));
  dark.addEventListener('change', follow);
  const wrap = () => editor.updateOptions({ wordWrap: narrow.matches ? 'on' : 'off' });
  narrow.addEventListener('change', wrap);
  editor.addCommand(monaco.KeyMod.CtrlCmd | monaco.KeyCode.KeyS, () => dotnet.invokeMethodAsync('Pressed', 'check'));
  editor.addCommand(monaco.KeyMod.CtrlCmd | monaco.KeyCode.Enter, () => dotnet.invokeMethodAsync('Pressed', 'test'));

  let timer = 0, quiet = false;
  const at = path => monaco.Uri.file(`/${path}`);
  const tell = () => {
    clearTimeout(timer);
    if (timer === 0) return;
    timer = 0;
    const model = editor.getModel();
    return model.getValueLength() > MOST_CHARS
      ? dotnet.invokeMethodAsync('Refused', `${MOST_CHARS.toLocaleString('en')} characters are the most that a file can have here. What is over that is not saved.`)
      : dotnet.invokeMethodAsync('Typed', model.uri.path.slice(1), model.getValue());
  };
  editor.onDidChangeModelContent(() => {
    if (quiet) return;
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
      if (model === null) model = monaco.editor.createModel(text, language, at(path));
      else if (model.getValue() !== text) model.pushEditOperations([], [{ range: model.getFullModelRange(), text }], () => null);
      if (editor.getModel() !== model) editor.setModel(model);
      quiet = false;
    },
    /** What is wrong in the file that is shown. */
    mark(problems) {
      const model = editor.getModel();
      monaco.editor.setModelMarkers(model, 'sendoff', problems.map(({ line, column, message }) => {
        const at = Math.min(Math.max(line, 1), model.getLineCount()), from = Math.min(Math.max(column, 1), model.getLineMaxColumn(at));
        const word = model.getWordAtPosition({ lineNumber: at, column: from });
        return { severity: SEVERITY, message, source: 'Sendoff', startLineNumber: at, endLineNumber: at, startColumn: from, endColumn: word?.endColumn ?? model.getLineMaxColumn(at) };
      }));
    },
    reveal(line) {
      editor.revealLineInCenter(line);
      editor.setPosition({ lineNumber: line, column: 1 });
      editor.focus();
    },
    /** What was typed is known to the server when this has ended. */
    flush: () => tell(),
    dispose() {
      dark.removeEventListener('change', follow); narrow.removeEventListener('change', wrap);
      clearTimeout(timer);
      for (const model of monaco.editor.getModels()) model.dispose();
      editor.dispose();
    },
  };
}

/** Also where the page is served without TLS, and there is no clipboard. */
export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = Object.assign(document.createElement('textarea'), { value: text });
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}
