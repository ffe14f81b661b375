// Sets the theme that the reader chose in this browser before the page is rendered; otherwise the system's.
(function () {
  var theme = localStorage.getItem('theme');
  if (theme) document.documentElement.dataset.theme = theme;
})();
