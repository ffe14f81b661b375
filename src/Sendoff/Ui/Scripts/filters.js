// Filters apply themselves and can be saved under a name. Part of the same module as page.js. A filter is a form with an id and the role
// `search`; the parts of the page that depend on it are live (live.js) or have `data-filtered`.

const PAUSE_MS = 350, MOST_SAVED = 50, UNDO_MS = 10_000;
let pause, isLoading = false, chosen = null;

/** Shows what a filter asks for, without a new page: the form, what is typed in it and the focus stay. */
function applyFilter(form) {
  clearTimeout(pause);
  if (!form.isConnected) return;
  const url = new URL(form.getAttribute('action'), location.origin);
  for (const [name, value] of new FormData(form)) if (String(value).trim()) url.searchParams.append(name, value);
  if (url.href === location.href) return;
  history.replaceState(history.state, '', url);
  document.dispatchEvent(new Event('filtered'));
  showSaved();
}

/** What is chosen while the next page loads is applied to that page: its address is already shown, and its form is not there yet. */
function choose(form, field) {
  if (chosen?.form !== form.id) chosen = { form: form.id, values: new Map() };
  chosen.values.set(field.name, field.value);
}

function applyChosen() {
  const form = chosen && document.getElementById(chosen.form);
  if (form) {
    for (const [name, value] of chosen.values) if (form.elements[name]) form.elements[name].value = value;
    applyFilter(form);
  }
  chosen = null;
}

document.addEventListener('change', event => {
  const form = event.target.closest?.('form[role=search]');
  if (!form) return;
  if (isLoading) choose(form, event.target);
  else applyFilter(form);
});
document.addEventListener('input', event => {
  const form = event.target.closest?.('form[role=search]');
  if (!form || !event.target.matches('input:not([type=checkbox])')) return;
  if (isLoading) return choose(form, event.target);
  clearTimeout(pause);
  pause = setTimeout(applyFilter, PAUSE_MS, form);
});
document.addEventListener('submit', event => {
  if (!event.target.matches('form[role=search]')) return;
  event.preventDefault();
  if (!isLoading) applyFilter(event.target);
});
Blazor.addEventListener('enhancednavigationstart', () => {
  clearTimeout(pause);
  isLoading = true;
  chosen = null;
});
Blazor.addEventListener('enhancednavigationend', () => {
  isLoading = false;
  applyChosen();
});

// Saved filters are kept in this browser, for each list.

const savedKey = nav => `filters:${nav.dataset.saved}`;

function savedOf(nav) {
  try {
    return JSON.parse(localStorage.getItem(savedKey(nav)) ?? '[]')
      .filter(({ name, search }) => typeof name === 'string' && typeof search === 'string');
  } catch {
    return [];
  }
}

/** Such as "?status=failed": what is looked at and where in the list is left out. */
function searchNow() {
  const query = new URLSearchParams(location.search);
  for (const name of ['cursor', 'until', 'send', 'select', 'resent', 'underway', 'gone']) query.delete(name);
  return query.size === 0 ? '' : `?${query}`;
}

function keep(nav, filters) {
  localStorage.setItem(savedKey(nav), JSON.stringify(filters));
  showSaved();
}

function showSaved() {
  for (const nav of document.querySelectorAll('[data-saved]')) {
    const filters = savedOf(nav), now = searchNow(), form = nav.querySelector('form');
    nav.hidden = now === '' && filters.length === 0 && nav.querySelector('[aria-live]').childNodes.length === 0;
    nav.querySelector('details').hidden = now === '';
    nav.querySelector('ul').replaceChildren(...filters.map(({ name, search }) => {
      const item = document.createElement('li'),
        link = Object.assign(document.createElement('a'), { textContent: name, href: nav.dataset.path + search });
      if (search === now) link.setAttribute('aria-current', 'true');
      const remove = Object.assign(document.createElement('button'),
        { type: 'button', className: 'copy', textContent: '×', title: `Delete the filter “${name}”` });
      remove.setAttribute('aria-label', remove.title);
      remove.dataset.unsave = name;
      item.append(link, remove);
      return item;
    }));
    form.querySelector('button').disabled = filters.length >= MOST_SAVED;
  }
}

document.addEventListener('submit', event => {
  if (!event.target.matches('[data-saved] form')) return;
  event.preventDefault();
  const nav = event.target.closest('[data-saved]'), input = event.target.elements[0], name = input.value.trim(),
    note = nav.querySelector('[aria-live]');
  if (!name) return;
  try {
    keep(nav, [...savedOf(nav).filter(one => one.name !== name), { name, search: searchNow() }]);
    note.textContent = `Saved “${name}” in this browser.`;
    input.value = '';
    nav.querySelector('details').open = false;
    // Move the focus to the link of the filter.
    [...nav.querySelectorAll('a')].find(link => link.textContent === name)?.focus();
  } catch {
    note.textContent = 'The browser did not store the filter.';
  }
});
document.addEventListener('click', event => {
  const remove = event.target.closest?.('[data-unsave]');
  if (!remove) return;
  const nav = remove.closest('[data-saved]'), before = savedOf(nav), name = remove.dataset.unsave, note = nav.querySelector('[aria-live]');
  keep(nav, before.filter(one => one.name !== name));
  const undo = Object.assign(document.createElement('button'), { type: 'button', className: 'copy', textContent: 'Undo' });
  undo.addEventListener('click', () => {
    keep(nav, before);
    note.textContent = '';
  });
  note.replaceChildren(`Deleted “${name}”. `, undo);
  undo.focus();
  setTimeout(() => { if (undo.isConnected && undo !== document.activeElement) note.textContent = ''; }, UNDO_MS);
});
Blazor.addEventListener('enhancedload', showSaved);
showSaved();

