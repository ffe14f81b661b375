// The theme that the reader chose in this browser, before the page is drawn; the system's otherwise.
(function () {
  var theme = localStorage.getItem('theme');
  if (theme) document.documentElement.dataset.theme = theme;
})();
